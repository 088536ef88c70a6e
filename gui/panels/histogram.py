"""A small histogram with the limit as a handle on it."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from core.arrays import Floats

BINS = 60
# a handle beyond the data by this share of the width means: no limit
EDGE = 0.03
STEP, FINE = 0.02, 0.002


class LimitHistogram(QWidget):
    """All values of one metric as bars, those that the limit keeps in colour; a handle to drag.

    `moved` is emitted at every move, `released` at the end of a gesture; a value of None is no limit.
    """

    moved = Signal(object)
    released = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: Floats = np.zeros(BINS)
        self._low, self._high, self._log = 0.0, 1.0, False
        self._value: float | None = None
        self._side = "<="
        self._reach: tuple[float, float] | None = None
        self._held = False
        self._keyed = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        """One line of bars."""
        return QSize(160, 34)

    @property
    def dragging(self) -> bool:
        """Whether the handle is in hand."""
        return self._held or self._keyed

    def show_values(self, values: Floats, *, log: bool, side: str) -> None:
        """Show the values of another column."""
        known = values[np.isfinite(values)]
        self._log = log and bool(len(known)) and float(known.min()) > 0
        self._side = side
        if not len(known):
            self._bars = np.zeros(BINS)
            self.update()
            return
        shown = np.log(known) if self._log else known
        self._low, self._high = float(shown.min()), float(shown.max())
        if self._high <= self._low:
            self._low, self._high = self._low - 0.5, self._high + 0.5
        counts = np.histogram(shown, BINS, (self._low, self._high))[0]
        # roots, so that rare values are still seen
        self._bars = np.sqrt(counts / max(counts.max(), 1))
        self.update()

    def show_limit(self, value: float | None) -> None:
        """Place the handle."""
        if not self.dragging and value != self._value:
            self._value = value
            self.update()

    def show_reach(self, reach: tuple[float, float] | None) -> None:
        """The range that can still be reached under the other limits."""
        self._reach = reach
        self.update()

    # --- values and places -------------------------------------------------------------------------

    def _place(self, value: float) -> float:
        """Share of the width, 0 to 1."""
        shown = math.log(value) if self._log and value > 0 else value
        return min(1.0, max(0.0, (shown - self._low) / (self._high - self._low)))

    def _value_at(self, share: float) -> float | None:
        if (self._side == "<=" and share > 1 + EDGE / 2) or (
            self._side == ">=" and share < -EDGE / 2
        ):
            return None
        shown = self._low + min(1.0, max(0.0, share)) * (self._high - self._low)
        return math.exp(shown) if self._log else shown

    def _area(self) -> QRectF:
        rect = QRectF(self.rect())
        return rect.adjusted(rect.width() * EDGE + 4, 2, -rect.width() * EDGE - 4, -9)

    def _share_of(self, x: float) -> float:
        area = self._area()
        return (x - area.left()) / area.width()

    def _handle_share(self) -> float:
        if self._value is None:
            return 1 + EDGE if self._side == "<=" else -EDGE
        return self._place(self._value)

    # --- hand and keys -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the handle where the mouse is."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = True
            self._move(self._share_of(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it."""
        if self._held:
            self._move(self._share_of(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let it go."""
        if self._held and event.button() == Qt.MouseButton.LeftButton:
            self._held = False
            self.released.emit(self._value)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys nudge, finely with Shift; Delete takes the limit away."""
        step = FINE if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else STEP
        sign = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(event.key()))
        if sign is not None:
            self._keyed = True
            self._move(self._handle_share() + sign * step)
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._value = None
            self.released.emit(None)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """A held key is one gesture."""
        if self._keyed and not event.isAutoRepeat():
            self._keyed = False
            self.released.emit(self._value)
        super().keyReleaseEvent(event)

    def _move(self, share: float) -> None:
        self._value = self._value_at(share)
        self.update()
        self.moved.emit(self._value)

    # --- drawing -----------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars, what can be reached below them, the handle on top."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette, area = self.palette(), self._area()
        inside = palette.color(QPalette.ColorRole.Link)
        inside.setAlphaF(0.75)
        outside = palette.color(QPalette.ColorRole.Mid)
        at = self._handle_share()
        width = area.width() / BINS
        painter.setPen(Qt.PenStyle.NoPen)
        for i, share in enumerate(self._bars):
            middle = (i + 0.5) / BINS
            kept = middle <= at if self._side == "<=" else middle >= at
            painter.setBrush(inside if kept else outside)
            height = float(share) * area.height()
            if height > 0:
                painter.drawRect(
                    QRectF(area.left() + i * width, area.bottom() - height, width * 0.85, height)
                )
        self._paint_reach(painter, area)
        self._paint_handle(painter, area, at)
        painter.end()

    def _paint_reach(self, painter: QPainter, area: QRectF) -> None:
        if self._reach is None:
            return
        colour = self.palette().color(QPalette.ColorRole.Dark)
        painter.setPen(QPen(colour, 2))
        y = area.bottom() + 4
        left, right = (area.left() + self._place(v) * area.width() for v in self._reach)
        painter.drawLine(QPointF(left, y), QPointF(max(right, left + 2), y))

    def _paint_handle(self, painter: QPainter, area: QRectF, at: float) -> None:
        x = area.left() + at * area.width()
        colour = QColor(self.palette().color(QPalette.ColorRole.BrightText))
        painter.setPen(QPen(colour, 2.5 if self.hasFocus() or self._held else 1.5))
        painter.drawLine(QPointF(x, 0), QPointF(x, area.bottom() + 2))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(
            QPolygonF(
                [
                    QPointF(x, area.bottom() - 1),
                    QPointF(x - 5, area.bottom() + 7),
                    QPointF(x + 5, area.bottom() + 7),
                ]
            )
        )
