"""The front as a thick staircase, the band along it, and the fronts of other projects."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QPainter,
    QPen,
)

from core.arrays import Bools, Floats, Indices
from core.pareto.front import staircase, steps_along
from gui.plot.illustrated import paint_illustrated
from gui.plot.plane import Layer, Plane, StillLayer, plane_of, view_coordinates
from gui.plot.scene import ILLUSTRATED, PREDICTED, Axis, Band, Colours, Overlay, Scene
from gui.plot.stamps import Stamps, draw_lines, paint_each

FADED = 0.35
# more marks than this could not be seen apart, and would be slow
MOST_MARKS = 5_000
FEW_MARKS = 40  # up to this many are drawn larger
# a longer front shows only its steps
MOST_STAMPS = 400


class BandLayer(Layer):
    """How far the front may lie, as a band of steps."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, -20)
        self.colour = QColor()
        self.u: Floats = np.empty(0)
        self.low: Floats = np.empty(0)
        self.high: Floats = np.empty(0)

    def set_band(self, band: Band | None, x_axis: Axis, y_axis: Axis) -> None:
        """Set another band, or none."""
        if band is None:
            self.u = np.empty(0)
        else:
            known = np.isfinite(band.x) & np.isfinite(band.low) & np.isfinite(band.high)
            self.u = view_coordinates(band.x[known], x_axis)
            self.low = view_coordinates(band.low[known], y_axis)
            self.high = view_coordinates(band.high[known], y_axis)
        self.update()

    def paint(self, p: QPainter, *_: Any) -> None:
        """The band, if there is one."""
        if len(self.u) < 2:
            return
        plane = plane_of(self.view)
        along = np.repeat(self.u, 2)[1:]
        upper, lower = np.repeat(self.high, 2)[:-1], np.repeat(self.low, 2)[:-1]
        fill = QColor(self.colour)
        fill.setAlphaF(0.16)
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(fill)
        p.drawPolygon(
            plane.polygon(
                np.concatenate([along, along[::-1]]), np.concatenate([upper, lower[::-1]])
            )
        )


class FrontLayer(Layer):
    """The front as a thick staircase, with a mark at every configuration on it."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 20)
        self.scene_shown: Scene | None = None
        self.u: Floats = np.empty(0)
        self.v: Floats = np.empty(0)
        self.filled: Bools = np.empty(0, dtype=bool)
        self.illustrated: Bools = np.empty(0, dtype=bool)
        self.strength: Floats | None = None
        self._steps: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
        self._limits: dict[str, float] = {}
        self._stamps: tuple[tuple[float, Colours, float], Stamps] | None = None

    def set_front(self, scene: Scene, u: Floats, v: Floats, front: Indices) -> None:
        """Set another front, as indices of points in view coordinates."""
        self.scene_shown = scene
        here = front[np.isfinite(u[front]) & np.isfinite(v[front])]
        self.u, self.v = u[here], v[here]
        source = scene.source
        codes = np.full(len(here), PREDICTED) if source is None else source[here]
        self.illustrated = codes == ILLUSTRATED
        self.filled = (codes != PREDICTED) & ~self.illustrated
        self.strength = None if scene.chance is None else scene.chance[here]
        better = (scene.x_axis.better or "lower", scene.y_axis.better or "lower")
        self._steps = steps_along(self.u, self.v, better, self._ends(scene, better))
        self.update()

    def boxes(self, plane: Plane) -> list[QRectF]:
        """Where the line and its marks are, for labels to keep clear of."""
        steps = plane.steps(*self._steps)[:MOST_STAMPS].tolist()
        return [
            QRectF(QPointF(a, b), QPointF(c, d)).normalized().adjusted(-4, -4, 4, 4)
            for a, b, c, d in steps
        ]

    def set_limits(self, limits: dict[str, float]) -> None:
        """Set the limits on the axes ('x<=' and so on, view coordinates); the steps end there."""
        self._limits = limits

    def _ends(self, scene: Scene, better: tuple[str, str]) -> tuple[float, float]:
        """Where the staircase ends: at a limit, else at the edge of the picture."""
        ends = []
        for axis, way in zip("xy", better, strict=True):
            side, far = ("<=", 1e6) if way == "lower" else (">=", -1e6)
            ends.append(self._limits.get(axis + side, far))
        return ends[0], ends[1]

    def paint(self, p: QPainter, *_: Any) -> None:
        """Steps with an outline that sets them off from the cloud, then the marks."""
        scene = self.scene_shown
        if scene is None or len(self.u) == 0 or scene.front_shown == "hidden":
            return
        plane = plane_of(self.view)
        p.setOpacity(FADED if scene.front_shown == "faded" else 1.0)
        lines = plane.steps(*self._steps)
        wide = 4.0 if scene.large else 2.0
        for colour, width in ((scene.colours.background, wide + 2.0), (scene.colours.front, wide)):
            pen = QPen(QColor(colour), width)
            pen.setCapStyle(Qt.PenCapStyle.SquareCap)
            p.setPen(pen)
            draw_lines(p, lines)
        self._paint_marks(p, plane, scene)

    def _paint_marks(self, p: QPainter, plane: Plane, scene: Scene) -> None:
        if len(self.u) > MOST_STAMPS:
            return
        x, y = plane.px(self.u), plane.py(self.v)
        seen = (x >= 0) & (x <= plane.width) & (y >= 0) & (y <= plane.height)
        which, x, y = self._strengths()[seen], x[seen], y[seen]
        radius = 5.0 if scene.large else 3.4
        line, ground = QColor(scene.colours.front), QColor(scene.colours.background)
        paints = [
            partial(_paint_mark, radius=radius, line=line, ground=ground, share=tenth / 10)
            for tenth in range(11)
        ]
        paints.append(partial(paint_illustrated, radius=1.5 * radius, line=line, ground=ground))
        if self.in_file:
            paint_each(p, paints, which, x, y)
            return
        look = (radius, scene.colours, self._device_scale())
        if self._stamps is None or self._stamps[0] != look:
            self._stamps = (look, Stamps(paints, 1.5 * radius + 2, look[2]))
        self._stamps[1].draw(p, which, x, y)

    def _strengths(self) -> Indices:
        """How full each mark is, in tenths: the chance of being on the front where it is known, else
        full where measured and empty where predicted; 11 for a published illustration."""
        share = self.filled.astype(np.float64) if self.strength is None else self.strength
        tenths = np.rint(np.nan_to_num(share) * 10).astype(np.intp)
        return np.where(self.illustrated, 11, tenths)


def _paint_mark(
    p: QPainter, at: QPointF, radius: float, line: QColor, ground: QColor, share: float
) -> None:
    """Paint a mark filled to a share of the line's colour."""
    mixed = (
        round(share * a + (1 - share) * b)
        for a, b in zip(line.getRgb()[:3], ground.getRgb()[:3], strict=True)  # type: ignore[index]
    )
    p.setPen(QPen(line, 1.6))
    p.setBrush(QColor(*mixed))
    p.drawEllipse(at, radius, radius)


