"""A panel is a class and a row: it gets its tab, menu, key, help, theme and state from them."""

from gui.app.settings import Settings
from gui.app.theme import DARK, LIGHT
from gui.panels.table import PANELS, PanelRow
from gui.panels.view import Panel
from gui.shell import edit_actions, window
from gui.shell.help import page_for
from gui.shell.window import Window


class Sketch(Panel):
    """Counts what the window calls."""

    def __init__(self, store, parent=None):
        super().__init__(parent)
        self.states, self.themes, self.settings = [], [], None

    def refresh(self, new, old):
        self.states.append(new)

    def recolour(self, theme):
        self.themes.append(theme)

    def set_settings(self, settings):
        self.settings = settings


def test_one_row_brings_a_panel_into_the_window(qtbot, opened, monkeypatch):
    row = PanelRow("sketch", "Sketch", __name__, "Sketch", "Drawn by hand", "laws.md", "Ctrl+Alt+9")
    for module in (window, edit_actions):
        monkeypatch.setattr(module, "PANELS", (*PANELS, row))
    made = Window(opened, Settings(None))
    qtbot.addWidget(made)
    made.fill()
    assert made.tabs.tabText(made.tabs.count() - 1) == "Sketch"
    action = made.actions_table.by_name["show_sketch"]
    assert action.shortcut().toString() == "Ctrl+Alt+9"
    action.trigger()
    panel = made.panel("sketch")
    assert made.tabs.currentWidget().isAncestorOf(panel)
    assert panel.settings is made.settings and panel.states == [opened.state]
    assert page_for(panel) == "laws.md" and panel.accessibleName() == "Sketch"
    for name in ("dark", "light"):
        made.set_theme(name)
    assert panel.themes[-2:] == [DARK, LIGHT] and len(panel.themes) == 3
    opened.choose(y="params_total")
    assert panel.states[-1].choices.y == "params_total"
    asked = []
    monkeypatch.setattr(made.panel("measure"), "propose", asked.append)
    panel.measure_point.emit([opened.state.table.point(0)])
    assert asked == [(opened.state.table.point(0),)]


def test_what_is_optional_does_nothing(qtbot):
    panel = Panel()
    qtbot.addWidget(panel)
    panel.recolour(None)
    panel.set_settings(None)
