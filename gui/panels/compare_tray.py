"""The compare tray: pinned candidates beside a baseline, with how sure each difference is."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import Qt, Slot
from PySide6.QtGui import QGuiApplication, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.analysis.comparison import Comparison, Difference, compare_rows, percent_text
from core.records.metrics import METRICS
from gui.panels.drawing import tones
from gui.panels.numbers_table import Cell, NumbersTable
from gui.panels.view import Panel
from gui.state.state import State

EMPTY = (
    "Nothing to compare yet. Choose a point in the plot and press Pin: it stays here beside the"
    " others, with differences from a baseline."
)
LEGEND = (
    "● measured   ○ predicted   no mark: counted.   Percent of the baseline with the 95 % interval"
    " of the difference, for a loss between the models one would train; errors that two predictions"
    " share are left out."
)
LOW = 330  # pixels of height below which one of the two lines is hidden; its text is a tooltip
MARKS = {"measured": "● ", "predicted": "○ ", "published": "▽ "}
TONES = {"better": "good", "worse": "bad", "cannot tell apart": "muted", "unknown": "muted"}


class CompareTray(Panel):
    """One column per candidate, one row per metric. The chosen candidate comes last until it is pinned."""

    def __init__(self, store: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("compare_tray")
        self.setAccessibleName("Compare tray")
        self._store = store
        self._state: State | None = None
        self._stale = False
        self._comparison: Comparison | None = None
        self._column = 0

        self.pin = QPushButton("&Pin the chosen one")
        self.pin.setToolTip("Keep the chosen candidate in the tray")
        self.unpin = QPushButton("&Remove")
        self.unpin.setToolTip("Take the marked column out of the tray (Delete)")
        self.make_baseline = QPushButton("Make &baseline")
        self.make_baseline.setToolTip("Compare all others with the marked column")
        self.show_point = QPushButton("&Show in plot")
        self.show_point.setToolTip("Make the marked column the chosen candidate")
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Take everything out of the tray")
        self.copy = QPushButton("&Copy")
        self.copy.setToolTip("Copy the comparison as text, columns separated by tabs")
        buttons = QHBoxLayout()
        for button, act in (
            (self.pin, self._pin),
            (self.unpin, self._unpin),
            (self.make_baseline, self._make_baseline),
            (self.show_point, self._show),
            (self.clear, self._clear),
            (self.copy, self._copy),
        ):
            button.setAccessibleName(button.text().replace("&", ""))
            button.clicked.connect(act)
            buttons.addWidget(button)
        buttons.addStretch()

        self.table = NumbersTable("Candidates side by side")
        self.table.setSelectionBehavior(NumbersTable.SelectionBehavior.SelectItems)
        self.table.currentCellChanged.connect(self._on_cell)
        self.table.column_chosen.connect(self._on_header)
        self.table.setToolTip("Click a heading or move with the arrows to mark a candidate")
        self.empty = QLabel(EMPTY)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.warning.setAccessibleName("Warnings about this comparison")
        self.crossings = QLabel()
        self.crossings.setWordWrap(True)
        self.crossings.setAccessibleName("Where losses cross with more training tokens")
        self.crossings.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.crossings.setToolTip(LEGEND)
        self.legend = QLabel(LEGEND)
        self.legend.setWordWrap(True)

        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.addLayout(buttons)
        column.addWidget(self.warning)
        column.addWidget(self.table, 1)
        column.addWidget(self.empty, 1)
        column.addWidget(self.crossings)
        column.addWidget(self.legend)
        self._draw()

    def refresh(self, new: State, old: State | None) -> None:
        """Compare again when pins, baseline, the chosen candidate or the table changed."""
        self._state = new
        if old is not None:
            a, b = new.choices, old.choices
            same = (
                new.table is old.table
                and a.pins is b.pins
                and a.baseline == b.baseline
                and _chosen(new) == _chosen(old)
            )
            if same:
                return
        self._draw()

    def showEvent(self, event: QShowEvent) -> None:
        """Draw what changed while the panel was hidden."""
        super().showEvent(event)
        if self._stale:
            self._draw()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a low dock the candidates need the space more than both lines below them."""
        super().resizeEvent(event)
        self._offer()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes the marked candidate out."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._unpin()
            return
        super().keyPressEvent(event)

    # -----------------------------------------------------------------------------------------

    def _draw(self) -> None:
        # finding rows among a million is not worth it for a comparison that nobody sees
        self._stale = not self.isVisible()
        state = self._state
        if self._stale or state is None:
            self._offer()
            return
        found = _compared(state)
        self._comparison = found if found is not None and found.ids else None
        crossings = ". ".join(found.crossings) if found is not None else ""
        self.crossings.setText(f"By the loss law: {crossings}." if crossings else "")
        notes = list(found.warnings) if found is not None else []
        if found is not None and found.missing:
            notes.append(
                f"{len(found.missing)} pinned candidates are not in the table now; they come back"
                " with the space or the what-if they belong to."
            )
        self.warning.setText("⚠ " + " ".join(notes) if notes else "")
        if self._comparison is not None:
            self._fill(self._comparison, state)
        self._offer()

    def _fill(self, found: Comparison, state: State) -> None:
        self.table.set_tones(tones(self))
        pinned = set(state.choices.pins)
        header = [Cell("")]
        for place, (name, detail) in enumerate(zip(found.labels, found.details, strict=True)):
            what = [] if found.ids[place] in pinned else ["chosen, not pinned"]
            if found.ids[place] == found.baseline:
                what.insert(0, "baseline")
            header.append(Cell(f"{name}\n{', '.join(what) or 'pinned'}", tip=detail))
        rows = []
        for place, key in enumerate(found.metrics):
            metric = METRICS[key]
            cells = [Cell(metric.label, tip=metric.formula, tone="strong")]
            cells += [_cell(row[place]) for row in found.differences]
            rows.append(cells)
        self._column = min(self._column, len(found.ids) - 1)
        self.table.blockSignals(True)
        self.table.show_rows(header, rows, sortable=False)
        self.table.setCurrentCell(0, self._column + 1)
        self.table.blockSignals(False)

    def _offer(self) -> None:
        found, state = self._comparison, self._state
        there = found is not None
        chosen = _chosen(state) if state is not None else ""
        pins = state.choices.pins if state is not None else ()
        marked = self._marked()
        self.table.setVisible(there)
        crossed = there and bool(self.crossings.text())
        self.crossings.setVisible(crossed)
        self.legend.setVisible(there and not (crossed and self.height() < LOW))
        self.empty.setVisible(not there)
        self.warning.setVisible(bool(self.warning.text()))
        self.pin.setEnabled(bool(chosen) and chosen not in pins)
        self.unpin.setEnabled(marked in pins)
        self.make_baseline.setEnabled(
            there and bool(marked) and marked != (found.baseline if found else "")
        )
        self.show_point.setEnabled(bool(marked) and marked != chosen)
        self.clear.setEnabled(bool(pins))
        self.copy.setEnabled(there)

    def _marked(self) -> str:
        found = self._comparison
        if found is None or not 0 <= self._column < len(found.ids):
            return ""
        return found.ids[self._column]

    @Slot(int, int, int, int)
    def _on_cell(self, _row: int, column: int, *_: int) -> None:
        if column >= 1:
            self._column = column - 1
            self._offer()

    @Slot(int)
    def _on_header(self, column: int) -> None:
        if column >= 1:
            self.table.setCurrentCell(max(self.table.currentRow(), 0), column)

    # --- what the user does -------------------------------------------------------------------

    @Slot()
    def _pin(self) -> None:
        state = self._state
        if state is not None and (chosen := _chosen(state)) and chosen not in state.choices.pins:
            self._store.choose(pins=(*state.choices.pins, chosen))

    @Slot()
    def _unpin(self) -> None:
        state, marked = self._state, self._marked()
        if state is None or marked not in state.choices.pins:
            return
        parts: dict[str, Any] = {"pins": tuple(p for p in state.choices.pins if p != marked)}
        if state.choices.baseline == marked:
            parts["baseline"] = ""
        self._store.choose(**parts)

    @Slot()
    def _make_baseline(self) -> None:
        state, marked = self._state, self._marked()
        if state is not None and marked:
            pins = state.choices.pins
            # a baseline that is only chosen would leave with the next click in the plot
            self._store.choose(baseline=marked, pins=pins if marked in pins else (*pins, marked))

    @Slot()
    def _show(self) -> None:
        if marked := self._marked():
            self._store.choose(selected=marked)

    @Slot()
    def _clear(self) -> None:
        self._store.choose(pins=(), baseline="")

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.table.text())


