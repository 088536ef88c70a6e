import warnings
from dataclasses import replace

import numpy as np
import pytest
from measured import measured, shape, true_tpot, true_ttft

from core.analysis.contents import Contents
from core.analysis.frame import make_frame
from core.analysis.pipeline import Laws, make_laws, make_table, mixed_meanings
from core.errors import Unusable
from core.pareto.limits import parse_limit
from core.project.choices import Choices, LossChoice, WhatIf
from core.records.measurement import Device, Point, Timing
from core.records.metrics import METRICS
from core.resources import resource
from core.samples.roofline import floor_ratio
from core.space.space_file import parse_space, read_space


@pytest.fixture(scope="module")
def contents():
    space = read_space(resource("spaces/small.toml"))
    points = space.measurement_points()
    return Contents(
        "t", space, tuple(measured(p.architecture, p.workload, p.runtime) for p in points), ()
    )


@pytest.fixture(scope="module")
def laws(contents):
    return make_laws(contents, Choices())


@pytest.fixture(scope="module")
def table(contents, laws):
    return make_table(contents, laws, Choices())


def test_predictions_follow_the_machine_that_was_measured(table):
    outside = table.estimates("tpot_s").outside | table.estimates("ttft_s").outside
    inside = np.flatnonzero(~outside)
    assert len(inside) > 1000
    for row in inside[::97]:
        p = table.point(int(row))
        tpot = table.column("tpot_s")[row]
        ttft = table.column("ttft_s")[row]
        assert tpot == pytest.approx(true_tpot(p.architecture, p.workload, p.runtime), rel=0.02)
        assert ttft == pytest.approx(true_ttft(p.architecture, p.workload, p.runtime), rel=0.05)
        steps = p.workload.output_tokens - 1
        assert table.column("e2e_s")[row] == pytest.approx(ttft + steps * tpot, rel=0.01)


def test_intervals_hold_their_values_and_invert_with_them(table):
    for key in ("loss", "tpot_s", "ttft_s", "e2e_s", "tokens_per_s", "tokens_per_s_user"):
        e = table.estimates(key)
        known = np.isfinite(e.value)
        assert known.any()
        assert (e.low[known] <= e.value[known] * (1 + 1e-12)).all()
        assert (e.value[known] <= e.high[known] * (1 + 1e-12)).all()


def test_measured_rows_are_marked_and_carry_the_measured_value(table, contents):
    assert len(table.measured_rows) >= len(contents.measurements)
    for row, m in table.measured_rows.items():
        assert table.estimates("tpot_s").measured[row]
        assert table.source("tpot_s", row).kind == "measured"
        assert table.source("tpot_s", row).text.startswith("1,530 samples")
        expected = true_tpot(m.architecture, m.workload, m.runtime)
        assert table.column("tpot_s")[row] == pytest.approx(expected, rel=0.005)
    assert table.estimates("tpot_s").measured.sum() == len(table.measured_rows)


def test_a_predicted_peak_of_memory_has_an_interval_and_says_what_it_was_corrected_on(
    contents, table, laws
):
    estimates = table.estimates("memory_bytes")
    assert np.all(estimates.low <= estimates.value) and np.all(estimates.value <= estimates.high)
    row = int(np.flatnonzero(~estimates.measured)[0])
    assert estimates.low[row] < estimates.high[row]
    told = table.source("memory_bytes", row)
    assert told.kind == "predicted"
    assert "by arithmetic, corrected on" in told.text and "on shapes left out" in told.text
    # nothing measured: arithmetic alone, which says that it does not know how far off it is
    bare = make_table(replace(contents, measurements=()), replace(laws, memory=()), Choices())
    assert "not checked against any measured peak" in bare.source("memory_bytes", row).text


def test_columns_cannot_be_changed(table):
    with pytest.raises(ValueError, match="read-only"):
        table.column("loss")[0] = 0.0


def test_a_local_model_stands_beside_designs_and_unlike_losses_are_announced(contents, laws):
    model = measured(
        shape(6, 256),
        model="my-model",
        quality={"loss": 2.5, "loss_low": 2.4, "loss_high": 2.6, "bits_per_byte": 0.9},
    )
    with_model = replace(contents, measurements=(*contents.measurements, model))
    table = make_table(with_model, laws, Choices())
    (row,) = table.names
    assert table.label(row) == table.full_label(row) == "my-model"
    s = table.candidates.shapes
    assert table.full_label(0) == f"{table.label(0)} · kv{s.n_kv_heads[0]} · ffn{s.d_ff[0]}"
    assert table.find(table.id_of(row)) == row
    assert table.column("loss")[row] == 2.5
    assert table.source("loss", row).kind == "measured"
    assert table.column("bits_per_byte")[row] == 0.9
    assert np.isnan(table.column("train_tokens")[row])
    assert any("measured on a text of yours" in note for note in mixed_meanings(with_model, table))


def test_devices_are_never_mixed(contents):
    other = Device("cuda", "Other", 80 * 2**30)
    slow = measured(shape(4, 128), device=other)
    both = replace(contents, measurements=(*contents.measurements, slow))
    laws = make_laws(both, Choices())
    mine = make_table(both, laws, Choices())
    assert mine.device_key == contents.measurements[0].device.key
    theirs = make_table(both, laws, Choices(device_key=other.key))
    # one shape is too few for a law: nothing is predicted there, and the reason is given
    assert np.isfinite(theirs.column("tpot_s")).sum() == len(theirs.measured_rows)
    assert "nothing measured yet" in theirs.source("tpot_s", 0).text
    assert any("2 devices" in note for note in mixed_meanings(both, mine))


