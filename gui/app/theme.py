"""Light and dark: the window's palette and style, and the plot's colours that go with them."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from core.resources import resource
from gui.plot.scene import DARK as DARK_PLOT
from gui.plot.scene import LIGHT as LIGHT_PLOT
from gui.plot.scene import Colours

NAMES = ("system", "light", "dark")


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by role, as '#rrggbb'. Text on its ground has a contrast of at least 4.5."""

    name: str
    window: str
    base: str
    raised: str
    hover: str
    text: str
    quiet: str
    line: str
    accent: str
    on_accent: str
    chosen: str
    bad: str
    bad_ground: str
    note_ground: str
    plot: Colours


LIGHT = Theme(
    name="light",
    window="#f2f4f7",
    base="#ffffff",
    raised="#ffffff",
    hover="#e6ebf1",
    text="#1b1f24",
    quiet="#57606a",
    line="#d0d6dd",
    accent="#005a96",
    on_accent="#ffffff",
    chosen="#d6e8f6",
    bad="#9c3a00",
    bad_ground="#fdeee2",
    note_ground="#e4f0f9",
    plot=LIGHT_PLOT,
)
DARK = Theme(
    name="dark",
    window="#1b2026",
    base="#14181d",
    raised="#252b33",
    hover="#303843",
    text="#e8ecf0",
    quiet="#a3adb8",
    line="#3a434d",
    accent="#6cb6f0",
    on_accent="#0d1620",
    chosen="#1f3d57",
    bad="#ffb27a",
    bad_ground="#3b2616",
    note_ground="#1a2f42",
    plot=DARK_PLOT,
)


def theme_of(name: str) -> Theme:
    """The theme of a setting: 'light', 'dark', or 'system' for what the desktop uses now."""
    if name == "system":
        scheme = QGuiApplication.styleHints().colorScheme()
        return DARK if scheme == Qt.ColorScheme.Dark else LIGHT
    return DARK if name == "dark" else LIGHT


def set_colour_scheme(name: str) -> None:
    """Let the title bar and the system's own dialogs follow the setting; 'system' leaves them alone."""
    scheme = {"light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}
    QGuiApplication.styleHints().setColorScheme(scheme.get(name, Qt.ColorScheme.Unknown))


def use_own_font(app: QApplication) -> None:
    """Write in the typeface that ships with the program, at the desktop's size."""
    loaded = [
        QFontDatabase.addApplicationFont(str(resource(f"fonts/{name}")))
        for name in ("Inter-Regular.otf", "Inter-SemiBold.otf")
    ]
    families = [f for font in loaded for f in QFontDatabase.applicationFontFamilies(font)]
    if families:
        font = app.font()
        font.setFamily(families[0])
        app.setFont(font)


def apply(app: QApplication, theme: Theme) -> None:
    """Colour every widget of the application."""
    app.setStyle("Fusion")
    app.setPalette(palette(theme))
    app.setStyleSheet(style_sheet(theme))


def palette(theme: Theme) -> QPalette:
    """Qt's roles; own painters take their colours from here, so that they follow a change."""
    role = QPalette.ColorRole
    colours = {
        role.Window: theme.window,
        role.WindowText: theme.text,
        role.Base: theme.base,
        role.AlternateBase: theme.window,
        role.Text: theme.text,
        role.Button: theme.raised,
        role.ButtonText: theme.text,
        role.BrightText: theme.bad,
        role.ToolTipBase: theme.raised,
        role.ToolTipText: theme.text,
        role.PlaceholderText: theme.quiet,
        role.Highlight: theme.accent,
        role.HighlightedText: theme.on_accent,
        role.Link: theme.accent,
        role.LinkVisited: theme.plot.measured,
        role.Light: theme.hover,
        role.Midlight: theme.hover,
        role.Mid: theme.line,
        role.Dark: theme.quiet,
        role.Shadow: theme.line,
    }
    made = QPalette()
    for key, colour in colours.items():
        made.setColor(key, QColor(colour))
    for key in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, key, QColor(theme.quiet))
    return made


