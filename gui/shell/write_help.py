"""`python -m gui.shell.write_help`: writes the help pages that are made from tables in the code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtGui import QKeySequence

from core.report.help_pages import MADE, joined, pages, table
from core.resources import resource
from gui.shell.actions import ActionRow

PLOT_KEYS = (
    ("Tab", "in the plot: from limit to limit"),
    ("Arrow keys", "in the plot: move the limit that has the focus; with Shift in fine steps"),
    ("Delete", "in the plot: remove the limit that has the focus"),
    ("Left, Right", "in the plot without a focused limit: along the front"),
    ("Wheel, drag", "zoom and move the plot; Home shows everything"),
    ("Arrow keys, Space, Page keys", "presenting: next and previous scene; Esc leaves"),
)


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
        "## In the plot and when presenting",
        table(("Key", "What it does"), [(f"**{key}**", what) for key, what in PLOT_KEYS]),
    ]
    return joined(parts)


def shortcut_text(shortcut: str) -> str:
    """A shortcut in one spelling on every system."""
    portable = QKeySequence.SequenceFormat.PortableText
    return " or ".join(QKeySequence(s).toString(portable) for s in shortcut.split(" or "))


def generated_pages() -> dict[str, str]:
    """Every page made from tables in the code; needs a QApplication."""
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
    """Write the generated pages into the folder of the others."""
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
