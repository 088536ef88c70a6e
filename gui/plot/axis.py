"""An axis with ticks in human units that never overlap, and an arrow at its better end."""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from core.ticks import linear_ticks, log_ticks
from core.units import SCALES, digits, scale_for
from gui.plot.scene import Axis

# free pixels between two tick labels along the axis, horizontal and vertical
GAP_ACROSS, GAP_UP = 16.0, 8.0
TICK = 5.0
PAD = 4.0


def tick_labels(values: list[float], axis: Axis) -> tuple[list[str], str]:
    """The label of every tick and the unit they all share ('' where each has its own).

    On a linear axis the unit belongs to the axis; on a log one each tick has its own, since
    they may span several.
    """
    if not values:
        return [], "" if axis.unit in SCALES else axis.unit
    if axis.unit not in SCALES:
        return _plain(values, not axis.log), axis.unit
    if axis.log:
        if len(axis.unit) > 2 and axis.unit != "count":
            # a unit that is a word is written once, on the axis
            return [tick_text(v, "count") for v in values], axis.unit
        return [tick_text(v, axis.unit) for v in values], ""
    suffix, factor = scale_for(max(abs(v) for v in values), axis.unit)
    return _plain([v / factor for v in values], True), suffix


def _plain(values: list[float], alike: bool) -> list[str]:
    """Numbers with just the decimals they need; as many for each where they are `alike`."""
    largest = max(abs(v) for v in values)
    if largest >= 1e6 or (0 < largest < 1e-3):
        return [digits(v, _needed(v)) if v else "0" for v in values]
    places = [len(f"{v:.10f}".rstrip("0").partition(".")[2]) for v in values]
    if alike:
        places = [max(places)] * len(places)
    return [f"{v:,.{n}f}" for v, n in zip(values, places, strict=True)]


def _needed(value: float) -> int:
    """Significant digits that show a round tick exactly."""
    return max(1, len(f"{abs(value):.9e}".partition("e")[0].rstrip("0").replace(".", "")))


def tick_text(value: float, unit: str) -> str:
    """A round value with its own unit, without needless zeros: 0.002 s -> '2 ms'."""
    suffix, factor = scale_for(value, unit)
    scaled = float(f"{value / factor:.9g}")
    number = f"{scaled:,.6f}".rstrip("0").rstrip(".")
    return number + suffix if unit == "count" else f"{number} {suffix}".rstrip()


