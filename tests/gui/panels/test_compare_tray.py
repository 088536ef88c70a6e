"""The compare tray: pins, baseline, words where intervals overlap."""

import pytest
from PySide6.QtCore import Qt

from core.analysis.comparison import Difference
from core.records.metrics import METRICS
from gui.panels.compare_tray import CompareTray, _cell


@pytest.fixture
def tray(qtbot, opened):
    tray = CompareTray(opened)
    qtbot.addWidget(tray)
    tray.resize(900, 300)
    tray.show()
    opened.changed.connect(tray.refresh)
    tray.refresh(opened.state, None)
    return tray


def ids(store, *rows):
    return tuple(store.state.table.id_of(row) for row in rows)


def test_with_nothing_pinned_it_explains_what_to_do(tray):
    assert tray.empty.isVisible() and not tray.table.isVisible()
    assert "Pin" in tray.empty.text()
    assert tray.pin.isEnabled() and not tray.unpin.isEnabled()


def test_pinning_keeps_the_chosen_one_and_undo_takes_it_back(tray, opened, qtbot):
    qtbot.mouseClick(tray.pin, Qt.MouseButton.LeftButton)
    best = opened.state.table.id_of(opened.state.frame.selected)
    assert opened.state.choices.pins == (best,)
    assert tray.table.isVisible()
    opened.undo()
    assert opened.state.choices.pins == ()
    assert not tray.table.isVisible()


def test_columns_are_candidates_and_rows_are_metrics(tray, opened):
    a, b = ids(opened, 0, 5)
    opened.choose(pins=(a, b), baseline=a, selected=b)
    heads = [tray.table.horizontalHeaderItem(c).text() for c in range(tray.table.columnCount())]
    assert len(heads) == 3 and "baseline" in heads[1]
    names = [tray.table.item(r, 0).text() for r in range(tray.table.rowCount())]
    assert {"Loss", "Time per output token", "Parameters"} <= set(names)
    row = names.index("Parameters")
    params = opened.state.table.column("params_total")
    percent = 100 * (params[5] / params[0] - 1)
    assert f"{percent:+.0f}" in tray.table.item(row, 2).text()


def test_the_baselines_own_loss_has_its_prediction_interval(tray, opened):
    a, b = ids(opened, 0, 5)
    opened.choose(pins=(a, b), baseline=a, selected=b)
    names = [tray.table.item(r, 0).text() for r in range(tray.table.rowCount())]
    loss, metric = opened.state.table.estimates("loss"), METRICS["loss"]
    own = [f"({metric.format_range(loss.value[r], loss.low[r], loss.high[r])})" for r in (0, 5)]
    row = names.index("Loss")
    assert tray.table.item(row, 1).text().endswith(own[0])
    assert own[1] in tray.table.item(row, 2).toolTip()
    assert "(" not in tray.table.item(names.index("Parameters"), 1).text()


def test_cells_mark_what_is_measured_and_what_cannot_be_told_apart():
    near = Difference(
        "tpot_s", 0.01, 0.0101, -1.0, -4.0, 2.1, "cannot tell apart", "predicted", "measured"
    )
    sure = Difference("tpot_s", 0.02, 0.01, 100.0, 96.0, 104.0, "worse", "measured", "measured")
    count = Difference("params_total", 2e8, 1e8, 100.0, 100.0, 100.0, "worse", "exact", "exact")
    assert _cell(near).text == "○ 10.0 ms   cannot tell apart (−4.0 to +2.1 %)"
    assert _cell(near).tone == "muted"
    assert _cell(sure).text == "● 20.0 ms   +100 % (+96.0 to +104)"
    assert _cell(count).text == "200M   +100 %"


def test_delete_takes_the_marked_column_out(tray, opened, qtbot):
    a, b = ids(opened, 0, 5)
    opened.choose(pins=(a, b), baseline=b)
    tray.table.setCurrentCell(0, 2)
    qtbot.keyClick(tray, Qt.Key.Key_Delete)
    assert opened.state.choices.pins == (a,)
    assert opened.state.choices.baseline == ""


def test_the_marked_column_becomes_baseline_or_the_chosen_point(tray, opened, qtbot):
    a, b = ids(opened, 0, 5)
    opened.choose(pins=(a, b))
    tray.table.setCurrentCell(1, 2)
    qtbot.mouseClick(tray.make_baseline, Qt.MouseButton.LeftButton)
    assert opened.state.choices.baseline == b
    tray.table.setCurrentCell(1, 1)
    qtbot.mouseClick(tray.show_point, Qt.MouseButton.LeftButton)
    assert opened.state.choices.selected == a


def test_a_lost_pin_is_named_not_dropped(tray, opened):
    (a,) = ids(opened, 0)
    opened.choose(pins=(a, "L1-gone"))
    assert "not in the table now" in tray.warning.text()
    assert opened.state.choices.pins == (a, "L1-gone")


def test_hidden_it_computes_nothing_and_catches_up_when_shown(qtbot, opened, monkeypatch):
    import gui.panels.compare_tray as module

    calls = []
    real = module.compare_rows
    monkeypatch.setattr(module, "compare_rows", lambda *a: calls.append(1) or real(*a))
    tray = CompareTray(opened)
    qtbot.addWidget(tray)
    opened.choose(pins=ids(opened, 0, 3))
    tray.refresh(opened.state, None)
    assert calls == []
    tray.show()
    assert calls == [1]
    tray.refresh(opened.state, opened.state)
    assert calls == [1]


def test_a_line_states_where_losses_cross(tray, opened):
    """The crossings that are found are below the table, and nothing where none is."""
    wide, deep = ids(opened, 14, 32)
    opened.choose(pins=(wide, deep), baseline=wide)
    (sentence,) = tray._comparison.crossings
    assert "the same loss at" in sentence and "training tokens" in sentence
    assert tray.crossings.isVisible()
    assert tray.crossings.text() == f"By the loss law: {sentence}."
    opened.choose(pins=(), baseline="")
    assert not tray.crossings.isVisible()
