"""The plot with what belongs to it: axis choosers, limit chips above, the sentences below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import shiboken6
from PySide6.QtCore import QObject, QPoint, QPointF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QStackedLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.analysis.explain import alone_sentence, nothing_feasible
from core.analysis.front_uncertainty import FrontUncertainty, front_uncertainty
from core.analysis.illustrated import illustrated
from core.arrays import Floats
from core.pareto.limits import Limit
from core.project.choices import SHOWN
from core.records.metrics import METRICS
from core.records.progress import Steps
from gui.app.theme import LIGHT, Theme
from gui.panels.flow_layout import FlowLayout
from gui.panels.metric_box import MetricBox, metric_menu
from gui.panels.picture_scene import scene_of
from gui.panels.sentence import SentenceBar
from gui.panels.view import Panel
from gui.plot.pareto_plot import ParetoPlot
from gui.plot.scene import Band, LiveState, Overlay, Scene
from gui.state.job import Job
from gui.state.state import State
from gui.state.store import Store

# while a limit is dragged the text below is updated this often, the picture at every move
LIVE_EVERY_MS = 60
SHOW = (
    ("front_shown", "Front", "Candidates that nothing beats under the limits"),
    (
        "feasible_shown",
        "Inside",
        "Candidates that keep every limit, not on the front; hatched: outside what a law had",
    ),
    ("dominated_shown", "Outside", "Candidates that break a limit"),
)
# the sign has the colour of its dots, and its form shows whether they are shown
SIGN_PX = 12
WITH_MEASURED = 860  # width from which the measured points fit into the legend
COLOUR_OF = {
    "front_shown": "front",
    "feasible_shown": "feasible",
    "dominated_shown": "infeasible",
}


class PlotView(Panel):
    """Shows the picture and turns what the user does on it into choices."""

    live_best = Signal(object)  # row that is best under the limit in hand; None: nothing in hand
    live_counts = Signal(str)  # empty: nothing in hand
    live_limit = Signal(object, object)  # key and value (None: no limit) of the limit in hand
    uncertainty_found = Signal(object)  # how sure the front shown is (FrontUncertainty)

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._theme = LIGHT
        self._live: LiveState | None = None
        self._band: Band | None = None
        self._chance: Floats | None = None
        self._band_of: object = None
        self._band_job: Job | None = None
        self._chip_labels: dict[tuple[str, str, str], QLabel] = {}
        self._shown: State | None = None
        self.plot = ParetoPlot(self, background=self._background)
        self.plot.setToolTip("")
        self.empty = QLabel("", self)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setProperty("quiet", True)
        self.sentence = SentenceBar(store, self)
        self.chips = QWidget(self)
        self.chip_row = FlowLayout(self.chips)
        self.chip_row.setContentsMargins(10, 0, 10, 5)
        self.chips.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        self.caution = QLabel("", self)
        self.caution.setProperty("bad", True)
        self.caution.setWordWrap(True)
        self.caution.setContentsMargins(12, 0, 12, 4)
        self.caution.setAccessibleName("What must not be compared")
        self.caution.hide()
        stack = QStackedLayout()
        stack.addWidget(self.empty)
        stack.addWidget(self.plot)
        self._stack = stack
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(self._build_axes())
        column.addWidget(self.chips)
        column.addWidget(self.caution)
        column.addLayout(stack, 1)
        column.addWidget(self.sentence)
        self._live_timer = QTimer(self, singleShot=True, interval=LIVE_EVERY_MS)
        self._live_timer.timeout.connect(self._show_live)
        self.plot.limit_released.connect(self.on_released)
        self.plot.point_clicked.connect(self.on_point)
        self.plot.axis_requested.connect(self.on_axis)
        self.plot.live.connect(self.on_live)

    def _build_axes(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(10, 5, 10, 5)
        row.setSpacing(4)
        self.axis_boxes: dict[str, MetricBox] = {}
        self.log_buttons: dict[str, QToolButton] = {}
        for axis, name in (("y", "Vertical axis"), ("x", "Horizontal axis")):
            box = MetricBox(name, self)
            box.chosen.connect(lambda key, axis=axis: self._choose_axis(axis, key))
            log = QToolButton(self)
            log.setText("log")
            log.setCheckable(True)
            log.setToolTip(f"{name}: logarithmic scale")
            log.setAccessibleName(f"{name} logarithmic")
            log.clicked.connect(
                lambda checked, axis=axis: self._store.choose(**{f"{axis}_log": checked})
            )
            self.axis_boxes[axis], self.log_buttons[axis] = box, log
            if axis == "x":
                row.addWidget(QLabel("against", self))
            row.addWidget(box)
            row.addWidget(log)
        row.addStretch(1)
        self.show_buttons: dict[str, QToolButton] = {}
        for part, text, tip in SHOW:
            button = QToolButton(self)
            button.setProperty("flat", True)
            button.setToolTip(f"{tip}. Click: shown, faded, hidden")
            button.setAccessibleName(text)
            button.clicked.connect(lambda _=False, part=part: self._cycle(part))
            button.setText(text)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setIconSize(QSize(SIGN_PX, SIGN_PX))
            self.show_buttons[part] = button
            row.addWidget(button)
        self.measured = QLabel("", self)
        self.measured.setToolTip(
            "An orange dot was measured; the line through it is its 95 % interval. A shape is marked"
            " once, at the training length with the best value. Triangles are real models. Squares"
            " are laid over from elsewhere: imported results, other projects and other devices."
            " All other dots are predicted. A hollow triangle that points down is a published"
            " illustration of the loss below 16 bits (What if): not measured here."
        )
        self.published = QLabel("", self)
        self.published.setToolTip(self.measured.toolTip())
        # the first to go where the window is narrow
        self.measured.setMinimumWidth(1)
        row.addWidget(self.published)
        row.addWidget(self.measured)
        return row

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out of the legend what would be cut off."""
        self._fit_legend()
        super().resizeEvent(event)

    def _fit_legend(self) -> None:
        shown = bool(self.published.text())
        self.published.setVisible(shown)
        needed = WITH_MEASURED + (self.published.sizeHint().width() + 8 if shown else 0)
        self.measured.setVisible(self.width() >= needed)

    # --- showing ----------------------------------------------------------------------------------

    def refresh(self, new: State, old: State | None) -> None:
        """Draw what changed."""
        self.sentence.refresh(new, old)
        if old is None or new.choices is not old.choices or new.table is not old.table:
            self._refresh_controls(new)
        if old is None or new.frame is not old.frame or new.table is not old.table:
            self._refresh_chips(new)
            self._live = None
            self.live_best.emit(None)
        if (
            old is None
            or new.choices is not old.choices
            or new.frame is not old.frame
            or new.table is not old.table
            or new.others is not old.others
            or new.contents.imported is not old.contents.imported
        ):
            self._refresh_plot(new)
        nothing = empty_text(new)
        self.empty.setText(nothing)
        self._stack.setCurrentIndex(0 if nothing else 1)

    def recolour(self, theme: Theme) -> None:
        """Draw in another theme's colours."""
        self._theme = theme
        if self._shown is not None:
            self._refresh_controls(self._shown)
            self._refresh_plot(self._shown)

    def fit_view(self) -> None:
        """Show everything."""
        if self.plot.scene is not None:
            self.plot.fit_view()

    def preview(self, key: Any, value: float | None) -> None:
        """Follow a handle that is dragged elsewhere."""
        scene = self.plot.scene
        if scene is not None and any(limit.key == key for limit in scene.limits):
            self.plot.preview_limit(key, value)

    def _refresh_controls(self, new: State) -> None:
        choices = new.choices
        for axis, box in self.axis_boxes.items():
            box.set_table(new.table)
            box.show_metric(getattr(choices, axis))
            self.log_buttons[axis].setChecked(getattr(choices, f"{axis}_log"))
        for part, button in self.show_buttons.items():
            colour = getattr(self._theme.plot, COLOUR_OF[part])
            button.setIcon(sign(colour, getattr(choices, part), self.devicePixelRatioF()))
            button.setAccessibleDescription(getattr(choices, part))
        self.measured.setText(
            f"<span style='color:{self._theme.plot.measured}'>●</span> Measured&nbsp;"
        )
        self.published.setText(self._illustrated_sign(new))
        self._fit_legend()

    def _illustrated_sign(self, new: State) -> str:
        """The legend of published illustrations, where some are drawn."""
        if new.table is None or not illustrated(new.table, new.choices.x, new.choices.y).any():
            return ""
        return f"<span style='color:{self._theme.plot.front}'>▽</span> Published&nbsp;"

    def _refresh_chips(self, new: State) -> None:
        while (item := self.chip_row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self._chip_labels = {}
        frame = new.frame
        if frame is not None:
            for limit, hidden in zip(frame.limits, frame.hidden, strict=True):
                self.chip_row.addWidget(self._chip(limit, hidden))
        self.chips.setVisible(frame is not None and bool(frame.limits))
        self.chips.updateGeometry()

    def _chip(self, limit: Limit, hidden: int) -> QFrame:
        chip = QFrame(self.chips)
        chip.setProperty("chip", True)
        label = QLabel(f"{limit.label}  ·  hides {hidden:,}", chip)
        label.setToolTip(
            f"{METRICS[limit.metric].formula}. Without this limit alone, {hidden:,} candidates"
            f" would come back. As text: {limit.text}"
        )
        self._chip_labels[limit.key] = label
        close = QToolButton(chip)
        close.setText("×")
        close.setProperty("flat", True)
        close.setToolTip("Remove this limit")
        close.setAccessibleName(f"Remove the limit {limit.label}")
        close.clicked.connect(lambda: self._store.drop_limit(limit.key))
        row = QHBoxLayout(chip)
        row.setContentsMargins(10, 1, 3, 1)
        row.setSpacing(2)
        row.addWidget(label)
        row.addWidget(close)
        return chip

    def _refresh_plot(self, new: State) -> None:
        before = self.plot.scene
        scene = scene_of(new, self._theme.plot, before, self._shown)
        self._shown = new
        if scene is not None:
            self._refresh_band(new)
            self.plot.refresh(self._with_uncertainty(scene), before)
            if before is None or scene.overlays is not before.overlays:
                self._refresh_caution(scene.overlays)

    def _refresh_band(self, new: State) -> None:
        """Find in the background how sure the front is, once for each front."""
        table, frame = new.table, new.frame
        if table is None or frame is None or frame.front is self._band_of:
            return
        self._band, self._chance, self._band_of = None, None, frame.front
        if self._band_job is not None and shiboken6.isValid(self._band_job):
            self._band_job.cancel()
        self._band_job = self._store.background(
            lambda: front_uncertainty(table, frame), lane="band"
        )
        self._band_job.returned.connect(self.on_uncertainty)
        self._band_job.ended.connect(self._on_band_ended)

    @property
    def busy(self) -> bool:
        """Whether the uncertainty of the front is still being worked out."""
        return self._band_job is not None

    @Slot(object)
    def _on_band_ended(self, job: object) -> None:
        if job is self._band_job:
            self._band_job = None

    @Slot(object)
    def on_uncertainty(self, found: FrontUncertainty) -> None:
        """Show the band along a front and the chances of being on it."""
        scene = self.plot.scene
        if found.front is not self._band_of or scene is None:
            return
        self._band = None if found.band is None else Band(*found.band)
        self._chance = found.chance
        self.uncertainty_found.emit(found)
        if self._live is None and (found.band is not None or found.chance is not None):
            self.plot.refresh(self._with_uncertainty(scene), scene)

    def _with_uncertainty(self, scene: Scene) -> Scene:
        """A scene with what is known of its front's uncertainty."""
        shown = self._shown is None or self._shown.choices.chance_shown
        return replace(scene, band=self._band, chance=self._chance if shown else None)

    def _refresh_caution(self, overlays: tuple[Overlay, ...]) -> None:
        cautions = dict.fromkeys(f"{o.tag}: {o.caution}" for o in overlays if o.caution)
        self.caution.setText("⚠ Do not compare with the candidates: " + "; ".join(cautions) + ".")
        self.caution.setVisible(bool(cautions))

    # --- what the user does ---------------------------------------------------------------------------

    @Slot(object, str, object)
    def on_released(self, key: tuple[str, str, str], side: str, value: float | None) -> None:
        """Set a limit that was released, or remove one that was pulled past the data."""
        metric, statistic, _ = key
        if value is None:
            self._store.drop_limit(key)
        else:
            self._store.set_limit(Limit(metric, side, float(value), statistic))
        if self._live is not None:
            # it came back to where it was: nothing changed, so nothing is refreshed
            self._live = None
            self.live_best.emit(None)
            self.live_counts.emit("")
            self._refresh_chips(self._store.state)
            self.sentence.refresh(self._store.state, None)
            scene = self.plot.scene
            if scene is not None:
                self.plot.picture.band.set_band(self._band, scene.x_axis, scene.y_axis)

    @Slot(int)
    def on_point(self, row: int) -> None:
        """Choose the point that was clicked."""
        table = self._store.state.table
        if table is not None and row < len(table):
            self._store.choose(selected=table.id_of(row))

    @Slot(str, QPointF)
    def on_axis(self, axis: str, where: QPointF) -> None:
        """Offer the metrics for an axis that was clicked."""
        state = self._store.state
        menu = metric_menu(
            self,
            state.table,
            getattr(state.choices, axis),
            lambda key: self._choose_axis(axis, key),
        )
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(where.toPoint() if isinstance(where, QPointF) else QPoint(where))

    @Slot(object)
    def on_live(self, live: LiveState) -> None:
        """Update the text while a limit is dragged, no faster than it can be read."""
        scene = self.plot.scene
        if self._live is None and scene is not None:
            # it belongs to the front before the drag
            self.plot.picture.band.set_band(None, scene.x_axis, scene.y_axis)
        self._live = live
        if not self._live_timer.isActive():
            self._live_timer.start()

    def _show_live(self) -> None:
        live, state = self._live, self._store.state
        if live is None or state.table is None or state.frame is None:
            return
        self.live_counts.emit(
            f"{live.feasible:,} of {live.total:,} candidates keep the limits,"
            f" {len(live.front):,} on the front  "
        )
        self._follow_in_chip(live)
        self.live_limit.emit(live.key, live.value)
        self.live_best.emit(live.best)
        if live.best is None:
            self.sentence.show_text("No candidate keeps every limit.")
        else:
            self.sentence.show_text(alone_sentence(state.table, state.frame, live.best))

    def _follow_in_chip(self, live: LiveState) -> None:
        metric, statistic, side = key = cast(tuple[str, str, str], live.key)
        if key in self._chip_labels:
            limit = None if live.value is None else Limit(metric, side, live.value, statistic)
            self._chip_labels[key].setText(limit.label if limit else "no limit")

    def _choose_axis(self, axis: str, key: str) -> None:
        parts: dict[str, Any] = {axis: key, f"{axis}_log": METRICS[key].log}
        self._store.choose("", **parts)

    def _cycle(self, part: str) -> None:
        now = getattr(self._store.state.choices, part)
        self._store.choose(**{part: SHOWN[(SHOWN.index(now) + 1) % len(SHOWN)]})

    def _background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def steps() -> Steps[Any]:
            yield from ()
            return work()

        # a child of this view: when the view is gone, nothing is called
        self._store.background(steps, lane="plot").returned.connect(_Once(done, self).call)


def sign(colour: str, shown: str, ratio: float) -> QIcon:
    """The dot of a legend: filled where its points are shown, small where faded, a ring where hidden."""
    image = QPixmap(round(SIGN_PX * ratio), round(SIGN_PX * ratio))
    image.setDevicePixelRatio(ratio)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(colour), 1.5))
    painter.setBrush(Qt.BrushStyle.NoBrush if shown == "hidden" else QColor(colour))
    radius = 2.0 if shown == "faded" else 4.2
    painter.drawEllipse(QPointF(SIGN_PX / 2, SIGN_PX / 2), radius, radius)
    painter.end()
    return QIcon(image)


