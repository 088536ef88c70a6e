"""Many small things at once: marks painted once and stamped, and lines drawn from one array."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from pyqtgraph.Qt.internals import PrimitiveArray
from PySide6.QtCore import QLineF, QPointF, Qt
from PySide6.QtGui import QPainter, QPixmap

from core.arrays import Floats, Indices

# paints one mark at a place
PaintMark = Callable[[QPainter, QPointF], None]


class Stamps:
    """Kinds of marks as images: stamping one costs a fraction of painting it smoothly each time."""

    def __init__(self, paints: Sequence[PaintMark], half: float, scale: float) -> None:
        """Each mark reaches `half` pixels to each side; there are `scale` device pixels per pixel."""
        # an even size, so that the mark's middle is the image's
        self._size = 2 * math.ceil(half * scale)
        self._scale = scale
        self._strip = QPixmap(self._size * len(paints), self._size)
        self._strip.fill(Qt.GlobalColor.transparent)
        painter = QPainter(self._strip)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(scale, scale)
        middle = self._size / 2 / scale
        for i, paint in enumerate(paints):
            paint(painter, QPointF(middle * (2 * i + 1), middle))
        painter.end()

    def draw(self, p: QPainter, which: Indices, x: Floats, y: Floats) -> None:
        """Stamp marks (n,) of the given kinds at the given pixels, in this order."""
        fragments = PrimitiveArray(QPainter.PixmapFragment, 10)
        fragments.resize(len(x))
        # middle x, y; source left, top, width, height; scale x, y; rotation; opacity
        rows = fragments.ndarray()
        rows[:] = (0, 0, 0, 0, self._size, self._size, 1 / self._scale, 1 / self._scale, 0, 1)
        rows[:, 0], rows[:, 1], rows[:, 2] = x, y, which * self._size
        p.drawPixmapFragments(*fragments.drawargs(), self._strip)  # type: ignore[call-arg]


def paint_each(
    p: QPainter, paints: Sequence[PaintMark], which: Indices, x: Floats, y: Floats
) -> None:
    """The same marks one by one and smoothly, for a file."""
    p.setRenderHint(QPainter.RenderHint.Antialiasing)
    for kind, a, b in zip(which.tolist(), x.tolist(), y.tolist(), strict=True):
        paints[kind](p, QPointF(a, b))


def draw_lines(p: QPainter, ends: NDArray[np.float64]) -> None:
    """Draw lines given as x1, y1, x2, y2 in pixels, (n, 4)."""
    lines = PrimitiveArray(QLineF, 4)
    lines.resize(len(ends))
    lines.ndarray()[:] = ends
    p.drawLines(*lines.drawargs())
