"""Below 16 bits a loss is unknown: it is never that of 16 or 32 bits, whatever is cheaper."""

from dataclasses import replace

import numpy as np
import pytest
from measured import measured, shape

from core.analysis.comparison import compare_rows, crossings
from core.analysis.contents import Contents
from core.analysis.explain import sentences
from core.analysis.frame import make_frame
from core.analysis.front_uncertainty import frame_band, frame_chance
from core.analysis.pipeline import Laws, make_table, mixed_meanings
from core.analysis.what_if import why_nothing
from core.errors import Unusable
from core.fit.doubt import Doubt
from core.fit.fit import Fit
from core.model.workload import Runtime, Workload
from core.paper.select_project import rows_of
from core.pareto.limits import parse_limit
from core.project.choices import Choices, WhatIf, choices_from_dict, choices_to_dict
from core.space.space_file import parse_space
from core.table.published_precision import PublishedPrecision
from core.table.ratio_interval import log_ratio

SPACE = """
[shape]
n_layers = { from = 4, to = 12, step = 4 }
d_model = { from = 512, to = 1024, step = 128 }
d_head = [64]
vocab_size = 50432
[run]
weights = ["fp32", "bf16", "fp8", "int8"]
cache = ["same", "fp8"]
[train]
tokens_per_parameter = [20]
"""
THETA = {"A": 54754.3, "B": 778343.0, "E": 2.44751, "alpha": 0.614574, "epsilon": 0.00114621}
LAW = Fit(
    "inference-aware", "total", "tied", "least-squares", "morph", 27, dict(THETA), converged=True,
    resamples=np.tile(list(THETA.values()), (9, 1)) * np.linspace(0.99, 1.01, 9)[:, None],
    ranges={"N": (7e7, 4e8), "D": (1e9, 3e10), "R": (17.0, 400.0)},
    doubt=Doubt((), (), 0.002, 0.001, {"N": 0.01, "D": 0.01, "R": 0.01}, 35),
)  # fmt: skip
CONTENTS = Contents("t", parse_space(SPACE), (), ())
LAWS = Laws(LAW, "", (), ())
BY_SIZE = Choices(x="memory_bytes", y="loss")


@pytest.fixture(scope="module")
def table():
    return make_table(CONTENTS, LAWS, BY_SIZE)


