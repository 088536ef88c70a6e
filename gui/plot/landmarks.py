"""Models as labelled marks whose labels never cover each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from gui.plot.plane import Plane, StillLayer, plane_of, view_coordinates
from gui.plot.scene import Axis, Colours, Landmark

MARK = 5.0
# tried in this order: near before far, right before left
REACHES = (9.0, 22.0, 40.0)
DIRECTIONS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1))


def placed_labels(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    width: float,
    height: float,
    taken: Sequence[QRectF] = (),
) -> list[QRectF | None]:
    """A rectangle for each label near its anchor, inside the picture, covering no other label, no
    anchor and nothing `taken`; None where it does not fit."""
    used = [(b.left(), b.top(), b.right(), b.bottom()) for b in taken]
    used += [(x - MARK, y - MARK, x + MARK, y + MARK) for x, y in anchors]
    placed: list[QRectF | None] = []
    for (x, y), (w, h) in zip(anchors, sizes, strict=True):
        walls = np.array(used).reshape(-1, 4)
        found = None
        for reach, (dx, dy) in itertools.product(REACHES, DIRECTIONS):
            left, top = x + dx * (reach + w / 2) - w / 2, y + dy * (reach + h / 2) - h / 2
            right, bottom = left + w, top + h
            if left < 0 or top < 0 or right > width or bottom > height:
                continue
            covers = (walls[:, 0] < right) & (walls[:, 2] > left)
            covers &= (walls[:, 1] < bottom) & (walls[:, 3] > top)
            if not covers.any():
                found = QRectF(left, top, w, h)
                used.append((left, top, right, bottom))
                break
        placed.append(found)
    return placed


class LandmarkLayer(StillLayer):
    """The marks of published models (diamonds; hollow: predicted by a law) and all labels.

    A thin line leads to a label that is not beside its mark.

    A model measured here has its mark among the measured ones; its label is in their colour.
    """

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 40)
        self.colours: Colours | None = None
        self.font = QFont()
        self.landmarks: tuple[Landmark, ...] = ()
        self.taken: Callable[[Plane], Sequence[QRectF]] = lambda _: ()
        self._at: list[tuple[float, float]] = []
        self._placed: tuple[Plane, list[QRectF | None]] | None = None

    def replace_labels(self) -> None:
        """Place the labels again, since what they must keep clear of has changed.

        While a limit moves they stay: labels that jump would be worse than one that covers something."""
        self._placed = None
        self.update()

    def set_landmarks(self, landmarks: tuple[Landmark, ...], x_axis: Axis, y_axis: Axis) -> None:
        """Set other landmarks or axes."""
        u = view_coordinates(np.array([m.x for m in landmarks], dtype=np.float64), x_axis)
        v = view_coordinates(np.array([m.y for m in landmarks], dtype=np.float64), y_axis)
        known = np.isfinite(u) & np.isfinite(v)
        self.landmarks = tuple(m for m, k in zip(landmarks, known, strict=True) if k)
        self._at = list(zip(u[known].tolist(), v[known].tolist(), strict=True))
        self.replace_labels()

    @property
    def is_empty(self) -> bool:
        """Whether there are no landmarks on these axes."""
        return self.colours is None or not self.landmarks

    def draw(self, p: QPainter) -> None:
        """Marks that are in view, with their labels."""
        assert self.colours is not None
        plane = plane_of(self.view)
        shown = [
            (plane.px(u), plane.py(v), m)
            for (u, v), m in zip(self._at, self.landmarks, strict=True)
            if plane.shows(plane.px(u), plane.py(v))
        ]
        if self._placed is None or self._placed[0] != plane:
            metrics = QFontMetricsF(self.font)
            anchors = [(x, y) for x, y, _ in shown]
            sizes = [(metrics.horizontalAdvance(m.text) + 6, metrics.height()) for _, _, m in shown]
            boxes = placed_labels(anchors, sizes, plane.width, plane.height, self.taken(plane))
            self._placed = (plane, boxes)
        boxes = self._placed[1]
        halo = QColor(self.colours.background)
        halo.setAlphaF(0.82)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setFont(self.font)
        for (x, y, mark), box in zip(shown, boxes, strict=True):
            colour = QColor(self.colours.measured if mark.measured else self.colours.landmark)
            if box is not None:
                near = QPointF(
                    min(max(x, box.left()), box.right()), min(max(y, box.top()), box.bottom())
                )
                line = QLineF(QPointF(x, y), near)
                if line.length() > 14:
                    p.setPen(QPen(colour, 0.8))
                    p.drawLine(line)
                p.setPen(Qt.PenStyle.NoPen)
                p.setBrush(halo)
                p.drawRoundedRect(box, 3, 3)
                p.setPen(colour)
                p.drawText(box, Qt.AlignmentFlag.AlignCenter, mark.text)
            if mark.measured:
                continue
            ground = QColor(self.colours.background)
            p.setPen(QPen(colour, 1.8) if mark.predicted else QPen(ground, 1.2))
            p.setBrush(ground if mark.predicted else colour)
            reach = MARK + 1
            p.drawPolygon(
                QPolygonF(
                    [
                        QPointF(x + dx * reach, y + dy * reach)
                        for dx, dy in ((1, 0), (0, 1), (-1, 0), (0, -1))
                    ]
                )
            )
