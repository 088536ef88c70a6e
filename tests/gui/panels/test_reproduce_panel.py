"""The page that fits the published experiment: empty, at work, done, stopped."""

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import Qt

from core.fit.solve import fit
from core.formats.runs.suites import suite
from core.paper.reproduce import PUBLISHED, Draws, Reproduction, Row, Summary, fit_set
from core.records.progress import Progress
from gui.panels import reproduce as module
from gui.panels.reproduce import Reproduce, fit_rows


@pytest.fixture(scope="module")
def small():
    """A reproduction of two of the fits, with draws made up (the real ones take a while)."""
    table = suite("morph")
    rows = []
    for published in PUBLISHED[:2]:
        found = fit(fit_set(table, published.runs), published.law, tied="tied", all_rows=table)
        obtained = {**found.theta, "mse": found.mse_all, "r2": found.r2_all, "rank": 1.0}
        rows.append(Row(published, found, obtained, published.errors))
    rng = np.random.default_rng(0)
    columns = [np.exp(rng.normal(m, 0.7, 7200)) for m in (-6.6, -5.3, -6.4)]
    summary = Summary(0.00128, 0.0009, 0.002, 0.0068, 0.84, 0.81, 0.06, 24.0)
    names = ("inference-aware", "chinchilla", "paper")
    draws = Draws(
        np.zeros((7200, 6), np.intp), *columns, 11, dict.fromkeys(names, summary), 0.93, 0.79, 0.17
    )
    return Reproduction(tuple(rows), draws, ("It holds.",), ("It <does> not.",))


@pytest.fixture
def panel(qtbot, store):
    panel = Reproduce(store)
    qtbot.addWidget(panel)
    panel.resize(900, 300)
    panel.refresh(store.state, None)
    panel.show()
    return panel


def press(panel, qtbot):
    qtbot.mouseClick(panel.start, Qt.MouseButton.LeftButton)


def test_before_it_is_run_only_the_published_values_stand_there(panel):
    assert panel.fits.rowCount() == 2 * len(PUBLISHED)
    assert panel.fits.item(1, 1).text() == "not yet"
    assert "54754.3" in [panel.fits.item(0, c).text() for c in range(panel.fits.columnCount())]
    assert "7,200" in panel.about.text() and panel.about.isVisible()
    assert not panel.busy


def test_it_is_fitted_in_front_of_the_user(panel, qtbot, small, monkeypatch):
    def steps():
        yield Progress(1, 100, "Inference-aware, 27 runs")
        yield small.rows[0]
        return small

    monkeypatch.setattr(module, "reproduction", steps)
    press(panel, qtbot)
    assert panel.busy and not panel.start.isEnabled()
    qtbot.waitUntil(lambda: panel._found is not None and not panel.busy, timeout=60_000)
    heads = [panel.fits.horizontalHeaderItem(c).text() for c in range(panel.fits.columnCount())]
    column = heads.index("B")
    published, obtained = (float(panel.fits.item(r, column).text()) for r in (0, 1))
    assert published == 778343 and obtained == pytest.approx(published, rel=1e-4)
    assert float(panel.fits.item(1, heads.index("Differ by")).text().rstrip(" %")) < 0.05
    assert panel.fits.item(5, 1).text() == "not yet"
    assert "wins in 93 %" in panel.key.text()
    assert (
        "It holds." in panel.findings.toPlainText()
        and "It <does> not." in panel.findings.toPlainText()
    )
    assert panel.draws.rowCount() == 3
    assert panel.start.isEnabled() and "again" in panel.start.text()


def test_it_can_be_stopped(panel, qtbot, monkeypatch):
    def steps():
        while True:
            yield Progress(1, 100, "for ever")

    monkeypatch.setattr(module, "reproduction", steps)
    press(panel, qtbot)
    assert panel.busy
    panel.work.stop.click()
    assert not panel.busy and panel.start.isEnabled()


def test_the_published_draw_is_marked_for_both_laws(panel, small):
    import pyqtgraph as pg

    panel._on_finished(small)
    lines = [i for i in panel.chart.getPlotItem().items if isinstance(i, pg.InfiniteLine)]
    at = sorted(10 ** line.value() for line in lines)
    draws = small.draws
    assert at == pytest.approx(sorted([draws.inference_aware[11], draws.chinchilla[11]]))


def test_on_a_page_everything_stands_together(panel, small):
    panel._on_finished(small)
    assert panel.tabs.isVisible()
    panel.resize(1300, 800)
    assert panel.page.isVisible() and not panel.tabs.isVisible()
    assert all(w.isVisible() for w in (panel.fits, panel.drawn, panel.findings))
    panel.resize(900, 300)
    assert panel.tabs.isVisible() and panel.tabs.count() == 3


def test_beside_a_sweep_it_waits(panel, store):
    busy = replace(store.state, sweep=replace(store.state.sweep, running=True))
    panel.refresh(busy, store.state)
    assert not panel.start.isEnabled() and "sweep" in panel.start.toolTip()


def test_a_fit_that_is_missing_leaves_its_cells_empty():
    _, rows = fit_rows([])
    assert all(cell.text == "" for cell in rows[1][2:])
