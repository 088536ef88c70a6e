"""Every metric keeps the contract by being registered, and a new one is a single row."""

import math
from dataclasses import replace

import numpy as np
import pytest
from measured import DEVICE, measured

from core.analysis.comparison import compare_rows
from core.analysis.contents import Contents
from core.analysis.frame import make_frame
from core.analysis.pipeline import make_laws, make_table
from core.errors import Unusable
from core.formats.own import table_csv
from core.formats.own.selection import FIELDS, rows_of_table
from core.model.architecture import shape_from_label
from core.model.workload import Workload
from core.pareto.limits import parse_limit
from core.project.choices import Choices, WhatIf
from core.records.measurement import Timing
from core.records.metric import Metric, Reading, counted
from core.records.metrics import METRICS, metric, of_phase, timed_parts
from core.report.help_pages import metrics_page
from core.resources import resource
from core.samples.statistics import PHASES
from core.space.space_file import read_space
from core.units import SCALES

EVERY = pytest.mark.parametrize("row", METRICS.values(), ids=METRICS)
# one metric counted from the shape, one made of another: what a contributor would add
HEAD_SIZE = Metric(
    key="head_size", short="head", label="Head size", group="Shape", better="higher",
    formula="size of one attention head", exact=lambda c: c.shapes.d_head, compared=True,
)  # fmt: skip
BUDGET = Metric(
    key="answers_per_hour", short="answers", label="Answers an hour", group="Speed",
    better="higher", formula="3600 x batch / end-to-end time", compared=True,
    made_of=("e2e_s",), made=lambda c, e2e: 3600.0 * c.batch / e2e,
    unknown_because="no answer was timed",
)  # fmt: skip


@pytest.fixture(scope="module")
def contents():
    space = read_space(resource("spaces/small.toml"))
    points = space.measurement_points()
    some = [measured(p.architecture, p.workload, p.runtime) for p in points]
    # a real model stands beyond the described candidates
    some.append(replace(some[0], model="tiny"))
    return Contents("t", space, tuple(some), ())


@pytest.fixture(scope="module")
def laws(contents):
    return make_laws(contents, Choices())


@pytest.fixture(scope="module")
def table(contents, laws):
    return make_table(contents, laws, Choices())


# --- what every row keeps ---------------------------------------------------------------------------


@EVERY
def test_it_can_be_named_written_and_read(row):
    assert METRICS[row.key] is row is metric(row.short) is metric(row.key.upper())
    assert [m.short for m in METRICS.values()].count(row.short) == 1
    assert [m.label for m in METRICS.values()].count(row.label) == 1
    assert row.formula and row.group and row.better in ("lower", "higher", "")
    for value in (0.0123, 1.5, 4200.0):
        assert row.parse(row.format(value)) == pytest.approx(value, rel=0.05)
    if row.unit in SCALES:
        assert parse_limit(f"{row.short}{row.natural_side}1{row.unit}").metric == row.key


@EVERY
def test_it_states_one_way_in_which_its_values_come_about(row):
    known = (
        row.exact is not None,
        bool(row.made_of),
        bool(row.law or row.phase),
        bool(row.measured),
    )
    assert any(known)
    if row.exact is not None:
        assert known == (True, False, False, False), "what is counted needs no other source"
    assert bool(row.made_of) == (row.made is not None)
    above = list(METRICS)[: list(METRICS).index(row.key)]
    assert set(row.made_of) <= set(above), "parts stand above what is made of them"
    assert row.law in ("", "loss", "memory", "ttft", "tpot")
    assert not row.phase or (row.phase in PHASES and of_phase(row.phase) is row)
    assert row.exact is not None or row.unknown_because


