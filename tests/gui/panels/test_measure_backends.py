"""The Measure panel and one more backend: offered, planned, run in a measuring process, shown."""

import sys
from pathlib import Path

import pytest
import sleeping
import sleeping_child
from tiny_project import SPACE

import core.measure.process.session
from core.errors import Unusable
from core.measure.backends.registry import BACKENDS
from core.measure.timing.devices import cpu_device
from core.model.workload import Runtime
from gui.app.settings import Settings
from gui.panels.measure import MeasurePanel
from gui.panels.models import ModelDialog


@pytest.fixture
def registered(monkeypatch):
    """The sleeping backend: its one line in the registry, here and in the measuring process."""
    monkeypatch.setitem(BACKENDS, "sleeping", sleeping.BACKEND)
    command = [sys.executable, str(Path(sleeping_child.__file__))]
    monkeypatch.setattr(core.measure.process.session, "child_command", lambda _python=None: command)


@pytest.fixture
def panel(qtbot, opened):
    panel = MeasurePanel(opened)
    qtbot.addWidget(panel)
    opened.changed.connect(panel.refresh)
    opened.set_devices((cpu_device(),))
    panel.refresh(opened.state, None)
    return panel


def sleepy(space):
    return space.replace("[run]", '[run]\nexecution = "sleeping"')


def test_a_new_backend_is_offered_and_run(qtbot, registered, opened, panel):
    opened.put_space(sleepy(SPACE))
    rows = [panel.points.topLevelItem(i) for i in range(panel.points.topLevelItemCount())]
    assert rows and all(row.text(3).startswith("sleeping, fp32") for row in rows)
    assert all("a sleeper" in row.toolTip(3) for row in rows)
    one = panel.ticked()[0]
    panel.propose((one,))
    assert "1 point to measure" in panel.words.text() and "largest 7.00 B" in panel.words.text()
    panel.threads.setValue(1)
    panel.repetitions.setValue(1)
    panel.budget.setText("2s")
    panel.start.click()
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=120_000)
    found = opened.state.contents.measurements[-1]
    assert found.runtime == Runtime("sleeping") and not found.failed
    assert min(min(block) for block in found.samples["tpot"]) >= sleeping.TOKEN_S
    qtbot.waitUntil(lambda: opened.settled, timeout=120_000)


def test_it_can_be_chosen_for_a_model_folder(qtbot, registered, opened):
    dialog = ModelDialog(opened, Settings(None), cpu_device(), 0)
    qtbot.addWidget(dialog)
    assert dialog.execution.findData("sleeping") >= 0 and dialog.execution.itemData(0) in BACKENDS


def test_a_space_of_an_unknown_backend_is_refused_and_one_stored_shows_why(qtbot, opened, panel):
    with pytest.raises(Unusable, match="execution must be one of"):
        opened.put_space(sleepy(SPACE))
    # as in a project of a newer version: it opens, and the panel has the reason
    opened.project.put_text("space", sleepy(SPACE))
    opened.open(opened.project.path)
    qtbot.waitUntil(lambda: opened.settled and not opened.state.busy, timeout=120_000)
    assert panel.points.topLevelItemCount() == 0
    assert "not 'sleeping'" in panel.words.text()
