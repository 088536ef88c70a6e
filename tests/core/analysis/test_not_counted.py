"""Front, best and sentences prefer candidates that the loss law's runs can speak for."""

from dataclasses import replace

import numpy as np
import pytest

from core.analysis.explain import same_size_reference, sentences
from core.analysis.frame import make_frame
from core.analysis.front_uncertainty import frame_chance
from core.analysis.not_counted import not_counted
from core.fit.doubting import with_doubt
from core.fit.resample import with_resamples
from core.fit.solve import fit
from core.formats.runs.suites import suite
from core.pareto.front import front_indices
from core.pareto.limits import parse_limit
from core.project.choices import Choices
from core.space.space_file import parse_space
from core.table.table import Table

SPACE = """
[shape]
n_layers = { from = 4, to = 16, step = 2 }
d_model = { from = 512, to = 1024, step = 64 }
d_head = 64
kv_groups = [1, 4]
ffn_ratio = [1.5, 2.6667]
ffn_multiple = 64
[train]
tokens_per_parameter = [40, 160]
[constraints]
params_total = { min = "78M", max = "250M" }
"""
AXES = Choices(x="params_total", y="loss")


@pytest.fixture(scope="module")
def law():
    runs = suite("morph")
    return with_doubt(with_resamples(fit(runs, "chinchilla", tied=True), runs, 50), runs)


@pytest.fixture(scope="module")
def table(law):
    return Table(parse_space(SPACE).candidates(), loss=law)


def test_front_and_best_are_of_rows_inside(table):
    inside = ~table.estimates("loss").outside
    assert 0 < inside.sum() < len(table)
    frame = make_frame(table, AXES)
    assert frame.feasible.all() and (frame.counted == inside).all()
    x, y = table.column("params_total"), table.column("loss")
    assert frame.front.tolist() == front_indices(x, y, inside).tolist()
    assert inside[frame.best]


def test_the_switch_lets_all_count(table):
    frame = make_frame(table, AXES.changed(outside_counts=True))
    assert frame.eligible is None and frame.counted.all()
    x, y = table.column("params_total"), table.column("loss")
    assert frame.front.tolist() == front_indices(x, y, None).tolist()
    assert table.estimates("loss").outside[frame.front].any()
    said = sentences(table, frame, AXES.changed(outside_counts=True))
    assert any(text.startswith("Counted, as chosen: ") for text in said)


def test_axes_without_a_loss_count_all(table):
    frame = make_frame(table, AXES.changed(y="train_flops"))
    assert frame.eligible is None and frame.counted.all()
    assert not_counted(table, frame).rows == 0


def test_where_the_limits_leave_no_row_inside_all_count_and_it_is_said(table):
    inside = ~table.estimates("loss").outside
    size = table.column("params_total")
    limit = parse_limit(f"params<={size[inside].min() - 1}")
    choices = AXES.changed(limits=(limit,))
    frame = make_frame(table, choices)
    assert len(frame.front) and frame.eligible is None
    assert (frame.counted == frame.feasible).all()
    found = not_counted(table, frame)
    assert found.all_outside and found.set_aside == 0 and found.rows == frame.feasible.sum()
    assert any(
        text.startswith("Every candidate within the limits lies outside the loss law's runs (")
        and text.endswith("; all count.")
        for text in sentences(table, frame, choices)
    )


def test_what_does_not_count_is_said_with_its_columns(table):
    frame = make_frame(table, AXES)
    outside = table.estimates("loss").outside
    said = sentences(table, frame, AXES)
    assert (
        f"Not counted: {outside.sum():,} candidates outside the loss law's runs"
        " (FFN ratio, KV groups)." in said
    )
    row = int(np.flatnonzero(outside)[0])
    chosen = AXES.changed(selected=table.id_of(row))
    names = ", ".join(table.outside_columns("loss", row))
    assert any(
        text.endswith(f" lies outside the loss law's runs in {names}.")
        for text in sentences(table, make_frame(table, chosen), chosen)
    )


def test_a_choice_is_compared_with_a_shape_inside(table):
    frame = make_frame(table, AXES)
    other = same_size_reference(table, frame, frame.best)
    assert other is not None and not table.estimates("loss").outside[other]


def test_rows_that_do_not_count_have_no_chance_and_take_none(table, law):
    frame = make_frame(table, AXES)
    chance = outcome(frame_chance(table, frame))
    outside = table.estimates("loss").outside
    assert np.isnan(chance[outside]).all() and np.isfinite(chance[~outside]).all()
    # as if they were not in the table at all
    alone = Table(table.candidates.take(~outside), loss=law)
    only = outcome(frame_chance(alone, make_frame(alone, AXES)))
    assert np.allclose(chance[~outside], only)


def test_a_column_that_no_row_is_inside_of_chooses_none(law):
    # a law that does not say what its runs had in KV groups
    ranges = {k: v for k, v in law.ranges.items() if k != "kv_groups"}
    table = Table(parse_space(SPACE).candidates(), loss=replace(law, ranges=ranges))
    assert table.estimates("loss").outside.all()
    narrow = table.candidates.shapes.d_ff < 2 * table.candidates.shapes.d_model
    frame = make_frame(table, AXES)
    assert (frame.counted == ~narrow).all()
    assert any(
        text.endswith(f"{narrow.sum():,} of them, outside in more columns, do not count.")
        for text in sentences(table, frame, AXES)
    )


def outcome(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
