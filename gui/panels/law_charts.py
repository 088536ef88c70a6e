"""Predicted against observed and residuals of up to three laws side by side, on shared axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.arrays import Floats
from core.fit.residuals import Residuals, mean_error
from core.units import plus_minus
from gui.panels.drawing import Chart, ink, series

MOST = 3
ALL = "All four"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of chart: its name, and the axis that is not the error."""

    name: str
    axis: tuple[str, str]
    column: str


KINDS = (
    Kind("Predicted against observed", ("Observed", "nats/token"), "observed"),
    Kind("Residual against parameters", ("Parameters N", "count"), "size"),
    Kind("Residual against tokens", ("Tokens D", "count"), "tokens"),
    Kind("Residual against shape", ("Width over depth R", ""), "shape"),
)


class LawCharts(QWidget):
    """One column per law, one row per kind of chart. `picked` carries the place of a run."""

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Residuals, ...] = ()
        self._lit: int | None = None
        self._charts: list[Chart] = []
        self.kind = QComboBox()
        self.kind.setAccessibleName("Which charts")
        self.kind.setToolTip("Which charts to show for each law")
        self.kind.addItems([ALL, *(kind.name for kind in KINDS)])
        self.kind.setCurrentIndex(1)
        self.kind.activated.connect(self._rebuild)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.legend.setProperty("quiet", True)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        inside = QWidget()
        inside.setLayout(self._grid)
        self.area = QScrollArea()
        self.area.setWidget(inside)
        self.area.setWidgetResizable(True)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        top = QHBoxLayout()
        top.addWidget(self.kind)
        top.addWidget(self.legend, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(top)
        column.addWidget(self.area, 1)

    def show_laws(self, found: Sequence[Residuals]) -> None:
        """The laws to show, at most three."""
        self._shown = tuple(found)[:MOST]
        self._rebuild()

    def light(self, place: int | None) -> None:
        """Ring one run in every chart."""
        self._lit = place
        for chart in self._charts:
            chart.light(place)

    def changeEvent(self, event: QEvent) -> None:
        """Other colours with another palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._rebuild()

    # -----------------------------------------------------------------------------------------

    @Slot()
    def _rebuild(self) -> None:
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget() if item is not None else None
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._charts = []
        chosen = self.kind.currentText()
        kinds = [kind for kind in KINDS if chosen in (ALL, kind.name)]
        self.legend.setText(
            "○ predicted without the run's shape; dashed: no error. A click marks the run."
            if any(found.left_out for found in self._shown)
            else ""
        )
        for place, found in enumerate(self._shown):
            title = QLabel(f"{found.fit.title}   {plus_minus(mean_error(found), 'error unknown')}")
            title.setProperty("title", True)
            title.setStyleSheet(f"color: {series(self, place)}")
            title.setWordWrap(True)
            self._grid.addWidget(title, 0, place)
            for row, kind in enumerate(kinds, 1):
                self._grid.addWidget(self._chart(found, kind, place), row, place)
            self._grid.setColumnStretch(place, 1)
        for column in range(len(self._shown), MOST):
            self._grid.setColumnStretch(column, 0)
        for row in range(1, len(KINDS) + 1):
            self._grid.setRowStretch(row, 1 if row <= len(kinds) else 0)
            self._grid.setRowMinimumHeight(row, 150 if row <= len(kinds) and len(kinds) > 1 else 0)
        self.light(self._lit)

    def _chart(self, found: Residuals, kind: Kind, place: int) -> Chart:
        against = kind.column == "observed"
        y = ("Predicted", "nats/token") if against else ("Error", "%")
        chart = Chart(
            f"{kind.name}, {found.fit.title}", kind.axis, y, x_log=not against, parent=self
        )
        x: Floats = getattr(found, kind.column)
        values = found.predicted if against else 100.0 * found.error
        tips = [
            f"{name}\nobserved {o:.4f}, predicted {p:.4f} ({100 * e:+.2f} %)"
            for name, o, p, e in zip(
                found.names, found.observed, found.predicted, found.error, strict=True
            )
        ]
        if against:
            chart.same_line(ink(self).quiet)
        else:
            chart.level(0.0, ink(self).quiet)
        chart.points(
            x, values, filled=False, colour=series(self, place), size=7, tips=tips, opacity=0.9
        )
        if not against:
            # the same scale for every law, or a bad one would look as good as the best
            spread = [np.nanmax(np.abs(f.error)) for f in self._shown if len(f.error)]
            limit = 110.0 * float(max(spread)) if spread else 1.0
            chart.setYRange(-limit, limit, padding=0)
            chart.getPlotItem().enableAutoRange(axis="x")
        chart.picked.connect(self.picked)
        self._charts.append(chart)
        return chart
