"""The Front panel: its hypervolume follows the settled front, and is not computed out of view."""

import pytest
from PySide6.QtCore import Qt

from core.analysis.covered import covered
from core.pareto.limits import Limit
from core.records.metrics import METRICS
from gui.panels.front_table import FrontTable


@pytest.fixture
def panel(qtbot, opened):
    panel = FrontTable(opened)
    qtbot.addWidget(panel)
    panel.resize(900, 300)
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    return panel


def test_the_hypervolume_is_above_the_table_and_follows_a_limit(panel, opened, qtbot):
    panel.show()
    state = opened.state
    assert panel.worth.text() == covered(state.table, state.frame).text
    assert "reference point" in panel.worth.toolTip()
    tpot = state.table.column("tpot_s")[state.frame.front]
    limit = Limit("tpot_s", "<=", float(tpot[len(tpot) // 2]))
    opened.set_limit(limit)
    qtbot.waitUntil(lambda: opened.state.frame.limits == (limit,))
    assert panel.worth.text() == covered(opened.state.table, opened.state.frame).text
    assert "(limit)" in panel.worth.text()
    opened.set_limit(Limit("tpot_s", "<=", 1e-12))
    qtbot.waitUntil(lambda: not len(opened.state.frame.front))
    assert panel.worth.isHidden()


def test_it_is_not_worked_out_while_the_panel_is_hidden(panel, opened, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr("gui.panels.front_table.covered", lambda *frame: asked.append(frame))
    opened.set_limit(Limit("tpot_s", "<=", 1.0))
    qtbot.waitUntil(lambda: opened.state.frame.limits != ())
    assert asked == []
    panel.show()
    assert len(asked) == 1


def test_a_cells_tooltip_has_its_interval(panel, opened):
    model, table = panel.model, opened.state.table
    row = model.row_at(0)
    tip = model.index(0, 1 + model.keys.index("loss")).data(Qt.ItemDataRole.ToolTipRole)
    loss, metric = table.estimates("loss"), METRICS["loss"]
    ends = metric.format_range(loss.value[row], loss.low[row], loss.high[row])
    assert f"(95 %: {ends})" in tip
