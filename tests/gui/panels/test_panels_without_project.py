"""Panels with nothing to show, in both themes: words instead of errors, names on every control."""

import pytest
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLineEdit, QSpinBox

from gui.app import theme
from gui.panels.compare_tray import CompareTray
from gui.panels.laws import Laws
from gui.panels.parallel import Parallel
from gui.panels.reproduce import Reproduce
from gui.panels.trust import Trust
from gui.panels.what_if import WhatIf

PANELS = (CompareTray, Laws, Parallel, Reproduce, Trust, WhatIf)


@pytest.fixture(params=PANELS, ids=lambda c: c.__name__)
def panel(request, qtbot, store):
    # laws are not compared by themselves beside a sweep; nothing else depends on it here
    store.set_sweep(running=True)
    panel = request.param(store)
    qtbot.addWidget(panel)
    panel.resize(880, 240)
    panel.refresh(store.state, None)
    panel.show()
    return panel


def test_both_themes_are_drawn_without_a_project(panel, qtbot):
    app = QApplication.instance()
    before, sheet = app.palette(), app.styleSheet()
    try:
        for each in (theme.DARK, theme.LIGHT):
            theme.apply(app, each)
            qtbot.wait(1)
            assert not panel.grab().isNull()
            panel.refresh(panel._store.state, panel._store.state)
    finally:
        app.setPalette(before)
        app.setStyleSheet(sheet)


def test_every_control_has_a_name_and_says_what_it_does(panel):
    kinds = (QAbstractButton, QComboBox, QLineEdit, QSpinBox)
    for kind in kinds:
        for control in panel.findChildren(kind):
            inner = control.objectName().startswith(("qt_", "ScrollLeft", "ScrollRight"))
            owner = control.parent()
            if inner or isinstance(owner, QSpinBox) or "TableCorner" in type(control).__name__:
                continue
            if type(control) is QAbstractButton:
                continue  # the corner of a table, which is hidden
            name = control.accessibleName() or getattr(control, "text", lambda: "")()
            assert name, f"a {type(control).__name__} of {type(panel).__name__} has no name"
            assert control.toolTip(), f"'{name}' of {type(panel).__name__} has no tooltip"


def test_it_stays_narrow_enough_for_a_small_window(panel):
    assert panel.minimumSizeHint().width() <= 800