class _Once(QObject):
    """Calls a function once."""

    def __init__(self, done: Callable[[Any], None], parent: QObject) -> None:
        super().__init__(parent)
        self._done = done

    @Slot(object)
    def call(self, value: Any) -> None:
        """Call the function, then delete this object."""
        self._done(value)
        self.deleteLater()


def empty_text(state: State) -> str:
    """What to do when there is nothing to draw; empty where there is."""
    table, frame = state.table, state.frame
    if table is not None:
        # axes without a single point would show made-up numbers
        unknown = frame is not None and not (table.known(frame.x) and table.known(frame.y))
        laid_over = bool(state.contents.imported or state.others)
        if frame is None or not unknown or laid_over:
            return ""
        # measuring tells times and memory, not the loss of a design
        untimed = frame is not None and any(
            METRICS[key].law != "loss" and not table.known(key) for key in (frame.x, frame.y)
        )
        advice = "Measure on this machine, or choose" if untimed else "Choose"
        return f"{nothing_feasible(table, frame)}\n\n{advice} another axis above."
    if state.busy or not state.path:
        return f"{state.busy.capitalize()} …" if state.busy else " "
    if state.contents.space is None:
        return (
            "Describe a space of candidates in the Space panel (a preset is a good start), or"
            " measure a model of yours in the Measure panel."
        )
    return state.message or "There is nothing to show yet."