def style_sheet(theme: Theme) -> str:
    """Shapes and spacing, which a palette cannot express."""
    t = theme
    check = resource(f"icons/check-{theme.name}.svg").as_posix()
    return f"""
    QToolBar {{ border: 0; border-bottom: 1px solid {t.line}; padding: 3px 6px; spacing: 4px;
        background: {t.window}; }}
    QMenuBar {{ background: {t.window}; }}
    QPushButton, QToolButton {{ background: {t.raised}; border: 1px solid {t.line};
        border-radius: 5px; padding: 3px 9px; }}
    QToolButton {{ padding: 3px 7px; }}
    QPushButton:hover, QToolButton:hover {{ background: {t.hover}; }}
    QPushButton:pressed, QToolButton:pressed, QToolButton:checked, QPushButton:checked
        {{ background: {t.chosen}; }}
    QPushButton:focus, QToolButton:focus, QLineEdit:focus, QPlainTextEdit:focus,
        QTableView:focus, QTreeView:focus, QListView:focus
        {{ border: 1px solid {t.accent}; }}
    QPushButton:disabled, QToolButton:disabled {{ color: {t.quiet}; background: {t.window}; }}
    QPushButton[leading="true"] {{ background: {t.accent}; color: {t.on_accent};
        border: 1px solid {t.accent}; font-weight: 600; }}
    QPushButton[leading="true"]:disabled {{ background: {t.window}; color: {t.quiet};
        border: 1px solid {t.line}; }}
    QToolButton[flat="true"] {{ background: transparent; border: 1px solid transparent;
        padding: 1px 5px; }}
    QToolButton[flat="true"]:hover {{ background: {t.hover}; }}
    QToolButton[flat="true"]:focus {{ border: 1px solid {t.accent}; }}
    QLineEdit {{ background: {t.base};
        border: 1px solid {t.line}; border-radius: 5px; padding: 2px 6px; min-height: 18px; }}
    QPlainTextEdit, QTextBrowser, QTableView, QTreeView, QListView {{ background: {t.base};
        border: 1px solid {t.line}; border-radius: 5px; selection-background-color: {t.chosen};
        selection-color: {t.text}; }}
    QTableView, QTreeView {{ gridline-color: {t.line}; alternate-background-color: {t.window}; }}
    QHeaderView::section {{ background: {t.window}; color: {t.quiet}; border: 0;
        border-bottom: 1px solid {t.line}; border-right: 1px solid {t.line}; padding: 3px 6px; }}
    QTabWidget::pane {{ border: 0; border-top: 1px solid {t.line}; }}
    QTabBar::tab {{ background: transparent; color: {t.quiet}; padding: 5px 11px; border: 0;
        border-bottom: 2px solid transparent; }}
    QTabBar::tab:selected {{ color: {t.text}; border-bottom: 2px solid {t.accent}; }}
    QTabBar::tab:hover {{ color: {t.text}; background: {t.hover}; }}
    QTabBar::tab:focus {{ border-bottom: 2px solid {t.accent}; background: {t.hover}; }}
    QTabBar QToolButton {{ border-radius: 0; padding: 0; }}
    QSplitter::handle {{ background: {t.line}; }}
    QSplitter::handle:hover {{ background: {t.accent}; }}
    QToolTip {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.line}; padding: 4px; }}
    QProgressBar {{ background: {t.base}; border: 1px solid {t.line}; border-radius: 5px;
        text-align: center; min-height: 8px; max-height: 12px; }}
    QListView::item {{ padding: 3px 4px; }}
    QProgressBar::chunk {{ background: {t.chosen}; border-radius: 4px; }}
    QCheckBox::indicator, QTreeView::indicator, QListView::indicator {{ width: 13px; height: 13px;
        border: 1px solid {t.quiet}; border-radius: 3px; background: {t.base}; }}
    QCheckBox::indicator:checked, QTreeView::indicator:checked, QListView::indicator:checked
        {{ background: {t.accent}; border: 1px solid {t.accent}; image: url("{check}"); }}
    QTreeView::indicator {{ width: 10px; height: 10px; }}
    QTreeView::item {{ padding: 1px 0; }}
    QCheckBox::indicator:focus {{ border: 2px solid {t.accent}; }}
    QScrollArea {{ border: 0; background: transparent; }}
    QLabel[quiet="true"] {{ color: {t.quiet}; }}
    QLabel[bad="true"] {{ color: {t.bad}; }}
    QLabel[title="true"] {{ font-weight: 600; }}
    QFrame[bar="message"] {{ background: {t.bad_ground}; border-bottom: 1px solid {t.line}; }}
    QFrame[bar="note"] {{ background: {t.note_ground}; border-bottom: 1px solid {t.line}; }}
    QFrame[bar="sentence"] {{ background: {t.base}; border-top: 1px solid {t.line}; }}
    QFrame[chip="true"] {{ background: {t.raised}; border: 1px solid {t.line};
        border-radius: 10px; }}
    """
