"""The top layers: measured points with their intervals, and what the user points at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPen,
    QPolygonF,
)

from core.arrays import Bools, Floats
from gui.plot.plane import Layer, Plane, StillLayer, plane_of, view_coordinates
from gui.plot.scene import Axis, Colours, Measured, Scene
from gui.plot.stamps import Stamps, draw_lines, paint_each

# more marks than this could not be seen apart, and would be slow
MOST_MARKS = 5_000


class MarksLayer(StillLayer):
    """Measured points with their intervals. They stay as they are while a limit moves."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 30)
        self.colours: Colours | None = None
        self.large = False
        self._u: Floats = np.empty(0)
        self._v: Floats = np.empty(0)
        self._real: Bools = np.empty(0, dtype=bool)
        self._bars: list[tuple[Floats, Floats, bool]] = []

    def __len__(self) -> int:
        """How many points there are to mark, in view or not."""
        return len(self._u)

    def set_measured(self, measured: Measured | None, x_axis: Axis, y_axis: Axis) -> None:
        """Set other measured points or axes."""
        self._bars = []
        if measured is None:
            self._u = self._v = np.empty(0)
            self._real = np.empty(0, dtype=bool)
        else:
            self._u = view_coordinates(measured.x, x_axis)[:MOST_MARKS]
            self._v = view_coordinates(measured.y, y_axis)[:MOST_MARKS]
            none = np.zeros(len(measured.x), dtype=bool)
            self._real = (none if measured.real is None else measured.real)[:MOST_MARKS]
            for interval, axis, across in (
                (measured.x_interval, x_axis, True),
                (measured.y_interval, y_axis, False),
            ):
                if interval is not None:
                    low, high = (view_coordinates(end, axis)[:MOST_MARKS] for end in interval)
                    self._bars.append((low, high, across))
        self.update()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured."""
        return self.colours is None or not len(self)

    def draw(self, p: QPainter) -> None:
        """Bars below, marks above; real models are triangles."""
        assert self.colours is not None
        plane = plane_of(self.view)
        x, y = plane.px(self._u), plane.py(self._v)
        seen = (x >= 0) & (x <= plane.width) & (y >= 0) & (y <= plane.height)
        p.setPen(QPen(QColor(self.colours.measured), 1.2))
        draw_lines(p, self.bar_lines(plane, x, y, seen))
        paints = (self._paint_dot, self._paint_triangle)
        which = self._real.astype(np.intp)[seen]
        if self.in_file:
            paint_each(p, paints, which, x[seen], y[seen])
        else:
            stamps = Stamps(paints, 1.5 * self._radius + 2, self._device_scale())
            stamps.draw(p, which, x[seen], y[seen])

    def boxes(self, plane: Plane) -> list[QRectF]:
        """Where the marks are, for labels to keep clear of."""
        x, y = plane.px(self._u).tolist(), plane.py(self._v).tolist()
        return [
            QRectF(a - 5, b - 5, 10, 10) for a, b in zip(x, y, strict=True) if plane.shows(a, b)
        ]

    def bar_lines(self, plane: Plane, x: Floats, y: Floats, seen: Bools) -> NDArray[np.float64]:
        """The intervals of the marks that are `seen`, with their end strokes: x1, y1, x2, y2 of each
        line, cut at the picture's edge."""
        lines = [np.empty((0, 4))]
        for low, high, across in self._bars:
            known = seen & np.isfinite(low) & np.isfinite(high)
            at, place, length = (
                (y, plane.px, plane.width) if across else (x, plane.py, plane.height)
            )
            a, b = (np.clip(place(end[known]), 0, length) for end in (low, high))
            at = at[known]
            # along the bar and across it
            for along, beside in (
                ((a, b), (at, at)),
                ((a, a), (at - 3, at + 3)),
                ((b, b), (at - 3, at + 3)),
            ):
                ends = (along[0], beside[0], along[1], beside[1])
                lines.append(np.column_stack(ends if across else _turned(ends)))
        return np.concatenate(lines)

    @property
    def _radius(self) -> float:
        return 6.5 if self.large else 4.6

    def _ink(self, p: QPainter) -> None:
        assert self.colours is not None
        p.setPen(QPen(QColor(self.colours.background), 1.2))
        p.setBrush(QColor(self.colours.measured))

    def _paint_dot(self, p: QPainter, at: QPointF) -> None:
        self._ink(p)
        p.drawEllipse(at, self._radius, self._radius)

    def _paint_triangle(self, p: QPainter, at: QPointF) -> None:
        self._ink(p)
        p.drawPolygon(triangle(at.x(), at.y(), 1.35 * self._radius))


