"""The trust panel: its numbers are the engine's, points can be measured, a sweep is not disturbed."""

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from core.analysis.validation import unmeasured_on_front
from core.fit.doubt_facts import doubt_facts
from core.units import plus_minus
from gui.panels.trust import Trust


@pytest.fixture
def panel(qtbot, opened):
    panel = Trust(opened)
    qtbot.addWidget(panel)
    panel.resize(900, 320)
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    panel.show()
    qtbot.waitUntil(lambda: bool(panel._judged) and not panel.busy, timeout=120_000)
    return panel


def test_the_law_is_judged_when_first_shown(panel, opened):
    judged = panel._current()
    assert len(judged.measured) == len(opened.state.contents.measurements)
    assert panel.table.rowCount() == len(judged.measured)
    assert plus_minus(judged.error) in panel.numbers["error"].text()
    assert f"{100 * judged.coverage:.0f} %" in panel.numbers["coverage"].text()
    assert "Predicts time per output token" in panel.law.toolTip()
    assert panel.shapes.text() == f"{judged.fit.n_shapes} shapes"
    assert "Predicts shapes it has not seen" in panel.loss.text()
    assert panel.law.count() == 2


def test_what_a_predicted_loss_may_miss_is_told_with_its_formula(panel, opened):
    held = opened.state.laws.loss.heldout
    told = f"held {100 * held['coverage95_shape']:.0f} % of {held['coverage95_runs']:.0f} losses"
    assert told in panel.loss.text()
    facts = doubt_facts(opened.state.laws.loss)
    shown = [label.text().removeprefix("⚠ ") for label in panel.facts]
    assert shown == [f"{fact.name}: {fact.text}" for fact in facts]
    assert all(label.isVisible() and label.toolTip() for label in panel.facts)
    panel._loss = None
    panel._show_doubt()
    assert not panel.doubt.isVisible()


def test_laws_that_change_while_others_are_judged_are_judged_next(qtbot, opened):
    panel = Trust(opened)
    qtbot.addWidget(panel)
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    panel.show()
    assert panel.busy and "Working it out" in panel.empty.text()
    moved = replace(opened.state, laws=replace(opened.state.laws))
    panel.refresh(moved, opened.state)
    qtbot.waitUntil(lambda: bool(panel._judged) and not panel.busy, timeout=120_000)
    assert panel._judged_of is moved.laws and panel.chart.isVisible()


def test_the_marked_point_and_the_front_can_be_measured(panel, opened, qtbot):
    panel._mark(3)
    assert panel.chart._lit is not None
    with qtbot.waitSignal(panel.measure_point) as sent:
        qtbot.mouseClick(panel.this, Qt.MouseButton.LeftButton)
    assert sent.args[0] == (panel._current().points[3],)
    rows = unmeasured_on_front(opened.state.table, opened.state.frame)
    with qtbot.waitSignal(panel.measure_point) as sent:
        panel.front.click()
    assert set(sent.args[0]) == {opened.state.table.point(row) for row in rows}
    with qtbot.waitSignal(panel.measure_point) as sent:
        panel.chosen.click()
    assert sent.args[0] == (opened.state.table.point(opened.state.frame.selected),)


def test_a_new_measurement_is_judged_too(panel, opened, qtbot):
    before = len(panel._current().measured)
    row = unmeasured_on_front(opened.state.table, opened.state.frame)[0]
    from tiny_project import timed

    opened.measuring.measured.emit(timed(opened.state.table.point(row)))
    qtbot.waitUntil(
        lambda: opened.settled and not panel.busy and len(panel._current().measured) == before + 1,
        timeout=120_000,
    )


def test_a_poor_law_is_marked(panel):
    judged = panel._current()
    poor = replace(judged, error=0.4, bias=0.2, rank=0.5, coverage=0.5)
    panel._judged = (poor,)
    panel.law.setCurrentIndex(0)
    panel._show_law()
    assert panel.shapes.text().startswith("⚠")
    assert all(label.text().startswith("⚠") for label in panel.numbers.values())
    assert all(label.property("bad") is True for label in panel.numbers.values())


def test_an_empty_project_shows_what_is_missing(qtbot, store):
    panel = Trust(store)
    qtbot.addWidget(panel)
    panel.refresh(store.state, None)
    panel.show()
    assert panel.empty.isVisible() and "No laws yet" in panel.empty.text()
    assert not panel.this.isEnabled() and not panel.front.isEnabled()


def test_beside_a_sweep_nothing_is_worked_out(qtbot, opened):
    opened.measuring.changed.emit({"running": True})
    panel = Trust(opened)
    qtbot.addWidget(panel)
    panel.refresh(opened.state, None)
    panel.show()
    assert not panel.busy and "sweep" in panel.empty.text()
    opened.measuring.changed.emit({"running": False})
