"""All layers of the plot together: made once, then updated with what changed of a scene."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF
from PySide6.QtGui import QColor, QFont

from core.arrays import Floats, Indices
from gui.plot.axis import QuantityAxis
from gui.plot.front_layers import BandLayer, FrontLayer, OverlayLayer
from gui.plot.ground import CloudLayer, ForbiddenLayer, GridLayer
from gui.plot.illustrated import IllustratedLayer
from gui.plot.landmarks import LandmarkLayer
from gui.plot.limit_line import LimitLine
from gui.plot.marks import ChosenLayer, MarksLayer
from gui.plot.plane import Layer, Plane, view_coordinates
from gui.plot.raster import colour_table
from gui.plot.scene import Scene

# free space around the data, as a share of its range
MARGIN = 0.06
# size of type of the presenter's plot, as a multiple of the usual one
LARGE_TYPE = 1.6


class Picture:
    """The layers over one view box, its axes, and the points in view coordinates.

    `u` and `v` hold -inf where a point has no place on the axes.
    """

    def __init__(
        self,
        view: pg.ViewBox,
        bottom: QuantityAxis,
        left: QuantityAxis,
        lines: dict[Hashable, LimitLine],
    ) -> None:
        self.u: Floats = np.empty(0)
        self.v: Floats = np.empty(0)
        self.font = QFont()
        self.bottom, self.left, self.lines = bottom, left, lines
        self.forbidden = ForbiddenLayer(view, lines)
        self.grid = GridLayer(view, bottom, left)
        self.cloud = CloudLayer(view)
        self.band = BandLayer(view)
        self.overlays = OverlayLayer(view)
        self.front = FrontLayer(view)
        self.illustrated = IllustratedLayer(view)
        self.marks = MarksLayer(view)
        self.landmarks = LandmarkLayer(view)
        self.landmarks.taken = self._taken
        self.chosen = ChosenLayer(view)

    @property
    def finer_in_files(self) -> tuple[Layer, ...]:
        """The layers that paint at a file's resolution."""
        return (self.cloud, self.overlays, self.front, self.illustrated, self.marks, self.landmarks)

    def set_look(self, scene: Scene, font: QFont) -> None:
        """Set other colours, axes or another font."""
        colours = scene.colours
        font = QFont(font)
        font.setPointSizeF(font.pointSizeF() * (LARGE_TYPE if scene.large else 1.0))
        self.bottom.describe(scene.x_axis, colours.text, colours.quiet, font)
        self.left.describe(scene.y_axis, colours.text, colours.quiet, font)
        self.forbidden.set_colours(colours)
        self.grid.colour = QColor(colours.grid)
        self.band.colour = QColor(colours.front)
        self.overlays.colours = tuple(QColor(c) for c in colours.overlays)
        self.overlays.font = self.landmarks.font = self.chosen.font = font
        self.overlays.background = QColor(colours.background)
        self.landmarks.colours = self.marks.colours = self.illustrated.colours = colours
        self.marks.large = self.illustrated.large = scene.large
        self.font = font
        for layer in (
            self.grid,
            self.band,
            self.overlays,
            self.landmarks,
            self.illustrated,
            self.marks,
        ):
            layer.update()

    def set_points(self, scene: Scene) -> None:
        """Set other points."""
        self.u = view_coordinates(scene.x, scene.x_axis)
        self.v = view_coordinates(scene.y, scene.y_axis)
        nowhere = ~(np.isfinite(self.u) & np.isfinite(self.v))
        self.u[nowhere] = -np.inf
        self.v[nowhere] = -np.inf
        self.cloud.set_points(self.u, self.v, scene.outside)

    def set_strengths(self, new: Scene, drawn: Scene | None) -> None:
        """Set other colours of the cloud, or other parts shown."""
        parts = (new.colours, new.feasible_shown, new.infeasible_shown, len(new.x))
        if drawn is not None and parts == (
            drawn.colours,
            drawn.feasible_shown,
            drawn.infeasible_shown,
            len(drawn.x),
        ):
            return
        # a few points are drawn solid, many let density show
        faintest = 0.85 if len(new.x) <= 10_000 else 0.6 if len(new.x) <= 200_000 else 0.45
        self.cloud.set_colours(
            colour_table(
                QColor(new.colours.feasible),
                QColor(new.colours.infeasible),
                faintest,
                new.feasible_shown,
                new.infeasible_shown,
            )
        )

    def set_marks(self, new: Scene, drawn: Scene | None, axes: bool) -> None:
        """Set what is drawn beside the cloud; `axes`: whether the axes changed."""
        x_axis, y_axis = new.x_axis, new.y_axis
        if drawn is None or axes or new.measured is not drawn.measured:
            self.marks.set_measured(new.measured, x_axis, y_axis)
        if drawn is None or axes or new.illustrated is not drawn.illustrated:
            self.illustrated.set_points(new.illustrated, x_axis, y_axis)
        if drawn is None or axes or new.landmarks != drawn.landmarks:
            self.landmarks.set_landmarks(new.landmarks, x_axis, y_axis)
        if drawn is None or axes or new.band is not drawn.band:
            self.band.set_band(new.band, x_axis, y_axis)
        if drawn is None or axes or new.overlays is not drawn.overlays:
            self.overlays.set_overlays(new.overlays, x_axis, y_axis)
        self.chosen.scene_shown, self.chosen.u, self.chosen.v = new, self.u, self.v
        self.chosen.update()
        self.landmarks.replace_labels()
        self.front.scene_shown = new
        self.front.update()

    def set_front(self, scene: Scene, front: Indices, best: int | None) -> None:
        """Set another front, which ends at the present limits."""
        self.forbidden.update()
        self.front.set_limits(
            {
                line.limit.axis + line.limit.side: line.at
                for line in self.lines.values()
                if line.value is not None
            }
        )
        self.front.set_front(scene, self.u, self.v, front)
        self.chosen.best = best
        self.chosen.update()

    def extent(self, scene: Scene) -> tuple[tuple[float, float], tuple[float, float]]:
        """Ranges of view coordinates that hold everything, with a margin."""
        across, up = self._shown_coordinates(scene)
        return _span(across, scene.x_axis.log), _span(up, scene.y_axis.log)

    def _shown_coordinates(self, scene: Scene) -> list[list[Floats]]:
        values: list[list[Floats]] = [[self.u], [self.v]]
        sources: list[tuple[Floats, Floats]] = []
        if scene.measured is not None:
            sources.append((scene.measured.x, scene.measured.y))
        sources += [(o.x, o.y) for o in scene.overlays]
        if scene.landmarks:
            sources.append(
                (
                    np.array([m.x for m in scene.landmarks], dtype=np.float64),
                    np.array([m.y for m in scene.landmarks], dtype=np.float64),
                )
            )
        for x, y in sources:
            u, v = view_coordinates(x, scene.x_axis), view_coordinates(y, scene.y_axis)
            both = np.isfinite(u) & np.isfinite(v)
            values[0].append(u[both])
            values[1].append(v[both])
        return values

    def _taken(self, plane: Plane) -> list[QRectF]:
        """What labels of landmarks must not cover: measured marks, the front, labels of limits."""
        return [
            *self.marks.boxes(plane),
            *self.front.boxes(plane),
            *(line.label_box() for line in self.lines.values()),
        ]


def _span(parts: list[Floats], log: bool) -> tuple[float, float]:
    """A range that shows all finite values, with a margin."""
    lows, highs = [], []
    for values in parts:
        known = values[np.isfinite(values)]
        if len(known):
            lows.append(float(known.min()))
            highs.append(float(known.max()))
    if not lows:
        return 0.0, 1.0
    low, high = min(lows), max(highs)
    if high <= low:
        reach = abs(low) * 0.1 or 1.0
        return low - reach, high + reach
    room = (high - low) * MARGIN
    if not log and 0 <= low < room:
        # nothing lies below zero, so there is nothing to show there
        return low - max(low, room / 3), high + room
    return low - room, high + room
