"""The space's editor: Ctrl+Z undoes what replaced a text, and a bad text changes nothing."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from showing import window  # noqa: F401

NONE = """
[shape]
n_layers = [2]
d_model = [64]
d_head = [48]
vocab_size = 100
"""


def undone(panel):
    panel.text.setFocus()
    QTest.keyClick(panel.text, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)


def checked(qtbot, panel):
    qtbot.waitUntil(
        lambda: (
            bool(panel.problem.text() or panel.extent.text())
            and "Counting" not in panel.extent.text()
        ),
        timeout=20_000,
    )


def test_a_preset_over_ones_own_text_is_undone(window):  # noqa: F811
    panel = window.show_panel("space")
    used = panel.text.toPlainText()
    QTest.keyClicks(panel.text, "# mine ")
    mine = panel.text.toPlainText()
    panel.on_preset(1)
    assert panel.text.toPlainText() != mine
    undone(panel)
    assert panel.text.toPlainText() == mine
    panel.on_revert()
    assert panel.text.toPlainText() == used
    undone(panel)
    assert panel.text.toPlainText() == mine


def test_the_space_in_use_before_can_be_brought_back(qtbot, window):  # noqa: F811
    panel = window.show_panel("space")
    before = window.store.state.contents.space.text
    panel.write_over(before + "\n# more\n")
    panel.check()
    checked(qtbot, panel)
    panel.on_apply()
    assert window.store.state.contents.space.text.endswith("# more\n")
    # it can still be undone after it was used
    undone(panel)
    assert panel.text.toPlainText() == before
    panel.check()
    checked(qtbot, panel)
    panel.on_apply()
    assert window.store.state.contents.space.text == before


def test_a_text_not_checked_yet_cannot_be_used(qtbot, window):  # noqa: F811
    panel = window.show_panel("space")
    before = window.store.state.contents.space.text
    panel.write_over(before + "\n# more\n")
    panel.check()
    checked(qtbot, panel)
    assert panel.apply.isEnabled()
    panel.write_over(NONE)
    # it reads as a space, yet has no candidate: Ctrl+Return at once must not put it to use
    assert not panel.apply.isEnabled()
    panel.check()
    assert "Counting" in panel.extent.text() and not panel.problem.text()
    checked(qtbot, panel)
    assert not panel.apply.isEnabled()
    assert "head size has to divide the width" in panel.problem.text()
    assert window.store.state.contents.space.text == before


def test_a_dropped_space_over_ones_own_text_is_undone(qtbot, window, tmp_path):  # noqa: F811
    panel = window.show_panel("space")
    mine = panel.text.toPlainText()
    file = Path(tmp_path / "other.toml")
    file.write_text(NONE)
    window.share_actions.dropped_files.take([file])
    qtbot.waitUntil(lambda: panel.text.toPlainText() == NONE, timeout=20_000)
    undone(panel)
    assert panel.text.toPlainText() == mine
