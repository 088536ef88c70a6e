"""A limit as a line that is its own handle: drag it, or focus it and nudge it with arrow keys."""

from __future__ import annotations

import math
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QPolygonF

from gui.plot.plane import Layer, Plane, plane_of
from gui.plot.scene import Axis, Colours, LimitView

# pixels on either side of the line where it can be taken
REACH = 7.0
# shares of the visible range that an arrow key moves the line by
NUDGE, FINE_NUDGE = 0.01, 0.001
# pixels between a label and a line that crosses its own
CLEAR = 5.0


class LimitLine(Layer):
    """One limit on an axis. Signals report what the user does, never what the program sets.

    `moved` carries the value while it is dragged or nudged, `released` the value it is left at;
    None means dragged past the edge of the data: no limit.
    """

    moved = Signal(object)
    released = Signal(object)
    grabbed = Signal()

    def __init__(self, view: pg.ViewBox, limit: LimitView, axis: Axis) -> None:
        super().__init__(view, 50)
        self.limit = limit
        self.axis = axis
        self.vertical = limit.axis == "x"
        self.colours: Colours | None = None
        self.font = QFont()
        self.value = limit.value
        self.crossing: tuple[LimitLine, ...] = ()  # lines of the other axis, to keep labels off
        self.focused = False
        # a flag of our own: hover events cease while the mouse button is held (pyqtgraph#2858)
        self.dragging = False
        self._hovered = False
        self._edges = (0.0, 1.0)
        self.edged = False
        self._sized: tuple[tuple[str, QFont] | None, tuple[float, float]] = (None, (0.0, 0.0))
        self._nudged = False
        shape = Qt.CursorShape.SizeHorCursor if self.vertical else Qt.CursorShape.SizeVerCursor
        self.setCursor(shape)

    def set_edges(self, low: float, high: float) -> None:
        """Lowest and highest value of the data on this axis, in view coordinates."""
        self._edges = (low, high)
        self.edged = True
        self.update()

    def set_limit(self, limit: LimitView, axis: Axis) -> None:
        """Another state of the same limit; while the line is dragged it keeps its value."""
        self.limit, self.axis = limit, axis
        if not self.dragging and not self._nudged:
            self.value = limit.value
        self.prepareGeometryChange()
        self.update()

    # --- where it is

    @property
    def loose_edge(self) -> float:
        """The edge of the data beyond which this side allows everything, in view coordinates."""
        return self._edges[1] if self.limit.side == "<=" else self._edges[0]

    @property
    def at(self) -> float:
        """The place of the line, in view coordinates; without a limit it is the loose edge."""
        placed = math.nan if self.value is None else self.value
        if self.axis.log:
            placed = math.log10(placed) if placed > 0 else math.nan
        return placed if math.isfinite(placed) else self.loose_edge

    def value_at(self, at: float) -> float | None:
        """The limit's value for a place of the line: None past the loose edge."""
        free = at >= self._edges[1] if self.limit.side == "<=" else at <= self._edges[0]
        if free:
            return None
        # a limit that excludes everything is as far as it goes
        beyond = 0.02 * (self._edges[1] - self._edges[0])
        at = min(max(at, self._edges[0] - beyond), self._edges[1] + beyond)
        return float(10.0**at) if self.axis.log else float(at)

    def shape(self) -> QPainterPath:
        """The strip along the line, and its label."""
        plane = plane_of(self.view)
        path = QPainterPath()
        pixel = self._pixel(plane)
        if self.vertical:
            path.addRect(QRectF(pixel - REACH, 0, 2 * REACH, plane.height))
        else:
            path.addRect(QRectF(0, pixel - REACH, plane.width, 2 * REACH))
        path.addRect(self.label_box())
        path.setFillRule(Qt.FillRule.WindingFill)
        return path

    def contains(self, point: Any) -> bool:
        """Whether the line can be grabbed here."""
        return self.shape().contains(point)

    def label_box(self) -> QRectF:
        """Where the label is: at the line's end, inside the picture."""
        plane = plane_of(self.view)
        wide, high = self._label_size(self.text)
        pixel = self._pixel(plane)
        if self.vertical:
            left = min(max(2.0, pixel - wide / 2), max(2.0, plane.width - wide - 2))
            place = QRectF(left, 4, wide, high)
            for y in sorted(line._pixel(plane) for line in self.crossing):
                # move it below a line that would run through it
                if place.top() - CLEAR < y < place.bottom() + CLEAR:
                    place.moveTop(y + CLEAR)
            return place
        # clear of the corner where the label of a vertical line may be
        top = min(max(high + 12, pixel - high / 2), max(2.0, plane.height - high - 2))
        place = QRectF(plane.width - wide - 4, top, wide, high)
        for line in self.crossing:
            other = line.label_box()
            if other.intersects(place):
                place.moveTop(other.bottom() + 4)
        return place

    @property
    def text(self) -> str:
        """The label, e.g. '≤ 8.00 ms'."""
        if self.value is None:
            return "no limit"
        sign = "≤" if self.limit.side == "<=" else "≥"
        return f"{sign} {self.limit.format(self.value)}"

    def _pixel(self, plane: Plane) -> float:
        pixel = plane.px(self.at) if self.vertical else plane.py(self.at)
        length = plane.width if self.vertical else plane.height
        if self.value is None:
            # the handle of no limit stays within reach even where the data's edge is out of view
            return float(min(max(pixel, 1.0), length - 2.0))
        return float(pixel)

    def _label_size(self, text: str) -> tuple[float, float]:
        if self._sized[0] != (text, self.font):
            metrics = QFontMetricsF(self._bold())
            size = (metrics.horizontalAdvance(text) + 14, metrics.height() + 6)
            self._sized = ((text, self.font), size)
        return self._sized[1]

    def _bold(self) -> QFont:
        font = QFont(self.font)
        font.setWeight(QFont.Weight.DemiBold)
        return font

    # --- mouse and keys

    def hoverEvent(self, ev: Any) -> None:
        """pyqtgraph asks who wants the mouse here."""
        hovered = not ev.isExit() and ev.acceptDrags(Qt.MouseButton.LeftButton)
        if hovered:
            ev.acceptClicks(Qt.MouseButton.LeftButton)
        if hovered != self._hovered:
            self._hovered = hovered
            self.update()

    def mouseClickEvent(self, ev: Any) -> None:
        """A click gives this line the keyboard focus."""
        if ev.button() == Qt.MouseButton.LeftButton:
            ev.accept()
            self.grabbed.emit()

    def mouseDragEvent(self, ev: Any) -> None:
        """The line follows the mouse."""
        if ev.button() != Qt.MouseButton.LeftButton:
            return
        ev.accept()
        if ev.isStart():
            self.dragging = True
            start = ev.buttonDownPos()
            self._offset = self._pixel(plane_of(self.view)) - (
                start.x() if self.vertical else start.y()
            )
            self.grabbed.emit()
        plane = plane_of(self.view)
        pixel = (ev.pos().x() if self.vertical else ev.pos().y()) + self._offset
        at = plane.u(pixel) if self.vertical else plane.v(pixel)
        self._move(self.value_at(at))
        if ev.isFinish():
            self.dragging = False
            self.released.emit(self.value)
            self.update()

    def nudge(self, direction: int, fine: bool) -> None:
        """One arrow key towards higher (1) or lower (-1) values."""
        plane = plane_of(self.view)
        span = plane.right - plane.left if self.vertical else plane.top - plane.bottom
        step = span * (FINE_NUDGE if fine else NUDGE)
        self._nudged = True
        self._move(self.value_at(self.at + direction * step))

    def settle(self) -> None:
        """End a nudge when the arrow key is released."""
        if self._nudged:
            self._nudged = False
            self.released.emit(self.value)

    def _move(self, value: float | None) -> None:
        if value != self.value:
            self.value = value
            self.update()
            self.moved.emit(value)

    # --- painting

    def paint(self, p: QPainter, *_: Any) -> None:
        """The line, a grip, the label."""
        if self.colours is None:
            return
        plane = plane_of(self.view)
        # on a whole pixel, so that the line is equally wide everywhere
        pixel = float(round(self._pixel(plane)))
        colour = QColor(self.colours.limit)
        held = self.dragging or self._hovered or self.focused
        pen = QPen(colour, 3.0 if held else 2.0)
        if self.value is None:
            pen.setStyle(Qt.PenStyle.DashLine)
            pen.setWidthF(2.0 if held else 1.0)
        p.setPen(pen)
        if self.vertical:
            p.drawLine(QLineF(pixel, 0, pixel, plane.height))
        else:
            p.drawLine(QLineF(0, pixel, plane.width, pixel))
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_grip(p, plane, pixel, colour)
        box = self.label_box()
        solid = self.value is not None
        p.setPen(QPen(colour, 2.0 if self.focused else 1.0))
        p.setBrush(colour if solid else QColor(self.colours.background))
        p.drawRoundedRect(box, 4, 4)
        p.setFont(self._bold())
        p.setPen(QColor(self.colours.background) if solid else colour)
        p.drawText(box, Qt.AlignmentFlag.AlignCenter, self.text)
        if self.focused:
            p.setBrush(Qt.BrushStyle.NoBrush)
            p.setPen(QPen(QColor(self.colours.text), 1.2, Qt.PenStyle.DotLine))
            p.drawRoundedRect(box.adjusted(-3, -3, 3, 3), 6, 6)

    def forbidden(self, plane: Plane) -> QRectF:
        """The side that the limit excludes; empty where there is no limit."""
        if self.value is None:
            return QRectF()
        pixel = min(max(self._pixel(plane), 0.0), plane.width if self.vertical else plane.height)
        upper = self.limit.side == "<="
        if self.vertical:
            left, right = (pixel, plane.width) if upper else (0.0, pixel)
            return QRectF(left, 0, max(0.0, right - left), plane.height)
        top, bottom = (0.0, pixel) if upper else (pixel, plane.height)
        return QRectF(0, top, plane.width, max(0.0, bottom - top))

    def _paint_grip(self, p: QPainter, plane: Plane, pixel: float, colour: QColor) -> None:
        """A small arrow head at the axis, pointing at the side that is allowed."""
        lower = self.limit.side == "<="
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(colour)
        size = 8.0
        if self.vertical:
            tip = -size if lower else size
            y = plane.height - 1
            points = [(pixel, y - 1.6 * size), (pixel + tip, y - 0.8 * size), (pixel, y)]
        else:
            # y grows downwards on the screen
            tip = size if lower else -size
            points = [(1.0, pixel), (1.0 + 0.8 * size, pixel + tip), (1.0 + 1.6 * size, pixel)]
        p.drawPolygon(QPolygonF([QPointF(a, b) for a, b in points]))
