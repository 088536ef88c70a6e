"""A read-only table of short texts with tones, sorted by the numbers behind them, copied as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from core.harmless import tab_separated

SORT = Qt.ItemDataRole.UserRole
ROW = Qt.ItemDataRole.UserRole + 1
Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Cell:
    """A text to read, the number it is sorted by, a tooltip and a tone: '', 'good', 'bad', 'warn',
    'muted' or 'strong'. `check` puts a box before it."""

    text: str
    sort: float | None = None
    tip: str = ""
    tone: str = ""
    check: bool | None = None


class _Item(QTableWidgetItem):
    def __lt__(self, other: QTableWidgetItem) -> bool:
        mine, theirs = self.data(SORT), other.data(SORT)
        if mine is None or theirs is None:
            # what has no number comes last
            return bool(mine is not None) if mine is not theirs else self.text() < other.text()
        return bool(mine < theirs)


class NumbersTable(QTableWidget):
    """Rows of cells. `chosen` and `activated_row` carry the row's place as it was given, whatever
    the order on screen; they are sent for what the user does, never for what the program sets."""

    chosen = Signal(int)
    activated_row = Signal(int)
    column_chosen = Signal(int)
    checked = Signal(int, bool)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        self.setWordWrap(False)
        self.setShowGrid(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 9)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # the style's own box is drawn in the colour of the row and would not be seen
        self.setStyleSheet(
            "QTableView::indicator { width: 11px; height: 11px; border: 1px solid palette(dark);"
            " border-radius: 2px; background: palette(base); }"
            "QTableView::indicator:checked { background: palette(highlight);"
            " border-color: palette(highlight); }"
        )
        self._tones: dict[str, QColor] = {}
        self._filling = False
        self.itemSelectionChanged.connect(self._on_selection)
        self.cellActivated.connect(self._on_activated)
        self.itemChanged.connect(self._on_changed)
        self.horizontalHeader().sectionClicked.connect(self.column_chosen)

    def set_tones(self, tones: dict[str, QColor]) -> None:
        """The colours of the tones; an unknown tone is drawn as plain text."""
        self._tones = dict(tones)
        self._filling = True
        for row in range(self.rowCount()):
            for column in range(self.columnCount()):
                item = self.item(row, column)
                if item is not None:
                    self._paint(item, str(item.data(ROW + 1) or ""))
        self._filling = False

    def show_rows(
        self,
        header: Sequence[Cell],
        rows: Sequence[Sequence[Cell]],
        *,
        sortable: bool = True,
        stretch: int = -1,
    ) -> None:
        """Put these rows in place of the old ones; the chosen row stays chosen by its place."""
        before = self.current()
        self._filling = True
        self.setSortingEnabled(False)
        self.setColumnCount(len(header))
        self.setRowCount(len(rows))
        for column, cell in enumerate(header):
            item = QTableWidgetItem(cell.text)
            item.setToolTip(cell.tip or cell.text)
            numeric = any(row[column].sort is not None for row in rows)
            side = Qt.AlignmentFlag.AlignRight if numeric else Qt.AlignmentFlag.AlignLeft
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            self.setHorizontalHeaderItem(column, item)
        for place, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                self.setItem(place, column, self._made(cell, place))
        self.setSortingEnabled(sortable)
        heading = self.horizontalHeader()
        if not sortable:
            heading.setSectionsClickable(True)
        self.resizeColumnsToContents()
        for column in range(len(header)):
            self.setColumnWidth(column, min(self.columnWidth(column) + 10, 340))
        mode = QHeaderView.ResizeMode
        for column in range(len(header)):
            heading.setSectionResizeMode(
                column, mode.Stretch if column == stretch else mode.Interactive
            )
        if before is not None and before < len(rows):
            self._select(before)
        self._filling = False

    def current(self) -> int | None:
        """The chosen row's place as it was given."""
        selected = self.selectedItems()
        return int(selected[0].data(ROW)) if selected else None

    def choose_row(self, place: int | None) -> None:
        """Choose a row by its place, without emitting a signal."""
        self._filling = True
        self.clearSelection()
        if place is not None:
            self._select(place)
        self._filling = False

    def text(self) -> str:
        """Header and rows as shown, columns separated by tabs."""
        columns = range(self.columnCount())
        heads = [self.horizontalHeaderItem(c) for c in columns]
        rows = [[self.item(row, c) for c in columns] for row in range(self.rowCount())]
        return tab_separated(
            [item.text() if item is not None else "" for item in row] for row in (heads, *rows)
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy takes the whole table."""
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText(self.text())
            return
        super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """A new font needs new widths."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.resizeColumnsToContents()

    # -----------------------------------------------------------------------------------------

    def _made(self, cell: Cell, place: int) -> QTableWidgetItem:
        item = _Item(cell.text)
        item.setData(ROW, place)
        item.setData(ROW + 1, cell.tone)
        if cell.sort is not None:
            item.setData(SORT, float(cell.sort))
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        item.setToolTip(cell.tip or cell.text)
        if cell.check is not None:
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if cell.check else Qt.CheckState.Unchecked)
        self._paint(item, cell.tone)
        return item

    def _paint(self, item: QTableWidgetItem, tone: str) -> None:
        if tone in self._tones:
            item.setForeground(QBrush(self._tones[tone]))
        if tone == "strong":
            font = item.font()
            font.setBold(True)
            item.setFont(font)

    def _select(self, place: int) -> None:
        for row in range(self.rowCount()):
            item = self.item(row, 0)
            if item is not None and item.data(ROW) == place:
                self.selectRow(row)
                return

    def _on_selection(self) -> None:
        place = self.current()
        if not self._filling and place is not None:
            self.chosen.emit(place)

    def _on_changed(self, item: QTableWidgetItem) -> None:
        if not self._filling and item.flags() & Qt.ItemFlag.ItemIsUserCheckable:
            on = item.checkState() == Qt.CheckState.Checked
            self.checked.emit(int(item.data(ROW)), on)

    def _on_activated(self, row: int, column: int) -> None:
        item = self.item(row, column)
        if item is not None:
            self.activated_row.emit(int(item.data(ROW)))