@EVERY
def test_every_number_of_it_has_a_source_and_every_gap_a_reason(row, table):
    estimates = table.estimates(row.key)
    assert len(estimates.value) == len(table)
    assert not estimates.value.flags.writeable
    assert list(table.names) == [len(table) - 1]
    for at in (0, len(table) // 2, len(table) - 1):
        source = table.source(row.key, at)
        assert source.text and "{" not in source.text
        assert (source.kind == "unknown") == bool(np.isnan(estimates.value[at]))


@EVERY
def test_its_interval_holds_its_value(row, table):
    e = table.estimates(row.key)
    known = np.isfinite(e.value)
    assert (e.low[known] <= e.value[known] * (1 + 1e-12)).all()
    assert (e.value[known] <= e.high[known] * (1 + 1e-12)).all()


@EVERY
def test_what_it_is_made_of_moves_it_one_way(row, table):
    if not row.made_of:
        return
    parts = [np.full(len(table), value) for value in np.linspace(0.5, 0.9, len(row.made_of))]
    columns = table.columns
    before = row.make(columns, *parts)
    steps = []
    for at in range(len(parts)):
        moved = [p * 1.1 if i == at else p for i, p in enumerate(parts)]
        steps.append(np.nan_to_num(row.make(columns, *moved) - before))
    assert all((s >= 0).all() for s in steps) or all((s <= 0).all() for s in steps)


@EVERY
def test_the_help_lists_it(row):
    page = metrics_page()
    assert f"**{row.label}**" in page and f"`{row.short}`" in page


# --- what a new row reaches ---------------------------------------------------------------------------


@pytest.fixture
def added(monkeypatch):
    for row in (HEAD_SIZE, BUDGET):
        monkeypatch.setitem(METRICS, row.key, row)


@pytest.fixture
def choices(added):
    limits = (parse_limit("answers>=100"), parse_limit("head<=64"))
    return Choices(x="answers_per_hour", y="head_size", limits=limits)


def test_one_row_makes_a_column_an_axis_and_a_limit(contents, laws, choices):
    table = make_table(contents, laws, choices)
    head, answers = table.estimates("head_size"), table.estimates("answers_per_hour")
    e2e = table.estimates("e2e_s")
    assert (head.value == table.candidates.shapes.d_head).all()
    assert answers.value == pytest.approx(3600 * table.candidates.batch / e2e.value)
    assert answers.low == pytest.approx(3600 * table.candidates.batch / e2e.high)
    assert (answers.measured == e2e.measured).all() and answers.measured.any()
    row = int(np.flatnonzero(~answers.measured)[0])
    assert table.source("head_size", row).kind == "exact"
    assert table.source("answers_per_hour", row).text.startswith("TTFT law on")
    frame = make_frame(table, choices)
    assert 0 < frame.feasible.sum() < len(table) and len(frame.front)
    assert (head.value[frame.feasible] <= 64).all()
    assert (answers.value[frame.feasible] >= 100).all()


def test_one_row_is_compared_by_the_laws_it_is_made_of(contents, laws, choices):
    table = make_table(contents, laws, choices)
    rows = np.flatnonzero(~table.estimates("answers_per_hour").measured)[[0, 50]]
    found = compare_rows(contents, laws, choices, table, [table.id_of(int(r)) for r in rows])
    assert {"head_size", "answers_per_hour"} <= set(found.metrics)
    of = {d.metric: d for d in found.differences[1]}
    # answers an hour are batch over the time of one: as sure as that
    speed, time = of["answers_per_hour"], of["e2e_s"]
    assert "one law" in speed.note
    assert width(speed) == pytest.approx(width(time), rel=1e-6) != 0.0


def width(d):
    return math.log1p(d.high / 100) - math.log1p(d.low / 100)


def test_one_row_is_exported_and_read_back(contents, laws, choices):
    table = make_table(contents, laws, choices)
    rows = rows_of_table(table, [0, 1])
    again = table_csv.read(table_csv.write(rows))
    for key in ("head_size", "answers_per_hour"):
        assert key not in FIELDS
        assert [r.values[key] for r in again] == [r.values[key] for r in rows]


def test_one_row_is_listed_in_the_help(added):
    assert "**Answers an hour**" in metrics_page() and "**Head size**" in metrics_page()


# --- sources -----------------------------------------------------------------------------------------


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(Unusable, match=r"'speed' is not a metric \(known: loss, accuracy"):
        metric("speed")


def test_a_metric_knows_the_timed_parts_it_is_made_of():
    parts = {key: [part.key for part in timed_parts(key)] for key in METRICS}
    assert parts["tokens_per_s"] == parts["e2e_s"] == ["ttft_s", "tpot_s"]
    assert parts["over_floor"] == parts["tokens_per_s_user"] == parts["tpot_s"] == ["tpot_s"]
    assert parts["loss"] == parts["energy_j_per_token"] == parts["d_model"] == []
    with pytest.raises(KeyError):
        of_phase("itl")


def test_what_is_made_of_something_unknown_gives_its_reason(contents):
    bare = make_table(
        Contents("t", contents.space, (), ()), make_laws(contents, Choices()), Choices()
    )
    runtime = bare.runtime_of(0).label
    for key in ("tpot_s", "e2e_s", "tokens_per_s", "over_floor"):
        text = bare.source(key, 0).text
        assert text == f"nothing measured yet with {runtime} on this device"


def test_a_known_step_without_a_bandwidth_has_no_floor(table):
    assert np.isfinite(table.column("tpot_s")[0]) and np.isnan(table.column("over_floor")[0])
    assert (
        table.source("over_floor", 0).text == "the read bandwidth of this device was not measured"
    )


def test_measured_quality_keeps_its_interval():
    shape = shape_from_label("2x64")
    m = measured(shape, quality={"accuracy": 0.5, "accuracy_low": 0.4, "accuracy_high": 0.6})
    read = METRICS["accuracy"].read(m, lambda phase: None)
    assert read == Reading(0.5, 0.4, 0.6)
    assert METRICS["bits_per_byte"].read(m, lambda phase: None) is None


def test_launch_overhead_is_the_gap_without_kernels():
    m = measured(shape_from_label("2x64"), timing=Timing(kernel_s_per_token=0.003))
    read = METRICS["launch_s"].read
    assert read(m, {"itl": 0.004}.get) == pytest.approx((0.001,) * 3)
    assert read(m, {"itl": 0.002}.get) == (0.0, 0.0, 0.0)
    assert read(m, {}.get) is None


def test_exact_metrics_of_one_model_follow_from_what_is_stated():
    shape, work = shape_from_label("4x256"), Workload(2, 100, 50)
    assert counted(METRICS["params_total"], shape) == shape.params_total
    assert counted(METRICS["batch"], None, work) == 2
    assert counted(METRICS["decode_flops"], shape, work) == shape.decode_flops(125)
    assert counted(METRICS["train_flops"], shape, None, 1e9) == shape.train_flops(1e9)
    for key, stated in (("params_total", (None, work)), ("batch", (shape,)), ("weight_bytes", (shape, work)),
                        ("train_flops", (shape, work)), ("tpot_s", (shape, work))):  # fmt: skip
        assert counted(METRICS[key], *stated) is None


def test_train_and_serve_cost_is_compared_only_once_tokens_are_served(contents, laws):
    for served in (0.0, 1e12):
        choices = Choices(what_if=WhatIf(served_tokens=served))
        table = make_table(contents, laws, choices)
        found = compare_rows(contents, laws, choices, table, [table.id_of(0), table.id_of(1)])
        assert ("lifetime_flops" in found.metrics) == bool(served)
        assert table.device_key == DEVICE.key
