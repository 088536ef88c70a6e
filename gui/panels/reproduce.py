"""Reproduce the paper: its experiment fitted here, published beside obtained, and what holds up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from core.paper.reproduce import PUBLISHED, Draws, Reproduction, Row, reproduction
from gui.app.theme import Theme
from gui.panels.drawing import Chart, ink, series, tones
from gui.panels.numbers_table import Cell, NumbersTable
from gui.panels.view import Panel
from gui.panels.work_row import WorkRow
from gui.state.state import State

ABOUT = (
    "Bian, Yan and Venkataraman (arXiv 2501.18107) fit a loss law with a term for shape to small runs"
    " and choose a 1B model by it. This page fits their published experiment on their published runs:"
    " seven fits, then all 7,200 ways to draw six runs of different shapes, for the law with and without"
    " shape. It takes about 15 seconds on two cores."
)
# column -> heading and what it is; constants first, then how well the fit does
QUANTITIES = {
    "A": "Coefficient of the parameters",
    "B": "Coefficient of the tokens",
    "E": "Loss that no size or data removes, nats/token",
    "alpha": "Exponent of N and D, and of R where it is not its own",
    "epsilon": "Strength of the shape term",
    "gamma": "Exponent of R where it is its own",
    "mse": "Mean squared error on all 76 runs",
    "r2": "Share of the variance explained on all 76 runs",
    "rank": "Rank correlation of the four 1B models",
}
TITLES = {"mse": "MSE", "r2": "R²", "rank": "Rank at 1B"}
DRAWS = (
    ("inference-aware", "With shape", "exact minimum of the law with shape"),
    ("chinchilla", "Without shape", "Chinchilla's law, tied"),
    ("paper", "With shape, paper's solver", "where curve_fit from all ones ends"),
)
BINS = 60
WIDE, HIGH = 1000, 520  # pixels; from this size on everything is on one page


class Reproduce(Panel):
    """Fits only when started by hand; three parts, side by side on a large page or as tabs in a dock."""

    def __init__(self, store: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("reproduce")
        self._store = store
        self._rows: list[Row] = []
        self._found: Reproduction | None = None
        self._paged: bool | None = None
        self._build()
        self._show()

    @property
    def busy(self) -> bool:
        """Whether the experiment is being fitted."""
        return self.work.busy

    def _build(self) -> None:
        self.start = QPushButton("&Fit the published experiment")
        self.start.setProperty("leading", True)
        self.start.setAccessibleName("Fit the published experiment")
        self.start.setToolTip("Seven fits and 7,200 draws, here and now")
        self.start.clicked.connect(self._start)
        self.work = WorkRow(self._store)
        self.work.found.connect(self._on_row)
        self.work.finished.connect(self._on_finished)
        self.work.ended.connect(self._on_ended)
        top = QHBoxLayout()
        top.addWidget(self.start)
        top.addWidget(self.work, 1)
        self.about = QLabel(ABOUT)
        self.about.setWordWrap(True)
        self.fits = NumbersTable("Published and obtained fits")
        self.chart = Chart(
            "Mean squared error of all 7,200 draws",
            ("Mean squared error on all 76 runs", ""),
            ("Draws", ""),
            x_log=True,
        )
        self.draws = NumbersTable("Summary of the draws")
        self.draws.setMaximumHeight(6 * self.draws.verticalHeader().defaultSectionSize())
        self.drawn = QWidget()
        column = QVBoxLayout(self.drawn)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.chart, 1)
        self.key = QLabel()
        self.key.setWordWrap(True)
        self.key.setAccessibleName("What the distributions show")
        column.addWidget(self.key)
        column.addWidget(self.draws)
        self.findings = QTextBrowser()
        self.findings.setAccessibleName("What holds up and what does not")
        self.findings.setOpenExternalLinks(False)

        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("What to see of the experiment")
        self.page = QSplitter(Qt.Orientation.Vertical)
        self.beside = QSplitter(Qt.Orientation.Horizontal)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(8, 6, 8, 6)
        self._column.addLayout(top)
        self._column.addWidget(self.about)
        self._column.addWidget(self.tabs, 1)
        self._column.addWidget(self.page, 1)
        self._arrange(False)

    def _arrange(self, paged: bool) -> None:
        """One page where there is space, else tabs."""
        if paged == self._paged:
            return
        self._paged = paged
        if paged:
            self.page.addWidget(self.fits)
            self.beside.addWidget(self.drawn)
            self.beside.addWidget(self.findings)
            self.page.addWidget(self.beside)
            self.page.setSizes([330, 420])
            self.beside.setSizes([560, 560])
            for widget in (self.fits, self.drawn, self.findings, self.beside):
                widget.show()
        else:
            self.tabs.addTab(self.fits, "Published and obtained")
            self.tabs.addTab(self.drawn, "7,200 draws")
            self.tabs.addTab(self.findings, "What holds up")
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tabs in a small dock, one page in a large one."""
        super().resizeEvent(event)
        self._arrange(self.width() >= WIDE and self.height() >= HIGH)

    def recolour(self, theme: Theme) -> None:
        """Other tones with another palette."""
        self._show()

    def refresh(self, new: State, old: State | None) -> None:
        """The experiment does not depend on the project; only a running sweep keeps it from starting."""
        running = new.sweep.running
        self.start.setEnabled(not running and not self.busy)
        self.start.setToolTip(
            "Wait for the sweep to end: fitting beside it would disturb what is timed"
            if running
            else "Seven fits and 7,200 draws, here and now"
        )

    # --- working --------------------------------------------------------------------------------

    @Slot()
    def _start(self) -> None:
        self._rows, self._found = [], None
        self.work.run(reproduction, "Fitting the published experiment")
        self.start.setEnabled(False)
        self._show()

    @Slot(object)
    def _on_row(self, row: object) -> None:
        if isinstance(row, Row):
            self._rows.append(row)
            self._show()

    @Slot(object)
    def _on_finished(self, found: Reproduction) -> None:
        self._rows, self._found = list(found.rows), found
        self._show()

    @Slot()
    def _on_ended(self) -> None:
        self.start.setEnabled(True)
        self.start.setText("&Fit it again" if self._found else "&Fit the published experiment")
        self._show()

    # --- showing --------------------------------------------------------------------------------

    def _show(self) -> None:
        there = bool(self._rows) or self._found is not None or self.busy
        self.about.setVisible(not there or bool(self._paged))
        self.tabs.setVisible(not self._paged)
        self.page.setVisible(bool(self._paged))
        self.fits.set_tones(tones(self))
        self.draws.set_tones(tones(self))
        self.fits.show_rows(*fit_rows(self._rows), sortable=False)
        self._draw()
        found = self._found
        self.findings.setHtml(
            sentences_html(found.holds, found.fails)
            if found is not None
            else "<p>The findings appear here once the experiment has been fitted.</p>"
        )

    def _draw(self) -> None:
        self.chart.start_over()
        draws = self._found.draws if self._found is not None else None
        self.draws.setVisible(draws is not None)
        if draws is None:
            self.key.setText("The distribution of all draws appears here once they are fitted.")
            return
        columns = _columns(draws)
        low = min(float(np.min(v)) for v in columns.values())
        # what lies beyond is counted in the last bar, or a few wild draws would squeeze the rest
        high = 2.0 * max(float(np.percentile(v, 95)) for v in columns.values())
        edges = np.geomspace(low * 0.95, high, BINS + 1)
        parts = []
        for place, (name, title, _) in enumerate(DRAWS):
            values, colour = columns[name], series(self, place)
            counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
            self.chart.bars(edges, counts, colour, 0.0 if name == "paper" else 0.35)
            if name != "paper":
                self.chart.level(float(values[draws.published]), colour, upright=True)
            parts.append(f'<span style="color:{colour}">■</span> {title}')
        quiet = ink(self).quiet
        self.key.setText(
            f"{'&nbsp;&nbsp;'.join(parts)}&nbsp;&nbsp;"
            f'<span style="color:{quiet}">dashed: the draw the paper shows; the last bar holds all'
            f" beyond. The law with shape wins in {100 * draws.shape_wins:.0f} % of the draws.</span>"
        )
        self.chart.setXRange(float(np.log10(edges[0])), float(np.log10(edges[-1])), padding=0.02)
        self.chart.getPlotItem().enableAutoRange(axis="y")
        self.draws.show_rows(*draw_rows(draws), sortable=False)


