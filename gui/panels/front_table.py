"""The front as a table, linked with the plot: sortable, selectable, copied as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    Qt,
    Signal,
)
from PySide6.QtGui import QGuiApplication, QKeyEvent, QKeySequence, QMouseEvent, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from core.analysis.covered import covered
from core.analysis.explain import nothing_feasible
from core.analysis.frame import Frame, rows_of
from core.analysis.values_in_words import value_text
from core.harmless import tab_separated
from core.records.metrics import METRICS
from core.table.table import Table
from gui.panels.metric_box import in_lines, metric_tip
from gui.panels.metric_tree import MARKS
from gui.panels.view import Panel
from gui.state.state import State
from gui.state.store import Store

Index = QModelIndex | QPersistentModelIndex
NO_TABLE = "The models that nothing beats are listed here once a space is described or measured."
ALWAYS = (
    "params_total",
    "train_tokens",
    "kv_heads",
    "ffn_ratio",
    "batch",
    "memory_bytes",
    "loss",
    "tpot_s",
    "ttft_s",
    "tokens_per_s",
    "n_layers",
    "d_model",
)


class FrontTable(Panel):
    """Candidates on the front, best first; a click or the arrow keys choose one."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._worth_of: Frame | None = None
        self.worth = QLabel(self)
        self.worth.setProperty("quiet", True)
        self.worth.setWordWrap(True)
        self.worth.setAccessibleName("What the front is worth")
        self.worth.hide()
        self.model = FrontModel(self)
        self.view = ChoosingView(self)
        self.view.setModel(self.model)
        self.view.setAccessibleName("Front")
        self.view.row_chosen.connect(self.on_row)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addWidget(self.worth)
        column.addWidget(self.view)
        self.empty = QLabel(NO_TABLE, self)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.empty.setProperty("quiet", True)
        column.addWidget(self.empty, 1)
        self._offer(NO_TABLE)

    def refresh(self, new: State, old: State | None) -> None:
        """Show other rows when the front changed, and mark the chosen one."""
        if old is None or new.frame is not old.frame or new.table is not old.table:
            if new.table is None or new.frame is None:
                self.model.show_rows(None, (), ())
                self._offer(NO_TABLE)
                self._show_worth()
                return
            same_front = (
                old is not None
                and old.table is new.table
                and old.frame is not None
                and old.frame.front is new.frame.front
            )
            if not same_front:
                keys = tuple(dict.fromkeys((new.frame.x, new.frame.y, *ALWAYS)))
                keys = tuple(k for k in keys if new.table.known(k))
                before = self.model.keys
                self.model.show_rows(new.table, rows_of(new.frame), keys)
                if before != keys:
                    self.view.resizeColumnsToContents()
                else:
                    self._widen()
            self._offer("" if len(new.frame.front) else nothing_feasible(new.table, new.frame))
            self._mark(new.frame.selected)
        self._show_worth()

    def showEvent(self, event: QShowEvent) -> None:
        """The hypervolume is computed only while the panel is visible."""
        super().showEvent(event)
        self._show_worth()

    def _show_worth(self) -> None:
        """Show the hypervolume of the front; while a limit is dragged it waits for the final front."""
        state = self._store.state
        if state.frame is self._worth_of or not self.isVisible():
            return
        self._worth_of = state.frame
        found = None
        if state.table is not None and state.frame is not None:
            found = covered(state.table, state.frame)
        self.worth.setText(found.text if found is not None else "")
        self.worth.setToolTip(found.explanation if found is not None else "")
        self.worth.setVisible(found is not None)

    def _offer(self, why: str) -> None:
        """The table, or why it is empty."""
        there = self.model.rowCount() > 0
        if not there:
            self.empty.setText(why)
        self.view.setVisible(there)
        self.empty.setVisible(not there)

    def _widen(self) -> None:
        """Widen columns for the new rows; none gets narrower, so that nothing jumps while dragging."""
        for column in range(self.model.columnCount()):
            needed = self.view.sizeHintForColumn(column)
            if needed > self.view.columnWidth(column):
                self.view.setColumnWidth(column, needed)

    def _mark(self, row: int | None) -> None:
        at = self.model.position(row)
        model = self.view.selectionModel()
        if at is None:
            model.clearSelection()
            return
        index = self.model.index(at, 0)
        model.setCurrentIndex(
            index,
            QItemSelectionModel.SelectionFlag.ClearAndSelect
            | QItemSelectionModel.SelectionFlag.Rows,
        )
        self.view.scrollTo(index)

    def on_row(self, at: int) -> None:
        """The user chose a line."""
        table, row = self.model.table, self.model.row_at(at)
        if table is not None and row is not None:
            self._store.choose("along the front", selected=table.id_of(row))


