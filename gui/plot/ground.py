"""The layers below everything: forbidden sides, grid, and the cloud of candidates."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, QTimer
from PySide6.QtGui import (
    QColor,
    QPainter,
    QPen,
)

from core.arrays import Bools, Floats, Indices
from gui.plot.axis import QuantityAxis
from gui.plot.limit_line import LimitLine
from gui.plot.plane import Layer, plane_of
from gui.plot.raster import CloudRaster, View
from gui.plot.scene import Colours

# with more points than this a pan shows the old image, moved, until the mouse rests
RESTING = 400_000


class GridLayer(Layer):
    """Thin lines at the ticks of both axes."""

    def __init__(self, view: pg.ViewBox, bottom: QuantityAxis, left: QuantityAxis) -> None:
        super().__init__(view, -100)
        self.axes = (bottom, left)
        self.colour = QColor()

    def paint(self, p: QPainter, *_: Any) -> None:
        """The lines."""
        plane = plane_of(self.view)
        p.setPen(QPen(self.colour, 1))
        lines = [
            QLineF(x, 0, x, plane.height) for x in (plane.px(at) for at, _ in self.axes[0].ticks)
        ]
        lines += [
            QLineF(0, y, plane.width, y) for y in (plane.py(at) for at, _ in self.axes[1].ticks)
        ]
        p.drawLines(lines)


class ForbiddenLayer(Layer):
    """The side that each limit excludes, below everything: a solid tint costs less than a translucent one."""

    def __init__(self, view: pg.ViewBox, lines: Mapping[Hashable, LimitLine]) -> None:
        super().__init__(view, -110)
        self.colour = QColor()
        self.lines = lines

    def set_colours(self, colours: Colours) -> None:
        """Mix the limits' colour with the background's."""
        limit, ground = QColor(colours.limit), QColor(colours.background)
        mixed = [
            round(0.07 * a + 0.93 * b)
            for a, b in zip(limit.getRgb()[:3], ground.getRgb()[:3], strict=True)  # type: ignore[index]
        ]
        self.colour = QColor(*mixed)
        self.update()

    def paint(self, p: QPainter, *_: Any) -> None:
        """One rectangle per limit."""
        plane = plane_of(self.view)
        for line in self.lines.values():
            p.fillRect(line.forbidden(plane), self.colour)


class CloudLayer(Layer):
    """All candidates as one image; see `gui.plot.raster`."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, -50)
        self.raster = CloudRaster()
        self.u: Floats = np.empty(0)
        self.v: Floats = np.empty(0)
        self.outside: Bools | None = None
        self._image: Any = None
        self._mask: Bools | None = None
        self._drag: tuple[Indices, int] | None = None
        self._rest = QTimer(self, singleShot=True, interval=60)
        self._rest.timeout.connect(self._place_and_draw)
        self._stale = True

    def set_points(self, u: Floats, v: Floats, outside: Bools | None) -> None:
        """Set other points."""
        self.u, self.v, self.outside = u, v, outside
        self._mask, self._drag = None, None
        self.mark_stale()

    def set_feasible(self, mask: Bools | None) -> None:
        """Set which points are feasible."""
        self._mask, self._drag = mask, None
        if not self._stale:
            self.raster.set_feasible(mask)
            self._redraw()

    def follow(self, order: Indices, position: int) -> None:
        """A limit begins to move; see `CloudRaster.follow`."""
        self._drag = (order, position)
        if self._stale:
            self.place()
        else:
            self.raster.follow(order, position)
        self._redraw()

    def move(self, position: int) -> None:
        """The limit moved."""
        assert self._drag is not None
        self._drag = (self._drag[0], position)
        if self.raster.move(position):
            self._redraw()

    def set_colours(self, table: Any) -> None:
        """Set other colours or strengths."""
        self.raster.set_colours(table)
        self._redraw()

    def mark_stale(self) -> None:
        """The image no longer fits; it is made again before it is next painted."""
        self._stale = True
        self._image = None
        self.update()

    def set_magnify(self, factor: float, *, in_file: bool) -> None:
        """Another resolution: the image is made again."""
        super().set_magnify(factor, in_file=in_file)
        self.mark_stale()

    def place(self) -> None:
        """Find every point's pixel for the present view."""
        plane = plane_of(self.view)
        scale = self.magnify * self._device_scale()
        width, height = max(2, round(plane.width * scale)), max(2, round(plane.height * scale))
        view = View(plane.left, plane.right, plane.bottom, plane.top, width, height)
        self.raster.place(self.u, self.v, view, self.outside, self._dot(scale))
        if self._drag is not None:
            self.raster.follow(*self._drag)
        elif self._mask is not None:
            self.raster.set_feasible(self._mask)
        self._stale = False
        self._image = None

    def paint(self, p: QPainter, *_: Any) -> None:
        """The image, moved and stretched if the view has changed since it was made."""
        if len(self.u) == 0:
            return
        if self._stale and (self.raster.view is None or not self._rest.isActive()):
            self.place()
        if self._image is None:
            self._image = self.raster.image()
        made = self.raster.view
        assert made is not None
        plane = plane_of(self.view)
        share = self._image.width() / made.width
        target = QRectF(
            QPointF(plane.px(made.left), plane.py(made.top)),
            QPointF(plane.px(made.right) * share, plane.py(made.bottom)),
        )
        exact = self.magnify == 1.0 and self._device_scale() == 1.0 and not self._stale
        if exact:
            p.drawImage(QPointF(0, 0), self._image)
        else:
            p.drawImage(target, self._image)

    def _dot(self, scale: float) -> int:
        """Wider dots where there are few, so that each can be seen."""
        n = len(self.u)
        size = 5 if n <= 2_000 else 4 if n <= 10_000 else 3 if n <= 100_000 else 2
        return round(size * scale)

    def _redraw(self) -> None:
        self._image = None
        self.update()

    def _place_and_draw(self) -> None:
        self.place()
        self.update()

    def _on_resized(self) -> None:
        super()._on_resized()
        self._stale = True

    def _on_range(self) -> None:
        self._stale = True
        if len(self.u) > RESTING and self._image is not None:
            self._rest.start()
        super()._on_range()