def _columns(draws: Draws) -> Mapping[str, Any]:
    return {
        "inference-aware": draws.inference_aware,
        "chinchilla": draws.chinchilla,
        "paper": draws.paper,
    }


def fit_rows(rows: Sequence[Row]) -> tuple[list[Cell], list[list[Cell]]]:
    """Header and two rows per fit, published above obtained; fits not made yet are marked."""
    header = [
        Cell("Fit"),
        Cell(""),
        Cell("Differ by", tip="Largest relative difference of the law's constants"),
    ]
    header += [Cell(TITLES.get(name, name), tip=tip) for name, tip in QUANTITIES.items()]
    header.append(Cell("Errors at 1B", tip="Relative errors of the four 1B models"))
    table = []
    for place, published in enumerate(PUBLISHED):
        row = rows[place] if place < len(rows) else None
        printed = [Cell(published.title, tone="strong"), Cell("published"), Cell("")]
        state = Cell("obtained" if row else "not yet", tone="" if row else "muted")
        got = [Cell(""), state, _worst(row)]
        for name in QUANTITIES:
            value = published.values.get(name)
            printed.append(Cell("" if value is None else f"{value:.6g}"))
            mine = row.obtained.get(name) if row is not None and value is not None else None
            got.append(Cell("" if mine is None else f"{mine:.6g}"))
        printed.append(
            Cell(
                _errors(published.errors) or "not published",
                tone="" if published.errors else "muted",
            )
        )
        got.append(Cell(_errors(row.errors) if row else ""))
        table += [printed, got]
    return header, table


