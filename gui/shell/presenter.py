"""Presenter mode: one plot and one sentence over the whole screen, for people new to the subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QFont, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from core.analysis.derivation import ROWS_AT_ONCE
from core.analysis.explain import alone_sentence, sentences
from core.analysis.frame import Frame, make_frame
from core.analysis.not_counted import outside_sentences
from core.errors import Unusable
from core.pareto.limits import Limit, with_limit, without_limit
from core.project.choices import Choices
from core.project.scenes import scene_parts, scene_title
from core.records.metrics import METRICS
from core.records.progress import Steps
from core.table.table import Table
from gui.app.theme import Theme
from gui.panels.picture_scene import scene_of
from gui.plot.pareto_plot import ParetoPlot
from gui.plot.scene import ILLUSTRATED, Colours, LiveState, Scene
from gui.state.state import State
from gui.state.store import Store

# including what remote controls of projectors send
ON = (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_PageDown, Qt.Key.Key_Space, Qt.Key.Key_Return)
BACK = (Qt.Key.Key_Left, Qt.Key.Key_Up, Qt.Key.Key_PageUp, Qt.Key.Key_Backspace)
LEAVE = (Qt.Key.Key_Escape, Qt.Key.Key_F5)
LIVE_EVERY_MS = 60
# shares of the window's height: title, sentence, small print, and the plot's own type
TITLE, SENTENCE, SMALL, PLOT = 0.036, 0.034, 0.021, 0.0155


class Presenter(QWidget):
    """Shows the project's scenes one at a time; nothing done here changes the project.

    Arrow keys, Page keys and Space step, Home and End go to the ends, Esc leaves. A limit can be
    dragged as in the window.
    """

    left = Signal()

    def __init__(self, store: Store, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Paretoscope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setObjectName("presenter")
        self._store = store
        self._theme = theme
        self._shown: State | None = None
        self._table: Table | None = store.state.table
        self.steps = steps_of(store.state)
        self.at = 0
        self.choices = store.state.choices
        self.frame: Frame | None = None
        self._live: LiveState | None = None
        self._build()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.plot.installEventFilter(self)
        self._live_timer = QTimer(self, singleShot=True, interval=LIVE_EVERY_MS)
        self._live_timer.timeout.connect(self._show_live)
        store.changed.connect(self.on_changed)
        self.go(0)

    def _build(self) -> None:
        self.title = self._label("What is shown")
        self.plain = self._label("In plain words")
        self.plain.setProperty("quiet", True)
        self.plot = ParetoPlot(self, background=self._background)
        self.plot.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.legend = self._label("What the colours mean")
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.sentence = self._label("What the choice means")
        self.limits = self._label("Limits that are not axes")
        self.limits.setProperty("quiet", True)
        self.place = self._label("Where in the presentation")
        self.place.setProperty("quiet", True)
        self.place.setWordWrap(False)
        self.place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom)
        self.place.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        foot = QHBoxLayout()
        foot.addWidget(self.limits, 1)
        foot.addWidget(self.place)
        column = QVBoxLayout(self)
        for widget in (self.title, self.plain, self.legend):
            column.addWidget(widget)
        column.addWidget(self.plot, 1)
        column.addWidget(self.sentence)
        column.addLayout(foot)
        self.plot.limit_released.connect(self.on_released)
        self.plot.point_clicked.connect(self.on_point)
        self.plot.live.connect(self.on_live)

    def _label(self, name: str) -> QLabel:
        label = QLabel(self)
        label.setWordWrap(True)
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setAccessibleName(name)
        return label

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Step, jump to an end, or leave."""
        key = event.key()
        if key in ON:
            self.go(self.at + 1)
        elif key in BACK:
            self.go(self.at - 1)
        elif key == Qt.Key.Key_Home:
            self.go(0)
        elif key == Qt.Key.Key_End:
            self.go(len(self.steps) - 1)
        elif key in LEAVE:
            self.close()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The plot may have the focus; before an audience its keys step through the scenes too."""
        if watched is self.plot and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.KeyPress:
                self.keyPressEvent(event)
            return True
        return super().eventFilter(watched, event)

    # --- stepping --------------------------------------------------------------------------------

    def go(self, to: int) -> None:
        """Show a step; beyond the ends nothing happens."""
        if not 0 <= to < len(self.steps):
            return
        self.at = to
        title, text = self.steps[to]
        self.title.setText(title)
        problem, choices = "", self._store.state.choices
        try:
            choices = choices.changed(**(scene_parts(text) if text else {}))
        except Unusable as error:
            problem = str(error)
        self._choose(choices)
        if problem:
            self.sentence.setText(problem)
        count = f"{to + 1} of {len(self.steps)}   ← → step   " if len(self.steps) > 1 else ""
        self.place.setText(f"{count}Esc leaves")

    def closeEvent(self, event: QCloseEvent) -> None:
        """Return to the window."""
        self._store.changed.disconnect(self.on_changed)
        self.left.emit()
        super().closeEvent(event)

    def _choose(self, choices: Choices) -> None:
        """Show these choices, at once where that is quick, else once their front is there."""
        self.choices = choices
        table = self._table
        if table is None:
            return
        if len(table) <= ROWS_AT_ONCE:
            self._show(make_frame(table, choices))
            return

        def work() -> Steps[Any]:
            yield from ()
            return choices, make_frame(table, choices)

        self._store.background(work, lane="presenter").returned.connect(self.on_framed)

    @Slot(object)
    def on_framed(self, found: tuple[Choices, Frame]) -> None:
        """Show the front of a large table, unless other choices were made since."""
        if found[0] is self.choices:
            self._show(found[1])

    @Slot(object, object)
    def on_changed(self, new: State, old: State | None) -> None:
        """Follow measurements that arrive; choices made in the window are not shown here."""
        if old is not None and new.table is not old.table and new.table is not None:
            self._table = new.table
            self._choose(self.choices)

    # --- showing ---------------------------------------------------------------------------------

    def _show(self, frame: Frame) -> None:
        self.frame = frame
        state = self._store.state
        shown = replace(state, table=self._table, frame=frame, choices=self.choices)
        before = self.plot.scene
        scene = scene_of(shown, self._theme.plot, before, self._shown)
        self._shown = shown
        self._live = None
        if scene is None or self._table is None:
            return
        few = few_series(scene)
        self.plot.refresh(few, before)
        self.plain.setText(plain_words(frame.x, frame.y))
        self.legend.setText(legend_html(few, self._theme.plot, self._table))
        lines = sentences(self._table, frame, self.choices)
        self.sentence.setText(kept_together(lines[0]) if lines else "")
        elsewhere = [li.label for li in frame.limits if li.metric not in (frame.x, frame.y)]
        notes = [f"Only models with {', '.join(elsewhere)}."] if elsewhere else []
        notes += outside_sentences(self._table, frame, self.choices)
        self.limits.setText(" ".join(notes))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Type grows with the screen, so that it can be read from the last row of seats."""
        high = float(self.height())
        for label, share, weight in (
            (self.title, TITLE, QFont.Weight.DemiBold),
            (self.plain, SMALL, QFont.Weight.Normal),
            (self.legend, SMALL, QFont.Weight.Normal),
            (self.sentence, SENTENCE, QFont.Weight.DemiBold),
            (self.limits, SMALL, QFont.Weight.Normal),
            (self.place, SMALL, QFont.Weight.Normal),
        ):
            font = QFont(label.font())
            font.setPixelSize(max(11, round(high * share)))
            font.setWeight(weight)
            label.setFont(font)
        font = QFont(self.plot.font())
        font.setPointSizeF(max(7.0, high * PLOT * 72 / self.logicalDpiY() / 1.0))
        self.plot.setFont(font)
        side = round(high * 0.035)
        layout = self.layout()
        if layout is not None:
            layout.setContentsMargins(side, round(side * 0.7), side, round(side * 0.5))
            layout.setSpacing(round(side * 0.3))
        if self.plot.scene is not None:
            # the size of type changes the axes and tags, so they are drawn again
            self.plot.refresh(self.plot.scene)
        super().resizeEvent(event)

    # --- what the user does -----------------------------------------------------------------------

    @Slot(object, str, object)
    def on_released(self, key: tuple[str, str, str], side: str, value: float | None) -> None:
        """Set a limit that was released; it holds until the next step."""
        metric, statistic, _ = key
        limits = (
            without_limit(self.choices.limits, key)
            if value is None
            else with_limit(self.choices.limits, Limit(metric, side, float(value), statistic))
        )
        self._choose(self.choices.changed(limits=limits, selected=""))

    @Slot(int)
    def on_point(self, row: int) -> None:
        """Choose the clicked point; the sentence is about it."""
        if self._table is not None and row < len(self._table):
            self._choose(self.choices.changed(selected=self._table.id_of(row)))

    @Slot(object)
    def on_live(self, live: LiveState) -> None:
        """Update the sentence while a limit is dragged, no faster than it can be read."""
        self._live = live
        if not self._live_timer.isActive():
            self._live_timer.start()

    def _show_live(self) -> None:
        live = self._live
        if live is None or self._table is None or self.frame is None:
            return
        self.sentence.setText(
            kept_together(alone_sentence(self._table, self.frame, live.best))
            if live.best is not None
            else "No model keeps every limit."
        )

    def _background(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def steps() -> Steps[Any]:
            yield from ()
            return work()

        self._store.background(steps, lane="presenter plot").returned.connect(done)


def steps_of(state: State) -> tuple[tuple[str, str], ...]:
    """The saved scenes, or what the window shows as the only one."""
    return state.choices.scenes or ((scene_title(state.choices), ""),)


def few_series(scene: Scene) -> Scene:
    """At most three things to look at: the candidates, the front, and one more.

    The third is an overlaid project or tool where there is one, else what was measured. Only limits
    that have a value have a line."""
    overlays = scene.overlays[:1]
    return replace(
        scene,
        overlays=overlays,
        measured=None if overlays else scene.measured,
        landmarks=(),
        pinned=(),
        baseline=None,
        band=None,
        outside=None,
        limits=tuple(limit for limit in scene.limits if limit.value is not None),
        large=True,
    )


def plain_words(x: str, y: str) -> str:
    """What the picture shows, without jargon."""
    across = "left" if METRICS[x].better != "higher" else "right"
    up = "down" if METRICS[y].better != "higher" else "up"
    return (
        f"Each dot is a model that could be built. Further {across}, it {plain(x)};"
        f" further {up}, it {plain(y)}. Those on the line are beaten by no other on both."
    )


def plain(key: str) -> str:
    """What a model with a better value does."""
    metric = METRICS[key]
    word = "more" if metric.better == "higher" else "less"
    return metric.plain or f"has {word} {metric.label.lower()}"


def legend_html(scene: Scene, colours: Colours, table: Table) -> str:
    """What each colour means, written in that colour."""
    device = table.device_key.partition(":")[2].rpartition(":")[0]
    parts = [(colours.feasible, "•", "possible models"), (colours.front, "—", "the best of them")]
    if scene.overlays:
        tag = scene.overlays[0].tag
        parts.append((colours.overlays[0], "■", tag + ("" if scene.overlays[0].comparable else
                      " (not comparable)")))  # fmt: skip
    elif scene.measured is not None:
        parts.append((colours.measured, "●", f"timed on {device}" if device else "timed"))
    if scene.source is not None and (scene.source == ILLUSTRATED).any():
        parts.append((colours.front, "▽", "published, not measured here"))
    return "&nbsp;&nbsp;&nbsp;&nbsp;".join(
        f'<span style="color:{colour}">{sign}</span> {_escaped(text)}'
        for colour, sign, text in parts
    )


def kept_together(text: str) -> str:
    """The text with numbers and their signs on one line."""
    return text.replace("± ", "±\u00a0").replace(" %", "\u00a0%").replace(" ms", "\u00a0ms")


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
