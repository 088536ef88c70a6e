"""About: version, licence, and the licences of everything the program is made of."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QPlainTextEdit,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.licences import Licence, licences
from core.report.facts import program_version


class AboutDialog(QDialog):
    """Shows the version and each licence in full."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About Paretoscope")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(820, 560)
        about = QLabel(
            f"<h2>Paretoscope {program_version()}</h2>"
            "<p>Choose a language model by what it costs to run: describe candidates, measure on"
            " this machine, fit laws, see the trade-off, export.</p>"
            "<p>Apache-2.0. Nothing leaves this machine.</p>"
            "<p>Made of:</p>",
            self,
        )
        about.setWordWrap(True)
        self.list = QTreeWidget(self)
        self.list.setAccessibleName("Packages and their licences")
        self.list.setHeaderLabels(["Package", "Version", "Licence"])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setAccessibleName("Text of the licence")
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        both = QSplitter(Qt.Orientation.Vertical, self)
        both.addWidget(self.list)
        both.addWidget(self.text)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(about)
        column.addWidget(both, 1)
        column.addWidget(buttons)
        self.rows: tuple[Licence, ...] = licences()
        for row in self.rows:
            item = QTreeWidgetItem([row.name, row.version, row.licence])
            item.setToolTip(2, row.licence)
            self.list.addTopLevelItem(item)
        for column_index, width in ((0, 190), (1, 110)):
            self.list.setColumnWidth(column_index, width)
        self.list.currentItemChanged.connect(self.on_current)
        first = self.list.topLevelItem(0)
        if first is not None:
            self.list.setCurrentItem(first)

    @Slot(QTreeWidgetItem, QTreeWidgetItem)
    def on_current(self, item: QTreeWidgetItem | None, _: QTreeWidgetItem | None) -> None:
        """Show the texts of the chosen package."""
        if item is None:
            return
        row = self.rows[self.list.indexOfTopLevelItem(item)]
        line = "=" * 72
        self.text.setPlainText(
            "\n\n".join(f"{line}\n{name}\n{line}\n\n{text}" for name, text in row.texts)
            or f"{row.name} brings no text of its own; it declares: {row.licence}."
        )
