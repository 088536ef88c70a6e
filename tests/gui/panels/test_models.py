"""Real models in the window: refusals in the dialog, the result as a named mark on the plot."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from server_with_pages import CONFIG, serving
from tiny_project import DEVICE, timed

import gui.panels.models as models
from core.errors import Unusable
from core.project.project import Project
from core.records.measurement import Point
from core.records.progress import Progress
from gui.app.settings import Settings
from gui.plot.marks import triangle
from gui.shell.window import Window


@pytest.fixture
def window(qtbot, opened):
    made = Window(opened, Settings(None))
    made.resize(1280, 800)
    qtbot.addWidget(made)
    opened.set_devices((DEVICE,))
    made.show()
    made.fill()
    made.on_changed(opened.state, None)
    return made


@pytest.fixture
def folder(tmp_path):
    """A folder that holds only a config."""
    path = tmp_path / "little-llama"
    path.mkdir()
    config = {**CONFIG, "max_position_embeddings": 512, "torch_dtype": "float32"}
    (path / "config.json").write_text(json.dumps(config))
    return path


def model_dialog(qtbot, store, threads=3):
    dialog = models.ModelDialog(store, Settings(None), DEVICE, threads)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def looked(qtbot, dialog, sign):
    qtbot.waitUntil(lambda: dialog.summary.text().startswith(sign), timeout=30_000)
    return dialog.summary.text()


def settle(qtbot, store):
    qtbot.waitUntil(
        lambda: store.settled and not store.state.busy and not store.state.sweep.running,
        timeout=120_000,
    )


def spoil_nothing(folder):
    return folder.with_name("nowhere")


def spoil_code(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "m.M"}}))
    return folder


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(spoil_nothing, "is not a folder"), (spoil_code, "needs code of its own")],
    ids=["missing", "code"],
)
def test_a_folder_is_refused_where_it_was_chosen(qtbot, opened, folder, spoil, reason):
    dialog = model_dialog(qtbot, opened)
    assert not dialog.measure.isEnabled()
    dialog.folder.setText(str(spoil(folder)))
    assert reason in looked(qtbot, dialog, "×")
    assert not dialog.measure.isEnabled()
    # the reason is shown here, and nowhere else
    assert opened.state.message == ""


def test_a_text_needs_weights_and_the_refusal_goes_when_it_does(qtbot, opened, folder, tmp_path):
    (tmp_path / "t.txt").write_text("words")
    dialog = model_dialog(qtbot, opened)
    dialog.folder.setText(str(folder))
    dialog.text.setText(str(tmp_path / "t.txt"))
    assert "no quality" in looked(qtbot, dialog, "×")
    dialog.text.clear()
    assert "random ones" in looked(qtbot, dialog, "●")
    assert dialog.measure.isEnabled()
    dialog.work.prompt.setValue(600)
    assert not dialog.measure.isEnabled()
    assert "more than the 512" in looked(qtbot, dialog, "×")


def test_a_measured_folder_becomes_a_named_mark(qtbot, window, opened, folder, monkeypatch):
    asked = []

    def measure(plan, *, device, store, **options):
        asked.append((plan, device, options))
        yield Progress(0, 1, "scoring window 1 of 9")
        m = timed(Point(plan.point.architecture, plan.point.workload, plan.point.runtime))
        quality = {"loss": 3.0, "loss_low": 2.9, "loss_high": 3.1}
        yield store(replace(m, model=plan.point.model, quality=quality))

    monkeypatch.setattr(models, "measure_model", measure)
    panel = window.show_panel("measure")
    panel.threads.setValue(3)
    panel.folder.click()
    dialog = next(w for w in QApplication.topLevelWidgets() if isinstance(w, models.ModelDialog))
    dialog.folder.setText(str(folder))
    looked(qtbot, dialog, "●")
    before = len(opened.state.contents.measurements)
    dialog.measure.click()
    assert opened.state.sweep.running and not panel.folder.isEnabled()
    settle(qtbot, opened)
    ((plan, device, options),) = asked
    assert (plan.folder.name, device, options["threads"]) == ("little-llama", DEVICE, 3)
    # as the shapes that were measured before it
    assert plan.point.workload == opened.state.contents.measurements[0].workload
    assert len(opened.state.contents.measurements) == before + 1
    qtbot.waitUntil(lambda: "little-llama" in opened.state.table.names.values(), timeout=60_000)
    plot = window.plot_view.plot
    qtbot.waitUntil(
        lambda: any(m.text == "little-llama" for m in plot.scene.landmarks), timeout=30_000
    )
    (row,) = opened.state.table.names
    (mark,) = [m for m in plot.scene.landmarks if m.text == "little-llama"]
    assert mark.measured and mark.y == 3.0 and mark.x == opened.state.table.column("tpot_s")[row]
    measured = plot.scene.measured
    assert list(measured.rows[measured.real]) == [row]
    index = int(np.flatnonzero(measured.real)[0])
    assert (measured.y_interval[0][index], measured.y_interval[1][index]) == (2.9, 3.1)
    assert panel.results.topLevelItem(0).text(0).startswith("● little-llama")
    # and it is in the file
    with Project.open(opened.state.path, read_only=True) as stored:
        assert stored.measurements()[-1].model == "little-llama"


def test_what_goes_wrong_later_is_shown_in_the_panel(qtbot, window, opened, folder, monkeypatch):
    def measure(plan, **_):
        yield Progress(0, 1)
        raise Unusable("its tokenizer cannot be loaded")

    monkeypatch.setattr(models, "measure_model", measure)
    dialog = model_dialog(qtbot, opened)
    dialog.folder.setText(str(folder))
    looked(qtbot, dialog, "●")
    dialog.measure.click()
    settle(qtbot, opened)
    panel = window.show_panel("measure")
    assert panel.words.text() == "its tokenizer cannot be loaded"
    assert panel.folder.isEnabled()


def test_one_at_a_time_and_a_single_model_cannot_be_held(qtbot, opened, folder, monkeypatch):
    go = threading.Event()

    def measure(plan, **_):
        while not go.wait(0.01):
            yield Progress(0, 1)

    monkeypatch.setattr(models, "measure_model", measure)
    first, second = model_dialog(qtbot, opened), model_dialog(qtbot, opened)
    for dialog in (first, second):
        dialog.folder.setText(str(folder))
        looked(qtbot, dialog, "●")
    first.measure.click()
    second.measure.click()
    assert "something is being measured" in second.summary.text() and second.isVisible()
    opened.pause_sweep()
    assert not opened.state.sweep.paused and "in one go" in opened.state.message
    go.set()
    settle(qtbot, opened)


def test_an_endpoint_is_refused_in_place_then_measured(qtbot, opened, folder):
    dialog = models.EndpointDialog(opened, Settings(None), DEVICE)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.measure.click()
    assert "give the address" in dialog.summary.text()
    with serving() as closed:
        pass
    dialog.url.setText(closed)
    dialog.name.setText("tiny")
    dialog.measure.click()
    assert "is the server running" in looked(qtbot, dialog, "×")
    with serving() as url:
        dialog.url.setText(url)
        dialog.measure.click()
        assert "does not say which shape" in looked(qtbot, dialog, "× http")
        assert dialog.measure.isEnabled()
        dialog.config.setText(str(folder))
        dialog.work.prompt.setValue(6)
        dialog.work.output.setValue(3)
        dialog.rounds.setValue(2)
        dialog.measure.click()
        qtbot.waitUntil(
            lambda: any(m.model == "tiny" for m in opened.state.contents.measurements),
            timeout=60_000,
        )
        settle(qtbot, opened)
    m = opened.state.contents.measurements[-1]
    assert (m.runtime.execution, m.runtime.weights) == ("served", "fp32")
    assert (m.workload.prompt_tokens, m.workload.output_tokens) == (6, 3)
    assert m.device.key == DEVICE.key and len(m.samples["ttft"]) == 2


def test_a_closed_dialog_receives_nothing_more(qtbot, opened, folder):
    dialog = model_dialog(qtbot, opened)
    seen = []
    dialog.look(lambda: 7, seen.append)
    dialog.reject()
    qtbot.waitUntil(lambda: not opened._asides["real models"].busy, timeout=30_000)
    qtbot.wait(20)
    assert seen == []


def test_the_mark_of_a_real_model_is_a_triangle_around_its_place():
    points = triangle(10.0, 20.0, 6.0)
    corners = [(points[i].x(), points[i].y()) for i in range(points.size())]
    assert len(corners) == 3
    assert np.mean(corners, 0) == pytest.approx([10.0, 20.0], abs=1e-2)
    assert [np.hypot(x - 10, y - 20) for x, y in corners] == pytest.approx([6.0] * 3, rel=1e-3)
