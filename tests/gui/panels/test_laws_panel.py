"""The laws panel: every law compared, details on demand, one click changes the plot's law."""

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt

from core.formats.runs.suites import suite
from gui.panels.laws import ANSWERS, CHARTS, CUTS, PARAMETERS, SENSITIVITY, Laws
from gui.panels.which_runs import conditions
from gui.state.state import Sweep


@pytest.fixture
def panel(qtbot, opened):
    panel = Laws(opened)
    qtbot.addWidget(panel)
    panel.resize(1100, 400)
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    panel.show()
    qtbot.waitUntil(lambda: panel._found is not None and not panel.busy, timeout=120_000)
    return panel


def place(panel, law, tied, params="total"):
    keys = [(f.law, f.tied, f.params) for f in panel._found.fits]
    return keys.index((law, tied, params))


def test_the_first_look_compares_every_law_best_first(panel):
    errors = [f.heldout["shape_rms"] for f in panel._found.fits if f.ok]
    # one law under two names differs by rounding
    assert len(panel._found.fits) >= 20 and errors == pytest.approx(sorted(errors), rel=1e-6)
    # and predictions without a law, two in each count of N
    assert panel.table.rowCount() == len(panel._found.fits) + len(panel._published) + 4
    assert "%" in panel.table.item(0, 3).text() and " to " in panel.table.item(0, 3).text()
    assert 85 <= float(panel.table.item(0, 4).text().removesuffix(" %")) <= 100
    used = [
        r for r in range(panel.table.rowCount()) if "in the plot" in panel.table.item(r, 0).text()
    ]
    assert len(used) == 1
    assert not panel.use.isEnabled()
    assert "Predicts shapes it has not seen to ± 0.6" in panel.verdict.text()


def test_the_proposed_law_and_its_ties_are_marked(panel):
    found = panel._found
    marks = [panel.table.item(r, 5).text() for r in range(len(found.fits))]
    assert marks.count("proposed") == 1 and marks[found.standings.proposed] == "proposed"
    assert "worse" in marks
    twin = place(panel, "over-training", "tied")
    assert marks[twin] == "the same law"
    assert panel.proposal.text().startswith("Proposed: ")
    assert found.proposed.title in panel.proposal.text()
    assert "predicts the same as" in panel.proposal.toolTip()


def test_cuts_of_the_marked_law_stand_beside_naive_predictions(panel):
    panel.table._select(place(panel, "chinchilla", "tied"))
    panel.tabs.setCurrentIndex(CUTS)
    cuts = panel._marked().left_out.cuts
    assert panel.cuts.rowCount() == len(cuts) > 3
    assert panel.cuts.item(0, 3).text() == f"{100 * cuts[0].guesses.rms:.2f} %"
    assert panel.cuts.horizontalHeaderItem(3).text() == "Chinchilla (tied, total N)"
    assert panel.cuts.horizontalHeaderItem(5).text() == "Nearest run"
    # another law of the same count of N has the same cuts
    panel.tabs.setCurrentIndex(0)
    panel.table._select(place(panel, "u-shaped", "free"))
    panel.tabs.setCurrentIndex(CUTS)
    assert panel.cuts.item(0, 3).text() != f"{100 * cuts[0].guesses.rms:.2f} %"


def test_one_click_makes_a_law_the_plots_law(panel, opened, qtbot):
    panel.table._select(place(panel, "u-shaped", "free"))
    assert panel.use.isEnabled()
    qtbot.mouseClick(panel.use, Qt.MouseButton.LeftButton)
    c = opened.state.choices.loss
    assert (c.law, c.tied, c.params, c.suite) == (
        "u-shaped",
        "free",
        "total",
        "morph",
    )
    qtbot.waitUntil(lambda: opened.settled, timeout=120_000)
    assert opened.state.laws.loss.law == "u-shaped"
    row = panel.table.findItems("U-shaped  (in the plot)", Qt.MatchFlag.MatchExactly)
    assert len(row) == 1
    opened.undo()
    assert opened.state.choices.loss.law == "inference-aware"


