"""Help: the pages under resources/help, opened at the page for what has the focus."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QTextBrowser,
    QWidget,
)

from core.report.help_pages import MADE
from core.resources import resource
from gui.panels.view import HELP_PAGE

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
    "measurements.md",
)


class HelpWindow(QDialog):
    """A list of pages and the page; it stays open beside the window and does not block it."""

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
        """Show the page that was chosen."""
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
    """Open the help at a page, in the help window that is open already where there is one."""
    found = parent.findChild(HelpWindow)
    window = found if found is not None else HelpWindow(parent)
    window.show_page(page)
    window.show()
    window.raise_()
    window.activateWindow()
    return window


def page_for(focused: QObject | None) -> str:
    """The page for a widget: that of its nearest parent which has one."""
    while focused is not None:
        page = focused.property(HELP_PAGE)
        if page:
            return str(page)
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
