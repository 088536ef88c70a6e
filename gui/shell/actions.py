"""Everything that can be done from the menu, the toolbar or a key: one table of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenuBar, QToolBar, QWidget

from gui.state.state import State

Enabled = Callable[[State], bool]


def always(_: State) -> bool:
    """True: it can be done at any time."""
    return True


def with_table(state: State) -> bool:
    """Whether there are candidates."""
    return state.table is not None


def with_project(state: State) -> bool:
    """Whether a project is open."""
    return bool(state.path)


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action. `menu` names its menu ('' for keys only); '-' before the name puts a separator above it."""

    name: str
    menu: str
    text: str
    shortcut: str
    tip: str
    do: Callable[[], object]
    enabled: Enabled = always
    toolbar: bool = False
    checked: Callable[[], bool] | None = None


class Actions:
    """The rows as QActions, in menus and toolbar; `refresh` greys what cannot be done now."""

    def __init__(self, rows: Sequence[ActionRow], owner: QWidget) -> None:
        self.rows = tuple(rows)
        self.by_name: dict[str, QAction] = {}
        for row in self.rows:
            action = QAction(row.text, owner)
            action.setObjectName(row.name)
            if row.shortcut:
                action.setShortcuts(
                    [QKeySequence(keys) for keys in row.shortcut.split(" or ") if keys]
                )
            keys = f" ({row.shortcut})" if row.shortcut else ""
            action.setToolTip(f"{row.tip}{keys}")
            action.setStatusTip(row.tip)
            action.setCheckable(row.checked is not None)
            action.triggered.connect(_without_argument(row.do))
            # also for actions that are in no menu
            owner.addAction(action)
            self.by_name[row.name] = action

    def fill_menus(self, bar: QMenuBar) -> None:
        """Put every row into its menu, in the order of the table."""
        menus = {}
        for row in self.rows:
            name = row.menu.lstrip("-")
            if not name:
                continue
            if name not in menus:
                menus[name] = bar.addMenu(name)
                menus[name].setToolTipsVisible(True)
            if row.menu.startswith("-"):
                menus[name].addSeparator()
            menus[name].addAction(self.by_name[row.name])

    def fill_toolbar(self, bar: QToolBar) -> None:
        """Put the rows marked for it into the toolbar."""
        for row in self.rows:
            if row.toolbar:
                bar.addAction(self.by_name[row.name])

    def refresh(self, state: State) -> None:
        """Enable what can be done in this state, tick what is on."""
        for row in self.rows:
            action = self.by_name[row.name]
            action.setEnabled(row.enabled(state))
            if row.checked is not None:
                action.setChecked(row.checked())


def _without_argument(do: Callable[[], object]) -> Callable[[bool], None]:
    def triggered(_checked: bool = False) -> None:
        do()

    return triggered


def keys_help(rows: Sequence[ActionRow]) -> str:
    """All keys as an HTML table, for the help."""
    lines = [
        f"<tr><td><b>{row.shortcut}</b></td><td>&nbsp;&nbsp;</td><td>{row.tip}</td></tr>"
        for row in rows
        if row.shortcut
    ]
    return f"<table>{''.join(lines)}</table>"
