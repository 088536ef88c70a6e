"""Parallel coordinates: brushes are limits, handles past the data are none, axes move and invert."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt

from gui.panels.parallel import Parallel, lines_of
from gui.panels.parallel_axes import AxisView


@pytest.fixture
def panel(qtbot, opened):
    panel = Parallel(opened)
    qtbot.addWidget(panel)
    panel.resize(900, 400)
    panel.show()
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    return panel


def drag(qtbot, axes, x, y0, y1):
    qtbot.mousePress(axes, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y0)))
    for y in np.linspace(y0, y1, 5):
        qtbot.mouseMove(axes, QPoint(round(x), round(y)))
    qtbot.mouseRelease(axes, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y1)))


@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.floats(0, 1), st.booleans(), st.booleans())
def test_place_and_value_undo_each_other(low, ratio, place, log, inverted):
    axis = AxisView("tpot_s", low, low * ratio, log, inverted)
    assert axis.place(axis.value(place)) == pytest.approx(place, abs=1e-6)
    column = np.array([low, low * ratio])
    assert axis.places(column) == pytest.approx([axis.place(low), axis.place(low * ratio)])
    assert axis.place(low) == pytest.approx(1.0 if inverted else 0.0, abs=1e-9)


def test_a_handle_dragged_down_sets_a_limit_as_one_step(panel, opened, qtbot):
    axes = panel.axes
    drag(qtbot, axes, axes._x(0), axes.handle_y(0, "<="), axes._y(0.5))
    (limit,) = opened.state.choices.limits
    assert limit.metric == "tpot_s" and limit.side == "<="
    assert limit.value == pytest.approx(axes.axes[0].value(0.5), rel=0.02)
    assert opened.state.frame.feasible.sum() < len(opened.state.table)
    opened.undo()
    assert opened.state.choices.limits == ()


def test_dragged_past_the_data_there_is_no_limit(panel, opened, qtbot):
    axes = panel.axes
    drag(qtbot, axes, axes._x(0), axes.handle_y(0, "<="), axes._y(0.5))
    assert opened.state.choices.limits
    drag(qtbot, axes, axes._x(0), axes.handle_y(0, "<="), axes._y(1.1))
    assert opened.state.choices.limits == ()


def test_a_brush_sets_both_sides(panel, opened, qtbot):
    axes = panel.axes
    index = [v.key for v in axes.axes].index("params_total")
    drag(qtbot, axes, axes._x(index), axes._y(0.3), axes._y(0.7))
    limits = {limit.side: limit.value for limit in opened.state.choices.limits}
    assert limits[">="] == pytest.approx(axes.axes[index].value(0.3), rel=0.03)
    assert limits["<="] == pytest.approx(axes.axes[index].value(0.7), rel=0.03)
    inside = opened.state.table.column("params_total")[opened.state.frame.feasible]
    assert inside.min() >= limits[">="] and inside.max() <= limits["<="]


def test_a_title_dragged_reorders_and_a_double_click_inverts(panel, opened, qtbot):
    axes = panel.axes
    before = opened.state.choices.parallel_axes
    start = QPoint(round(axes._x(0)), 10)
    qtbot.mousePress(axes, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(axes, QPoint(round(axes._x(2)), 12))
    qtbot.mouseRelease(axes, Qt.MouseButton.LeftButton, pos=QPoint(round(axes._x(2)), 12))
    after = opened.state.choices.parallel_axes
    assert after[2] == before[0] and sorted(after) == sorted(before)
    qtbot.mouseDClick(axes, Qt.MouseButton.LeftButton, pos=start)
    assert opened.state.choices.inverted_axes == (after[0],)
    assert axes.axes[0].inverted


def test_an_inverted_axis_keeps_the_meaning_of_its_limit(panel, opened, qtbot):
    opened.choose(inverted_axes=("tpot_s",))
    axes = panel.axes
    # the upper limit's handle now waits at the foot
    assert axes.handle_y(0, "<=") > axes._y(0.0)
    drag(qtbot, axes, axes._x(0), axes.handle_y(0, "<="), axes._y(0.4))
    (limit,) = opened.state.choices.limits
    assert limit.side == "<="
    assert limit.value == pytest.approx(axes.axes[0].value(0.4), rel=0.03)


def test_keys_do_what_the_mouse_does(panel, opened, qtbot):
    axes = panel.axes
    axes.setFocus()
    qtbot.keyClick(axes, Qt.Key.Key_Right)
    qtbot.keyClick(axes, Qt.Key.Key_Down)
    (limit,) = opened.state.choices.limits
    assert limit.metric == "ttft_s" and limit.side == "<="
    coarse = axes.axes[1].place(limit.value)
    qtbot.keyClick(axes, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    fine = coarse - axes.axes[1].place(opened.state.choices.limits[0].value)
    assert 0 < fine < (1 - coarse) / 3
    qtbot.keyClick(axes, Qt.Key.Key_Space)
    qtbot.keyClick(axes, Qt.Key.Key_Up)
    assert {limit.side for limit in opened.state.choices.limits} == {"<=", ">="}
    qtbot.keyClick(axes, Qt.Key.Key_Delete)
    assert opened.state.choices.limits == ()
    qtbot.keyClick(axes, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    assert opened.state.choices.parallel_axes[0] == "ttft_s"


def test_limits_set_elsewhere_move_the_handles(panel, opened):
    from core.pareto.limits import parse_limit

    opened.choose(limits=(parse_limit("loss<=9"),))
    index = [v.key for v in panel.axes.axes].index("loss")
    assert panel.axes.axes[index].at_most == 9
    assert panel.free.isEnabled()
    panel.free.click()
    assert opened.state.choices.limits == ()


def test_a_line_is_picked_where_it_is_drawn(panel, opened, qtbot):
    axes = panel.axes
    front = int(opened.state.frame.front[0])
    at = axes.lines.rows.index(front)
    places = [a.place(v) for a, v in zip(axes.axes, axes.lines.values[at], strict=True)]
    x = (axes._x(0) + axes._x(1)) / 2
    y = axes._y((places[0] + places[1]) / 2)
    qtbot.mouseClick(axes, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y)))
    picked = opened.state.table.find(opened.state.choices.selected)
    kind = axes.lines.kinds[axes.lines.rows.index(picked)]
    assert kind >= 2


def test_the_front_and_the_chosen_one_are_always_drawn(panel, opened):
    lines = lines_of(opened.state, ["tpot_s", "loss"])
    front = {int(row) for row in opened.state.frame.front}
    drawn = {row for row, kind in zip(lines.rows, lines.kinds, strict=True) if kind >= 2}
    assert front <= drawn
    assert opened.state.frame.selected in drawn
    assert len(lines.rows) == len(set(lines.rows))