def _chosen(state: State) -> str:
    """The chosen candidate's identity, or that of the best one."""
    if state.choices.selected:
        return state.choices.selected
    if state.table is None or state.frame is None or state.frame.selected is None:
        return ""
    return state.table.id_of(state.frame.selected)


def _compared(state: State) -> Comparison | None:
    if state.table is None or state.laws is None:
        return None
    choices = state.choices
    wanted = [*choices.pins]
    if (chosen := _chosen(state)) and chosen not in wanted:
        wanted.append(chosen)
    if not choices.pins:
        # one candidate alone has nothing to be compared with
        return None
    return compare_rows(state.contents, state.laws, choices, state.table, wanted, choices.baseline)


def _cell(d: Difference) -> Cell:
    metric = METRICS[d.metric]
    if d.kind == "unknown":
        return Cell("unknown", tip=d.note, tone="muted")
    mark = MARKS.get(d.kind, "")
    value = mark + metric.format(d.value)
    own = [f"{d.value_text}, 95 % interval"] if d.interval is not None else []
    if d.verdict == "same":
        # there is no difference to show the doubt by
        return Cell(mark + d.value_text, tip="\n".join([f"{metric.label}: {d.kind}", *own]))
    lines = [f"{metric.label}: {d.kind}, baseline {d.base_kind}", *own, f"{d.text}: {d.verdict}"]
    if d.verdict == "unknown":
        return Cell(value, tip="the baseline has no value to compare with")
    if d.note:
        lines.append(d.note)
    text = d.text
    if d.verdict == "cannot tell apart":
        text = d.verdict
        if math.isfinite(d.low) and math.isfinite(d.high):
            text += f" ({percent_text(d.low, False)} to {percent_text(d.high)})"
    return Cell(f"{value}   {text}", tip="\n".join(lines), tone=TONES.get(d.verdict, ""))
