"""Small charts and the tones of tables, in the colours of the window's light or dark palette."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPalette
from PySide6.QtWidgets import QWidget

from core.arrays import Floats
from core.ticks import linear_ticks, log_ticks
from core.units import SCALES, digits, format_quantity
from gui.plot.scene import DARK, LIGHT, Colours

# pixels between two ticks, horizontally and vertically
APART_ACROSS, APART_UP = 50, 28
# more than a float can hold
MOST_DECADES = 300
# colours of up to three laws or devices side by side, distinct in lightness as well
SERIES = {False: ("#0b5394", "#b45309", "#5b2a86"), True: ("#7cc4ff", "#ffb454", "#d0a8f5")}


def is_dark(widget: QWidget) -> bool:
    """Whether the widget's palette is a dark one."""
    return widget.palette().color(QPalette.ColorRole.Base).lightness() < 128


def ink(widget: QWidget) -> Colours:
    """The plot's colours that suit the widget's palette."""
    return DARK if is_dark(widget) else LIGHT


def tones(widget: QWidget) -> dict[str, QColor]:
    """Colours of a table's tones; each keeps 4.5 : 1 against both row backgrounds."""
    if is_dark(widget):
        found = {"good": "#6cb6f0", "bad": "#ffb27a", "warn": "#ffb27a", "muted": "#a3adb8"}
    else:
        found = {"good": "#005a96", "bad": "#9c3a00", "warn": "#9c3a00", "muted": "#57606a"}
    return {name: QColor(value) for name, value in found.items()}


def series(widget: QWidget, index: int) -> str:
    """Colour of the index-th of at most three things side by side."""
    return SERIES[is_dark(widget)][index % 3]


class UnitAxis(pg.AxisItem):  # type: ignore[misc]
    """Ticks in the unit's own words: '10 ms', '300M'. On a log axis positions are log10."""

    def __init__(self, side: str, unit: str, log: bool) -> None:
        super().__init__(side)
        self.unit, self.log = unit, log
        self.enableAutoSIPrefix(False)

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        """Round values, as many as fit on this many pixels; positions are log10 on a log axis."""
        most = max(2, int(size / (APART_ACROSS if self.orientation == "bottom" else APART_UP)))
        if self.log and high - low < MOST_DECADES:
            values = log_ticks(10.0**low, 10.0**high, most)
            return [(1.0, [float(np.log10(v)) for v in values])]
        return [(1.0, linear_ticks(low, high, most))]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """The ticks' texts."""
        shown = [10.0**v if self.log else v for v in values]
        return [self._text(v) for v in shown]

    def _text(self, value: float) -> str:
        if self.unit == "%":
            return f"{value:.3g}"
        if self.unit in SCALES:
            return _plain(format_quantity(value, self.unit, 3))
        return _plain(digits(value, 3)) if value else "0"


def _plain(text: str) -> str:
    """'10.0 ms' as '10 ms': ticks are round numbers and need no trailing zeros."""
    number, space, suffix = text.partition(" ")
    tail = ""
    while number and not (number[-1].isdigit() or number[-1] == "."):
        number, tail = number[:-1], number[-1] + tail
    if "." in number and "e" not in number:
        number = number.rstrip("0").rstrip(".")
    return number + tail + space + suffix


