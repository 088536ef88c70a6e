"""Parallel axes to work on: brushes set limits, titles are dragged, lines are picked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QToolTip, QWidget

from core.arrays import Floats
from core.records.metrics import METRICS
from gui.panels.drawing import ink

TITLE, FOOT, SIDE = 46.0, 30.0, 64.0
PARKED = 5.0  # how far beyond its end of the axis a handle without a limit is drawn
REACH = 9.0  # pixels within which a handle is grabbed
AXIS_REACH = 14.0
PICK = 6.0
NUDGE, FINE = 0.02, 0.002  # of the axis, for the arrow keys
KINDS = ("outside", "feasible", "front", "selected")


@dataclass(frozen=True, slots=True)
class AxisView:
    """One axis: metric, range of the data, scale, direction, its two limits and the range still
    reached under all limits; None where there is none."""

    key: str
    low: float
    high: float
    log: bool
    inverted: bool
    at_least: float | None = None
    at_most: float | None = None
    reached: tuple[float, float] | None = None

    def place(self, value: float) -> float:
        """0 at the foot of the axis, 1 at its head."""
        low, high, value = (self._scaled(v) for v in (self.low, self.high, value))
        place = (value - low) / (high - low) if high > low else 0.5
        return 1.0 - place if self.inverted else place

    def places(self, values: Floats) -> Floats:
        """`place` of a column."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.log10(values) if self.log else np.asarray(values, np.float64)
        place = (scaled - low) / (high - low) if high > low else np.full(len(values), 0.5)
        return np.asarray(1.0 - place if self.inverted else place)

    def value(self, place: float) -> float:
        """The value at a place of the axis."""
        place = 1.0 - place if self.inverted else place
        low, high = self._scaled(self.low), self._scaled(self.high)
        scaled = low + place * (high - low)
        return float(10.0**scaled) if self.log else scaled

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Candidates to draw: their rows, values (rows, axes), what each is (an index into KINDS), and
    whether what is shown of it was measured."""

    rows: tuple[int, ...] = ()
    values: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    kinds: tuple[int, ...] = ()
    measured: tuple[bool, ...] = ()


class ParallelAxes(QWidget):
    """Draws axes and lines, and emits what the user does; it changes nothing by itself."""

    limit_moved = Signal(str, str, object)  # metric, side, value or None
    gesture_ended = Signal()
    axis_moved = Signal(str, int)  # metric, new place
    axis_inverted = Signal(str)
    picked = Signal(int)  # row of the table
    menu_asked = Signal(str, object)  # metric or '', global position

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName("Parallel coordinates")
        self.setAccessibleDescription(
            "Left and right choose an axis, up and down move its limit (Shift: fine), Space changes"
            " between upper and lower limit, Delete takes them away, I inverts, Ctrl with left or"
            " right moves the axis."
        )
        self.axes: tuple[AxisView, ...] = ()
        self.lines = Lines()
        self.states: tuple[str, ...] = ("faded", "shown", "shown", "shown")
        self._names: dict[int, str] = {}
        self._current = 0
        self._upper = True
        self._cloud: QPixmap | None = None
        self._drag = ""  # '', 'handle', 'brush' or 'title'
        self._dragged = 0
        self._side = "<="
        self._from = 0.0
        self._title_x: float | None = None

    def minimumSizeHint(self) -> QSize:
        """Wide enough for two axes."""
        return QSize(320, 170)

    def sizeHint(self) -> QSize:
        """Wide enough for five."""
        return QSize(900, 300)

    def show_axes(self, axes: Sequence[AxisView]) -> None:
        """Other axes, ranges or limits."""
        self.axes = tuple(axes)
        self._current = min(self._current, max(0, len(axes) - 1))
        self._cloud = None
        self.update()

    def show_lines(self, lines: Lines, names: dict[int, str], states: Sequence[str]) -> None:
        """Other candidates; `names` of the rows for their cards; `states` of outside, feasible,
        front and selected: shown, faded or hidden."""
        self.lines, self._names, self.states = lines, names, tuple(states)
        self._cloud = None
        self.update()

    # --- geometry --------------------------------------------------------------------------------

    def _x(self, index: int) -> float:
        count = len(self.axes)
        if count < 2:
            return self.width() / 2
        return SIDE + index * (self.width() - 2 * SIDE) / (count - 1)

    def _y(self, place: float) -> float:
        top, foot = TITLE + 10, self.height() - FOOT - 10
        return foot - place * (foot - top)

    def _place(self, y: float) -> float:
        top, foot = TITLE + 10, self.height() - FOOT - 10
        return (foot - y) / max(foot - top, 1.0)

    def axis_at(self, x: float, reach: float = AXIS_REACH) -> int | None:
        """The axis within reach of this x."""
        for index in range(len(self.axes)):
            if abs(self._x(index) - x) <= reach:
                return index
        return None

    def handle_y(self, index: int, side: str) -> float:
        """Where a limit's handle is drawn; without a limit beyond its end of the axis."""
        axis = self.axes[index]
        value = axis.at_most if side == "<=" else axis.at_least
        if value is None:
            at_head = (side == "<=") != axis.inverted
            return self._y(1.0) - PARKED if at_head else self._y(0.0) + PARKED
        return self._y(min(max(axis.place(value), -0.02), 1.02))

    def line_at(self, x: float, y: float) -> int | None:
        """The row of the visible line nearest to a place, front and chosen lines first."""
        count = len(self.axes)
        if count < 2 or not len(self.lines.rows):
            return None
        step = (self.width() - 2 * SIDE) / (count - 1)
        left = min(max(int((x - SIDE) // step), 0), count - 2)
        share = (x - self._x(left)) / step
        if not 0 <= share <= 1:
            return None
        a = self.axes[left].places(self.lines.values[:, left])
        b = self.axes[left + 1].places(self.lines.values[:, left + 1])
        ys = np.array([self._y(p) for p in a + share * (b - a)])
        far = np.abs(ys - y)
        kinds = np.array(self.lines.kinds)
        hidden = np.array([self.states[k] == "hidden" for k in self.lines.kinds])
        far[hidden | ~np.isfinite(far)] = np.inf
        for least in (2, 1, 0):
            near = np.flatnonzero((kinds >= least) & (far <= PICK))
            if len(near):
                return self.lines.rows[int(near[np.argmin(far[near])])]
        return None

    # --- mouse -----------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take a handle, a title, an empty stretch of an axis (a brush), or a line."""
        if event.button() != Qt.MouseButton.LeftButton:
            return
        x, y = event.position().x(), event.position().y()
        title = self.axis_at(x, self._title_reach())
        if y < TITLE and title is not None:
            self._drag, self._dragged, self._title_x = "title", title, None
            self._current = title
            self.update()
            return
        index = self.axis_at(x)
        if index is not None:
            self._current, self._dragged = index, index
            for side in ("<=", ">="):
                if abs(self.handle_y(index, side) - y) <= REACH:
                    self._drag, self._side, self._upper = "handle", side, side == "<="
                    self.update()
                    return
            self._drag, self._from = "brush", y
            self.update()
            return
        row = self.line_at(x, y)
        if row is not None:
            self.picked.emit(row)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move what was taken; otherwise show a card of what lies under the pointer."""
        x, y = event.position().x(), event.position().y()
        if self._drag == "title":
            self._title_x = x
            self.update()
        elif self._drag == "handle":
            self._move_limit(self._dragged, self._side, self._place(y))
        elif self._drag == "brush":
            if abs(y - self._from) < 4:
                return
            axis = self.axes[self._dragged]
            places = sorted((self._place(self._from), self._place(y)), reverse=axis.inverted)
            self._move_limit(self._dragged, ">=", places[0])
            self._move_limit(self._dragged, "<=", places[1])
        else:
            self._hover(event, x, y)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A title dropped elsewhere moves its axis."""
        if self._drag == "title" and self._title_x is not None:
            key = self.axes[self._dragged].key
            place = min(range(len(self.axes)), key=lambda i: abs(self._x(i) - event.position().x()))
            if place != self._dragged:
                self._current = place
                self.axis_moved.emit(key, place)
        if self._drag in ("handle", "brush"):
            self.gesture_ended.emit()
        self._drag, self._title_x = "", None
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A double click on a title inverts its axis."""
        title = self.axis_at(event.position().x(), self._title_reach())
        if event.position().y() < TITLE and title is not None:
            self._drag = ""
            self.axis_inverted.emit(self.axes[title].key)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """The axis's menu."""
        index = self.axis_at(event.pos().x(), self._title_reach())
        self.menu_asked.emit(self.axes[index].key if index is not None else "", event.globalPos())

    def _title_reach(self) -> float:
        count = len(self.axes)
        return 60.0 if count < 2 else min(70.0, (self.width() - 2 * SIDE) / (count - 1) / 2)

    def _hover(self, event: QMouseEvent, x: float, y: float) -> None:
        title = self.axis_at(x, self._title_reach())
        if y < TITLE and title is not None:
            metric = METRICS[self.axes[title].key]
            self.setCursor(Qt.CursorShape.OpenHandCursor)
            QToolTip.showText(
                event.globalPosition().toPoint(),
                f"{metric.label}: {metric.formula}\nDrag to reorder, double-click to invert",
                self,
            )
            return
        if self.axis_at(x) is not None:
            self.setCursor(Qt.CursorShape.SplitVCursor)
            return
        row = self.line_at(x, y)
        self.setCursor(
            Qt.CursorShape.PointingHandCursor if row is not None else Qt.CursorShape.ArrowCursor
        )
        text = self._names.get(row, "") if row is not None else ""
        QToolTip.showText(event.globalPosition().toPoint(), text, self)

    def _move_limit(self, index: int, side: str, place: float) -> None:
        axis = self.axes[index]
        # past the end of the data there is no limit: new candidates beyond it stay in
        beyond = place >= 1.0 if (side == "<=") != axis.inverted else place <= 0.0
        value = None if beyond else axis.value(min(max(place, 0.0), 1.0))
        self.limit_moved.emit(axis.key, side, value)

    # --- keyboard --------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """See the accessible description."""
        if not self.axes:
            super().keyPressEvent(event)
            return
        key, axis = event.key(), self.axes[self._current]
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            to = self._current + (1 if key == Qt.Key.Key_Right else -1)
            if 0 <= to < len(self.axes):
                self._current = to
                if control:
                    self.axis_moved.emit(axis.key, to)
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            fine = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            step = (FINE if fine else NUDGE) * (1 if key == Qt.Key.Key_Up else -1)
            side = "<=" if self._upper else ">="
            value = axis.at_most if self._upper else axis.at_least
            parked = 1.0 if (side == "<=") != axis.inverted else 0.0
            place = parked if value is None else axis.place(value)
            self._move_limit(self._current, side, place + step)
        elif key == Qt.Key.Key_Space:
            self._upper = not self._upper
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            for side in ("<=", ">="):
                self.limit_moved.emit(axis.key, side, None)
            self.gesture_ended.emit()
        elif key == Qt.Key.Key_I and not control:
            self.axis_inverted.emit(axis.key)
        else:
            super().keyPressEvent(event)
            return
        self.update()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """A run of nudges is one step of undo."""
        if event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down) and not event.isAutoRepeat():
            self.gesture_ended.emit()
        super().keyReleaseEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The current axis is marked."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """The current axis is no longer marked."""
        super().focusOutEvent(event)
        self.update()

    # --- painting --------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The lines were drawn for the old size."""
        super().resizeEvent(event)
        self._cloud = None

    def changeEvent(self, event: QEvent) -> None:
        """The lines were drawn in the old colours."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._cloud = None
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The cached picture of the lines, with axes and handles on top."""
        painter = QPainter(self)
        if self._cloud is None:
            self._cloud = self._drawn_cloud()
        painter.drawPixmap(0, 0, self._cloud)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index in range(len(self.axes)):
            self._paint_axis(painter, index)
        painter.end()

    def _drawn_cloud(self) -> QPixmap:
        ratio = self.devicePixelRatioF()
        cloud = QPixmap(self.size() * ratio)
        cloud.setDevicePixelRatio(ratio)
        colours = ink(self)
        cloud.fill(QColor(colours.background))
        count = len(self.axes)
        if count < 2 or not len(self.lines.rows):
            return cloud
        xs = [self._x(i) for i in range(count)]
        places = np.column_stack(
            [axis.places(self.lines.values[:, i]) for i, axis in enumerate(self.axes)]
        )
        looks = {
            0: (colours.infeasible, 0.45, 1.0),
            1: (colours.feasible, 0.45, 1.0),
            2: (colours.front, 0.85, 1.3),
            3: (colours.selected, 1.0, 2.8),
        }
        painter = QPainter(cloud)
        order = np.argsort(np.array(self.lines.kinds), kind="stable")
        for at in order:
            kind = self.lines.kinds[at]
            state = self.states[kind]
            if state == "hidden":
                continue
            colour, opacity, width = looks[kind]
            ink_colour = QColor(colour)
            ink_colour.setAlphaF(opacity * (0.35 if state == "faded" else 1.0))
            # the many thin lines behind are a texture: smooth edges would only cost time
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, kind >= 1)
            painter.setPen(QPen(ink_colour, width))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            spots = [
                QPointF(x, self._y(float(p))) if math.isfinite(p) else None
                for x, p in zip(xs, places[at], strict=True)
            ]
            known = [spot for spot in spots if spot is not None]
            if len(known) == len(spots):
                painter.drawPolyline(QPolygonF(known))
            else:
                for a, b in pairwise(spots):
                    if a is not None and b is not None:
                        painter.drawLine(a, b)
            if kind >= 2:
                solid = self.lines.measured[at]
                painter.setBrush(ink_colour if solid else QColor(colours.background))
                painter.setPen(QPen(ink_colour, 1.4))
                for spot in spots:
                    if spot is not None:
                        painter.drawEllipse(spot, 2.6, 2.6)
        painter.end()
        return cloud

    def _paint_axis(self, painter: QPainter, index: int) -> None:
        axis, colours = self.axes[index], ink(self)
        x, head, foot = self._x(index), self._y(1.0), self._y(0.0)
        focused = self.hasFocus() and index == self._current
        painter.setPen(QPen(QColor(colours.text if focused else colours.quiet), 1.6))
        painter.drawLine(QPointF(x, head), QPointF(x, foot))
        if axis.reached is not None:
            low, high = (self._y(axis.place(v)) for v in axis.reached)
            painter.setPen(QPen(QColor(colours.feasible), 5, c=Qt.PenCapStyle.FlatCap))
            painter.drawLine(QPointF(x, low), QPointF(x, high))
        self._paint_cut(painter, axis, x)
        metric = METRICS[axis.key]
        self._paint_title(painter, index, metric.label, focused)
        ends = (axis.high, axis.low) if not axis.inverted else (axis.low, axis.high)
        painter.setPen(QColor(colours.quiet))
        better = ""
        if metric.better:
            better = "head" if (metric.better == "higher") != axis.inverted else "foot"
        for value, y, name in ((ends[0], head - 32, "head"), (ends[1], foot + 18, "foot")):
            text = metric.format(value)
            self._centred(painter, f"best {text}" if better == name else text, x, y)
        for side in ("<=", ">="):
            self._paint_handle(painter, index, side, focused)

    def _paint_cut(self, painter: QPainter, axis: AxisView, x: float) -> None:
        """The part of the axis that a limit excludes."""
        pen = QPen(QColor(ink(self).limit), 3, Qt.PenStyle.DotLine)
        painter.setPen(pen)
        for value, end in ((axis.at_most, axis.high), (axis.at_least, axis.low)):
            if value is not None:
                a, b = axis.place(min(max(value, axis.low), axis.high)), axis.place(end)
                painter.drawLine(QPointF(x, self._y(a)), QPointF(x, self._y(b)))

    def _paint_handle(self, painter: QPainter, index: int, side: str, focused: bool) -> None:
        axis, colours = self.axes[index], ink(self)
        value = axis.at_most if side == "<=" else axis.at_least
        x, y = self._x(index), self.handle_y(index, side)
        down = (side == "<=") != axis.inverted  # the limit cuts off what is above it
        tip = 8.0 if down else -8.0
        shape = QPolygonF([QPointF(x - 8, y - tip), QPointF(x + 8, y - tip), QPointF(x, y)])
        held = focused and self._upper == (side == "<=")
        colour = QColor(colours.limit if value is not None else colours.quiet)
        painter.setPen(QPen(QColor(colours.text) if held else colour, 2.0 if held else 1.2))
        painter.setBrush(colour if value is not None else QColor(colours.background))
        painter.drawPolygon(shape)
        if value is not None:
            text = METRICS[axis.key].format(value)
            metrics = QFontMetricsF(self.font())
            wide = metrics.horizontalAdvance(text) + 8
            left = x + 12 if x + 12 + wide < self.width() else x - 12 - wide
            box = QRectF(left, y - metrics.height() / 2 - 1, wide, metrics.height() + 2)
            painter.setPen(QPen(colour, 1))
            painter.setBrush(QColor(colours.card))
            painter.drawRoundedRect(box, 3, 3)
            painter.setPen(QColor(colours.text))
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_title(self, painter: QPainter, index: int, text: str, focused: bool) -> None:
        colours = ink(self)
        moving = self._drag == "title" and index == self._dragged and self._title_x is not None
        x = float(self._title_x or 0.0) if moving else self._x(index)
        wide = 2 * self._title_reach() - 6
        left = min(max(x - wide / 2, 2.0), self.width() - wide - 2)
        font = self.font()
        font.setBold(focused or moving)
        painter.setFont(font)
        painter.setPen(QColor(colours.selected if moving else colours.text))
        text = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, wide)
        painter.drawText(QRectF(left, 1, wide, 18), Qt.AlignmentFlag.AlignCenter, text)
        painter.setFont(self.font())

    def _centred(self, painter: QPainter, text: str, x: float, y: float) -> None:
        wide = QFontMetricsF(self.font()).horizontalAdvance(text)
        left = min(max(x - wide / 2, 2.0), self.width() - wide - 2)
        painter.drawText(QPointF(left, y + 12), text)
