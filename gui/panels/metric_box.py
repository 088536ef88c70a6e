"""A box to choose a metric, grouped as the metrics are; what no candidate has is greyed."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, cast

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QAction, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QComboBox, QMenu, QWidget

from core.records.metric import Metric
from core.records.metrics import METRICS
from core.table.table import Table

NARROWEST, WIDEST = 72, 184
TIP_WIDTH = 100  # letters in a line of a tooltip
# arrow and frame beside the text
BESIDE_TEXT = 34
BETTER = {"lower": "lower is better", "higher": "higher is better", "": "no better direction"}


class MetricBox(QComboBox):
    """Chooses one metric; `chosen` carries its key when the user picks one."""

    chosen = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None, prompt: str = "") -> None:
        super().__init__(parent)
        self._prompt = prompt
        self._table: Table | None = None
        self.setAccessibleName(name)
        self.setMaxVisibleItems(30)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setToolTip(name)
        if prompt:
            self.addItem(prompt, "")
        group = ""
        for metric in METRICS.values():
            if metric.group != group:
                group = metric.group
                self.addItem(group)
                heading = self._item(self.count() - 1)
                heading.setFlags(Qt.ItemFlag.NoItemFlags)
                font = heading.font()
                font.setBold(True)
                heading.setFont(font)
            self.addItem(f"   {metric.label}", metric.key)
            self.setItemData(self.count() - 1, metric_tip(metric), Qt.ItemDataRole.ToolTipRole)
        if prompt:
            # the box is as wide as its prompt, the list as its entries
            view = self.view()
            bar = view.verticalScrollBar().sizeHint().width()
            view.setMinimumWidth(view.sizeHintForColumn(0) + bar)
        self.activated.connect(self._on_activated)
        self.currentIndexChanged.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        """Wide enough for every entry; with a prompt, which is all that it ever shows, for that alone."""
        hint = super().sizeHint()
        return QSize(self._text_width(), hint.height()) if self._prompt else hint

    def minimumSizeHint(self) -> QSize:
        """Wide enough to read what is chosen; no wider, so that it fits on a small or scaled screen."""
        width = max(NARROWEST, min(WIDEST, self._text_width()))
        return QSize(width, super().minimumSizeHint().height())

    def _text_width(self) -> int:
        # entries are indented under their group
        return self.fontMetrics().horizontalAdvance(self.currentText()) + BESIDE_TEXT

    def show_metric(self, key: str) -> None:
        """Show a metric as the chosen one."""
        index = self.findData(key)
        if index != self.currentIndex():
            self.setCurrentIndex(index)
        if key in METRICS:
            self.setToolTip(metric_tip(METRICS[key]))

    def set_table(self, table: Table | None) -> None:
        """The candidates whose known metrics can be chosen."""
        self._table = table

    def showPopup(self) -> None:
        """Grey what no candidate has, then open."""
        for index in range(self.count()):
            key = self.itemData(index)
            if key in METRICS:
                self._item(index).setEnabled(self._table is None or self._table.known(key))
        super().showPopup()

    def _item(self, index: int) -> QStandardItem:
        return cast(QStandardItemModel, self.model()).item(index)

    def _on_activated(self, index: int) -> None:
        key = self.itemData(index)
        if self._prompt:
            self.setCurrentIndex(0)
        if key:
            self.chosen.emit(key)


def metric_menu(
    parent: QWidget, table: Table | None, current: str, choose: Callable[[str], Any]
) -> QMenu:
    """All metrics as a menu, the present one ticked."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    group = ""
    for metric in METRICS.values():
        if metric.group != group:
            group = metric.group
            menu.addSection(group)
        action = QAction(metric.label, menu)
        action.setToolTip(metric_tip(metric))
        action.setCheckable(True)
        action.setChecked(metric.key == current)
        action.setEnabled(table is None or table.known(metric.key))
        action.triggered.connect(lambda _=False, key=metric.key: choose(key))
        menu.addAction(action)
    return menu


def in_lines(text: str) -> str:
    """A text for a tooltip, in lines that fit the screen."""
    return textwrap.fill(text, TIP_WIDTH)


def metric_tip(metric: Metric) -> str:
    """What a metric is, for a tooltip."""
    return f"{metric.label}: {metric.formula} ({BETTER[metric.better]})"
