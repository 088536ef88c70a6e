"""Marks of published illustrations: hollow triangles that point down, like nothing measured or predicted."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from core.arrays import Floats
from gui.plot.plane import StillLayer, plane_of, view_coordinates
from gui.plot.scene import Axis, Colours, Illustrated
from gui.plot.stamps import Stamps, paint_each

# more marks than this could not be seen apart
MOST_MARKS = 5_000


class IllustratedLayer(StillLayer):
    """The illustrated candidates that would be on the front if they counted. They stay as they are
    while a limit moves."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 18)
        self.colours: Colours | None = None
        self.large = False
        self._u: Floats = np.empty(0)
        self._v: Floats = np.empty(0)

    def set_points(self, points: Illustrated | None, x_axis: Axis, y_axis: Axis) -> None:
        """Set other points or axes."""
        if points is None:
            self._u = self._v = np.empty(0)
        else:
            self._u = view_coordinates(points.x, x_axis)[:MOST_MARKS]
            self._v = view_coordinates(points.y, y_axis)[:MOST_MARKS]
        self.update()

    @property
    def is_empty(self) -> bool:
        """Whether there is none."""
        return self.colours is None or not len(self._u)

    def draw(self, p: QPainter) -> None:
        """One triangle for each."""
        assert self.colours is not None
        plane = plane_of(self.view)
        x, y = plane.px(self._u), plane.py(self._v)
        seen = (x >= 0) & (x <= plane.width) & (y >= 0) & (y <= plane.height)
        radius = 7.0 if self.large else 5.0
        line, ground = QColor(self.colours.front), QColor(self.colours.background)
        paints = [partial(paint_illustrated, radius=radius, line=line, ground=ground)]
        which = np.zeros(int(seen.sum()), np.intp)
        if self.in_file:
            paint_each(p, paints, which, x[seen], y[seen])
        else:
            Stamps(paints, radius + 2, self._device_scale()).draw(p, which, x[seen], y[seen])


def paint_illustrated(
    p: QPainter, at: QPointF, radius: float, line: QColor, ground: QColor
) -> None:
    """Paint one triangle, hollow."""
    p.setPen(QPen(line, 1.6))
    p.setBrush(ground)
    wide, high = radius * 0.95, radius * 0.55
    p.drawPolygon(
        QPolygonF(
            [
                QPointF(at.x(), at.y() + radius),
                QPointF(at.x() + wide, at.y() - high),
                QPointF(at.x() - wide, at.y() - high),
            ]
        )
    )