def test_failed_measurements_give_no_latency(contents, laws):
    bad = measured(shape(5, 160), samples={}, flags=("oom",), message="needs 3 GB")
    table = make_table(replace(contents, measurements=(bad,)), laws, Choices())
    assert not table.measured_rows


def test_what_if_changes_the_workload_and_merges_rows_that_become_equal(contents, laws):
    table = make_table(contents, laws, Choices(what_if=WhatIf(batch=4, train_tokens=1e9)))
    assert set(table.candidates.batch[: table.described]) == {4}
    assert set(table.column("train_tokens")[: table.described]) == {1e9}
    described = len(contents.space.candidates())
    assert table.described == described // 4  # batches 1, 8 and two training lengths fall together
    served = make_table(contents, laws, Choices(what_if=WhatIf(served_tokens=1e12)))
    plain = make_table(contents, laws, Choices())
    extra = served.column("lifetime_flops") - plain.column("lifetime_flops")
    n = np.asarray(served.candidates.shapes.params_read_per_step, float)
    assert np.allclose(extra[: served.described], 2e12 * n[: served.described])


def test_the_frame_is_the_front_of_what_keeps_the_limits(table):
    limits = (parse_limit("tpot<=15ms"), parse_limit("params<=100M"))
    frame = make_frame(table, Choices(limits=limits, outside_counts=True))
    tpot, loss = table.column("tpot_s"), table.column("loss")
    inside = (tpot <= 0.015) & (table.column("params_total") <= 100e6)
    assert (frame.feasible == inside).all()
    for row in frame.front:
        better = inside & (tpot <= tpot[row]) & (loss <= loss[row])
        assert not (better & ((tpot < tpot[row]) | (loss < loss[row]))).any()
    assert loss[frame.best] == loss[inside].min()


def test_a_higher_is_better_axis_turns_the_front(table):
    frame = make_frame(table, Choices(x="tokens_per_s"))
    speed, loss = table.column("tokens_per_s")[frame.front], table.column("loss")[frame.front]
    assert (np.diff(speed) <= 0).all()
    assert (np.diff(loss) <= 0).all()


def test_two_hundred_thousand_candidates_get_every_metric(laws):
    space = parse_space(
        """
        [shape]
        n_layers = { from = 2, to = 41, step = 1 }
        d_model = { from = 256, to = 2304, step = 32 }
        d_head = [16, 32, 64]
        kv_groups = [1, 2, 4, 8]
        ffn_ratio = [1.5, 2.0, 2.5, 2.6667, 3.0, 3.5, 4.0, 5.0]
        ffn_multiple = 64
        vocab_size = [32000, 50432]
        """
    )
    table = make_table(Contents("t", space, (), ()), replace_latency(laws), Choices())
    assert len(table) >= 200_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for key in METRICS:
            table.column(key)
    assert np.isfinite(table.column("loss")).all()


def replace_latency(laws):
    return Laws(laws.loss, laws.loss_message, (), ())


def test_an_empty_project_says_what_to_do(laws):
    with pytest.raises(Unusable, match="describe a space or measure"):
        make_table(Contents("t", None, (), ()), laws, Choices())


def test_an_unknown_suite_is_refused_with_those_that_exist(contents):
    laws = make_laws(contents, Choices(loss=LossChoice(suite="mine")))
    assert laws.loss is None
    assert "morph" in laws.loss_message
    table = make_table(contents, laws, Choices())
    assert "no suite of runs 'mine'" in table.source("loss", 0).text


def test_every_row_says_how_near_it_comes_to_the_memory_floor(contents, laws, table):
    assert np.isnan(table.column("over_floor")).all()
    assert "bandwidth of this device was not measured" in table.source("over_floor", 0).text
    known = [
        replace(m, device=replace(m.device, bandwidth_bytes_per_s=25e9))
        for m in contents.measurements
    ]
    # one was measured on a day when memory was slower
    slow = replace(known[0], device=replace(known[0].device, bandwidth_bytes_per_s=20e9))
    other = make_table(replace(contents, measurements=(slow, *known[1:])), laws, Choices())
    over, tpot = other.estimates("over_floor"), other.estimates("tpot_s")
    assert np.array_equal(over.measured, tpot.measured)
    for row, m in other.measured_rows.items():
        assert over.value[row] == pytest.approx(floor_ratio(m))
    for row in np.flatnonzero(~over.measured)[::997]:
        p = other.point(int(row))
        read = p.architecture.decode_bytes(
            p.workload.mean_context,
            p.workload.batch,
            p.runtime.weight_bytes,
            p.runtime.cache_bytes,
        )
        for ratio, seconds in ((over.value, tpot.value), (over.low, tpot.low)):
            assert ratio[row] == pytest.approx(seconds[row] / (read / 25e9))


def test_launch_overhead_is_known_where_kernels_were_counted(contents, laws):
    first = contents.measurements[0]
    gap = true_tpot(first.architecture, first.workload, first.runtime)
    counted = replace(first, timing=Timing(kernel_s_per_token=0.4 * gap))
    rest = contents.measurements[1:]
    table = make_table(replace(contents, measurements=(counted, *rest)), laws, Choices())
    value = table.column("launch_s")
    # a shape stands in a row for each length of training
    rows = np.flatnonzero(np.isfinite(value))
    assert {table.point(int(row)) for row in rows} == {
        Point(first.architecture, first.workload, first.runtime)
    }
    assert value[rows] == pytest.approx(0.6 * gap, rel=0.01)
    assert table.source("launch_s", int(rows[0])).kind == "measured"