def _worst(row: Row | None) -> Cell:
    if row is None or not math.isfinite(row.worst):
        return Cell("")
    return Cell(f"{100 * row.worst:.4f} %", tone="good" if row.worst < 0.01 else "bad")


def _errors(errors: Sequence[float]) -> str:
    return " / ".join(f"{100 * e:.2f}" for e in errors) + (" %" if errors else "")


def draw_rows(draws: Draws) -> tuple[list[Cell], list[list[Cell]]]:
    """Header and one row per law over all draws."""
    header = [
        Cell("Law"), Cell("Median", tip="Of the mean squared error on all 76 runs"),
        Cell("Middle half", tip="25th to 75th percentile"), Cell("95th", tip="95th percentile"),
        Cell("R² > 0.99", tip="Share of the draws"),
        Cell("1B rank 1", tip="Share of draws that put the four 1B models in the right order"),
        Cell("epsilon < 0", tip="Share of draws in which wide shapes are better"),
        Cell("Paper's draw at", tip="Percentile of the draw the paper shows; low is lucky"),
    ]  # fmt: skip
    rows = []
    for name, title, tip in DRAWS:
        s = draws.summaries[name]
        shape = name != "chinchilla"
        rows.append(
            [
                Cell(title, tip=tip, tone="strong"),
                Cell(f"{s.median:.5f}", s.median),
                Cell(f"{s.q25:.5f} to {s.q75:.5f}", s.q25),
                Cell(f"{s.q95:.4f}", s.q95),
                Cell(f"{100 * s.r2_above_99:.0f} %", s.r2_above_99),
                Cell(f"{100 * s.rank_is_one:.0f} %", s.rank_is_one),
                Cell(f"{100 * s.shape_negative:.0f} %" if shape else "no shape", s.shape_negative),
                Cell(f"{s.published_percentile:.0f} %", s.published_percentile),
            ]
        )
    return header, rows


def sentences_html(holds: Sequence[str], fails: Sequence[str]) -> str:
    """The statements as two short lists."""

    def items(texts: Sequence[str]) -> str:
        return "".join(f"<li style='margin-bottom:5px'>{escape(text)}</li>" for text in texts)

    return (
        f"<p><b>What holds up</b></p><ul>{items(holds)}</ul>"
        f"<p><b>What does not</b></p><ul>{items(fails)}</ul>"
    )
