"""Where things are on the picture: view coordinates to pixels and back, and layers drawn there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QPainter, QPainterPath, QPolygonF
from PySide6.QtWidgets import QGraphicsObject

from core.arrays import Floats
from gui.plot.scene import Axis


def view_coordinates(column: Floats, axis: Axis) -> Floats:
    """The column on the axis' scale; -inf (nowhere) where it is unknown or the scale has no place for it."""
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
        """An area to fill as pixels, cut at the picture's edge (SVG files are not clipped)."""
        x = np.clip(self.px(u), 0, self.width)
        y = np.clip(self.py(v), 0, self.height)
        return QPolygonF([QPointF(a, b) for a, b in zip(x.tolist(), y.tolist(), strict=True)])

    def steps(self, u: Floats, v: Floats) -> NDArray[np.float64]:
        """A staircase as the pieces of its steps that are on the picture: x1, y1, x2, y2 of each."""
        # on whole pixels, so that all steps are equally wide
        x, y = np.rint(self.px(u)), np.rint(self.py(v))
        a, b = np.clip(x, 0, self.width), np.clip(y, 0, self.height)
        upright = x[1:] == x[:-1]
        # a step whose fixed coordinate is off the picture would be drawn along the edge
        on = np.where(upright, a[1:] == x[1:], b[1:] == y[1:])
        on &= (a[1:] != a[:-1]) | (b[1:] != b[:-1])
        pieces: NDArray[np.float64] = np.column_stack([a[:-1], b[:-1], a[1:], b[1:]])[on]
        return pieces

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
        self._rect = QRectF(view.rect())
        self.in_file = False  # painted for a file: lines and marks stay vectors
        self.magnify = 1.0  # image pixels for one pixel of the picture; more for an export
        self.setZValue(z)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        view.sigResized.connect(self._on_resized)
        view.sigRangeChanged.connect(self._on_range)

    def boundingRect(self) -> QRectF:
        """The plot area."""
        # Qt calls this dozens of times per frame
        return self._rect

    def shape(self) -> QPainterPath:
        """Empty, so that the mouse is never on it and it costs nothing at every move."""
        return QPainterPath()

    def set_magnify(self, factor: float, *, in_file: bool) -> None:
        """Paint for a file with `factor` image pixels per pixel, or (1) for the screen again."""
        self.magnify, self.in_file = factor, in_file
        self.update()

    def _on_resized(self) -> None:
        self.prepareGeometryChange()
        self._rect = QRectF(self.view.rect())
        self.update()

    def _on_range(self) -> None:
        self.update()

    def _device_scale(self) -> float:
        scene = self.scene()
        views = scene.views() if scene is not None else []
        return float(views[0].devicePixelRatioF()) if views else 1.0


class StillLayer(Layer):
    """A layer that a moving limit does not change: it is painted once and shown as an image until
    the next `update`. Subclasses paint in `draw`."""

    def __init__(self, view: pg.ViewBox, z: float) -> None:
        self._kept: tuple[Plane, QImage] | None = None
        super().__init__(view, z)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return False

    def draw(self, p: QPainter) -> None:
        """Paint what the layer shows, in pixels of the plot area."""
        raise NotImplementedError

    def update(self, *area: Any) -> None:
        """Paint it again."""
        self._kept = None
        super().update(*area)

    def paint(self, p: QPainter, *_: Any) -> None:
        """The image, made again where needed; for a file the layer itself."""
        if self.is_empty:
            return
        if self.in_file:
            self.draw(p)
            return
        plane, scale = plane_of(self.view), self._device_scale()
        kept = self._kept
        if kept is None or kept[0] != plane or kept[1].devicePixelRatio() != scale:
            kept = self._kept = (plane, self._made(plane, scale))
        p.drawImage(QPointF(0, 0), kept[1])

    def _made(self, plane: Plane, scale: float) -> QImage:
        image = QImage(
            math.ceil(plane.width * scale),
            math.ceil(plane.height * scale),
            QImage.Format.Format_ARGB32_Premultiplied,
        )
        image.setDevicePixelRatio(scale)
        image.fill(Qt.GlobalColor.transparent)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.TextAntialiasing)
        self.draw(painter)
        painter.end()
        return image
