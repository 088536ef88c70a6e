from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMainWindow

from core.analysis.contents import Contents
from core.project.choices import Choices
from gui.app.settings import Settings
from gui.shell.actions import ActionRow, Actions, keys_help, with_project
from gui.shell.window import Window
from gui.state.state import State

EMPTY = State("", Contents("", None, (), ()), Choices())


def test_names_and_keys_are_unique_and_readable(qtbot, store):
    window = Window(store, Settings(None))
    qtbot.addWidget(window)
    rows = window.edit_actions.rows()
    names = [row.name for row in rows]
    assert len(names) == len(set(names))
    keys = [QKeySequence(k).toString() for row in rows for k in row.shortcut.split(" or ") if k]
    assert all(keys)
    assert len(keys) == len(set(keys))
    assert all(row.tip for row in rows)
    help_text = keys_help(rows)
    assert all(row.shortcut in help_text for row in rows)


def test_what_cannot_be_done_is_grey(qtbot, store):
    window = Window(store, Settings(None))
    qtbot.addWidget(window)
    window.actions_table.refresh(EMPTY)
    enabled = {name for name, action in window.actions_table.by_name.items() if action.isEnabled()}
    assert {"open", "new", "quit"} <= enabled
    assert not {"undo", "redo", "export", "save_as", "pin", "next"} & enabled


def test_a_row_is_done_once_and_without_argument(qtbot):
    owner = QMainWindow()
    qtbot.addWidget(owner)
    done = []
    actions = Actions(
        [ActionRow("one", "&File", "One", "Ctrl+1", "Do it", lambda: done.append(1), with_project)],
        owner,
    )
    actions.by_name["one"].trigger()
    assert done == [1]
    actions.refresh(EMPTY)
    assert not actions.by_name["one"].isEnabled()
