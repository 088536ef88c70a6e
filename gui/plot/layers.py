"""The layers of the picture below and on the front: grid, cloud, band, overlays, front, marks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt, QTimer
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QPainter, QPen, QPolygonF

from core.front import Bools, Indices, staircase
from core.records import Floats
from gui.plot.axis import QuantityAxis
from gui.plot.plane import Layer, Plane, plane_of, view_coordinates
from gui.plot.raster import CloudRaster, View
from gui.plot.scene import PREDICTED, Axis, Band, Colours, Measured, Overlay, Scene

# with more points than this a pan shows the old image moved until the hand rests
RESTING = 400_000
# more marks than this would be a smear, and slow
MOST_MARKS = 5_000
FADED = 0.35


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


class CloudLayer(Layer):
    """All candidates as one image; see `gui.plot.raster`."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, -50)
        self.raster = CloudRaster()
        self.u: Floats = np.empty(0)
        self.v: Floats = np.empty(0)
        self.outside: Bools | None = None
        self.magnify = 1.0  # image pixels for one pixel of the picture; more for an export
        self._image: Any = None
        self._mask: Bools | None = None
        self._drag: tuple[Indices, int] | None = None
        self._rest = QTimer(self, singleShot=True, interval=60)
        self._rest.timeout.connect(self._place_and_draw)
        self._stale = True

    def set_points(self, u: Floats, v: Floats, outside: Bools | None) -> None:
        """Other points."""
        self.u, self.v, self.outside = u, v, outside
        self._mask, self._drag = None, None
        self.mark_stale()

    def set_feasible(self, mask: Bools | None) -> None:
        """Other limits."""
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
        """Other colours or strengths."""
        self.raster.set_colours(table)
        self._redraw()

    def mark_stale(self) -> None:
        """The image no longer fits; it is made again before it is next painted."""
        self._stale = True
        self._image = None
        self.update()

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
        """The image, moved and stretched if the view has left it behind."""
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

    def _device_scale(self) -> float:
        scene = self.scene()
        views = scene.views() if scene is not None else []
        return float(views[0].devicePixelRatioF()) if views else 1.0

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