class QuantityAxis(pg.AxisItem):  # type: ignore[misc]
    """The bottom or left axis of view coordinates, which are log10 of the metric on a log scale.

    pyqtgraph places it and lets it be dragged and wheeled; ticks, labels and title are painted here
    because its own prefixes cannot write ms, GB and 1.5B.
    """

    asked = Signal(QPointF)  # clicked: where on the screen a menu may open

    def __init__(self, orientation: str) -> None:
        super().__init__(orientation=orientation)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.across = orientation == "bottom"
        self.described = Axis("", "")
        self.tick_font = QFont()
        self.text, self.quiet = QColor(), QColor()
        self.ticks: list[tuple[float, str]] = []  # place in view coordinates, label
        self.unit = ""
        self.showLabel(False)
        self.enableAutoSIPrefix(False)

    def describe(self, axis: Axis, text: str, quiet: str, font: QFont) -> None:
        """Show this metric in these colours and this font."""
        self.described = axis
        self.text, self.quiet, self.tick_font = QColor(text), QColor(quiet), font
        self.setToolTip(f"{axis.label}: click to choose another metric or scale, drag to move")
        self.relabel()

    def value(self, at: float) -> float:
        """The metric at a view coordinate."""
        return float(10.0 ** min(at, 300.0)) if self.described.log else float(at)

    def place(self, value: float) -> float:
        """The view coordinate of a value of the metric; -inf where the scale has none."""
        if not self.described.log:
            return value
        return math.log10(value) if value > 0 else -math.inf

    def relabel(self) -> None:
        """Find the ticks of the present range, and make the axis wide enough for their labels."""
        low, high = sorted(self.range)
        length = self.geometry().width() if self.across else self.geometry().height()
        metrics = QFontMetricsF(self.tick_font)
        self.ticks, self.unit = _fitting_ticks(
            self.described, self.value(low), self.value(high), length, metrics, self.across
        )
        line = metrics.height()
        if self.across:
            self.setHeight(TICK + PAD + line + PAD + line * 1.15 + PAD)
        else:
            widest = max([metrics.horizontalAdvance(t) for _, t in self.ticks], default=0.0)
            needed = TICK + PAD + widest + PAD + line * 1.15 + PAD
            # grow at once but shrink only by much, so that the plot does not jitter
            if needed > self.width() or needed < self.width() - 3 * line:
                self.setWidth(needed)
        self.picture = None
        self.update()

    @property
    def title(self) -> str:
        """The metric with the unit that the ticks share."""
        return self.described.label + (f" ({self.unit})" if self.unit else "")

    def linkedViewChanged(self, view: Any, newRange: Any = None) -> None:
        """New ticks for a view that moved."""
        super().linkedViewChanged(view, newRange)
        self.relabel()

    def resizeEvent(self, ev: Any = None) -> None:
        """New ticks for another length."""
        super().resizeEvent(ev)
        if hasattr(self, "ticks"):
            self.relabel()

    def mouseClickEvent(self, event: Any) -> None:
        """A click requests the axis' menu."""
        event.accept()
        self.asked.emit(event.screenPos())

    def boundingRect(self) -> QRectF:
        """The axis and half a label beyond either end."""
        line = QFontMetricsF(self.tick_font).height()
        # not into the plot area, or the axis would be painted with every frame of a drag
        if self.across:
            return QRectF(self.rect()).adjusted(-2 * line, 1, 2 * line, 0)
        return QRectF(self.rect()).adjusted(0, -line, -1, line)

    def paint(self, p: QPainter, *_: Any) -> None:
        """Line, ticks, labels, title, and which end is better."""
        rect = self.rect()
        low, high = sorted(self.range)
        if not high > low:
            return
        p.setFont(self.tick_font)
        metrics = QFontMetricsF(self.tick_font)
        line = metrics.height()
        p.setPen(QPen(self.quiet, 1))
        if self.across:
            p.drawLine(rect.topLeft(), rect.topRight())
        else:
            p.drawLine(rect.topRight(), rect.bottomRight())
        for at, label in self.ticks:
            share = (at - low) / (high - low)
            wide = metrics.horizontalAdvance(label) + 2
            if self.across:
                x = rect.left() + share * rect.width()
                p.drawLine(QPointF(x, rect.top()), QPointF(x, rect.top() + TICK))
                box = QRectF(x - wide / 2, rect.top() + TICK + PAD, wide, line)
            else:
                y = rect.bottom() - share * rect.height()
                p.drawLine(QPointF(rect.right() - TICK, y), QPointF(rect.right(), y))
                box = QRectF(rect.right() - TICK - PAD - wide, y - line / 2, wide, line)
            p.drawText(box, Qt.AlignmentFlag.AlignCenter, label)
        self._paint_title(p, rect, line)

    def _paint_title(self, p: QPainter, rect: QRectF, line: float) -> None:
        p.save()
        if self.across:
            p.translate(rect.left(), rect.bottom() - line * 1.15 - PAD)
            length = rect.width()
        else:
            # turned a quarter, so that left on the text is down on the axis
            p.translate(rect.left() + PAD, rect.bottom())
            p.rotate(-90)
            length = rect.height()
        bold = QFont(self.tick_font)
        bold.setWeight(QFont.Weight.DemiBold)
        strip = QRectF(0, 0, length, line * 1.15)
        wide = QFontMetricsF(bold).horizontalAdvance(self.title)
        arrow = {"lower": "← better", "higher": "better →"}.get(self.described.better, "")
        beside = QFontMetricsF(self.tick_font).horizontalAdvance(arrow) + line
        if arrow and wide + 2 * beside < length:
            low = self.described.better == "lower"
            side = Qt.AlignmentFlag.AlignLeft if low else Qt.AlignmentFlag.AlignRight
            p.drawText(strip, side | Qt.AlignmentFlag.AlignVCenter, arrow)
        p.setFont(bold)
        p.setPen(QPen(self.text))
        shown = QFontMetricsF(bold).elidedText(self.title, Qt.TextElideMode.ElideRight, length)
        p.drawText(strip, Qt.AlignmentFlag.AlignCenter, shown)
        p.restore()


def _fitting_ticks(
    axis: Axis, low: float, high: float, length: float, metrics: QFontMetricsF, across: bool
) -> tuple[list[tuple[float, str]], str]:
    """The most ticks (view coordinate, label) whose labels keep their distance, and their unit."""
    if not (math.isfinite(low) and math.isfinite(high) and high > low) or length <= 0:
        return [], ""
    make = log_ticks if axis.log else linear_ticks
    most = max(2, int(length / 80 if across else length / 44))
    while most >= 1:
        values = make(low, high, most)
        labels, unit = tick_labels(values, axis)
        at = [math.log10(v) for v in values] if axis.log else values
        start, end = (math.log10(low), math.log10(high)) if axis.log else (low, high)
        places = [(p - start) / (end - start) * length for p in at]
        sizes = [metrics.horizontalAdvance(t) if across else metrics.height() for t in labels]
        gap = GAP_ACROSS if across else GAP_UP
        if all(
            q - j / 2 - (p + i / 2) >= gap
            for p, i, q, j in zip(places, sizes, places[1:], sizes[1:], strict=False)
        ):
            return list(zip(at, labels, strict=True)), unit
        most = min(most - 1, len(values) - 1)
    return [], ""