def test_charts_show_up_to_three_laws_and_mark_one_run_everywhere(panel, qtbot):
    panel.tabs.setCurrentIndex(CHARTS)
    qtbot.waitUntil(lambda: not panel.busy and len(panel._residuals) == 2, timeout=120_000)
    for law in ("chinchilla", "u-shaped", "conditional"):
        panel._on_checked(place(panel, law, "tied"), True)
    assert len(panel._shown) == 3 and panel._shown[-1][0] == "conditional"
    qtbot.waitUntil(lambda: not panel.busy and len(panel.charts._shown) == 3, timeout=120_000)
    assert len(panel.charts._charts) == 3
    assert panel.run_table.rowCount() == 76
    panel.charts.picked.emit(7)
    assert panel.run_table.current() == 7
    assert all(chart._lit is not None for chart in panel.charts._charts)
    panel.charts.kind.setCurrentIndex(0)
    panel.charts._rebuild()
    assert len(panel.charts._charts) == 12


def test_parameters_come_with_intervals_that_hold_the_fit(panel, qtbot):
    panel.tabs.setCurrentIndex(PARAMETERS)
    qtbot.waitUntil(lambda: not panel.busy and len(panel._resampled) == 2, timeout=120_000)
    names = [panel.parameters.item(r, 0).text() for r in range(panel.parameters.rowCount())]
    heads = [panel.parameters.horizontalHeaderItem(c).text() for c in (1, 2)]
    column = 1 + heads.index("Inference-aware (tied, total N)")
    assert " to " in panel.parameters.item(names.index("epsilon"), column).text()
    assert "1,000" in panel.parameters.item(names.index("Resamples"), 1).text()


def test_answers_and_sensitivity_are_about_the_marked_law(panel, qtbot):
    panel.tabs.setCurrentIndex(ANSWERS)
    qtbot.waitUntil(lambda: not panel.busy, timeout=120_000)
    texts = [panel.answers.item(r, 1).text() for r in range(panel.answers.rowCount())]
    assert "Can it tell shape from size?" in texts
    assert "Is it sure which way shape works?" in texts
    panel.tabs.setCurrentIndex(SENSITIVITY)
    qtbot.waitUntil(lambda: not panel.busy and bool(panel._changes), timeout=120_000)
    ((key, changes),) = panel._changes.items()
    assert key == ("inference-aware", "tied", "total", "")
    shifts = [c.shift for c in changes if c.shift == c.shift]
    assert shifts == sorted(shifts, reverse=True)
    assert panel.sensitivity.rowCount() == len(changes)


def test_published_constants_are_beside_the_fits_and_never_take_their_place(panel, qtbot):
    own = len(panel._found.fits)
    names = [panel.table.item(r, 0).text() for r in range(panel.table.rowCount())]
    assert "Published: hoffmann" in names and names.index("Published: hoffmann") >= own
    place = own + [f.suite for f in panel._published].index("hoffmann")
    panel.table._select(place)
    assert not panel.use.isEnabled()
    assert "Published constants, not fitted here" in panel.verdict.text()
    panel._on_checked(place, True)
    panel.tabs.setCurrentIndex(CHARTS)
    qtbot.waitUntil(lambda: not panel.busy and len(panel._residuals) == 3, timeout=120_000)
    found = panel.charts._shown[-1]
    assert found.fit.title == "Published: hoffmann" and not found.left_out
    # exactly what the constants predict: nothing was fitted
    assert found.predicted == pytest.approx(found.fit.predict(suite("morph").columns))
    panel.tabs.setCurrentIndex(PARAMETERS)
    qtbot.waitUntil(lambda: not panel.busy and len(panel._resampled) == 2, timeout=120_000)
    last = panel.parameters.columnCount() - 1
    assert panel.parameters.horizontalHeaderItem(last).text() == "Published: hoffmann"
    assert (
        panel.parameters.item(panel.parameters.rowCount() - 1, last).text().startswith("published")
    )