class BandLayer(Layer):
    """How far the front may lie, as a band of steps."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, -20)
        self.colour = QColor()
        self.u: Floats = np.empty(0)
        self.low: Floats = np.empty(0)
        self.high: Floats = np.empty(0)

    def set_band(self, band: Band | None, x_axis: Axis, y_axis: Axis) -> None:
        """Another band, or none."""
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
        self.strength: Floats | None = None
        self._steps: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
        self._limits: dict[str, float] = {}

    def set_front(self, scene: Scene, u: Floats, v: Floats, front: Indices) -> None:
        """Another front, as indices of points in view coordinates."""
        self.scene_shown = scene
        here = front[np.isfinite(u[front]) & np.isfinite(v[front])]
        self.u, self.v = u[here], v[here]
        source = scene.source
        self.filled = (
            np.zeros(len(here), dtype=bool) if source is None else source[here] != PREDICTED
        )
        self.strength = None if scene.chance is None else scene.chance[here]
        better = (scene.x_axis.better or "lower", scene.y_axis.better or "lower")
        self._steps = staircase(self.u, self.v, better, self._ends(scene, better))
        self.update()

    def set_limits(self, limits: dict[str, float]) -> None:
        """Where limits on the axes stand ('x<=' and so on, view coordinates): the steps end there."""
        self._limits = limits

    def _ends(self, scene: Scene, better: tuple[str, str]) -> tuple[float, float]:
        """Where the staircase runs out: at a limit, else at the edge of the picture."""
        ends = []
        for axis, way in zip("xy", better, strict=True):
            side, far = ("<=", 1e6) if way == "lower" else (">=", -1e6)
            ends.append(self._limits.get(axis + side, far))
        return ends[0], ends[1]

    def paint(self, p: QPainter, *_: Any) -> None:
        """Steps with a casing that sets them off the cloud, then the marks."""
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
            p.drawLines(lines)
        self._paint_marks(p, plane, scene)

    def _paint_marks(self, p: QPainter, plane: Plane, scene: Scene) -> None:
        if len(self.u) > 400:
            return
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        radius = 5.0 if scene.large else 3.4
        line = QColor(scene.colours.front)
        hollow = QColor(scene.colours.background)
        pen = QPen(line, 1.6)
        for i, (x, y) in enumerate(
            zip(plane.px(self.u).tolist(), plane.py(self.v).tolist(), strict=True)
        ):
            if not plane.shows(x, y):
                continue
            p.setPen(pen)
            p.setBrush(hollow)
            p.drawEllipse(QPointF(x, y), radius, radius)
            strength = 1.0 if self.strength is None else float(self.strength[i])
            if self.filled[i] or self.strength is not None:
                core = QColor(line)
                core.setAlphaF(strength)
                p.setBrush(core)
                p.drawEllipse(QPointF(x, y), radius, radius)


class OverlayLayer(Layer):
    """Other projects on the same axes: small marks and their own staircase, tagged at its end."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 10)
        self.colours: tuple[QColor, ...] = ()
        self.background = QColor()
        self.font = QFont()
        self._parts: list[tuple[Overlay, Floats, Floats, tuple[Floats, Floats]]] = []

    def set_overlays(self, overlays: tuple[Overlay, ...], x_axis: Axis, y_axis: Axis) -> None:
        """Other overlays or axes."""
        self._parts = []
        better = (x_axis.better or "lower", y_axis.better or "lower")
        for overlay in overlays:
            u, v = view_coordinates(overlay.x, x_axis), view_coordinates(overlay.y, y_axis)
            known = np.isfinite(u) & np.isfinite(v)
            u, v = u[known], v[known]
            self._parts.append((overlay, u, v, staircase(u, v, better)))
        self.update()

    def paint(self, p: QPainter, *_: Any) -> None:
        """Every overlay in its colour; one of another workload is dashed and says so."""
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
            p.drawLines(lines)
            for x, y in zip(plane.px(u[:MOST_MARKS]), plane.py(v[:MOST_MARKS]), strict=True):
                if plane.shows(x, y):
                    p.drawRect(QRectF(x - 2.5, y - 2.5, 5, 5))
            if lines:
                self._paint_tag(p, plane, overlay, lines[len(lines) // 3].p2())

    def _paint_tag(self, p: QPainter, plane: Plane, overlay: Overlay, at: QPointF) -> None:
        tag = overlay.tag + ("" if overlay.comparable else " (another workload)")
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


class MarksLayer(Layer):
    """Measured points with their intervals, and what the user points at."""

    def __init__(self, view: pg.ViewBox) -> None:
        super().__init__(view, 30)
        self.colours: Colours | None = None
        self.large = False
        self._u: Floats = np.empty(0)
        self._v: Floats = np.empty(0)
        self._imported: Bools = np.empty(0, dtype=bool)
        self._bars: list[tuple[Floats, Floats, bool]] = []

    def set_measured(self, measured: Measured | None, x_axis: Axis, y_axis: Axis) -> None:
        """Other measured points or axes."""
        self._bars = []
        if measured is None:
            self._u = self._v = np.empty(0)
            self._imported = np.empty(0, dtype=bool)
        else:
            self._u = view_coordinates(measured.x, x_axis)[:MOST_MARKS]
            self._v = view_coordinates(measured.y, y_axis)[:MOST_MARKS]
            none = np.zeros(len(measured.x), dtype=bool)
            self._imported = none if measured.imported is None else measured.imported
            for interval, axis, across in (
                (measured.x_interval, x_axis, True),
                (measured.y_interval, y_axis, False),
            ):
                if interval is not None:
                    low, high = (view_coordinates(end, axis)[:MOST_MARKS] for end in interval)
                    self._bars.append((low, high, across))
        self.update()

    def paint(self, p: QPainter, *_: Any) -> None:
        """Bars below, marks above; imported ones are squares."""
        if self.colours is None or len(self._u) == 0:
            return
        plane = plane_of(self.view)
        x, y = plane.px(self._u), plane.py(self._v)
        seen = (x >= 0) & (x <= plane.width) & (y >= 0) & (y <= plane.height)
        colour = QColor(self.colours.measured)
        p.setPen(QPen(colour, 1.2))
        p.drawLines(self._bar_lines(plane, x, y, seen))
        p.setRenderHint(QPainter.RenderHint.Antialiasing)
        p.setPen(QPen(QColor(self.colours.background), 1.2))
        p.setBrush(colour)
        radius = 6.5 if self.large else 4.6
        for i in np.flatnonzero(seen).tolist():
            if self._imported[i]:
                p.drawRect(QRectF(x[i] - radius, y[i] - radius, 2 * radius, 2 * radius))
            else:
                p.drawEllipse(QPointF(x[i], y[i]), radius, radius)

    def boxes(self, plane: Plane) -> list[QRectF]:
        """Where the marks are, for labels to keep clear of."""
        x, y = plane.px(self._u).tolist(), plane.py(self._v).tolist()
        return [
            QRectF(a - 5, b - 5, 10, 10) for a, b in zip(x, y, strict=True) if plane.shows(a, b)
        ]

    def _bar_lines(self, plane: Plane, x: Floats, y: Floats, seen: Bools) -> list[QLineF]:
        lines = []
        for low, high, across in self._bars:
            known = np.flatnonzero(seen & np.isfinite(low) & np.isfinite(high)).tolist()
            if across:
                a, b = (np.clip(plane.px(end), 0, plane.width) for end in (low, high))
            else:
                a, b = (np.clip(plane.py(end), 0, plane.height) for end in (low, high))
            for i in known:
                if across:
                    lines.append(QLineF(a[i], y[i], b[i], y[i]))
                    lines += [QLineF(e, y[i] - 3, e, y[i] + 3) for e in (a[i], b[i])]
                else:
                    lines.append(QLineF(x[i], a[i], x[i], b[i]))
                    lines += [QLineF(x[i] - 3, e, x[i] + 3, e) for e in (a[i], b[i])]
        return lines


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