def _turned(ends: tuple[Floats, Floats, Floats, Floats]) -> tuple[Floats, ...]:
    return ends[1], ends[0], ends[3], ends[2]


def triangle(x: float, y: float, radius: float) -> QPolygonF:
    """The mark of a real model: a triangle that points up."""
    wide, low = radius * 0.866, radius * 0.5
    return QPolygonF(
        [QPointF(x, y - radius), QPointF(x + wide, y + low), QPointF(x - wide, y + low)]
    )


class ChosenLayer(Layer):
    """Rings around the selected point, the pins and the baseline, a star on the best, and the point
    under the mouse."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 60)
        self.scene_shown: Scene | None = None
        self.u: Floats = np.empty(0)
        self.v: Floats = np.empty(0)
        self.best: int | None = None
        self.hovered: tuple[float, float] | None = None
        self.font = QFont()

    def paint(self, p: QPainter, *_: Any) -> None:
        """The rings."""
        scene = self.scene_shown
        if scene is None:
            return
        plane = plane_of(self.view)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        text = QColor(scene.colours.selected)
        p.setBrush(Qt.BrushStyle.NoBrush)
        grow = 1.5 if scene.large else 1.0
        for number, index in enumerate(scene.pinned, start=1):
            self._ring(p, plane, index, 8 * grow, QPen(QColor(scene.colours.front), 1.8), number)
        if scene.baseline is not None:
            dashed = QPen(text, 1.8, Qt.PenStyle.DotLine)
            self._ring(p, plane, scene.baseline, 11 * grow, dashed)
        if self.best is not None:
            self._star(p, plane, self.best, scene.colours, grow)
        if scene.selected is not None:
            self._ring(p, plane, scene.selected, 9.5 * grow, QPen(text, 2.4))
        if self.hovered is not None:
            x, y = plane.px(self.hovered[0]), plane.py(self.hovered[1])
            p.setBrush(Qt.BrushStyle.NoBrush)
            p.setPen(QPen(text, 1.4))
            p.drawEllipse(QPointF(x, y), 6.5, 6.5)

    def _ring(
        self, p: QPainter, plane: Plane, index: int, radius: float, pen: QPen, number: int = 0
    ) -> None:
        at = self._pixel(plane, index)
        if at is None:
            return
        p.setBrush(Qt.BrushStyle.NoBrush)
        halo = QPen(pen)
        halo.setColor(QColor(self.scene_shown.colours.background))  # type: ignore[union-attr]
        halo.setStyle(Qt.PenStyle.SolidLine)
        halo.setWidthF(pen.widthF() + 2)
        for one in (halo, pen):
            p.setPen(one)
            p.drawEllipse(at, radius, radius)
        if number:
            self._badge(p, QPointF(at.x() + radius, at.y() - radius), str(number), pen.color())

    def _badge(self, p: QPainter, at: QPointF, text: str, colour: QColor) -> None:
        assert self.scene_shown is not None
        p.setFont(self.font)
        high = QFontMetricsF(self.font).height()
        box = QRectF(at.x() - high / 2 + 2, at.y() - high / 2 - 2, high, high)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(colour)
        p.drawEllipse(box)
        p.setPen(QColor(self.scene_shown.colours.background))
        p.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _star(self, p: QPainter, plane: Plane, index: int, colours: Colours, grow: float) -> None:
        at = self._pixel(plane, index)
        if at is None:
            return
        turns = np.pi * (np.arange(10) / 5 - 0.5)
        radii = np.where(np.arange(10) % 2 == 0, 9.5, 4.2) * grow
        star = QPolygonF(
            [
                QPointF(at.x() + r * np.cos(t), at.y() + r * np.sin(t))
                for r, t in zip(radii, turns, strict=True)
            ]
        )
        p.setPen(QPen(QColor(colours.background), 1.4))
        p.setBrush(QBrush(QColor(colours.limit)))
        p.drawPolygon(star)

    def _pixel(self, plane: Plane, index: int) -> QPointF | None:
        if not 0 <= index < len(self.u):
            return None
        u, v = float(self.u[index]), float(self.v[index])
        if not (np.isfinite(u) and np.isfinite(v)):
            return None
        return QPointF(plane.px(u), plane.py(v))
