"""The window's own typeface, so that text looks and measures alike on every system."""

from __future__ import annotations

from PySide6.QtGui import QFont, QFontDatabase

from core.resources import resource


def window_font() -> QFont:
    """Inter at the desktop's text size; the desktop's own font where Inter cannot be loaded."""
    families: list[str] = []
    for path in sorted(resource("fonts").glob("*.otf")):
        families += QFontDatabase.applicationFontFamilies(
            QFontDatabase.addApplicationFont(str(path))
        )
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if families:
        font.setFamily(families[0])
    # figures of one width keep columns of numbers aligned
    font.setFeature(QFont.Tag.fromString("tnum"), 1)
    return font
