"""Which training runs a law is fitted to: a suite, another beside it, and all rows or some."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QWidget

from core.analysis.contents import Contents
from core.errors import Unusable
from core.fit.mixing import TOGETHER
from core.formats.runs.suites import bundled_suites
from core.project.choices import LossChoice
from core.records.training_runs import TrainingRuns

# a label with at most this many values is offered to choose rows by
MOST_VALUES = 12

# width of a box in pixels below which its first word is cut
NARROWEST = 88


class WhichRuns(QWidget):
    """Three boxes in a row; `changed` is sent for what the user does, never for what is filled in."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._contents: Contents | None = None
        self.suite = box("Suite of runs", "Which training runs the laws are fitted to")
        self.suite.activated.connect(self._on_suite)
        self.beside = box("Fitted together with", "Fit the runs of another suite as one with these")
        self.beside.setMaximumWidth(150)
        self.beside.activated.connect(self._on_beside)
        self.rows = box("Which runs", "Fit all runs of the suite, or only some")
        self.rows.setMaximumWidth(150)
        self.rows.activated.connect(self.changed)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for each in (self.suite, self.beside, self.rows):
            row.addWidget(each)

    @property
    def name(self) -> str:
        """The suite that is fitted: the chosen one, joined with the one beside it."""
        parts = (self.suite.currentData(), self.beside.currentData())
        return TOGETHER.join(str(part) for part in parts if part)

    @property
    def where(self) -> tuple[str, ...]:
        """The conditions on the rows; none: all of them."""
        return tuple(self.rows.currentData() or ())

    def fill(self, contents: Contents, used: LossChoice) -> None:
        """Offer the project's suites, beginning with the one that is `used`."""
        self._contents = contents
        chosen = self.name or used.suite
        self.suite.clear()
        for name in dict.fromkeys((*(runs.suite for runs in contents.runs), *bundled_suites())):
            self.suite.addItem(name, name)
        whole = self.suite.findData(chosen)
        first, _, rest = chosen.partition(TOGETHER)
        self.suite.setCurrentIndex(max(0, whole if whole >= 0 else self.suite.findData(first)))
        self._fill_beside(rest if whole < 0 else "")
        self._fill_rows(self.where or used.where)

    def _fill_beside(self, chosen: str) -> None:
        """Offer the other suites to be fitted as one with this; grey those that cannot, with the reason."""
        self.beside.clear()
        self.beside.addItem("alone", "")
        own = str(self.suite.currentData() or "")
        others = [str(self.suite.itemData(i)) for i in range(self.suite.count())]
        for name in dict.fromkeys((*others, chosen)):
            if not name or name == own or self._contents is None:
                continue
            self.beside.addItem(f"with {name}", name)
            try:
                self._contents.suite(TOGETHER.join((own, name)))
            except Unusable as error:
                place = self.beside.count() - 1
                cast(QStandardItemModel, self.beside.model()).item(place).setEnabled(False)
                self.beside.setItemData(place, str(error), Qt.ItemDataRole.ToolTipRole)
        self.beside.setCurrentIndex(max(0, self.beside.findData(chosen)))

    def _fill_rows(self, chosen: tuple[str, ...]) -> None:
        self.rows.clear()
        self.rows.addItem("All runs", ())
        for text in conditions(self._runs()):
            self.rows.addItem(text.replace("=", ": ").replace("_", " "), (text,))
        offered = [tuple(self.rows.itemData(i)) for i in range(self.rows.count())]
        self.rows.setCurrentIndex(offered.index(chosen) if chosen in offered else 0)
        self.rows.setVisible(self.rows.count() > 1)

    def _runs(self) -> TrainingRuns | None:
        if self._contents is None or not self.name:
            return None
        try:
            return self._contents.suite(self.name)
        except Unusable:
            return None

    @Slot()
    def _on_suite(self) -> None:
        self._fill_beside("")
        self._on_beside()

    @Slot()
    def _on_beside(self) -> None:
        self._fill_rows(self.where)
        self.changed.emit()


def conditions(runs: TrainingRuns | None) -> list[str]:
    """Every 'COLUMN=VALUE' that keeps some but not all runs, of labels with few values."""
    found: list[str] = []
    for name, labels in (runs.labels if runs is not None else {}).items():
        values = sorted({label for label in labels if label})
        if values and len(set(labels)) > 1 and len(values) <= MOST_VALUES:
            found += [f"{name}={value}" for value in values]
    return found


def box(name: str, tip: str) -> QComboBox:
    """An empty combo box as wide as what it offers."""
    made = QComboBox()
    made.setAccessibleName(name)
    made.setToolTip(tip)
    made.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    # several are in one row: a word is cut rather than the window's left side made wider
    made.setMinimumWidth(NARROWEST)
    return made
