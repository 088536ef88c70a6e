"""Parallel coordinates: every candidate is a line across the metrics; brushes set the limits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QPoint, Slot
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from core.pareto.limits import Limit, with_limit, without_limit
from core.records.metrics import METRICS
from core.table.table import Table
from gui.panels.parallel_axes import AxisView, Lines, ParallelAxes
from gui.panels.view import Panel
from gui.state.state import State

# lines drawn of each kind: more could not be seen apart
MOST_FRONT, MOST_FEASIBLE, MOST_OUTSIDE = 60, 240, 160
HINT = (
    "Drag along an axis to set limits, a title to reorder; double-click a title to invert."
    " Right-click for more."
)


class Parallel(Panel):
    """Axes from the choices; brushing sets the limits that the plot and the list of limits use too."""

    def __init__(self, store: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("parallel")
        self.setAccessibleName("Parallel coordinates panel")
        self._store = store
        self._state: State | None = None
        self._stale = False
        self._ranges: dict[str, tuple[float, float]] = {}
        self._ranges_of: Table | None = None

        self.axes = ParallelAxes()
        self.axes.limit_moved.connect(self._on_limit)
        self.axes.gesture_ended.connect(self._on_gesture_ended)
        self.axes.axis_moved.connect(self._on_axis_moved)
        self.axes.axis_inverted.connect(self._on_axis_inverted)
        self.axes.picked.connect(self._on_picked)
        self.axes.menu_asked.connect(self._on_menu)
        self.note = QLabel(HINT)
        self.note.setAccessibleName("What is drawn")
        self.add = QPushButton("&Add axis")
        self.add.setAccessibleName("Add axis")
        self.add.setToolTip("Show one more metric as an axis")
        self.add.setMenu(QMenu(self.add))
        self.add.menu().aboutToShow.connect(self._fill_add_menu)
        self.free = QPushButton("&Clear limits here")
        self.free.setAccessibleName("Clear limits of these axes")
        self.free.setToolTip("Take away every limit on the metrics shown as axes")
        self.free.clicked.connect(self._on_free)

        top = QHBoxLayout()
        top.addWidget(self.note, 1)
        top.addWidget(self.free)
        top.addWidget(self.add)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 4)
        column.addLayout(top)
        column.addWidget(self.axes, 1)

    def refresh(self, new: State, old: State | None) -> None:
        """Draw again where table, frame, axes or what is shown changed."""
        self._state = new
        if old is not None and new.table is old.table and new.frame is old.frame:
            a, b = new.choices, old.choices
            same = (
                a.limits is b.limits
                and a.parallel_axes is b.parallel_axes
                and a.inverted_axes is b.inverted_axes
                and (a.feasible_shown, a.front_shown, a.dominated_shown)
                == (b.feasible_shown, b.front_shown, b.dominated_shown)
            )
            if same:
                return
        self._draw()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what changed while the panel was hidden."""
        super().showEvent(event)
        if self._stale:
            self._draw()

    # -----------------------------------------------------------------------------------------

    def _draw(self) -> None:
        self._stale = not self.isVisible()
        state = self._state
        if self._stale or state is None:
            return
        if state.table is None or state.frame is None:
            self.axes.show_axes(())
            self.note.setText("Nothing to draw yet: describe a space or open a project.")
            return
        views = [view for key in state.choices.parallel_axes if (view := self._view(state, key))]
        self.axes.show_axes(views)
        shown = state.choices
        lines = lines_of(state, [view.key for view in views], self._share())
        names = {row: card(state.table, row, views) for row in lines.rows}
        states = (shown.dominated_shown, shown.feasible_shown, shown.front_shown, "shown")
        self.axes.show_lines(lines, names, states)
        unknown = [METRICS[k].label for k in shown.parallel_axes if k not in {v.key for v in views}]
        drawn = f"{len(lines.rows):,} of {len(state.table):,} candidates drawn, the front first. "
        missing = f"No value known: {', '.join(unknown)}. " if unknown else ""
        self.note.setText(missing + drawn)
        self.note.setToolTip(HINT)
        self.axes.setToolTip("")
        keys = {view.key for view in views}
        self.free.setEnabled(any(limit.metric in keys for limit in shown.limits))

    def _share(self) -> float:
        """The share of the full number of lines that fits in the height."""
        return min(1.0, max(0.3, round(self.axes.height() / 600, 1)))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Draw more lines where they fit."""
        before = self._share()
        super().resizeEvent(event)
        if self._share() != before:
            self._draw()

    def _view(self, state: State, key: str) -> AxisView | None:
        table, frame, choices = state.table, state.frame, state.choices
        assert table is not None and frame is not None
        low_high = self._range(table, key)
        if low_high is None:
            return None
        low, high = low_high
        limits = {
            limit.side: limit.value
            for limit in choices.limits
            if limit.metric == key and limit.statistic == "p50"
        }
        inside = table.column(key)[frame.feasible]
        inside = inside[np.isfinite(inside)]
        reached = (float(inside.min()), float(inside.max())) if len(inside) else None
        return AxisView(
            key,
            low,
            high,
            METRICS[key].log and low > 0,
            key in choices.inverted_axes,
            limits.get(">="),
            limits.get("<="),
            reached,
        )

    def _range(self, table: Table, key: str) -> tuple[float, float] | None:
        if table is not self._ranges_of:
            self._ranges, self._ranges_of = {}, table
        if key not in self._ranges:
            column = table.column(key)
            known = column[np.isfinite(column)]
            if not len(known):
                return None
            self._ranges[key] = (float(known.min()), float(known.max()))
        return self._ranges[key]

    # --- what the user does -------------------------------------------------------------------

    @Slot(str, str, object)
    def _on_limit(self, key: str, side: str, value: float | None) -> None:
        state = self._state
        if state is None:
            return
        # the store's choices may be ahead of what is drawn: a brush moves two limits at once
        limits = self._store.state.choices.limits
        if value is None:
            limits = without_limit(limits, (key, "p50", side))
        else:
            limits = with_limit(limits, Limit(key, side, float(value)))
        self._store.choose(f"limit {key}", limits=limits)

    @Slot()
    def _on_gesture_ended(self) -> None:
        self._store.end_gesture()

    @Slot(str, int)
    def _on_axis_moved(self, key: str, place: int) -> None:
        axes = [k for k in self._store.state.choices.parallel_axes if k != key]
        axes.insert(place, key)
        self._store.choose(parallel_axes=tuple(axes))

    @Slot(str)
    def _on_axis_inverted(self, key: str) -> None:
        inverted = self._store.state.choices.inverted_axes
        changed = tuple(k for k in inverted if k != key) if key in inverted else (*inverted, key)
        self._store.choose(inverted_axes=changed)

    @Slot(int)
    def _on_picked(self, row: int) -> None:
        if self._state is not None and self._state.table is not None:
            self._store.choose(selected=self._state.table.id_of(row))

    @Slot()
    def _on_free(self) -> None:
        keys = {view.key for view in self.axes.axes}
        limits = self._store.state.choices.limits
        self._store.choose(limits=tuple(limit for limit in limits if limit.metric not in keys))

    @Slot(str, object)
    def _on_menu(self, key: str, at: QPoint) -> None:
        menu = QMenu(self)
        if key:
            keys = [view.key for view in self.axes.axes]
            place = keys.index(key)
            menu.addAction("Invert", partial(self._on_axis_inverted, key))
            if place > 0:
                menu.addAction("Move left", partial(self._on_axis_moved, key, place - 1))
            if place < len(keys) - 1:
                menu.addAction("Move right", partial(self._on_axis_moved, key, place + 1))
            if len(keys) > 2:
                menu.addAction("Remove", partial(self._on_axis_removed, key))
            menu.addSeparator()
        self._add_metrics(menu.addMenu("Add axis"))
        menu.exec(at)

    def _on_axis_removed(self, key: str) -> None:
        axes = self._store.state.choices.parallel_axes
        self._store.choose(parallel_axes=tuple(k for k in axes if k != key))

    def _on_axis_added(self, key: str) -> None:
        self._store.choose(parallel_axes=(*self._store.state.choices.parallel_axes, key))

    @Slot()
    def _fill_add_menu(self) -> None:
        menu = self.add.menu()
        menu.clear()
        self._add_metrics(menu)

    def _add_metrics(self, menu: QMenu) -> None:
        state = self._state
        shown = state.choices.parallel_axes if state is not None else ()
        for metric in METRICS.values():
            if metric.key not in shown:
                action = menu.addAction(metric.label, partial(self._on_axis_added, metric.key))
                action.setToolTip(metric.formula)
        menu.setToolTipsVisible(True)


def lines_of(state: State, keys: list[str], share: float = 1.0) -> Lines:
    """The candidates to draw: the front, then some of the feasible and some of the others.

    They are taken at even steps, so that the same table always shows the same ones; `share` is the
    share of the full number of lines."""
    table, frame = state.table, state.frame
    if table is None or frame is None or not keys:
        return Lines()
    front = _some(frame.front, round(share * MOST_FRONT))
    feasible = _some(np.flatnonzero(frame.feasible), round(share * MOST_FEASIBLE))
    outside = _some(np.flatnonzero(~frame.feasible), round(share * MOST_OUTSIDE))
    kinds = dict.fromkeys(outside, 0) | dict.fromkeys(feasible, 1) | dict.fromkeys(front, 2)
    if frame.selected is not None:
        kinds[frame.selected] = 3
    rows = tuple(kinds)
    values = np.column_stack([table.column(key)[list(rows)] for key in keys])
    measured = tuple(row in table.measured_rows for row in rows)
    return Lines(rows, values, tuple(kinds.values()), measured)


def _some(rows: Any, most: int) -> list[int]:
    step = max(1, -(-len(rows) // most))
    return [int(row) for row in rows[::step]]


def card(table: Table, row: int, views: list[AxisView]) -> str:
    """A candidate's values on the axes, for hovering."""
    lines = [table.label(row)]
    for view in views:
        metric = METRICS[view.key]
        drawn = view.key == "loss" and table.illustrated[row]
        lines.append(
            f"{metric.label}: {metric.format(float(table.column(view.key)[row]))}"
            + (" (published illustration)" if drawn else "")
        )
    return "\n".join(lines)