class OverlayLayer(StillLayer):
    """Other projects on the same axes: small marks and their own staircase, tagged at its end."""

    def __init__(self, view: pg.ViewBox) -> None:
        # above the measured points, which would hide a few results of another tool
        super().__init__(view, 32)
        self.colours: tuple[QColor, ...] = ()
        self.background = QColor()
        self.font = QFont()
        self._parts: list[tuple[Overlay, Floats, Floats, tuple[Floats, Floats]]] = []

    def set_overlays(self, overlays: tuple[Overlay, ...], x_axis: Axis, y_axis: Axis) -> None:
        """Set other overlays or axes."""
        self._parts = []
        better = (x_axis.better or "lower", y_axis.better or "lower")
        for overlay in overlays:
            u, v = view_coordinates(overlay.x, x_axis), view_coordinates(overlay.y, y_axis)
            known = np.isfinite(u) & np.isfinite(v)
            u, v = u[known], v[known]
            self._parts.append((overlay, u, v, staircase(u, v, better)))
        self.update()

    @property
    def is_empty(self) -> bool:
        """Whether there is no overlay."""
        return not self._parts

    def draw(self, p: QPainter) -> None:
        """Every overlay in its colour; one that is not comparable is dashed and labelled so."""
        plane = plane_of(self.view)
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setFont(self.font)
        for k, (overlay, u, v, steps) in enumerate(self._parts):
            colour = self.colours[k % len(self.colours)]
            pen = QPen(colour, 1.8)
            if not overlay.comparable:
                pen.setStyle(Qt.PenStyle.DashLine)
            p.setPen(pen)
            p.setBrush(Qt.BrushStyle.NoBrush)
            lines = plane.steps(*steps)
            draw_lines(p, lines)
            # an opaque fill makes the frame visible on the cloud
            p.setBrush(self.background)
            half = 2.5 if len(u) > FEW_MARKS else 4.0
            for x, y in zip(plane.px(u[:MOST_MARKS]), plane.py(v[:MOST_MARKS]), strict=True):
                if plane.shows(x, y):
                    p.drawRect(QRectF(x - half, y - half, 2 * half, 2 * half))
            p.setBrush(Qt.BrushStyle.NoBrush)
            if len(lines):
                self._paint_tag(p, plane, overlay, QPointF(*lines[len(lines) // 3, 2:]))
            elif len(u):
                # a single result has no steps to hang its tag on
                self._paint_tag(p, plane, overlay, QPointF(plane.px(u[0]), plane.py(v[0])))

    def _paint_tag(self, p: QPainter, plane: Plane, overlay: Overlay, at: QPointF) -> None:
        tag = overlay.tag + ("" if overlay.comparable else " (not comparable)")
        metrics = QFontMetricsF(self.font)
        wide, high = metrics.horizontalAdvance(tag) + 8, metrics.height() + 2
        x = min(max(2.0, at.x() + 6), plane.width - wide - 2)
        box = QRectF(x, min(max(2.0, at.y() - high - 4), plane.height - high - 2), wide, high)
        halo = QColor(self.background)
        halo.setAlphaF(0.82)
        pen = p.pen()
        p.setPen(Qt.PenStyle.NoPen)
        p.setBrush(halo)
        p.drawRoundedRect(box, 3, 3)
        p.setPen(pen)
        p.setBrush(Qt.BrushStyle.NoBrush)
        p.drawText(box, Qt.AlignmentFlag.AlignCenter, tag)
