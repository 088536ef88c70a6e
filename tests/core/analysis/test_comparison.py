"""Differences against a baseline: known ratios, joint errors, and silence where due."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.analysis.comparison import compare_rows, difference, percent_text
from core.analysis.contents import Contents
from core.analysis.pipeline import Laws
from core.errors import Unusable
from core.fit.doubt import Doubt
from core.fit.fit import Fit
from core.fit.optimum import crossing
from core.model.workload import Runtime, Workload
from core.project.choices import Choices
from core.records.measurement import Device, Measurement
from core.space.space_file import parse_space
from core.table.table import Table, loss_columns

SPACE = """
[shape]
n_layers = { from = 4, to = 12, step = 4 }
d_model = { from = 512, to = 1024, step = 128 }
d_head = [64]
vocab_size = 50432

[train]
tokens_per_parameter = [20]
"""
THETA = {"A": 54754.3, "B": 778343.0, "E": 2.44751, "alpha": 0.614574, "epsilon": 0.00114621}


def law(resamples=None):
    return Fit(
        "inference-aware", "total", "tied", "least-squares", "morph", 27, dict(THETA),
        converged=True, resamples=resamples, scatter=0.006,
        ranges={"N": (7e7, 4e8), "D": (1e9, 3e10), "R": (17.0, 400.0)},
        doubt=Doubt((), (), 0.0, 0.0, {}, 1000),
    )  # fmt: skip


def contents(measurements=()):
    return Contents("test", parse_space(SPACE), tuple(measurements), ())


def made(measurements=(), loss=None):
    held = contents(measurements)
    laws = Laws(loss, "", (), ())
    table = Table(held.space.candidates(), loss=loss, measurements=held.measurements)
    return held, laws, table


def measured(table, row, seconds, spread=0.01):
    blocks = tuple((seconds * (1 + spread * k),) * 3 for k in (-1, -0.5, 0, 0, 0.5, 1))
    point = table.point(row)
    return Measurement(
        point.architecture, point.workload, point.runtime, Device("cpu", "test", 2**30),
        {"tpot": blocks},
    )  # fmt: skip


def cell(comparison, label_row, metric):
    return comparison.differences[label_row][comparison.metrics.index(metric)]


def test_exact_numbers_differ_exactly():
    held, laws, table = made()
    ids = [table.id_of(0), table.id_of(5)]
    comparison = compare_rows(held, laws, Choices(), table, ids)
    got = cell(comparison, 1, "params_total")
    ratio = table.column("params_total")[5] / table.column("params_total")[0]
    assert got.percent == pytest.approx(100 * (ratio - 1))
    assert got.low == got.high == pytest.approx(got.percent)
    assert got.verdict == "worse" and got.kind == "exact"
    assert cell(comparison, 0, "params_total").verdict == "same"
    assert cell(comparison, 1, "d_model").verdict in ("differs", "same")


def test_overlapping_measurements_cannot_be_told_apart_and_distant_ones_can():
    _, _, plain = made()
    near = [measured(plain, 0, 0.010, 0.03), measured(plain, 1, 0.0101, 0.03)]
    far = [measured(plain, 0, 0.010, 0.01), measured(plain, 1, 0.013, 0.01)]
    for measurements, verdict in ((near, "cannot tell apart"), (far, "worse")):
        held, laws, table = made(measurements)
        ids = [table.id_of(0), table.id_of(1)]
        got = cell(compare_rows(held, laws, Choices(), table, ids), 1, "tpot_s")
        assert got.verdict == verdict
        assert got.low < got.percent < got.high
        assert got.kind == got.base_kind == "measured"
    assert got.percent == pytest.approx(30.0)


def test_one_sample_gives_no_interval_and_no_verdict():
    _, _, plain = made()
    only = measured(plain, 0, 0.01), replace(measured(plain, 1, 0.02), samples={"tpot": ((0.02,),)})
    held, laws, table = made(only)
    got = cell(
        compare_rows(held, laws, Choices(), table, [table.id_of(0), table.id_of(1)]), 1, "tpot_s"
    )
    assert got.verdict == "cannot tell apart"
    assert "interval unknown" in got.text


def test_errors_common_to_both_losses_cancel():
    # every resample shifts all losses by one factor: the ratio is certain, each loss is not
    rng = np.random.default_rng(1)
    factors = 1 + 0.05 * rng.standard_normal(300)
    base = np.array(list(THETA.values()))
    resamples = np.tile(base, (300, 1))
    resamples[:, :3] *= factors[:, None]
    # inside the range, where nothing but the resamples makes the interval
    fit = replace(law(resamples), ranges={"N": (1e6, 1e10), "D": (1e7, 1e12), "R": (1.0, 1e4)})
    held, laws, table = made(loss=fit)
    ids = [table.id_of(0), table.id_of(14)]
    got = cell(compare_rows(held, laws, Choices(), table, ids), 1, "loss")
    alone = table.estimates("loss")
    assert (alone.high[0] - alone.low[0]) / alone.value[0] > 0.1
    assert got.high - got.low < 1e-6
    assert got.verdict == "better"


def test_draws_are_the_laws_own_predictions():
    base = np.array(list(THETA.values()))
    resamples = np.stack([base, base * [1, 1, 1.01, 1, 1]])
    fit = law(resamples)
    _, _, table = made(loss=fit)
    draws = table.loss_draws(np.array([3]), 400)[:, 0]
    columns = loss_columns(table.candidates.take(np.array([3])))
    # with no doubt but the parameters', a draw is one resample's, moved as far as the level asks
    at = fit.predict(columns)[0]
    assert np.allclose(draws[::2], at) and (draws[1::2] > at).all()


def test_what_is_unknown_says_why():
    _, _, plain = made()
    other = replace(measured(plain, 0, 0.01), workload=Workload(8, 128, 256))
    held, laws, table = made([other])
    ids = [table.id_of(0), table.id_of(len(table) - 1)]
    comparison = compare_rows(held, laws, Choices(), table, ids)
    never_timed, cost = cell(comparison, 0, "tpot_s"), cell(comparison, 1, "train_flops")
    assert (never_timed.kind, never_timed.verdict) == ("unknown", "unknown")
    assert never_timed.note == "nothing measured yet with eager, fp32 on this device"
    # a shape that was only timed was trained on nothing
    assert (cost.kind, cost.verdict) == ("unknown", "unknown")
    assert cost.note == "no number of training tokens is stated for it"
    assert cell(comparison, 0, "train_flops").verdict == "same"


def test_unlike_workloads_are_named_and_lost_pins_too():
    _, _, plain = made()
    other = replace(measured(plain, 0, 0.01), workload=Workload(8, 128, 256))
    held, laws, table = made([other])
    last = len(table) - 1
    comparison = compare_rows(
        held, laws, Choices(), table, [table.id_of(0), table.id_of(last), "L1-gone"]
    )
    assert any("workloads differ (batch)" in note for note in comparison.warnings)
    assert comparison.missing == ("L1-gone",)
    assert len(comparison.ids) == 2


def test_a_local_model_is_found_by_name_and_warned_of():
    _, _, plain = made(loss=law())
    model = replace(
        measured(plain, 0, 0.01),
        model="tiny",
        quality={"loss": 3.0},
        runtime=Runtime("transformers"),
    )
    held, laws, table = made([model], loss=law())
    last = len(table) - 1
    comparison = compare_rows(held, laws, Choices(), table, [table.id_of(0), table.id_of(last)])
    assert comparison.labels[1] == "tiny"
    assert cell(comparison, 1, "loss").kind == "measured"
    assert any("a text of yours" in note for note in comparison.warnings)
    assert any("run the same way" in note for note in comparison.warnings)


@given(st.floats(1e-4, 1e3), st.floats(1e-4, 1e3), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_swapping_the_sides_swaps_better_and_worse(a, b, wa, wb):
    class Two:
        names = ()

        def estimates(self, key):
            from core.table.table import Estimates

            value = np.array([a, b])
            half = np.array([wa, wb])
            return Estimates(
                value, value * np.exp(-half), value * np.exp(half),
                np.array([True, True]), np.array([False, False]),
            )  # fmt: skip

    one, two = difference(Two(), 0, 1, "tpot_s"), difference(Two(), 1, 0, "tpot_s")
    opposite = {"better": "worse", "worse": "better"}
    assert two.verdict == opposite.get(one.verdict, one.verdict)
    assert (1 + one.low / 100) * (1 + two.high / 100) == pytest.approx(1.0)


def test_percentages_read_well():
    assert percent_text(-3.24) == "−3.2 %"
    assert percent_text(0.314) == "+0.31 %"
    assert percent_text(140.2) == "+140 %"
    assert percent_text(0.001) == "0 %"
    assert percent_text(630.0) == "×7.3"
    assert percent_text(11900.0) == "×120"


def test_losses_that_cross_with_more_tokens_are_a_sentence():
    """A larger model of a worse aspect ratio wins once both are trained long enough."""
    fitted = law(
        np.array(list(THETA.values())) * np.array([[1, 1, 1, 1, f] for f in (0.9, 1, 1.1)])
    )
    held, laws, table = made(loss=fitted)
    labels = [table.label(row) for row in range(len(table))]
    wide, deep = (table.id_of(labels.index(name)) for name in ("4x1024", "8x640"))
    comparison = compare_rows(held, laws, Choices(), table, [deep, wide])
    (told,) = comparison.crossings
    assert told.startswith("4x1024 and 8x640 have the same loss at ") and "resamples" not in told
    assert told.endswith("beyond, 4x1024 is better")
    # the sentence's tokens by hand: both losses are the same there
    columns = loss_columns(
        table.candidates.take(np.array([labels.index("4x1024"), labels.index("8x640")]))
    )
    met = crossing(fitted, *({k: float(v[i]) for k, v in columns.items()} for i in (0, 1)))
    a, b = fitted.predict(columns | {"tokens": np.full(2, met.tokens)})
    assert a == pytest.approx(b, rel=1e-6)
    twice = [table.id_of(labels.index(name)) for name in ("8x640", "12x640")]
    assert compare_rows(held, laws, Choices(), table, twice).crossings == ()
    assert (
        compare_rows(held, Laws(None, "", (), ()), Choices(), table, [deep, wide]).crossings == ()
    )


def test_suites_that_are_one_law_are_named_with_a_plus():
    both = contents().suite("overtraining + gemstones")
    assert both.suite == "overtraining + gemstones" and len(both) == 303
    with pytest.raises(Unusable, match="differ in meaning"):
        contents().suite("morph + gemstones")
    with pytest.raises(Unusable, match="no suite of runs 'nowhere'"):
        contents().suite("morph + nowhere")