class FrontModel(QAbstractTableModel):
    """Rows of the table of candidates, in any order of one column."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table: Table | None = None
        self._rows: list[int] = []
        self._keys: tuple[str, ...] = ()
        self._sorted: tuple[int, Qt.SortOrder] | None = None

    def show_rows(self, table: Table | None, rows: Sequence[int], keys: Sequence[str]) -> None:
        """Other rows, in the order that was chosen last."""
        self.beginResetModel()
        self.table, self._rows, self._keys = table, list(rows), tuple(keys)
        if self._sorted is not None:
            self._order(*self._sorted)
        self.endResetModel()

    @property
    def keys(self) -> tuple[str, ...]:
        """Metrics shown, in order."""
        return self._keys

    def row_at(self, position: int) -> int | None:
        """The table's row shown in a line."""
        return self._rows[position] if 0 <= position < len(self._rows) else None

    def position(self, row: int | None) -> int | None:
        """The line in which a row is shown."""
        return self._rows.index(row) if row is not None and row in self._rows else None

    def text(self, at: int, column: int) -> str:
        """What a cell shows."""
        assert self.table is not None
        row = self._rows[at]
        if column == 0:
            return self.table.full_label(row)
        key = self._keys[column - 1]
        shown = METRICS[key].format(float(self.table.column(key)[row]))
        mark = MARKS[self.table.source(key, row).kind]
        outside = " ⚠" if self.table.estimates(key).outside[row] else ""
        return f"{shown} {mark}".rstrip() + outside

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Lines."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """The label and the metrics."""
        return 0 if parent.isValid() else len(self._keys) + 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text, alignment and source of a cell."""
        if self.table is None or not index.isValid():
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self.text(index.row(), index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() > 0:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            row = self._rows[index.row()]
            if index.column() == 0:
                return self.table.id_of(row)
            key = self._keys[index.column() - 1]
            source = self.table.source(key, row)
            known = value_text(self.table, key, row)
            return f"{known}\n{in_lines(f'{source.kind}: {source.text}')}"
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Names of metrics, with their formula as tooltip."""
        if orientation == Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return "Candidate" if section == 0 else METRICS[self._keys[section - 1]].label
        if role == Qt.ItemDataRole.ToolTipRole and section > 0:
            return f"{metric_tip(METRICS[self._keys[section - 1]])}. Click to sort."
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the lines by a column; what is unknown comes last."""
        if column < 0:
            return
        self.layoutAboutToBeChanged.emit()
        self._sorted = (column, order)
        self._order(column, order)
        self.layoutChanged.emit()

    def _order(self, column: int, order: Qt.SortOrder) -> None:
        if self.table is None or column > len(self._keys) or not self._rows:
            return
        down = order == Qt.SortOrder.DescendingOrder
        if column == 0:
            label = self.table.full_label
            self._rows.sort(key=label, reverse=down)
            return
        values = self.table.column(self._keys[column - 1])[self._rows]
        turned = np.where(np.isnan(values), np.inf, -values if down else values)
        self._rows = [self._rows[i] for i in np.argsort(turned, kind="stable")]


class ChoosingView(QTableView):
    """A table whose lines are chosen by mouse or keys; `row_chosen` is emitted only for the user."""

    row_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setSortingEnabled(True)
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 7)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click chooses."""
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and index.isValid():
            self.row_chosen.emit(index.row())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrow keys choose as they go; Copy copies the whole table."""
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(table_text(self))
            return
        before = self.currentIndex().row()
        super().keyPressEvent(event)
        if self.currentIndex().row() != before:
            self.row_chosen.emit(self.currentIndex().row())


def table_text(view: QTableView) -> str:
    """A table as tab-separated text with its headings."""
    model = view.model()
    columns = range(model.columnCount())
    heads = [str(model.headerData(c, Qt.Orientation.Horizontal)) for c in columns]
    rows = range(model.rowCount())
    return tab_separated(
        [heads, *([str(model.index(row, c).data() or "") for c in columns] for row in rows)]
    )
