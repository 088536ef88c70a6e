"""Where things are on the picture: view coordinates to pixels and back, and layers drawn there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPolygonF
from PySide6.QtWidgets import QGraphicsObject

from core.arrays import Floats
from gui.plot.scene import Axis


def view_coordinates(column: Floats, axis: Axis) -> Floats:
    """The column on the axis' scale; -inf (nowhere) where it is unknown or the scale has no place."""
    with np.errstate(divide="ignore", invalid="ignore"):
        placed = np.log10(column) if axis.log else np.array(column, dtype=np.float64)
    placed[~np.isfinite(placed)] = -np.inf
    return placed


@dataclass(frozen=True, slots=True)
class Plane:
    """The visible range of view coordinates over a rectangle of pixels (y down)."""

    left: float
    right: float
    bottom: float
    top: float
    width: float
    height: float

    def px(self, u: Any) -> Any:
        """Horizontal pixel of a view coordinate; numbers or arrays."""
        return (u - self.left) * (self.width / (self.right - self.left))

    def py(self, v: Any) -> Any:
        """Vertical pixel of a view coordinate; numbers or arrays."""
        return (self.top - v) * (self.height / (self.top - self.bottom))

    def u(self, px: float) -> float:
        """View coordinate of a horizontal pixel."""
        return self.left + px / self.width * (self.right - self.left)

    def v(self, py: float) -> float:
        """View coordinate of a vertical pixel."""
        return self.top - py / self.height * (self.top - self.bottom)

    def polygon(self, u: Floats, v: Floats) -> QPolygonF:
        """An area to fill as pixels, cut at the picture's edge (SVG knows no clipping)."""
        x = np.clip(self.px(u), 0, self.width)
        y = np.clip(self.py(v), 0, self.height)
        return QPolygonF([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])

    def steps(self, u: Floats, v: Floats) -> list[QLineF]:
        """A staircase as the pieces of its steps that are on the picture."""
        # on whole pixels, so that every step is as wide as the next
        x, y = np.rint(self.px(u)), np.rint(self.py(v))
        a, b = np.clip(x, 0, self.width), np.clip(y, 0, self.height)
        upright = x[1:] == x[:-1]
        # a step whose fixed coordinate is off the picture would be drawn along the edge
        on = np.where(upright, a[1:] == x[1:], b[1:] == y[1:])
        on &= (a[1:] != a[:-1]) | (b[1:] != b[:-1])
        return [QLineF(a[i], b[i], a[i + 1], b[i + 1]) for i in np.flatnonzero(on).tolist()]

    def shows(self, x: float, y: float) -> bool:
        """Whether a pixel is on the picture."""
        return 0 <= x <= self.width and 0 <= y <= self.height


def plane_of(view: pg.ViewBox) -> Plane:
    """The plane that a view box shows now."""
    (left, right), (bottom, top) = view.viewRange()
    rect = view.rect()
    return Plane(left, right, bottom, top, max(1.0, rect.width()), max(1.0, rect.height()))


class Layer(QGraphicsObject):
    """Something drawn over the whole plot area in its pixels, e.g. the cloud or the front."""

    def __init__(self, view: pg.ViewBox, z: float) -> None:
        super().__init__(view)
        self.view = view
        self.magnify = 1.0  # image pixels for one pixel of the picture; more for an export
        self.setZValue(z)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        view.sigResized.connect(self._on_resized)
        view.sigRangeChanged.connect(self._on_range)

    def boundingRect(self) -> QRectF:
        """The plot area."""
        return QRectF(self.view.rect())

    def set_magnify(self, factor: float) -> None:
        """Paint for an export of so many image pixels to a pixel; 1 for the screen."""
        self.magnify = factor
        self.update()

    def _on_resized(self) -> None:
        self.prepareGeometryChange()
        self.update()

    def _on_range(self) -> None:
        self.update()

    def _device_scale(self) -> float:
        scene = self.scene()
        views = scene.views() if scene is not None else []
        return float(views[0].devicePixelRatioF()) if views else 1.0
