"""Limits as rows: a handle over a small histogram, a box for the number, what can still be reached."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.analysis.frame import Frame
from core.analysis.not_counted import not_counted
from core.arrays import Floats
from core.errors import Unusable
from core.pareto.limits import Limit, parse_limit, reachable, with_limit
from core.pareto.live_reach import LiveReach, reach_of_each
from core.records.metrics import METRICS
from core.records.progress import Steps
from core.table.table import Table
from gui.panels.histogram import LimitHistogram
from gui.panels.metric_box import MetricBox, metric_tip
from gui.panels.view import Panel
from gui.state.state import State
from gui.state.store import Store

# while a limit is dragged, what can still be reached is updated this often
REACH_EVERY_MS = 120
SIGNS = {"<=": "≤", ">=": "≥"}
STATISTICS = {
    "p50": "median",
    "mean": "mean",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "high": "upper end of the 95 % interval",
}
# the number's field is as wide as the longest of this many values of its column
PROBES = 65
# frame, padding and cursor around the number
AROUND_NUMBER = 24


class LimitsPanel(Panel):
    """All limits as rows, a box and a field to add one."""

    dragged = Signal(object, object)  # key, value or None: a handle is in hand

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._rows: dict[tuple[str, str, str], LimitRow] = {}
        self._in_hand: tuple[Any, float | None] | None = None
        self._reach_wanted: object = None  # the frame and the limit for which `_reaches` is made
        self._reaches: dict[str, LiveReach] = {}
        self.setAccessibleName("Limits")
        title = QLabel("Limits", self)
        title.setProperty("title", True)
        self.add_box = MetricBox("Add a limit on a metric", self, prompt="Add a limit on …")
        self.add_box.chosen.connect(self.on_add)
        self.typed = QLineEdit(self)
        self.typed.setPlaceholderText("or type tpot<=8ms")
        self.typed.setAccessibleName("Type a limit")
        self.typed.setToolTip("metric[:statistic]<=value, e.g. tpot:p95<=8ms or throughput>=100")
        self.typed.returnPressed.connect(self.on_typed)
        self.error = QLabel("", self)
        self.error.setProperty("bad", True)
        self.error.setWordWrap(True)
        self.error.hide()
        self.body = QWidget(self)
        self.list = QVBoxLayout(self.body)
        self.list.setContentsMargins(0, 0, 0, 0)
        self.list.setSpacing(4)
        self.none = QLabel(
            "No limits. Pull a handle in from the edge of the plot, or add one below.", self.body
        )
        self.none.setProperty("quiet", True)
        self.none.setWordWrap(True)
        self.list.addWidget(self.none)
        self.list.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(self.body)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.outside = QCheckBox("", self)
        self.outside.clicked.connect(lambda on: self._store.choose(outside_counts=on))
        self.outside.hide()
        entry = QHBoxLayout()
        entry.addWidget(self.add_box)
        entry.addWidget(self.typed, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 10, 8)
        column.setSpacing(5)
        column.addWidget(title)
        column.addWidget(scroll, 1)
        column.addWidget(self.outside)
        column.addWidget(self.error)
        column.addLayout(entry)
        self._reach_timer = QTimer(self, singleShot=True, interval=REACH_EVERY_MS)
        self._reach_timer.timeout.connect(self._refresh_reach)

    def refresh(self, new: State, old: State | None) -> None:
        """Rows for the limits; their histograms when the table changed."""
        table = new.table
        if old is None or table is not old.table:
            self.add_box.set_table(table)
            self.setEnabled(table is not None)
        if old is not None and table is old.table and new.frame is old.frame:
            return
        self._in_hand = None
        self._reach_wanted, self._reaches = None, {}
        limits = {limit.key: limit for limit in (new.frame.limits if new.frame else ())}
        for key in [key for key in self._rows if key not in limits]:
            row = self._rows.pop(key)
            row.hide()
            row.deleteLater()
        hidden = dict(zip(limits, new.frame.hidden if new.frame else (), strict=False))
        if table is not None:
            for key, limit in limits.items():
                if key not in self._rows:
                    self._rows[key] = self._new_row(limit)
                self._rows[key].show_limit(limit, hidden.get(key, 0), table)
        self.none.setVisible(not self._rows)
        self._refresh_outside(new)
        self._refresh_reach()

    def _refresh_outside(self, new: State) -> None:
        """The switch that lets candidates outside the runs count, where there are any."""
        if new.table is None or new.frame is None:
            self.outside.hide()
            return
        found = not_counted(new.table, new.frame)
        self.outside.setText(f"Count {found.rows:,} outside the loss law's runs")
        each = ", ".join(f"{name} ({count:,})" for name, count in found.columns.items())
        self.outside.setToolTip(
            f"The runs behind the loss law cannot speak for candidates that differ from them in {each}."
            " Off: they are not on the front and never best, unless no other keeps the limits (Ctrl+U)."
        )
        self.outside.setChecked(new.choices.outside_counts)
        self.outside.setVisible(bool(found.rows))

    @Slot(object, object)
    def show_live(self, key: Any, value: float | None) -> None:
        """A limit is in hand in the plot: follow with the number and with what can be reached."""
        row = self._rows.get(key)
        if row is not None:
            row.follow(value)
        self._in_hand = (key, value)
        if not self._reach_timer.isActive():
            self._reach_timer.start()

    def _new_row(self, limit: Limit) -> LimitRow:
        row = LimitRow(limit, self.body)
        row.moved.connect(self.on_moved)
        row.settled.connect(self.on_settled)
        row.removed.connect(self._store.drop_limit)
        row.statistic_chosen.connect(self.on_statistic)
        self.list.insertWidget(self.list.count() - 1, row)
        return row

    def _refresh_reach(self) -> None:
        state = self._store.state
        table, frame = state.table, state.frame
        if table is None or frame is None:
            return
        if self._in_hand is None:
            for row in self._rows.values():
                reach = reachable(table.column, frame.limits, len(table), row.limit.metric)
                row.show_reach(reach)
            return
        key, value = self._in_hand
        wanted = (frame, key)
        if self._reach_wanted != wanted:
            self._reach_wanted, self._reaches = wanted, {}
            self._prepare_reach(table, frame, key)
        for row in self._rows.values():
            # the text stays as it was until its reach has been worked out
            if row.limit.metric in self._reaches:
                row.show_reach(self._reaches[row.limit.metric].at(value))

    def _prepare_reach(self, table: Table, frame: Frame, key: tuple[str, str, str]) -> None:
        """Work out in the background what each metric can reach for every value of this limit."""
        names = tuple(dict.fromkeys(row.limit.metric for row in self._rows.values()))

        def steps() -> Steps[tuple[object, dict[str, LiveReach]]]:
            found = {}
            for name, live in reach_of_each(table.column, frame.limits, len(table), key, names):
                found[name] = live
                yield None
            return (frame, key), found

        self._store.background(steps, lane="reach").returned.connect(self.on_reach)

    @Slot(object)
    def on_reach(self, found: tuple[object, dict[str, LiveReach]]) -> None:
        """Keep what each metric can reach for every value of the limit in hand."""
        wanted, reaches = found
        if wanted == self._reach_wanted:
            self._reaches = reaches
            if self._in_hand is not None:
                self._refresh_reach()

    # --- what the user does ---------------------------------------------------------------------------

    @Slot(object, object)
    def on_moved(self, key: tuple[str, str, str], value: float | None) -> None:
        """A handle moves: the picture follows; the store changes when it is released."""
        self.dragged.emit(key, value)
        self._in_hand = (key, value)
        if not self._reach_timer.isActive():
            self._reach_timer.start()

    @Slot(object, object)
    def on_settled(self, key: tuple[str, str, str], value: float | None) -> None:
        """A handle was let go or a number typed."""
        self._in_hand = None
        if value is None:
            self._store.drop_limit(key)
        else:
            self._store.set_limit(Limit(key[0], key[2], float(value), key[1]))

    @Slot(object, str)
    def on_statistic(self, key: tuple[str, str, str], statistic: str) -> None:
        """Bound another statistic of the same metric."""
        limits = self._store.state.choices.limits
        moved = tuple(
            Limit(limit.metric, limit.side, limit.value, statistic) if limit.key == key else limit
            for limit in limits
        )
        self._store.choose(limits=tuple({limit.key: limit for limit in moved}.values()))

    @Slot(str)
    def on_add(self, key: str) -> None:
        """Add a limit that hides nothing yet, ready to be pulled."""
        state = self._store.state
        if state.table is None:
            return
        side = METRICS[key].natural_side
        reach = reachable(state.table.column, state.choices.limits, len(state.table), key)
        if reach is None:
            self._complain(f"No candidate has a value for {METRICS[key].label.lower()} yet.")
            return
        self._complain("")
        value = reach[1] if side == "<=" else reach[0]
        limit = Limit(key, side, value)
        if all(old.key != limit.key for old in state.choices.limits):
            self._store.choose(limits=with_limit(state.choices.limits, limit))
        if limit.key in self._rows:
            self._rows[limit.key].histogram.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def on_typed(self) -> None:
        """Add the limit that was typed."""
        try:
            limit = parse_limit(self.typed.text())
        except Unusable as error:
            self._complain(str(error))
            return
        self._complain("")
        self.typed.clear()
        self._store.set_limit(limit)

    def _complain(self, text: str) -> None:
        self.error.setText(text)
        self.error.setVisible(bool(text))


class LimitRow(QFrame):
    """One limit: name, statistic, number, histogram with handle, what it hides, what can be reached."""

    moved = Signal(object, object)
    settled = Signal(object, object)
    removed = Signal(object)
    statistic_chosen = Signal(object, str)

    def __init__(self, limit: Limit, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.limit = limit
        self._table: Table | None = None
        metric = METRICS[limit.metric]
        name = QLabel(f"{metric.label} {SIGNS[limit.side]}", self)
        name.setToolTip(metric_tip(metric))
        name.setWordWrap(True)
        self.statistic = QComboBox(self)
        for key, text in STATISTICS.items():
            if key in ("p50", "high") or metric.phase:
                self.statistic.addItem(text, key)
        self.statistic.setToolTip(
            "Which statistic is bounded. Percentiles are known of measured points only;"
            " the upper end of the interval is for certainty."
        )
        self.statistic.setAccessibleName(f"Statistic of {metric.label}")
        self.statistic.setMaximumWidth(112)
        self.statistic.activated.connect(self.on_statistic)
        self.number = QLineEdit(self)
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.number.setAccessibleName(f"Limit on {metric.label}")
        self.number.setToolTip("Type a value with its unit, e.g. 8ms, 24GB, 1.5B")
        self.number.editingFinished.connect(self.on_number)
        remove = QToolButton(self)
        remove.setText("×")
        remove.setProperty("flat", True)
        remove.setToolTip("Remove this limit")
        remove.setAccessibleName(f"Remove the limit on {metric.label}")
        remove.clicked.connect(lambda: self.removed.emit(self.limit.key))
        self.histogram = LimitHistogram(self)
        self.histogram.setAccessibleName(f"Handle of the limit on {metric.label}")
        self.histogram.setToolTip(
            "Drag, or use the arrow keys (Shift: finely). Past the data: no limit."
            " The line below is what the other limits leave."
        )
        self.histogram.moved.connect(self.on_moved)
        self.histogram.released.connect(lambda value: self.settled.emit(self.limit.key, value))
        self.note = QLabel("", self)
        self.note.setProperty("quiet", True)
        self.note.setWordWrap(True)
        head = QHBoxLayout()
        head.addWidget(name, 1)
        head.addWidget(self.number)
        head.addWidget(remove)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 2)
        grid.setVerticalSpacing(1)
        grid.addLayout(head, 0, 0)
        grid.addWidget(self.histogram, 1, 0)
        below = QHBoxLayout()
        below.addWidget(self.note, 1)
        below.addWidget(self.statistic, 0, Qt.AlignmentFlag.AlignTop)
        grid.addLayout(below, 2, 0)

    def show_limit(self, limit: Limit, hidden: int, table: Table) -> None:
        """Show another value, or the column of another table."""
        metric = METRICS[limit.metric]
        values = table.column(limit.metric, limit.statistic)
        if table is not self._table:
            self._table = table
            self.histogram.show_values(values, log=metric.log, side=limit.side)
        self._widen_number(values, limit.value)
        self.limit = limit
        self._hidden = hidden
        self.histogram.show_limit(limit.value)
        self._show_number(limit.value)
        self.statistic.setCurrentIndex(self.statistic.findData(limit.statistic))

    def _widen_number(self, values: Floats, value: float) -> None:
        """Make the number's field wide enough for every value that the handle can take.

        A number that is cut off reads as another number.
        """
        metric = METRICS[self.limit.metric]
        shown = {"no limit", metric.format(value)}
        known = values[np.isfinite(values)]
        if len(known):
            ends = float(known.min()), float(known.max())
            space = np.geomspace if ends[0] > 0 else np.linspace
            shown |= {metric.format(float(v)) for v in space(*ends, PROBES)}
        metrics = self.number.fontMetrics()
        widest = max(metrics.horizontalAdvance(text) for text in shown)
        self.number.setFixedWidth(widest + AROUND_NUMBER)

    def follow(self, value: float | None) -> None:
        """Show the value of this limit while it is dragged elsewhere."""
        self.histogram.show_limit(value)
        self._show_number(value)

    def show_reach(self, reach: tuple[float, float] | None) -> None:
        """What the other limits leave."""
        metric = METRICS[self.limit.metric]
        self.histogram.show_reach(reach)
        if reach is None:
            self.note.setText("the other limits leave nothing")
        else:
            self.note.setText(
                f"hides {self._hidden:,}\nreachable {metric.format(reach[0])}"
                f" to {metric.format(reach[1])}"
            )

    def _show_number(self, value: float | None) -> None:
        if not self.number.isModified() or not self.number.hasFocus():
            text = "no limit" if value is None else METRICS[self.limit.metric].format(value)
            self.number.setText(text)

    @Slot(object)
    def on_moved(self, value: float | None) -> None:
        """The handle moves."""
        self._show_number(value)
        self.moved.emit(self.limit.key, value)

    @Slot()
    def on_number(self) -> None:
        """A number was typed."""
        if not self.number.isModified():
            return
        self.number.setModified(False)
        metric = METRICS[self.limit.metric]
        try:
            value = metric.parse(self.number.text())
        except Unusable as error:
            self.number.setText(metric.format(self.limit.value))
            self.note.setText(str(error))
            return
        self.settled.emit(self.limit.key, value)

    @Slot(int)
    def on_statistic(self, index: int) -> None:
        """Another statistic was chosen."""
        chosen = self.statistic.itemData(index)
        if chosen != self.limit.statistic:
            self.statistic_chosen.emit(self.limit.key, chosen)
