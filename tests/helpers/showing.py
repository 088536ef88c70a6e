"""A whole window on a project, for tests that act on it."""

import pytest

from gui.app.settings import Settings
from gui.shell.window import Window


@pytest.fixture
def window(qtbot, opened):
    """The window on the tiny project, drawn."""
    made = Window(opened, Settings(None))
    made.resize(1280, 800)
    qtbot.addWidget(made)
    made.show()
    made.fill()
    made.on_changed(opened.state, None)
    qtbot.waitUntil(lambda: made.plot_view.plot.scene is not None, timeout=30_000)
    qtbot.wait(50)
    return made


def project_like(path, folder, name):
    """A copy of a project under another name."""
    import shutil

    copy = folder / f"{name}.paretoscope"
    shutil.copy(path, copy)
    return copy