def run(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def bits(table, row):
    run = table.runtime_of(row)
    return 8 * min(run.weight_bytes, run.cache_bytes)


def test_below_16_bits_the_loss_is_unknown_and_says_why(table):
    seen = set()
    for row in range(len(table)):
        source = table.source("loss", row)
        if bits(table, row) >= 16:
            assert np.isfinite(table.column("loss")[row]) and source.kind == "predicted"
            continue
        run = table.runtime_of(row)
        seen.add((run.weights, run.cache))
        assert np.isnan(table.column("loss")[row]) and source.kind == "unknown"
        named = [run.weights] if run.weight_bytes < 2 else []
        named += [f"{run.cache} cache"] if run.cache_bytes < 2 else []
        assert all(name in source.text for name in named) and "not measured" in source.text
    assert len(seen) > 3


def test_a_front_of_memory_is_not_all_in_int8(table):
    frame = make_frame(table, BY_SIZE)
    assert len(frame.front) > 3
    assert {bits(table, int(row)) for row in frame.front} == {16}
    (note,) = mixed_meanings(CONTENTS, table)
    low = sum(bits(table, row) < 16 for row in range(len(table)))
    assert f"{low} of {len(table)} candidates" in note and "below 16 bits" in note


def test_what_if_of_int8_says_that_its_loss_is_unknown():
    choices = BY_SIZE.changed(what_if=WhatIf(weights="int8"))
    table = make_table(CONTENTS, LAWS, choices)
    frame = make_frame(table, choices)
    assert frame.best is None and "int8 weights" in why_nothing(table, frame)
    # without a latency as well, both reasons are given
    slow = choices.changed(x="tpot_s")
    both = why_nothing(table, make_frame(table, slow))
    assert "nothing measured yet" in both and "int8 weights" in both


def test_a_chosen_row_without_a_loss_is_still_described(table):
    row = next(r for r in range(len(table)) if bits(table, r) < 16)
    choices = BY_SIZE.changed(selected=table.id_of(row))
    first = sentences(table, make_frame(table, choices), choices)[0]
    assert "loss unknown" in first
    other = next(r for r in range(len(table)) if bits(table, r) == 16)
    ids = (table.id_of(other), table.id_of(row))
    found = compare_rows(CONTENTS, LAWS, choices, table, ids)
    loss = found.differences[1][found.metrics.index("loss")]
    assert loss.verdict == "unknown" and "not measured" in loss.note
    assert crossings(table, [other, row], other, LAW) == ()
    assert crossings(table, [other, row], row, LAW) == ()


def test_select_leaves_out_what_has_no_loss(table):
    work = Workload()
    assert {bits(table, int(row)) for row in rows_of(table, work)} == {16, 32}
    tried = BY_SIZE.changed(what_if=WhatIf(weights="int8"))
    with pytest.raises(Unusable, match="below 16 bits"):
        rows_of(make_table(CONTENTS, LAWS, tried), work)


@pytest.mark.parametrize(
    ("runtime", "scored_in", "holds"),
    [
        (Runtime("eager", "bf16", "bf16"), "", True),
        (Runtime("eager", "int8", "bf16"), "", False),
        (Runtime("eager", "int8", "bf16"), "bf16", False),
        (Runtime("eager", "int8", "bf16"), "int8", True),
        # a text is scored without a cache
        (Runtime("eager", "bf16", "fp8"), "bf16", False),
    ],
)
def test_the_score_of_a_real_model_holds_only_for_the_precision_it_was_scored_in(
    runtime, scored_in, holds
):
    model = measured(
        shape(6, 256), runtime=runtime, model="m", quality={"loss": 2.5, "bits_per_byte": 0.9}
    )
    model = replace(model, environment={**model.environment, "scored_in": scored_in})
    table = make_table(replace(CONTENTS, measurements=(model,)), LAWS, BY_SIZE)
    (row,) = table.names
    for key, value in (("loss", 2.5), ("bits_per_byte", 0.9)):
        if holds:
            assert table.column(key)[row] == value
        else:
            assert np.isnan(table.column(key)[row])
            assert "was not measured" in table.source(key, row).text


def test_a_measured_shape_outside_the_space_says_that_no_training_is_stated():
    beyond = measured(shape(3, 256))
    table = make_table(replace(CONTENTS, measurements=(beyond,)), LAWS, BY_SIZE)
    assert "training tokens" in table.source("loss", len(table) - 1).text


# --- the published illustration ------------------------------------------------------------------


def illustrated(way, **parts):
    choices = BY_SIZE.changed(what_if=WhatIf(precision=way), **parts)
    return choices, make_table(CONTENTS, LAWS, choices)


def twin(table, row):
    """The row in fp32 that is otherwise this one."""
    here = table.point(row)
    there = replace(here, runtime=Runtime())
    return next(i for i in range(len(table)) if table.point(i) == there)


def test_weights_quantised_after_training_cost_what_was_published_and_a_cache_is_unknown():
    _, table = illustrated("quantised")
    for row in np.flatnonzero(table.candidates.below_16_bits)[::7].tolist():
        point, source = table.point(row), table.source("loss", row)
        if point.runtime.cache_bytes < 2:
            assert source.kind == "unknown" and "cache quantised after training" in source.text
            continue
        n, d = point.architecture.params_non_embedding, table.column("train_tokens")[row]
        delta = 0.0598 * d**0.5068 / n**0.3439 * np.exp(-8 / 0.5907)
        base = table.column("loss")[twin(table, row)]
        assert table.column("loss")[row] - base == pytest.approx(delta, rel=1e-6)
        assert source.kind == "published" and table.illustrated[row]
        assert "arXiv 2411.04330, not measured here" in source.text
        assert "constants do not transfer" in source.text and point.runtime.weights in source.text
        e = table.estimates("loss")
        assert np.isnan(e.low[row]) and np.isnan(e.high[row]) and not e.measured[row]


def test_trained_at_8_bits_the_kept_fractions_cost_the_published_loss():
    _, table = illustrated("trained")
    low = table.candidates.below_16_bits
    assert low.any() and np.isfinite(table.column("loss")[low]).all()
    assert np.array_equal(table.illustrated, low)
    kept = {(8, 16): 0.932 / 0.99659, (16, 8): 0.9973, (8, 8): 0.932 * 0.9973 / 0.99659}
    for row in np.flatnonzero(low)[::5].tolist():
        run = table.runtime_of(row)
        share = kept[8 * min(run.weight_bytes, 2), 8 * min(run.cache_bytes, 2)]
        n = table.candidates.shapes.params_non_embedding[row]
        added = table.column("loss")[row] - table.column("loss")[twin(table, row)]
        assert added == pytest.approx(4299 * n**-0.4965 * (share**-0.4965 - 1), rel=0.05)


def test_from_16_bits_up_the_illustration_changes_nothing(table):
    for way in ("quantised", "trained"):
        _, other = illustrated(way)
        high = ~table.candidates.below_16_bits
        assert np.array_equal(table.column("loss")[high], other.column("loss")[high])
        assert not other.illustrated[high].any()


def test_no_loss_is_computed_to_find_that_nothing_is_below_16_bits(monkeypatch):
    choices = Choices(x="memory_bytes", y="params_total", what_if=WhatIf(weights="bf16"))
    space = parse_space(SPACE.replace(', "fp8"]', "]"))
    table = make_table(Contents("t", space, (), ()), LAWS, choices)
    monkeypatch.setattr(Fit, "predict", lambda *_: pytest.fail("a loss was computed"))
    assert not table.illustrated.any() and mixed_meanings(CONTENTS, table) == ()


def test_beyond_the_published_runs_says_so():
    choices = BY_SIZE.changed(what_if=WhatIf(precision="trained", train_tokens=1e12))
    table = make_table(CONTENTS, LAWS, choices)
    (row, *_) = np.flatnonzero(table.illustrated)
    assert table.estimates("loss").outside[row]
    assert "beyond the 1.7 B parameters and 26 B tokens" in table.source("loss", int(row)).text


def test_a_penalty_in_nats_is_not_added_to_a_loss_in_another_unit():
    choices = BY_SIZE.changed(what_if=WhatIf(precision="trained"))
    table = make_table(CONTENTS, replace(LAWS, loss=replace(LAW, loss_unit="bits/byte")), choices)
    assert not table.illustrated.any()
    row = int(np.flatnonzero(table.candidates.below_16_bits)[0])
    assert "this loss in bits/byte" in table.source("loss", row).text


def test_an_illustration_on_the_front_is_named_for_what_it_is():
    choices, table = illustrated(
        "quantised", limits=(parse_limit("memory<=400MB"),), outside_counts=True
    )
    frame = make_frame(table, choices)
    assert table.illustrated[frame.front].any()
    row = int(next(r for r in frame.front if table.illustrated[r]))
    chosen = choices.changed(selected=table.id_of(row))
    said = " ".join(sentences(table, make_frame(table, chosen), chosen))
    assert "published illustration" in said and "nan" not in said
    assert any("constants do not transfer" in note for note in mixed_meanings(CONTENTS, table))


def test_an_illustration_is_not_on_the_front_unless_what_is_outside_the_runs_counts():
    choices, table = illustrated("quantised", limits=(parse_limit("memory<=400MB"),))
    frame = make_frame(table, choices)
    assert not table.illustrated[frame.front].any() and len(frame.front)
    for row in np.flatnonzero(table.illustrated)[::7].tolist():
        names = table.outside_columns("loss", row)
        assert names[-1] == "precision"
        # another column in which it is outside counts against it by itself
        assert table.worth_illustrating[row] == (len(names) == 1)
    said = " ".join(sentences(table, frame, choices))
    assert "Not counted" in said and "precision" in said


def test_an_illustration_has_no_chance_of_being_on_the_front():
    choices, table = illustrated("quantised", x="train_flops", outside_counts=True)
    chance = run(frame_chance(table, make_frame(table, choices)))
    assert (
        np.isnan(chance[table.illustrated]).all() and np.isfinite(chance[~table.illustrated]).all()
    )


def test_no_band_is_drawn_along_illustrations():
    for outside_counts in (True, False):
        choices, table = illustrated("quantised", outside_counts=outside_counts)
        frame = make_frame(table, choices)
        assert table.illustrated[frame.front].any() == outside_counts
        assert (frame_band(table, frame) is None) == outside_counts


def test_where_all_are_illustrated_the_best_is_one_of_them():
    choices = BY_SIZE.changed(what_if=WhatIf(weights="int8", precision="quantised"))
    table = make_table(CONTENTS, LAWS, choices)
    frame = make_frame(table, choices)
    assert frame.best is not None and table.illustrated[frame.best]
    assert "published illustration" in " ".join(sentences(table, frame, choices))


def test_the_difference_to_an_illustration_has_no_interval():
    choices, table = illustrated("trained")
    row = int(np.flatnonzero(table.illustrated)[0])
    base = twin(table, row)
    assert np.isnan(log_ratio(table, "loss", row, base).half_width)
    found = compare_rows(CONTENTS, LAWS, choices, table, (table.id_of(base), table.id_of(row)))
    loss = found.differences[1][found.metrics.index("loss")]
    assert loss.kind == "published" and loss.verdict == "cannot tell apart"
    assert "interval unknown" in loss.text
    assert any("published illustration" in warning for warning in found.warnings)


def test_an_unknown_way_is_refused_by_name():
    with pytest.raises(Unusable, match="'guessed' is no published illustration"):
        PublishedPrecision("guessed")
    with pytest.raises(Unusable, match="illustration of precision is 'guessed'"):
        choices_from_dict({"what_if": {"precision": "guessed"}})
    kept = Choices(what_if=WhatIf(precision="trained"))
    assert choices_from_dict(choices_to_dict(kept)) == kept
