"""Help: the pages under resources/help, opened at the page for what has the focus.

`python -m gui.shell.help` writes the generated pages again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices, QKeySequence
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QTextBrowser,
    QWidget,
)

from core.report.help_pages import MADE, joined, pages, table
from core.resources import resource
from gui.shell.actions import ActionRow

# in the order of the list; the first line of each file is its title
PAGES = (
    "concepts.md",
    "metrics.md",
    "laws.md",
    "measuring.md",
    "formats.md",
    "keyboard.md",
    "command-line.md",
    "python.md",
)
# class of a widget -> page that speaks of it; the nearest parent counts
PAGE_OF = {
    "ParetoPlot": "concepts.md",
    "PlotView": "concepts.md",
    "Inspector": "concepts.md",
    "FrontTable": "concepts.md",
    "CompareTray": "concepts.md",
    "Parallel": "concepts.md",
    "SpacePanel": "metrics.md",
    "LimitsPanel": "metrics.md",
    "Laws": "laws.md",
    "Trust": "laws.md",
    "Reproduce": "laws.md",
    "ImportRuns": "formats.md",
    "WhatIf": "metrics.md",
    "MeasurePanel": "measuring.md",
    "DevicesPanel": "measuring.md",
    "ExportDialog": "formats.md",
    "ReportDialog": "formats.md",
    "QMenuBar": "keyboard.md",
    "QToolBar": "keyboard.md",
}
PLOT_KEYS = (
    ("Tab", "in the plot: from limit to limit"),
    ("Arrow keys", "in the plot: move the limit that has the focus; with Shift in fine steps"),
    ("Delete", "in the plot: take the limit that has the focus away"),
    ("Left, Right", "in the plot without a focused limit: along the front"),
    ("Wheel, drag", "zoom and move the plot; Home shows everything"),
    ("Arrow keys, Space, Page keys", "presenting: next and previous scene; Esc leaves"),
)


class HelpWindow(QDialog):
    """A list of pages and the page; stands beside the window and does not block it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Paretoscope help")
        self.setObjectName("help")
        self.setModal(False)
        self.resize(880, 640)
        self.list = QListWidget(self)
        self.list.setAccessibleName("Pages of the help")
        self.list.setMaximumWidth(190)
        for name in PAGES:
            item = QListWidgetItem(title_of(name))
            item.setData(Qt.ItemDataRole.UserRole, name)
            self.list.addItem(item)
        self.view = QTextBrowser(self)
        self.view.setAccessibleName("Page of the help")
        self.view.setOpenLinks(False)
        self.view.document().setDocumentMargin(18)
        self.view.anchorClicked.connect(self.on_link)
        self.list.currentItemChanged.connect(self.on_current)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 8, 8, 8)
        row.addWidget(self.list)
        row.addWidget(self.view, 1)

    def show_page(self, name: str) -> None:
        """Show a page by its file name."""
        self.list.setCurrentRow(PAGES.index(name) if name in PAGES else 0)

    @Slot(QListWidgetItem, QListWidgetItem)
    def on_current(self, item: QListWidgetItem | None, _: QListWidgetItem | None) -> None:
        """Another page was chosen."""
        if item is not None:
            self.view.setMarkdown(page_text(item.data(Qt.ItemDataRole.UserRole)))

    @Slot(QUrl)
    def on_link(self, url: QUrl) -> None:
        """A link to another page opens it here, any other one in the desktop's browser."""
        if url.isRelative() and url.path() in PAGES:
            self.show_page(url.path())
        elif not url.isRelative():
            QDesktopServices.openUrl(url)


def open_help(parent: QWidget, page: str) -> HelpWindow:
    """Open the help at a page; a help that is open already is used."""
    found = parent.findChild(HelpWindow)
    window = found if found is not None else HelpWindow(parent)
    window.show_page(page)
    window.show()
    window.raise_()
    window.activateWindow()
    return window


def page_for(focused: QObject | None) -> str:
    """The page for a widget: that of the nearest parent there is one for."""
    while focused is not None:
        name = PAGE_OF.get(type(focused).__name__)
        if name:
            return name
        focused = focused.parent()
    return PAGES[0]


def page_text(name: str) -> str:
    """A page as Markdown, without the note to its editors."""
    try:
        text = resource(f"help/{name}").read_text(encoding="utf-8")
    except OSError as error:
        return f"# {name}\n\nThis page is missing from the installation ({error.strerror})."
    return text.replace(MADE, "")


def title_of(name: str) -> str:
    """A page's first heading."""
    return page_text(name).partition("\n")[0].lstrip("# ").strip()


def keyboard_page(rows: Sequence[ActionRow]) -> str:
    """All keys, by menu, from the table of actions."""
    parts = ["# Keyboard", MADE, "Everything in the menus has a name that screen readers speak."]
    menus = dict.fromkeys(row.menu.lstrip("-") for row in rows)
    for menu in menus:
        keys = [
            (f"**{shortcut_text(row.shortcut)}**", row.tip)
            for row in rows
            if row.menu.lstrip("-") == menu and row.shortcut
        ]
        if keys:
            parts += [
                f"## {menu.replace('&', '') or 'Elsewhere'}",
                table(("Key", "What it does"), keys),
            ]
    parts += [
        "## In the plot and before an audience",
        table(("Key", "What it does"), [(f"**{key}**", what) for key, what in PLOT_KEYS]),
    ]
    return joined(parts)


def shortcut_text(shortcut: str) -> str:
    """A shortcut in one spelling on every system."""
    portable = QKeySequence.SequenceFormat.PortableText
    return " or ".join(QKeySequence(s).toString(portable) for s in shortcut.split(" or "))


def generated_pages() -> dict[str, str]:
    """Every page that follows from tables in the code; needs an application."""
    from core.commands.help_page import commands_page
    from gui.app.settings import Settings
    from gui.shell.window import Window
    from gui.state.store import Store

    store = Store()
    window = Window(store, Settings(None))
    try:
        keyboard = keyboard_page(window.actions_table.rows)
        return {**pages(), "keyboard.md": keyboard, "command-line.md": commands_page()}
    finally:
        store.close()
        window.deleteLater()


def main() -> int:
    """Write the generated pages where the others lie."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication([])
    folder: Path = resource("help")
    for name, text in generated_pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)
    app.processEvents()
    return 0


if __name__ == "__main__":
    sys.exit(main())
