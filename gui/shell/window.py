"""The main window. It lays panels out and connects them to the store; it holds no data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

from PySide6.QtCore import QByteArray, QEvent, QObject, Qt, QTimer, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMainWindow,
    QSizePolicy,
    QSplitter,
    QTabWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from core.project.project import SUFFIX
from gui.app import theme as themes
from gui.app.settings import Settings
from gui.app.theme import Theme
from gui.panels.banner import Banner, MessageBar
from gui.panels.table import PANELS, PanelRow, make_panel
from gui.panels.view import HELP_PAGE, Panel, View
from gui.shell.actions import Actions
from gui.shell.edit_actions import EditActions
from gui.shell.share_actions import ShareActions
from gui.shell.shell import Shell
from gui.state.state import State
from gui.state.store import Store

TITLE = "Paretoscope"
PAINT_PATIENCE_MS = 2000


class Window(QMainWindow):
    """Plot with its limits and sentences on the left, inspector and limits on the right, tabs below."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__()
        self.store = store
        self.settings = settings
        self.theme = themes.theme_of(settings["theme"])
        self.setObjectName("window")
        self.setWindowTitle(TITLE)
        self.setAcceptDrops(True)
        self.resize(1280, 800)
        self._bars: tuple[View, ...] = ()
        self._panels: dict[str, Panel] = {}
        self._tab_rows: list[PanelRow] = list(PANELS)
        self.shell = self._shell()
        self.share_actions = ShareActions(self.shell)
        self.edit_actions = EditActions(self.shell, self.share_actions)
        self.actions_table = Actions(self.edit_actions.rows(), self)
        self._build()
        store.changed.connect(self.on_changed)
        self._restore()
        QApplication.styleHints().colorSchemeChanged.connect(self.on_system_theme)

    def _shell(self) -> Shell:
        """The window as its actions see it."""
        return Shell(
            self,
            self.store,
            self.settings,
            theme=lambda: self.theme,
            set_theme=self.set_theme,
            show_panel=self.show_panel,
            plot_view=lambda: self.plot_view if self.filled else None,
            parts=self.parts,
        )

    # --- laying out -------------------------------------------------------------------------------

    def _build(self) -> None:
        self.actions_table.fill_menus(self.menuBar())
        self.menuBar().setProperty(HELP_PAGE, "keyboard.md")
        self.toolbar = QToolBar("Toolbar", self)
        self.toolbar.setObjectName("toolbar")
        self.toolbar.setMovable(False)
        self.toolbar.setProperty(HELP_PAGE, "keyboard.md")
        self.actions_table.fill_toolbar(self.toolbar)
        self.toolbar.addWidget(_stretch())
        self.counts = QLabel("", self)
        self.counts.setProperty("quiet", True)
        self.counts.setAccessibleName("How many candidates keep the limits")
        self.toolbar.addWidget(self.counts)
        self.addToolBar(self.toolbar)
        self.message_bar = MessageBar(self.store, self)
        self.banner = Banner(self.store, self)
        self.banner.measure_here.connect(lambda: self.show_panel("measure"))
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.tabs.setAccessibleName("Panels")
        for row in self._tab_rows:
            self.tabs.addTab(_Place(self.tabs), row.title)
            keys = f" ({row.shortcut})" if row.shortcut else ""
            self.tabs.setTabToolTip(self.tabs.count() - 1, f"{row.tip}{keys}")
        self.tabs.currentChanged.connect(self.on_tab)
        self.left = QSplitter(Qt.Orientation.Vertical, self)
        self.left.addWidget(_Place(self))
        self.left.addWidget(self.tabs)
        self.left.setStretchFactor(0, 1)
        self.right = QSplitter(Qt.Orientation.Vertical, self)
        self.right.addWidget(_Place(self))
        self.right.addWidget(_Place(self))
        self.across = QSplitter(Qt.Orientation.Horizontal, self)
        self.across.addWidget(self.left)
        self.across.addWidget(self.right)
        self.across.setStretchFactor(0, 1)
        for splitter in (self.left, self.right, self.across):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(1)
        centre = QWidget(self)
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for widget in (self.message_bar, self.banner, self.across):
            column.addWidget(widget)
        column.setStretch(2, 1)
        self.setCentralWidget(centre)
        self._bars = (self.message_bar, self.banner)

    @property
    def filled(self) -> bool:
        """Whether plot, inspector and limits are there."""
        return "plot" in self._panels

    def parts(self) -> dict[str, QWidget]:
        """What the tour can point at, by name."""
        bars: dict[str, QWidget] = {"panels": self.tabs, "toolbar": self.toolbar}
        if not self.filled:
            return bars
        view = self.plot_view
        inside = {"plot": view.plot, "chips": view.chips, "sentence": view.sentence}
        return bars | inside | {"inspector": self.inspector}

    def fill(self) -> None:
        """Make the plot and the panels that are in view; the empty window is painted before this."""
        if self.filled:
            return
        from gui.panels.inspector import Inspector
        from gui.panels.limits import LimitsPanel
        from gui.panels.plot_view import PlotView

        self.plot_view = PlotView(self.store, self)
        self.inspector = Inspector(self.store, self)
        self.limits = LimitsPanel(self.store, self)
        self.plot_view.recolour(self.theme)
        self.plot_view.live_best.connect(self.inspector.show_live)
        self.plot_view.uncertainty_found.connect(self.inspector.show_uncertainty)
        self.plot_view.live_counts.connect(self.on_live_counts)
        self.plot_view.live_limit.connect(self.limits.show_live)
        self.limits.dragged.connect(self.plot_view.preview)
        self.inspector.measure_point.connect(self.edit_actions.measure_points)
        self.limits.setProperty(HELP_PAGE, "metrics.md")
        for splitter, index, widget in (
            (self.left, 0, self.plot_view),
            (self.right, 0, self.inspector),
            (self.right, 1, self.limits),
        ):
            old = splitter.replaceWidget(index, widget)
            if old is not None:
                old.deleteLater()
            widget.show()
        self.left.setStretchFactor(0, 1)
        fixed = {"plot": self.plot_view, "inspector": self.inspector, "limits": self.limits}
        self._panels |= fixed
        for panel in fixed.values():
            panel.refresh(self.store.state, None)
        self._restore_splits()
        self.on_tab(self.tabs.currentIndex())

    def panel(self, name: str) -> Panel:
        """The panel of this name, made at the first call."""
        index = next(i for i, row in enumerate(self._tab_rows) if row.name == name)
        if name not in self._panels:
            place = cast(_Place, self.tabs.widget(index))
            panel = make_panel(self._tab_rows[index], self.store, place)
            place.column.addWidget(panel)
            self._panels[name] = panel
            panel.set_settings(self.settings)
            panel.measure_point.connect(self.edit_actions.measure_points)
            panel.recolour(self.theme)
            panel.refresh(self.store.state, None)
        return self._panels[name]

    def show_panel(self, name: str) -> Panel:
        """Bring a panel to the front and return it."""
        view = self.panel(name)
        index = next(i for i, row in enumerate(self._tab_rows) if row.name == name)
        self.tabs.setCurrentIndex(index)
        sizes = self.left.sizes()
        if sizes[1] < 120:
            self.left.setSizes([sizes[0] - 220, sizes[1] + 220])
        return view

    @Slot(int)
    def on_tab(self, index: int) -> None:
        """Make a panel when its tab is first shown."""
        if self.filled and index >= 0:
            row = self._tab_rows[index]
            self.panel(row.name)
            self.settings["tab"] = row.name

    # --- following the state ------------------------------------------------------------------------

    @Slot(object, object)
    def on_changed(self, new: State, old: State | None) -> None:
        """Let every view redraw what changed."""
        if old is None or new.path != old.path:
            name = Path(new.path).stem if new.path else ""
            self.setWindowTitle(f"{name} - {TITLE}" if name else TITLE)
            if new.path and not new.demo:
                self.settings.opened(new.path)
        self.actions_table.refresh(new)
        for view in (*self._bars, *self._panels.values()):
            view.refresh(new, old)
        self._show_counts(new, old)

    def _show_counts(self, new: State, old: State | None) -> None:
        if old is not None and (new.frame, new.busy) == (old.frame, old.busy):
            return
        if new.busy:
            self.counts.setText(f"{new.busy} …  ")
        elif new.frame is None or new.table is None:
            self.counts.setText("")
        else:
            self.counts.setText(
                f"{new.frame.feasible.sum():,} of {len(new.table):,} candidates keep the limits,"
                f" {len(new.frame.front):,} on the front  "
            )

    @Slot(str)
    def on_live_counts(self, text: str) -> None:
        """Counts under a limit in hand; empty when it was let go."""
        if text:
            self.counts.setText(text)
        else:
            self._show_counts(self.store.state, None)

    # --- theme ------------------------------------------------------------------------------------

    def set_theme(self, name: str) -> None:
        """Use 'light', 'dark' or 'system' from now on."""
        self.settings["theme"] = name
        themes.set_colour_scheme(name)
        self._retheme(themes.theme_of(name))
        self.actions_table.refresh(self.store.state)

    @Slot()
    def on_system_theme(self) -> None:
        """Follow the desktop when that was chosen."""
        if self.settings["theme"] == "system":
            self._retheme(themes.theme_of("system"))

    def _retheme(self, theme: Theme) -> None:
        self.theme = theme
        app = QApplication.instance()
        if isinstance(app, QApplication):
            themes.apply(app, theme)
        for panel in self._panels.values():
            panel.recolour(theme)

    # --- files dropped, place remembered, closing ------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open a dropped project; import other files."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        self.take_files([p for p in paths if p])

    def take_files(self, paths: list[Path]) -> None:
        """Open the first project among these files and import the others into it."""
        projects = [p for p in paths if p.suffix == SUFFIX]
        others = [p for p in paths if p.suffix != SUFFIX]
        if projects and self.edit_actions.may_leave():
            self.store.open(projects[0])
        if others:
            self.share_actions.dropped_files.take(others)

    @Slot(str)
    def on_asked(self, file: str) -> None:
        """Come to the front; open the file that another start of the program was given."""
        if self.isMinimized():
            self.showNormal()
        self.raise_()
        self.activateWindow()
        state = self.store.state
        if file and not (state.path and _same_file(state.path, file)):
            self.take_files([Path(file)])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask when a sweep runs; then write what waits and end every job."""
        if not self.edit_actions.may_leave("Stop measuring and close?"):
            event.ignore()
            return
        self._remember()
        self.store.close()
        event.accept()

    def _remember(self) -> None:
        self.settings["geometry"] = bytes(self.saveGeometry().toHex().data()).decode()
        self.settings["splits"] = {name: s.sizes() for name, s in self._splitters().items()}

    def _splitters(self) -> dict[str, QSplitter]:
        return {"left": self.left, "right": self.right, "across": self.across}

    def _restore(self) -> None:
        stored = self.settings["geometry"]
        if stored:
            self.restoreGeometry(QByteArray.fromHex(stored.encode()))
        names = [row.name for row in self._tab_rows]
        if self.settings["tab"] in names:
            self.tabs.setCurrentIndex(names.index(self.settings["tab"]))

    def _restore_splits(self) -> None:
        defaults = {"left": (0.68, 0.32), "right": (0.6, 0.4), "across": (0.69, 0.31)}
        stored = self.settings["splits"]
        for name, splitter in self._splitters().items():
            sizes = stored.get(name)
            usable = isinstance(sizes, list) and all(isinstance(s, int) for s in sizes)
            if usable and len(sizes) == splitter.count() and min(sizes) > 0:
                splitter.setSizes(sizes)
            else:
                extent = splitter.height() if name != "across" else splitter.width()
                splitter.setSizes([int(extent * share) for share in defaults[name]])


class _FirstPaint(QObject):
    """Calls once the window has been painted, or after a while where it is not (started minimised)."""

    def __init__(self, window: QWidget, then: Callable[[], None]) -> None:
        super().__init__(window)
        self._then: Callable[[], None] | None = then
        window.installEventFilter(self)
        QTimer.singleShot(PAINT_PATIENCE_MS, self._call)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Schedule the call at the first paint event."""
        if event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            # after this event, so that what was painted is on the screen
            QTimer.singleShot(0, self._call)
        return False

    def _call(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()


def when_painted(window: QWidget, then: Callable[[], None]) -> None:
    """Call once the window has been painted for the first time."""
    _FirstPaint(window, then)


def _same_file(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


class _Place(QWidget):
    """The place of a panel that is not made yet."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)


def _stretch() -> QWidget:
    widget = QWidget()
    widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    return widget
