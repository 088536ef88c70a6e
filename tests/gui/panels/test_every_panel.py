"""What every panel of the table must do, here with nothing to show."""

import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHeaderView,
    QLineEdit,
    QSpinBox,
)

from gui.app import theme
from gui.app.settings import Settings
from gui.panels.table import PANELS, make_panel
from gui.panels.view import Panel
from gui.shell.help import PAGES, page_for
from gui.shell.window import Window

CONTROLS = (QAbstractButton, QComboBox, QLineEdit, QSpinBox)


@pytest.fixture(params=PANELS, ids=lambda row: row.name)
def row(request):
    return request.param


@pytest.fixture
def panel(row, qtbot, store):
    # laws are not compared by themselves beside a sweep; nothing else depends on it here
    store.measuring.changed.emit({"running": True})
    panel = make_panel(row, store)
    qtbot.addWidget(panel)
    panel.set_settings(Settings(None))
    panel.resize(880, 240)
    panel.recolour(theme.LIGHT)
    panel.refresh(store.state, None)
    panel.show()
    return panel


def controls(panel):
    """What a person can press, choose or type into."""
    for kind in CONTROLS:
        for control in panel.findChildren(kind):
            inner = control.objectName().startswith(("qt_", "ScrollLeft", "ScrollRight"))
            part = isinstance(control.parent(), (QSpinBox, QComboBox))
            # the corner of a table is hidden
            corner = type(control) is QAbstractButton or "TableCorner" in type(control).__name__
            if not (inner or part or corner):
                yield control


def test_its_row_states_what_the_window_needs(row, panel):
    assert isinstance(panel, Panel)
    assert panel.accessibleName() == row.title
    assert row.tip and row.tip[0].isupper() and not row.tip.endswith(".")
    assert [other.name for other in PANELS].count(row.name) == 1
    keys = [other.shortcut for other in PANELS if other.shortcut]
    assert len(keys) == len(set(keys))


def test_help_opens_at_its_page(row, panel):
    assert row.help_page in PAGES
    assert {page_for(panel), *map(page_for, controls(panel))} == {row.help_page}


def test_it_is_reached_by_a_key_or_the_menu_and_left_in_the_settings(row, qtbot, store):
    window = Window(store, Settings(None))
    qtbot.addWidget(window)
    window.fill()
    action = window.actions_table.by_name[f"show_{row.name}"]
    assert [key.toString() for key in action.shortcuts()] == [row.shortcut] * bool(row.shortcut)
    action.trigger()
    assert window.tabs.currentWidget().findChild(Panel) is window.panel(row.name)
    assert window.settings["tab"] == row.name


def test_both_themes_are_drawn_without_a_project(panel, qtbot):
    app = QApplication.instance()
    before, sheet = app.palette(), app.styleSheet()
    try:
        for each in (theme.DARK, theme.LIGHT):
            theme.apply(app, each)
            panel.recolour(each)
            qtbot.wait(1)
            assert not panel.grab().isNull()
            panel.refresh(panel._store.state, panel._store.state)
    finally:
        app.setPalette(before)
        app.setStyleSheet(sheet)


def test_every_control_has_a_name_a_tooltip_and_the_keyboard(panel):
    for control in controls(panel):
        text = re.sub("&", "", getattr(control, "text", str)())
        name = control.accessibleName() or text
        assert name, f"a {type(control).__name__} of {type(panel).__name__} has no name"
        assert control.toolTip(), f"'{name}' of {type(panel).__name__} has no tooltip"
        by_key = control.focusPolicy() & Qt.FocusPolicy.TabFocus
        assert by_key or control.property("flat"), f"'{name}' of {type(panel).__name__}: no focus"
    for view in panel.findChildren(QAbstractItemView):
        if view.isVisible() and not isinstance(view, QHeaderView):
            assert view.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_it_stays_narrow_enough_for_a_small_window(panel):
    assert panel.minimumSizeHint().width() <= 800
