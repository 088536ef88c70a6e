"""The Pareto plot: a scene drawn as layers, and what the hand does on it told as signals."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFont, QImage, QKeyEvent
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from core.front import Indices
from core.live_front import LiveFront
from core.records import Floats
from gui.plot import export
from gui.plot.axis import QuantityAxis
from gui.plot.front_layers import BandLayer, FrontLayer, OverlayLayer
from gui.plot.ground import CloudLayer, ForbiddenLayer, GridLayer
from gui.plot.landmarks import LandmarkLayer
from gui.plot.limit_line import LimitLine
from gui.plot.live_limits import LiveLimits
from gui.plot.marks import ChosenLayer, MarksLayer
from gui.plot.picking import Picker
from gui.plot.plane import Layer, Plane, plane_of, view_coordinates
from gui.plot.raster import colour_table
from gui.plot.scene import LimitView, LiveState, Scene

# free space around the data, as a share of its range
MARGIN = 0.06
HOVER_DELAY_MS = 30
# limits are prepared for dragging when the hand has rested this long
PREPARE_DELAY_MS = 250

Background = Callable[[Callable[[], Any], Callable[[Any], None]], None]


class ParetoPlot(QWidget):
    """Draws a `Scene`; while a limit moves it keeps cloud, front and counts in step by itself.

    Signals carry what the user does. A drag tells `limit_dragged` and `live` at every move and
    `limit_released` once; the picture stays as the hand left it until the next `refresh`.
    """

    limit_dragged = Signal(object, str, object)  # key, side, value or None
    limit_released = Signal(object, str, object)
    point_clicked = Signal(int)
    point_hovered = Signal(int)  # -1: none
    axis_requested = Signal(str, QPointF)  # 'x' or 'y', and where on the screen
    view_changed = Signal()
    live = Signal(object)  # LiveState

    def __init__(self, parent: QWidget | None = None, background: Background | None = None) -> None:
        """`background(work, done)` may run `work` elsewhere and hand its result to `done` here."""
        super().__init__(parent)
        self.scene: Scene | None = None
        self.u: Floats = np.empty(0)
        self.v: Floats = np.empty(0)
        self.front: Indices = np.empty(0, dtype=np.intp)
        self.feasible_count = 0
        self._background = background
        self._limits: LiveLimits | None = None
        self._preview: tuple[Hashable, float | None] | None = None
        self._following: LiveFront | None = None
        self._zoomed = False
        self._focus = -1
        self.lines: dict[Hashable, LimitLine] = {}
        self._build()
        self._hover_timer = QTimer(self, singleShot=True, interval=HOVER_DELAY_MS)
        self._hover_timer.timeout.connect(self._hover)
        self._prepare_timer = QTimer(self, singleShot=True, interval=PREPARE_DELAY_MS)
        self._prepare_timer.timeout.connect(self._prepare_next)
        self._mouse = QPointF(-1, -1)

    def _build(self) -> None:
        self.bottom, self.left = QuantityAxis("bottom"), QuantityAxis("left")
        self.canvas = pg.PlotWidget(
            self, axisItems={"bottom": self.bottom, "left": self.left}, useOpenGL=False
        )
        plot = self.canvas.getPlotItem()
        plot.hideButtons()
        plot.setMenuEnabled(False)
        plot.layout.setContentsMargins(2, 8, 14, 2)
        self.view = plot.getViewBox()
        self.view.setDefaultPadding(0)
        self.view.disableAutoRange()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        self.forbidden = ForbiddenLayer(self.view)
        self.forbidden.lines = self.lines.values()
        self.grid = GridLayer(self.view, self.bottom, self.left)
        self.cloud = CloudLayer(self.view)
        self.band = BandLayer(self.view)
        self.overlays = OverlayLayer(self.view)
        self.front_layer = FrontLayer(self.view)
        self.marks = MarksLayer(self.view)
        self.landmarks = LandmarkLayer(self.view)
        self.chosen = ChosenLayer(self.view)
        self.landmarks.taken = self._taken
        self.picker = Picker()
        self.card = QLabel(self.canvas)
        self.card.setObjectName("hoverCard")
        self.card.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.card.setTextFormat(Qt.TextFormat.RichText)
        self.card.setMargin(7)
        self.card.hide()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.canvas.viewport().installEventFilter(self)
        self.setAccessibleName("Pareto plot")
        self.bottom.asked.connect(self._on_bottom_asked)
        self.left.asked.connect(self._on_left_asked)
        self.view.sigRangeChangedManually.connect(self._on_manual_range)
        scene = self.canvas.scene()
        scene.sigMouseMoved.connect(self._on_mouse_moved)
        scene.sigMouseClicked.connect(self._on_mouse_clicked)

    # --- drawing a scene ----------------------------------------------------------------------

    def refresh(self, new: Scene, old: Scene | None = None) -> None:
        """Draw `new`; parts that are the same object as in what is drawn stay as they are."""
        drawn = self.scene if old is not None else None
        self.scene = new
        points = drawn is None or not (
            new.x is drawn.x
            and new.y is drawn.y
            and new.x_axis == drawn.x_axis
            and new.y_axis == drawn.y_axis
            and new.outside is drawn.outside
        )
        axes = drawn is None or (new.x_axis, new.y_axis) != (drawn.x_axis, drawn.y_axis)
        look = drawn is None or new.colours != drawn.colours or new.large != drawn.large
        self._limits = LiveLimits(new, self._limits)
        if look or axes:
            self._refresh_look(new)
        if points:
            self._refresh_points(new)
        if axes or (points and not self._zoomed):
            self.fit_view()
        self._refresh_colours(new, drawn)
        self._refresh_lines(new)
        self._refresh_limits(new, drawn, points)
        if drawn is None or axes or new.measured is not drawn.measured:
            self.marks.set_measured(new.measured, new.x_axis, new.y_axis)
        if drawn is None or axes or new.landmarks != drawn.landmarks:
            self.landmarks.set_landmarks(new.landmarks, new.x_axis, new.y_axis)
        if drawn is None or axes or new.band is not drawn.band:
            self.band.set_band(new.band, new.x_axis, new.y_axis)
        if drawn is None or axes or new.overlays is not drawn.overlays:
            self.overlays.set_overlays(new.overlays, new.x_axis, new.y_axis)
        self.chosen.scene_shown, self.chosen.u, self.chosen.v = new, self.u, self.v
        self.chosen.update()
        self._describe()
        if self.lines:
            self._prepare_timer.start()

    def fit_view(self) -> None:
        """Show all the data again, with a little room around it."""
        ranges = [_span(values) for values in self._shown_coordinates()]
        self._zoomed = False
        (left, right), (bottom, top) = ranges
        # both at once: each call of setRange alone would place a million points
        self.view.setRange(
            xRange=(left, right), yRange=(bottom, top), padding=0, disableAutoRange=True
        )

    def _shown_coordinates(self) -> list[list[Floats]]:
        scene = self.scene
        assert scene is not None
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

    def _refresh_look(self, scene: Scene) -> None:
        colours = scene.colours
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * (1.6 if scene.large else 1.0))
        self.canvas.setBackground(QColor(colours.background))
        self.bottom.describe(scene.x_axis, colours.text, colours.quiet, font)
        self.left.describe(scene.y_axis, colours.text, colours.quiet, font)
        self.forbidden.set_colours(colours)
        self.grid.colour = QColor(colours.grid)
        self.band.colour = QColor(colours.front)
        self.overlays.colours = tuple(QColor(c) for c in colours.overlays)
        self.overlays.font = self.landmarks.font = self.chosen.font = font
        self.overlays.background = QColor(colours.background)
        self.landmarks.colours = self.marks.colours = colours
        self.marks.large = scene.large
        for line in self.lines.values():
            line.colours, line.font = colours, font
        self._font = font
        self.card.setFont(font)
        self.card.setStyleSheet(
            f"#hoverCard {{ background: {colours.card}; color: {colours.text};"
            f" border: 1px solid {colours.grid}; border-radius: 5px; }}"
        )
        for layer in (self.grid, self.band, self.overlays, self.landmarks, self.marks):
            layer.update()

    def _refresh_points(self, scene: Scene) -> None:
        self.u = view_coordinates(scene.x, scene.x_axis)
        self.v = view_coordinates(scene.y, scene.y_axis)
        nowhere = ~(np.isfinite(self.u) & np.isfinite(self.v))
        self.u[nowhere] = -np.inf
        self.v[nowhere] = -np.inf
        self.cloud.set_points(self.u, self.v, scene.outside)

    def _refresh_colours(self, new: Scene, drawn: Scene | None) -> None:
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

    def _refresh_lines(self, scene: Scene) -> None:
        wanted = {limit.key: limit for limit in scene.limits if limit.axis}
        for key in [key for key, line in self.lines.items() if not self._fits(key, wanted)]:
            line = self.lines.pop(key)
            scene_of_line = line.scene()
            if scene_of_line is not None:
                scene_of_line.removeItem(line)
            self._focus = -1
        for key, limit in wanted.items():
            axis = scene.x_axis if limit.axis == "x" else scene.y_axis
            if key not in self.lines:
                self.lines[key] = self._new_line(limit)
            line = self.lines[key]
            if limit.column is not line.limit.column or line.axis != axis or not line.edged:
                placed = view_coordinates(limit.column, axis)
                known = placed[np.isfinite(placed)]
                if len(known):
                    line.set_edges(float(known.min()), float(known.max()))
            line.set_limit(limit, axis)

    def _fits(self, key: Hashable, wanted: dict[Hashable, LimitView]) -> bool:
        limit = wanted.get(key)
        return limit is not None and limit.axis == self.lines[key].limit.axis

    def _new_line(self, limit: LimitView) -> LimitLine:
        assert self.scene is not None
        axis = self.scene.x_axis if limit.axis == "x" else self.scene.y_axis
        line = LimitLine(self.view, limit, axis)
        line.colours, line.font = self.scene.colours, self._font
        key, side = limit.key, limit.side
        line.moved.connect(lambda value: self._on_line_moved(key, side, value))
        line.released.connect(lambda value: self.limit_released.emit(key, side, value))
        line.grabbed.connect(lambda: self._focus_line(key))
        return line

    def _refresh_limits(self, new: Scene, drawn: Scene | None, points: bool) -> None:
        stale = points or drawn is None
        if self._preview is not None:
            key, value = self._preview
            line = self.lines.get(key)
            held = line is not None and line.dragging
            if held or (drawn is not None and new.limits is drawn.limits):
                # something else changed under the hand: follow on from there
                if stale or (drawn is not None and new.limits is not drawn.limits):
                    self._preview = None
                    self.preview_limit(key, value)
                return
            self._preview = None
            if not stale and self._is_as_left(new, drawn, key, value):
                # the picture already shows this limit
                return
            stale = True
        if not stale and drawn is not None and self._same_front(new, drawn):
            if new.front_shown != drawn.front_shown or new.colours != drawn.colours:
                self._show_front(self.front)
            return
        assert self._limits is not None
        self._following = None
        mask = self._limits.mask()
        self.cloud.set_feasible(mask)
        self.feasible_count = len(new.x) if mask is None else int(np.count_nonzero(mask))
        self._show_front(self._limits.front(mask))

    def _same_front(self, new: Scene, drawn: Scene) -> bool:
        return (
            new.front is drawn.front
            and new.chance is drawn.chance
            and new.source is drawn.source
            and _same_limits(new.limits, drawn.limits)
        )

    def _is_as_left(
        self, new: Scene, drawn: Scene | None, key: Hashable, value: float | None
    ) -> bool:
        """Whether only the limit that was moved differs, and it is where the hand left it."""
        if drawn is None or new.front is not None or new.chance is not drawn.chance:
            return False
        if new.source is not drawn.source:
            return False
        now = {limit.key: limit for limit in new.limits}
        moved = now.pop(key, None)
        before = {limit.key: limit for limit in drawn.limits if limit.key != key}
        at = None if moved is None else moved.value
        rest = _same_limits(tuple(now.values()), tuple(before.values()))
        return rest and at == value

    def _show_front(self, front: Indices) -> None:
        assert self.scene is not None
        self.front = front
        self.forbidden.update()
        self.front_layer.set_limits(
            {
                line.limit.axis + line.limit.side: line.at
                for line in self.lines.values()
                if line.value is not None
            }
        )
        self.front_layer.set_front(self.scene, self.u, self.v, front)
        self.chosen.best = self.best
        self.chosen.update()

    def _taken(self, plane: Plane) -> list[QRectF]:
        """What labels of landmarks must not cover: measured marks and the labels of limits."""
        return [
            *self.marks.boxes(plane),
            *(line.label_box() for line in self.lines.values()),
        ]

    @property
    def best(self) -> int | None:
        """The point of the front with the best y; None where there is none."""
        return int(self.front[-1]) if len(self.front) else None

    def _describe(self) -> None:
        scene = self.scene
        assert scene is not None
        self.setAccessibleDescription(
            f"{scene.y_axis.label} against {scene.x_axis.label}: {self.feasible_count:,} of "
            f"{len(scene.x):,} candidates inside all limits, {len(self.front):,} on the front"
        )

    # --- limits under the hand ----------------------------------------------------------------

    def preview_limit(self, key: Hashable, value: float | None) -> LiveState:
        """Show the picture as it is with this limit at this value; the store is not told.

        For any limit of the scene, be it a line here or a handle elsewhere.
        """
        scene, limits = self.scene, self._limits
        assert scene is not None and limits is not None
        limit = next(limit for limit in scene.limits if limit.key == key)
        if self._preview is None or self._preview[0] != key or self._following is None:
            self._following = limits.live(limit)
            self.cloud.follow(self._following.order, self._following.count(limit.value))
        live = self._following
        self._preview = (key, value)
        self.feasible_count = live.count(value)
        self.cloud.move(self.feasible_count)
        line = self.lines.get(key)
        if line is not None and line.value != value:
            line.set_limit(replace(limit, value=value), line.axis)
        if limits.has_goal:
            self._show_front(live.front(value))
        state = LiveState(
            key, limit.side, value, self.front, self.feasible_count, len(scene.x), self.best
        )
        self.live.emit(state)
        return state

    def _on_line_moved(self, key: Hashable, side: str, value: float | None) -> None:
        self.card.hide()
        self.preview_limit(key, value)
        self.limit_dragged.emit(key, side, value)

    def _prepare_next(self) -> None:
        """Sort for the next limit that may be taken, so that the first move is quick."""
        scene, limits = self.scene, self._limits
        if scene is None or limits is None or any(line.dragging for line in self.lines.values()):
            return
        waiting = [limit for limit in scene.limits if limit.axis and not limits.is_ready(limit)]
        if not waiting:
            return
        limit = waiting[0]
        if self._background is None:
            limits.live(limit)
            self._prepare_timer.start()
        else:
            self._background(lambda: limits.live(limit), lambda _: self._prepare_timer.start())

    # --- mouse --------------------------------------------------------------------------------

    def _on_bottom_asked(self, where: QPointF) -> None:
        self.axis_requested.emit("x", where)

    def _on_left_asked(self, where: QPointF) -> None:
        self.axis_requested.emit("y", where)

    def _on_manual_range(self, *_: Any) -> None:
        self._zoomed = True
        self.card.hide()
        self.view_changed.emit()

    def _on_mouse_moved(self, position: QPointF) -> None:
        self._mouse = position
        self._hover_timer.start()

    def _on_mouse_clicked(self, event: Any) -> None:
        if event.isAccepted() or event.button() != Qt.MouseButton.LeftButton:
            return
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if event.double():
            self.fit_view()
            self.view_changed.emit()
            return
        index = self.nearest(event.scenePos())
        if index is not None:
            self._focus_line(None)
            self.point_clicked.emit(index)

    def nearest(self, position: QPointF) -> int | None:
        """The point drawn at a place of the canvas: marks before the front before the cloud."""
        if self.scene is None or not self.view.sceneBoundingRect().contains(position):
            return None
        at = self.view.mapFromScene(position)
        return self.picker.nearest(
            self.scene, plane_of(self.view), self.u, self.v, self.front, at.x(), at.y()
        )

    def _hover(self) -> None:
        if self.scene is None or any(line.dragging for line in self.lines.values()):
            return
        index = self.nearest(self._mouse) if self.canvas.viewport().underMouse() else None
        if index is None:
            self.chosen.hovered = None
            self.card.hide()
        else:
            self.chosen.hovered = (float(self.u[index]), float(self.v[index]))
            self._show_card(index)
        self.chosen.update()
        self.point_hovered.emit(-1 if index is None else index)

    def _show_card(self, index: int) -> None:
        scene = self.scene
        assert scene is not None
        if scene.card is not None:
            text = scene.card(index)
        else:
            text = (
                f"{scene.x_axis.label}: <b>{scene.x_axis.format(float(scene.x[index]))}</b><br>"
                f"{scene.y_axis.label}: <b>{scene.y_axis.format(float(scene.y[index]))}</b>"
            )
        self.card.setText(text)
        self.card.adjustSize()
        at = self.canvas.mapFromScene(self._mouse)
        room = self.canvas.rect()
        x = at.x() + 16
        if x + self.card.width() > room.right():
            x = at.x() - 16 - self.card.width()
        y = min(max(4, at.y() + 12), room.bottom() - self.card.height() - 4)
        self.card.move(max(4, x), max(4, y))
        self.card.show()
        self.card.raise_()

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        """The mouse left: no card."""
        if event.type() == QEvent.Type.Leave:
            self._hover_timer.stop()
            self.card.hide()
            if self.chosen.hovered is not None:
                self.chosen.hovered = None
                self.chosen.update()
                self.point_hovered.emit(-1)
        return super().eventFilter(watched, event)

    # --- keyboard -----------------------------------------------------------------------------

    def _focus_line(self, key: Hashable | None) -> None:
        keys = list(self.lines)
        self._focus = keys.index(key) if key in self.lines else -1
        for index, line in enumerate(self.lines.values()):
            line.focused = index == self._focus
            line.update()
        if key is not None:
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes from limit to limit before it leaves the plot."""
        step = self._focus + (1 if forward else -1)
        if self.hasFocus() and 0 <= step < len(self.lines):
            self._focus_line(list(self.lines)[step])
            return True
        self._focus_line(None)
        return super().focusNextPrevChild(forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move the focused limit (finely with Shift), else step along the front; Delete
        takes the limit away, Escape lets go, Home shows all data."""
        key = event.key()
        direction = {
            Qt.Key.Key_Left: -1,
            Qt.Key.Key_Down: -1,
            Qt.Key.Key_Right: 1,
            Qt.Key.Key_Up: 1,
        }.get(Qt.Key(key))
        line = list(self.lines.values())[self._focus] if self._focus >= 0 else None
        if direction is not None and line is not None:
            line.nudge(direction, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif direction is not None and key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step_along_front(direction)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and line is not None:
            self.preview_limit(line.limit.key, None)
            self.limit_released.emit(line.limit.key, line.limit.side, None)
        elif key == Qt.Key.Key_Escape and line is not None:
            self._focus_line(None)
        elif key == Qt.Key.Key_Home:
            self.fit_view()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """A held arrow key is one gesture, ended here."""
        if not event.isAutoRepeat() and self._focus >= 0:
            list(self.lines.values())[self._focus].settle()
        super().keyReleaseEvent(event)

    def _step_along_front(self, direction: int) -> None:
        if len(self.front) == 0 or self.scene is None:
            return
        along = self.front[np.argsort(self.u[self.front], kind="stable")]
        selected = self.scene.selected
        found = np.flatnonzero(along == (-1 if selected is None else selected))
        at = int(found[0]) + direction if len(found) else (0 if direction > 0 else len(along) - 1)
        self.point_clicked.emit(int(along[min(max(at, 0), len(along) - 1)]))

    # --- files --------------------------------------------------------------------------------

    @property
    def _exported(self) -> tuple[Layer, ...]:
        """The layers that paint finer for a file."""
        return (self.cloud, self.front_layer)

    def image(self, width: int) -> QImage:
        """The plot as an image of this width."""
        assert self.scene is not None
        return export.to_image(self.canvas, self._exported, self.scene.colours.background, width)

    def export_png(self, path: Path | str, width: int = 1920) -> None:
        """Write the plot as a PNG of this width; Unusable when it cannot be written."""
        assert self.scene is not None
        export.to_png(self.canvas, self._exported, self.scene.colours.background, Path(path), width)

    def export_svg(self, path: Path | str) -> None:
        """Write the plot as an SVG; Unusable when it cannot be written."""
        assert self.scene is not None
        title = f"{self.scene.y_axis.label} against {self.scene.x_axis.label}"
        export.to_svg(self.canvas, self._exported, self.scene.colours.background, Path(path), title)


def _span(parts: list[Floats]) -> tuple[float, float]:
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
    return low - room, high + room


def _same_limits(a: tuple[LimitView, ...], b: tuple[LimitView, ...]) -> bool:
    """Whether two sets of limits leave the same points."""

    def strict(limits: tuple[LimitView, ...]) -> list[LimitView]:
        return [limit for limit in limits if limit.value is not None]

    mine, theirs = strict(a), strict(b)
    return len(mine) == len(theirs) and all(
        p.column is q.column and p.side == q.side and p.value == q.value
        for p, q in zip(mine, theirs, strict=True)
    )
