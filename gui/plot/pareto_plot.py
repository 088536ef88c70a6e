"""The Pareto plot: a scene drawn as layers, with signals for what the user does on it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.arrays import Indices
from core.pareto.live_front import LiveFront
from gui.plot import export
from gui.plot.axis import QuantityAxis
from gui.plot.hover_card import HoverCard
from gui.plot.limit_lines import LimitLines
from gui.plot.live_limits import LiveLimits, same_limits
from gui.plot.picking import nearest, nearest_laid_over
from gui.plot.picture import Picture
from gui.plot.plane import plane_of
from gui.plot.scene import LiveState, Scene

ARROWS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
}
HOVER_DELAY_MS = 30
# limits are prepared for dragging when nothing has moved for this long
PREPARE_DELAY_MS = 250

Background = Callable[[Callable[[], Any], Callable[[Any], None]], None]


class ParetoPlot(QWidget):
    """Draws a `Scene`; while a limit moves it updates cloud, front and counts by itself.

    Signals carry what the user does. A drag emits `limit_dragged` and `live` at every move and
    `limit_released` once; the picture then stays as it is until the next `refresh`.
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
        self.front: Indices = np.empty(0, dtype=np.intp)
        self.feasible_count = 0
        self._background = background
        self._limits: LiveLimits | None = None
        self._preview: tuple[Hashable, float | None] | None = None
        self._following: LiveFront | None = None
        self._zoomed = False
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
        # each line has its own reach; searching around the mouse as well would cost as much again
        self.canvas.scene().setClickRadius(0)
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
        self.limit_lines = LimitLines(self.view, self)
        self.lines = self.limit_lines.by_key
        self.picture = Picture(self.view, self.bottom, self.left, self.lines)
        self.card = HoverCard(self.canvas)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.canvas.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.canvas.viewport().installEventFilter(self)
        self.setAccessibleName("Pareto plot")
        self.limit_lines.moved.connect(self._on_line_moved)
        self.limit_lines.released.connect(self.limit_released)
        self.limit_lines.grabbed.connect(self._on_line_grabbed)
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
            self.canvas.setBackground(QColor(new.colours.background))
            self.picture.set_look(new, self.font())
            self.card.set_look(new.colours, self.picture.font)
        if points:
            self.picture.set_points(new)
        laid_over = drawn is not None and new.overlays is not drawn.overlays
        if axes or ((points or laid_over) and not self._zoomed):
            self.fit_view()
        self.picture.set_strengths(new, drawn)
        self.limit_lines.refresh(new, self.picture.font)
        self._refresh_limits(new, drawn, points)
        self.picture.set_marks(new, drawn, axes)
        self._describe()
        if new.limits:
            self._prepare_timer.start()

    def fit_view(self) -> None:
        """Show all the data again, with a margin around it."""
        assert self.scene is not None
        self._zoomed = False
        (left, right), (bottom, top) = self.picture.extent(self.scene)
        # both at once: each call of setRange alone would place a million points
        self.view.setRange(
            xRange=(left, right), yRange=(bottom, top), padding=0, disableAutoRange=True
        )

    def _refresh_limits(self, new: Scene, drawn: Scene | None, points: bool) -> None:
        stale = points or drawn is None or new.eligible is not drawn.eligible
        if self._preview is not None:
            key, value = self._preview
            line = self.lines.get(key)
            held = line is not None and line.dragging
            if held or (drawn is not None and new.limits is drawn.limits):
                # something else changed during the drag: follow on from there
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
            return
        self._show_limits(new)

    def _show_limits(self, new: Scene) -> None:
        """Cloud, count and front as the scene's own limits leave them."""
        assert self._limits is not None
        self._following = None
        mask = self._limits.mask()
        self.picture.cloud.set_feasible(mask)
        self.feasible_count = len(new.x) if mask is None else int(np.count_nonzero(mask))
        self._show_front(self._limits.front(mask))

    def _same_front(self, new: Scene, drawn: Scene) -> bool:
        return (
            new.front is drawn.front
            and new.eligible is drawn.eligible
            and new.chance is drawn.chance
            and new.source is drawn.source
            and same_limits(new.limits, drawn.limits)
        )

    def _is_as_left(
        self, new: Scene, drawn: Scene | None, key: Hashable, value: float | None
    ) -> bool:
        """Whether only the limit that was moved differs, and it is where it was released."""
        if drawn is None or new.front is not None or new.chance is not drawn.chance:
            return False
        if new.source is not drawn.source or new.eligible is not drawn.eligible:
            return False
        now = {limit.key: limit for limit in new.limits}
        moved = now.pop(key, None)
        before = {limit.key: limit for limit in drawn.limits if limit.key != key}
        at = None if moved is None else moved.value
        rest = same_limits(tuple(now.values()), tuple(before.values()))
        return rest and at == value

    def _show_front(self, front: Indices) -> None:
        assert self.scene is not None
        self.front = front
        self.picture.set_front(self.scene, front, self.best)

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

    # --- limits being dragged -----------------------------------------------------------------

    def preview_limit(self, key: Hashable, value: float | None) -> LiveState:
        """Show the picture with this limit at this value, without changing the store.

        For any limit of the scene, whether a line here or a handle elsewhere.
        """
        scene, limits = self.scene, self._limits
        assert scene is not None and limits is not None
        limit = next(limit for limit in scene.limits if limit.key == key)
        if self._preview is None or self._preview[0] != key or self._following is None:
            self._following = limits.live(limit)
            self.picture.cloud.follow(self._following.order, self._following.count(limit.value))
        live = self._following
        self._preview = (key, value)
        self.feasible_count = live.count(value)
        self.picture.cloud.move(self.feasible_count)
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
        """Sort for the next limit that may be dragged, so that the first move is quick."""
        scene, limits = self.scene, self._limits
        if scene is None or limits is None or self.limit_lines.in_hand:
            return
        waiting = [limit for limit in scene.limits if not limits.is_ready(limit)]
        if not waiting:
            return
        # the lines on the axes are the likeliest to be dragged
        limit = min(waiting, key=lambda one: not one.axis)
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
            self.limit_lines.focus(None)
            self.point_clicked.emit(index)

    def nearest(self, position: QPointF) -> int | None:
        """The point drawn at a place of the canvas: marks before the front before the cloud."""
        if self.scene is None or not self.view.sceneBoundingRect().contains(position):
            return None
        at = self.view.mapFromScene(position)
        return nearest(
            self.scene,
            plane_of(self.view),
            self.picture.u,
            self.picture.v,
            self.front,
            at.x(),
            at.y(),
        )

    def nearest_laid_over(self, position: QPointF) -> tuple[int, int] | None:
        """Overlay and index of the overlaid point at a place of the canvas; None where there is none."""
        if self.scene is None or not self.view.sceneBoundingRect().contains(position):
            return None
        at = self.view.mapFromScene(position)
        return nearest_laid_over(self.scene, plane_of(self.view), at.x(), at.y())

    def _hover(self) -> None:
        if self.scene is None or self.limit_lines.in_hand:
            return
        under = self.canvas.viewport().underMouse()
        laid = self.nearest_laid_over(self._mouse) if under else None
        index = self.nearest(self._mouse) if under and laid is None else None
        if laid is not None and self.scene.overlay_card is not None:
            self.picture.chosen.hovered = None
            self.card.show_at(self.canvas.mapFromScene(self._mouse), self.scene.overlay_card(*laid))
        elif index is None:
            self.picture.chosen.hovered = None
            self.card.hide()
        else:
            self.picture.chosen.hovered = (
                float(self.picture.u[index]),
                float(self.picture.v[index]),
            )
            text = (
                _plain_card(self.scene, index)
                if self.scene.card is None
                else self.scene.card(index)
            )
            self.card.show_at(self.canvas.mapFromScene(self._mouse), text)
        self.picture.chosen.update()
        self.point_hovered.emit(-1 if index is None else index)

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        """Hide the card when the mouse leaves."""
        if event.type() == QEvent.Type.Leave:
            self._hover_timer.stop()
            self.card.hide()
            if self.picture.chosen.hovered is not None:
                self.picture.chosen.hovered = None
                self.picture.chosen.update()
                self.point_hovered.emit(-1)
        return super().eventFilter(watched, event)

    # --- keyboard -----------------------------------------------------------------------------

    def _on_line_grabbed(self, _: Hashable) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    def focusNextPrevChild(self, forward: bool) -> bool:
        """Tab goes from limit to limit before it leaves the plot."""
        if self.hasFocus() and self.limit_lines.focus_next(forward):
            return True
        return super().focusNextPrevChild(forward)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys move the focused limit (finely with Shift), else step along the front; Delete
        removes the limit, Escape takes the focus off it, Home shows all data."""
        key, line = Qt.Key(event.key()), self.limit_lines.focused
        direction = ARROWS.get(key)
        if direction is not None and line is not None:
            line.nudge(direction, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Right):
            self._step_along_front(ARROWS[key])
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace) and line is not None:
            self.preview_limit(line.limit.key, None)
            self.limit_released.emit(line.limit.key, line.limit.side, None)
        elif key == Qt.Key.Key_Escape and line is not None:
            self.limit_lines.focus(None)
        elif key == Qt.Key.Key_Home and self.scene is not None:
            self.fit_view()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """A held arrow key is one gesture, ended here."""
        if not event.isAutoRepeat() and self.limit_lines.focused is not None:
            self.limit_lines.focused.settle()
        super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """End a nudge: without the focus the release of its key is not seen here."""
        if self.limit_lines.focused is not None:
            self.limit_lines.focused.settle()
        super().focusOutEvent(event)

    def _step_along_front(self, direction: int) -> None:
        if len(self.front) == 0 or self.scene is None:
            return
        along = self.front[np.argsort(self.picture.u[self.front], kind="stable")]
        selected = self.scene.selected
        found = np.flatnonzero(along == (-1 if selected is None else selected))
        at = int(found[0]) + direction if len(found) else (0 if direction > 0 else len(along) - 1)
        self.point_clicked.emit(int(along[min(max(at, 0), len(along) - 1)]))

    # --- files --------------------------------------------------------------------------------

    def image(self, width: int) -> QImage:
        """The plot as an image of this width."""
        assert self.scene is not None
        return export.to_image(
            self.canvas, self.picture.finer_in_files, self.scene.colours.background, width
        )

    def export_png(self, path: Path | str, width: int = 1920) -> None:
        """Write the plot as a PNG of this width; Unusable when it cannot be written."""
        assert self.scene is not None
        export.to_png(
            self.canvas,
            self.picture.finer_in_files,
            self.scene.colours.background,
            Path(path),
            width,
        )

    def export_svg(self, path: Path | str) -> None:
        """Write the plot as an SVG; Unusable when it cannot be written."""
        assert self.scene is not None
        title = f"{self.scene.y_axis.label} against {self.scene.x_axis.label}"
        export.to_svg(
            self.canvas,
            self.picture.finer_in_files,
            self.scene.colours.background,
            Path(path),
            title,
        )


def _plain_card(scene: Scene, index: int) -> str:
    """A card with both values of a point."""
    return (
        f"{scene.x_axis.label}: <b>{scene.x_axis.format(float(scene.x[index]))}</b><br>"
        f"{scene.y_axis.label}: <b>{scene.y_axis.format(float(scene.y[index]))}</b>"
    )
