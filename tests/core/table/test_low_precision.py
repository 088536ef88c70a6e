"""Below 16 bits a loss is unknown: it is never that of 16 or 32 bits, whatever is cheaper."""

from dataclasses import replace

import numpy as np
import pytest
from measured import measured, shape

from core.analysis.comparison import compare_rows, crossings
from core.analysis.contents import Contents
from core.analysis.explain import sentences
from core.analysis.frame import make_frame
from core.analysis.pipeline import Laws, make_table, mixed_meanings
from core.analysis.what_if import why_nothing
from core.errors import Unusable
from core.fit.fit import Fit
from core.model.workload import Runtime, Workload
from core.paper.select_project import rows_of
from core.project.choices import Choices, WhatIf
from core.space.space_file import parse_space

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
)  # fmt: skip
CONTENTS = Contents("t", parse_space(SPACE), (), ())
LAWS = Laws(LAW, "", (), ())
BY_SIZE = Choices(x="memory_bytes", y="loss")


@pytest.fixture(scope="module")
def table():
    return make_table(CONTENTS, LAWS, BY_SIZE)


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
        assert all(name in source.text for name in named) and "not known" in source.text
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
    assert loss.verdict == "unknown" and "not known" in loss.note
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
