"""What the limits panel shows while a limit is in hand."""

import pytest

from core.pareto.limits import Limit, parse_limit, reachable
from core.records.metrics import METRICS
from gui.panels.limits import LimitsPanel


@pytest.fixture
def panel(qtbot, opened):
    made = LimitsPanel(opened, None)
    qtbot.addWidget(made)
    opened.changed.connect(made.refresh)
    opened.choose(limits=(parse_limit("tpot<=1s"), parse_limit("memory<=1GB")))
    qtbot.waitUntil(lambda: len(made._rows) == 2)
    return made


def test_what_can_be_reached_follows_a_limit_in_hand(qtbot, opened, panel):
    table, frame = opened.state.table, opened.state.frame
    tpot, memory = frame.limits
    row = panel._rows[memory.key]
    times = sorted(table.column("tpot_s").tolist())
    for value in (times[len(times) // 2], times[1], times[0] / 2, None):
        moving = [] if value is None else [Limit("tpot_s", "<=", value)]
        reach = reachable(table.column, [*moving, memory], len(table), "memory_bytes")
        if reach is None:
            expected = "the other limits leave nothing"
        else:
            low, high = (METRICS["memory_bytes"].format(v) for v in reach)
            expected = f"reachable {low} to {high}"
        panel.show_live(tpot.key, value)
        qtbot.waitUntil(lambda expected=expected: row.note.text().endswith(expected))


def test_a_limit_does_not_change_its_own_reach(qtbot, opened, panel):
    tpot, memory = opened.state.frame.limits
    before = panel._rows[tpot.key].note.text()
    panel.show_live(tpot.key, 1e-9)
    qtbot.waitUntil(lambda: "leave nothing" in panel._rows[memory.key].note.text())
    assert panel._rows[tpot.key].note.text() == before


def test_the_switch_lets_candidates_outside_the_runs_count(qtbot, opened, panel):
    opened.choose(limits=(), outside_counts=False)
    table, frame = opened.state.table, opened.state.frame
    outside = table.estimates("loss").outside
    assert not outside[frame.front].any() and not panel.outside.isChecked()
    assert panel.outside.text() == f"Count {outside.sum():,} outside the loss law's runs"
    assert all(name in panel.outside.toolTip() for name in table.reach.outside)
    panel.outside.click()
    qtbot.waitUntil(lambda: opened.state.choices.outside_counts)
    assert outside[opened.state.frame.front].any()
    # nothing is said of the runs where no axis is the loss
    opened.choose(y="params_total")
    assert panel.outside.isHidden()