def test_two_suites_are_fitted_as_one_where_their_losses_are_alike(panel, opened, qtbot):
    runs = panel.runs
    runs.suite.setCurrentIndex(runs.suite.findData("overtraining"))
    runs._on_suite()
    beside = [runs.beside.itemText(i) for i in range(runs.beside.count())]
    assert beside[0] == "alone" and {"with morph", "with gemstones"} <= set(beside)
    offered = {name: runs.beside.model().item(beside.index(name)) for name in beside}
    assert offered["with gemstones"].isEnabled() and not offered["with morph"].isEnabled()
    assert "differ in meaning" in offered["with morph"].toolTip()
    panel.work.stop.click()
    runs.beside.setCurrentIndex(beside.index("with gemstones"))
    assert runs.name == "overtraining + gemstones"
    # the rows of one of them, so that the test takes seconds
    runs._on_beside()
    panel.work.stop.click()
    runs.rows.setCurrentIndex(runs.rows.findData(("suite=gemstones",)))
    runs.changed.emit()
    qtbot.waitUntil(lambda: panel._found is not None and not panel.busy, timeout=240_000)
    assert panel._found.suite == "overtraining + gemstones"
    panel.table._select(place(panel, "chinchilla", "tied"))
    panel.use.click()
    assert opened.state.choices.loss.suite == "overtraining + gemstones"
    qtbot.waitUntil(lambda: opened.settled, timeout=120_000)
    assert opened.state.laws.loss.suite == "overtraining + gemstones"


def test_a_law_the_runs_cannot_support_is_used_only_by_insisting(panel, opened, qtbot):
    fits = list(panel._found.fits)
    fits[1] = replace(fits[1], withheld="these runs cannot tell shape from size")
    panel._found = replace(panel._found, fits=tuple(fits))
    panel._show_table()
    panel.table._select(1)
    assert "although" in panel.use.text()
    assert "withheld" in panel.verdict.text()
    panel.use.click()
    assert opened.state.choices.loss.insist


def test_stopping_leaves_the_panel_usable(panel, qtbot):
    panel.again.click()
    assert panel.busy
    panel.work.stop.click()
    assert not panel.busy and panel.again.isEnabled()
    panel.again.click()
    qtbot.waitUntil(lambda: panel._found is not None and not panel.busy, timeout=120_000)


def test_nothing_is_fitted_beside_a_sweep(qtbot, opened):
    opened.measuring.changed.emit({"running": True})
    panel = Laws(opened)
    qtbot.addWidget(panel)
    panel.refresh(opened.state, None)
    panel.show()
    assert not panel.busy and panel._found is None
    assert "Press Compare" in panel.verdict.text()
    opened.measuring.changed.emit({"running": False})
    assert opened.state.sweep == Sweep()


def test_rows_can_be_chosen_by_their_labels():
    assert conditions(suite("morph")) == ["published_fit_set=20N+160N"]
    assert "train_dataset=c4_original" in conditions(suite("overtraining"))
    assert conditions(None) == []


def test_the_checklist_of_the_marked_law_is_written(panel, qtbot, tmp_path, monkeypatch):
    target = tmp_path / "fit.md"
    monkeypatch.setattr(
        "gui.panels.laws.QFileDialog.getSaveFileName", lambda *_: (str(target), "Markdown (*.md)")
    )
    monkeypatch.setattr("gui.panels.laws.RESAMPLES", 20)
    panel.table._select(place(panel, "chinchilla", "tied"))
    qtbot.mouseClick(panel.checklist, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(target.exists, timeout=120_000)
    qtbot.waitUntil(lambda: not panel.busy, timeout=120_000)
    assert "Checklist of a fit: Chinchilla (tied, total N)" in target.read_text(encoding="utf-8")
    # constants from elsewhere were not fitted here
    panel.table._select(len(panel._found.fits))
    assert not panel.checklist.isEnabled()
