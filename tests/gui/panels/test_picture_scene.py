"""What of a table becomes a mark on the plot."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_project import SPACE, timed

from core.analysis.frame import make_frame
from core.analysis.life_cost import cheapest_life
from core.analysis.pipeline import Contents, make_laws, make_table
from core.project.choices import Choices, WhatIf
from core.space.space_file import parse_space
from gui.panels import picture_scene
from gui.panels.picture_scene import landmarks_of, measured_of, scene_of, source_codes
from gui.plot.scene import ILLUSTRATED, LIGHT, MEASURED, PREDICTED
from gui.state.state import State


@pytest.fixture(scope="module")
def table():
    space = parse_space(SPACE.replace("[20, 160]", "[20, 60, 160]"))
    contents = Contents("t", space, tuple(timed(p) for p in space.measurement_points()), ())
    return make_table(contents, make_laws(contents, Choices()), Choices())


def test_a_shape_timed_once_is_marked_once_however_often_it_is_trained(table):
    timings = {id(m) for m in table.measured_rows.values()}
    assert len(table.measured_rows) == 3 * len(timings)
    marks = measured_of(table, "tpot_s", "loss")
    assert len(marks.rows) == len(timings)
    assert {id(table.measurement(row)) for row in marks.rows.tolist()} == timings
    loss = table.column("loss")
    for row in marks.rows.tolist():
        same = [r for r, m in table.measured_rows.items() if m is table.measurement(row)]
        assert len(same) == 3
        assert loss[row] == loss[same].min()
    assert np.array_equal(marks.y, loss[marks.rows])


def test_the_mark_is_where_the_axes_say_better(table):
    marks = measured_of(table, "tpot_s", "train_flops")
    flops = table.column("train_flops")
    for row in marks.rows.tolist():
        same = [r for r, m in table.measured_rows.items() if m is table.measurement(row)]
        assert flops[row] == flops[same].min()


def test_nothing_measured_no_marks(table):
    assert measured_of(table, "params_total", "loss") is None


def test_a_stored_measurement_of_another_source_is_a_measurement():
    space = parse_space(SPACE)
    stored = tuple(replace(timed(p), source="old.csv") for p in space.measurement_points())
    contents = Contents("t", space, stored, ())
    table = make_table(contents, make_laws(contents, Choices()), Choices())
    codes = source_codes(table, "tpot_s", "loss")
    assert set(codes.tolist()) == {PREDICTED, MEASURED}
    assert set(np.flatnonzero(codes == MEASURED).tolist()) == set(table.measured_rows)


def test_the_cheapest_life_is_sought_once_for_new_points(table, monkeypatch):
    sought = []
    monkeypatch.setattr(picture_scene, "cheapest_life", lambda *a, **k: sought.append(a))
    choices = Choices()
    contents = Contents("t", None, (), ())
    laws = make_laws(contents, choices)
    state = State("p", contents, choices, laws=laws, table=table, frame=make_frame(table, choices))
    drawn = scene_of(state, LIGHT, None, None)
    assert len(sought) == 1
    scene_of(state, LIGHT, drawn, state)
    assert len(sought) == 1


def test_the_cheapest_life_is_a_mark_where_the_axes_know_it_and_follows_the_choice():
    space = parse_space(SPACE)
    contents = Contents("t", space, tuple(timed(p) for p in space.measurement_points()), ())

    def state(what_if, selected="", x="lifetime_flops"):
        choices = Choices(x=x, what_if=what_if, selected=selected)
        laws = made.get("laws") or made.setdefault("laws", make_laws(contents, choices))
        table = made.setdefault(what_if, make_table(contents, laws, choices))
        frame = make_frame(table, choices)
        return State("p", contents, choices, laws=laws, table=table, frame=frame)

    made = {}
    served = WhatIf(served_tokens=1e12)
    first = state(served)
    (mark,) = [m for m in landmarks_of(first, "lifetime_flops", "loss") if m.predicted]
    life = cheapest_life(first.laws.loss, first.table, first.frame.selected)
    assert (mark.x, mark.y) == (life.values["lifetime_flops"], life.values["loss"])
    assert mark.text == life.mark
    # a time is not known of a size without a shape, and nothing served is no question
    assert not [m for m in landmarks_of(first, "tpot_s", "loss") if m.predicted]
    assert not [m for m in landmarks_of(state(WhatIf()), "params_total", "loss") if m.predicted]

    drawn = scene_of(first, LIGHT, None, None)
    again = scene_of(first, LIGHT, drawn, first)
    assert again.landmarks is drawn.landmarks
    other = state(served, first.table.id_of(int(first.frame.front[0])))
    assert other.frame.selected != first.frame.selected
    (moved,) = [m for m in scene_of(other, LIGHT, drawn, first).landmarks if m.predicted]
    assert moved.y == other.table.column("loss")[other.frame.selected] != mark.y


def test_an_illustrated_loss_is_neither_predicted_nor_measured():
    space = parse_space(SPACE.replace("[run]", '[run]\nweights = ["fp32", "int8"]'))
    contents = Contents("t", space, tuple(timed(p) for p in space.measurement_points()), ())
    choices = Choices(x="tpot_s", what_if=WhatIf(precision="trained"))
    table = make_table(contents, make_laws(contents, choices), choices)
    low = table.illustrated
    timed_low = [row for row in table.measured_rows if low[row]]
    assert timed_low and len(timed_low) < low.sum()
    codes = source_codes(table, "tpot_s", "loss")
    assert np.array_equal(codes == ILLUSTRATED, low)
    assert not set(measured_of(table, "tpot_s", "loss").rows.tolist()) & set(timed_low)
    # on other axes they are measured like any other
    assert not (source_codes(table, "tpot_s", "params_total") == ILLUSTRATED).any()
    assert set(measured_of(table, "tpot_s", "params_total").rows.tolist()) & set(timed_low)
    assert "published illustration" in picture_scene.card(table, timed_low[0], "tpot_s", "loss")


def test_illustrated_candidates_off_the_front_are_marked_where_nothing_beats_them():
    space = parse_space(SPACE.replace("[run]", '[run]\nweights = ["fp32", "int8"]'))
    contents = Contents("t", space, (), ())
    choices = Choices(x="memory_bytes", what_if=WhatIf(precision="trained"))
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    frame = make_frame(table, choices)
    assert len(frame.front) and not table.illustrated[frame.front].any()
    x, y = table.column("memory_bytes"), table.column("loss")
    found = picture_scene.illustrated_front(table, frame)
    assert len(found.x) > 1
    fair = frame.counted | table.worth_illustrating
    for a, b in zip(found.x, found.y, strict=True):
        (row,) = np.flatnonzero((x == a) & (y == b) & table.illustrated)
        assert not (fair & ((x < a) & (y <= b) | (x <= a) & (y < b))).any()
        # outside in precision and in what no candidate is inside
        assert "KV groups" not in table.outside_columns("loss", int(row))
    # what is on the front already has its mark there
    every = np.flatnonzero(table.illustrated)
    assert picture_scene.illustrated_front(table, replace(frame, front=every)) is None
    plain = make_table(contents, laws, Choices(x="memory_bytes"))
    assert picture_scene.illustrated_front(plain, frame) is None