class Chart(pg.PlotWidget):  # type: ignore[misc]
    """A small chart: filled points are measured, open ones predicted. `picked` carries the key of a
    point the user clicked. A double click shows everything again."""

    picked = Signal(int)

    def __init__(
        self,
        name: str,
        x: tuple[str, str],
        y: tuple[str, str],
        *,
        x_log: bool = False,
        y_log: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        """`x` and `y` are (label, unit)."""
        self._axes = {
            "bottom": UnitAxis("bottom", x[1], x_log),
            "left": UnitAxis("left", y[1], y_log),
        }
        # before Qt's own constructor, which already sends events
        self._log = (x_log, y_log)
        self._labels = {
            "bottom": _labelled(*x),
            "left": _labelled(*y),
        }
        super().__init__(parent, axisItems=self._axes)
        self.setAccessibleName(name)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.getPlotItem().setClipToView(False)
        self._lit: Any = None
        self._places: dict[int, tuple[float, float]] = {}
        self.setMinimumSize(150, 110)
        self._style()

    def start_over(self) -> None:
        """Take every mark away."""
        self.clear()
        self._places = {}
        self._lit = None

    def points(
        self,
        x: Floats,
        y: Floats,
        *,
        filled: bool,
        colour: str,
        size: float = 8.0,
        symbol: str = "o",
        keys: Sequence[int] | None = None,
        tips: Sequence[str] = (),
        opacity: float = 1.0,
    ) -> None:
        """Add points; `keys` (default: their places) are what `picked` carries, `tips` their cards."""
        x, y = self._moved(x, y)
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if not len(known):
            return
        pen = QColor(colour)
        pen.setAlphaF(opacity)
        brush = QColor(colour) if filled else QColor(ink(self).background)
        brush.setAlphaF(opacity if filled else 0.0)
        names = list(range(len(x))) if keys is None else list(keys)
        cards = list(tips)
        item = pg.ScatterPlotItem(
            x=x[known],
            y=y[known],
            size=size,
            symbol=symbol,
            pen=pg.mkPen(pen, width=1.5),
            brush=pg.mkBrush(brush),
            data=[names[i] for i in known],
            hoverable=bool(cards),
            tip=(lambda x, y, data: cards[names.index(data)]) if cards else None,
            hoverSize=size + 3,
        )
        item.sigClicked.connect(self._on_clicked)
        self.addItem(item)
        self._places |= {names[i]: (float(x[i]), float(y[i])) for i in known}

    def line(
        self, x: Floats, y: Floats, colour: str, *, width: float = 1.5, dash: bool = False
    ) -> None:
        """Add a line through these points."""
        x, y = self._moved(np.asarray(x, np.float64), np.asarray(y, np.float64))
        style = Qt.PenStyle.DashLine if dash else Qt.PenStyle.SolidLine
        self.addItem(
            pg.PlotCurveItem(
                x=x, y=y, pen=pg.mkPen(colour, width=width, style=style), antialias=True,
                connect="finite",
            )
        )  # fmt: skip

    def spans(self, x: Floats, low: Floats, high: Floats, colour: str) -> None:
        """Add thin vertical intervals."""
        x2 = np.repeat(np.asarray(x, np.float64), 2)
        y2 = np.column_stack([low, high]).ravel()
        x2, y2 = self._moved(x2, y2)
        pen = QColor(colour)
        pen.setAlphaF(0.55)
        self.addItem(pg.PlotCurveItem(x=x2, y=y2, pen=pg.mkPen(pen, width=1), connect="pairs"))

    def bars(self, edges: Floats, heights: Floats, colour: str, opacity: float = 0.5) -> None:
        """Add a histogram as a filled staircase."""
        edges, _ = self._moved(np.asarray(edges, np.float64), np.zeros(0))
        fill = QColor(colour)
        fill.setAlphaF(opacity)
        self.addItem(
            pg.PlotCurveItem(
                x=edges, y=np.asarray(heights, np.float64), stepMode="center", fillLevel=0.0,
                brush=pg.mkBrush(fill), pen=pg.mkPen(colour, width=1.2),
            )
        )  # fmt: skip

    def level(self, at: float, colour: str, *, upright: bool = False, text: str = "") -> None:
        """Add a straight line across the chart, at a y or (upright) an x."""
        moved = self._moved(np.array([at]), np.array([at]))
        place = float(moved[0][0] if upright else moved[1][0])
        line = pg.InfiniteLine(
            place,
            angle=90 if upright else 0,
            pen=pg.mkPen(colour, width=1.4, style=Qt.PenStyle.DashLine),
            label=text or None,
            labelOpts={
                "position": 0.92,
                "color": colour,
                "movable": False,
                "anchors": [(0, 0), (0, 0)],
            },
        )
        self.addItem(line)

    def same_line(self, colour: str) -> None:
        """Add the line on which both axes agree."""
        self.addItem(
            pg.InfiniteLine(
                (0, 0), angle=45, pen=pg.mkPen(colour, width=1.2, style=Qt.PenStyle.DashLine)
            )
        )

    def light(self, key: int | None) -> None:
        """Ring the points of this key; None rings nothing."""
        if self._lit is not None:
            self.removeItem(self._lit)
            self._lit = None
        if key is None or key not in self._places:
            return
        x, y = self._places[key]
        self._lit = pg.ScatterPlotItem(
            x=[x], y=[y], size=15, symbol="o", brush=None,
            pen=pg.mkPen(ink(self).selected, width=2),
        )  # fmt: skip
        self._lit.setZValue(50)
        self.addItem(self._lit, ignoreBounds=True)

    def show_all(self) -> None:
        """Fit the axes to what is drawn."""
        self.getPlotItem().getViewBox().autoRange(padding=0.06)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show everything again."""
        self.show_all()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        """Other colours with another palette; the owner draws its marks again."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._style()

    # -----------------------------------------------------------------------------------------

    def _style(self) -> None:
        colours = ink(self)
        self.setBackground(colours.background)
        for side, axis in self._axes.items():
            axis.setPen(pg.mkPen(colours.quiet))
            axis.setTextPen(pg.mkPen(colours.text))
            axis.setLabel(self._labels[side], color=colours.text)
            axis.setStyle(hideOverlappingLabels=True)
            axis.setGrid(28)

    def _moved(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (
                np.log10(x) if self._log[0] else np.asarray(x, np.float64),
                np.log10(y) if self._log[1] else np.asarray(y, np.float64),
            )

    def _on_clicked(self, _item: Any, points: Any, *_: Any) -> None:
        if len(points):
            self.picked.emit(int(points[0].data()))


def _labelled(label: str, unit: str) -> str:
    """The label with its unit, except where the ticks carry the unit themselves."""
    return label if not unit or unit in SCALES else f"{label} ({unit})"
