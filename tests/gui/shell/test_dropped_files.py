from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from showing import project_like, window  # noqa: F401

from core import guarded
from core.resources import resource
from gui.panels.import_runs import ImportRuns

FIXTURES = Path(__file__).parents[2] / "fixtures" / "formats"


def drop(window, *paths):  # noqa: F811
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(p)) for p in paths])
    copy, left, none = (
        Qt.DropAction.CopyAction,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    enter = QDragEnterEvent(QPointF(9, 9).toPoint(), copy, data, left, none)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    window.dropEvent(QDropEvent(QPointF(9, 9), copy, data, left, none))


def shows_message(qtbot, window, part):  # noqa: F811
    qtbot.waitUntil(lambda: part in window.store.state.message, timeout=20_000)


def test_results_lie_over_the_candidates_with_their_warning(qtbot, window):  # noqa: F811
    drop(window, FIXTURES / "vllm_serve.json")
    shows_message(qtbot, window, "1 point of vLLM bench serve laid over the candidates")
    window.store.choose(y="ttft_s", y_log=True)
    plot = window.plot_view.plot
    qtbot.waitUntil(
        lambda: window.store.settled and plot.scene.y_axis.key == "ttft_s", timeout=20_000
    )
    (overlay,) = plot.scene.overlays
    assert overlay.tag == "vLLM bench serve (vllm_serve.json)"
    assert not overlay.comparable
    # another workload: visibly not comparable
    assert window.plot_view.caution.isVisible()
    assert "batch 2, 128 in, 256 out" in window.plot_view.caution.text()
    drop(window, FIXTURES / "vllm_serve.json")
    shows_message(qtbot, window, "0 points of vLLM bench serve")
    assert len(window.store.state.contents.imported) == 1
    window.store.choose(y="loss", y_log=False)
    assert plot.scene.overlays == () and not window.plot_view.caution.isVisible()


def test_results_appear_at_once_on_the_table_there_is(qtbot, window):  # noqa: F811
    plot, store = window.plot_view.plot, window.store
    store.choose(y="ttft_s", y_log=True)
    qtbot.waitUntil(lambda: store.settled and plot.scene.y_axis.key == "ttft_s", timeout=20_000)
    table, frame = store.state.table, store.state.frame
    drop(window, FIXTURES / "vllm_serve.json")
    qtbot.waitUntil(lambda: len(plot.scene.overlays) == 1, timeout=20_000)
    qtbot.waitUntil(lambda: store.settled, timeout=20_000)
    assert store.state.table is table and store.state.frame is frame


def test_an_unknown_file_shows_what_was_looked_for_and_found(qtbot, window, tmp_path):  # noqa: F811
    strange = tmp_path / "strange.json"
    strange.write_text('{"colour": "red"}')
    before = window.store.state.contents
    drop(window, strange)
    shows_message(qtbot, window, "found JSON, top-level keys colour")
    assert "not a known result file" in window.store.state.message
    assert window.store.state.contents is before


def test_a_space_is_shown_and_not_yet_used(qtbot, window):  # noqa: F811
    used = window.store.state.contents.space
    drop(window, resource("spaces/small.toml"))
    shows_message(qtbot, window, "is a space")
    assert window.panel("space").text.toPlainText() == resource("spaces/small.toml").read_text()
    assert window.store.state.contents.space is used


def test_runs_go_to_the_column_mapper(qtbot, window):  # noqa: F811
    drop(window, resource("runs/gemstones_cooldown_runs.csv"))
    qtbot.waitUntil(lambda: window.findChild(ImportRuns) is not None, timeout=20_000)
    dialog = window.findChild(ImportRuns)
    qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)
    dialog.reject()


def test_dropped_runs_are_opened_once(qtbot, window, tmp_path, monkeypatch):  # noqa: F811
    path = tmp_path / "mine.csv"
    path.write_bytes(resource("runs/gemstones_cooldown_runs.csv").read_bytes())
    opened, read = [], guarded.read_bytes
    monkeypatch.setattr(
        guarded, "read_bytes", lambda file, most: opened.append(file) or read(file, most)
    )
    drop(window, path)
    qtbot.waitUntil(lambda: window.findChild(ImportRuns) is not None, timeout=20_000)
    dialog = window.findChild(ImportRuns)
    qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)
    box = dialog._columns["n_heads"]
    box.setCurrentIndex(0)
    box.activated.emit(0)
    qtbot.waitUntil(lambda: not dialog.busy, timeout=20_000)
    assert len(dialog.runs()) > 50
    assert opened.count(path) == 1
    dialog.reject()


def test_an_empty_table_is_reported_and_nothing_stored(qtbot, window, tmp_path):  # noqa: F811
    path = tmp_path / "empty.csv"
    path.write_text("")
    drop(window, path)
    shows_message(qtbot, window, "empty.csv: the file is empty")
    assert window.findChild(ImportRuns) is None
    assert window.store.state.contents.runs == ()


def test_a_project_is_opened(qtbot, window, project_path, tmp_path):  # noqa: F811
    other = project_like(project_path, tmp_path, "other")
    drop(window, other)
    qtbot.waitUntil(lambda: window.store.state.path == str(other), timeout=20_000)
    qtbot.waitUntil(lambda: window.store.settled, timeout=20_000)


def test_a_read_only_project_imports_nothing(qtbot, window):  # noqa: F811
    window.store._set(read_only=True)
    drop(window, FIXTURES / "vllm_serve.json")
    shows_message(qtbot, window, "is read-only; save a copy first")
    assert window.store.state.contents.imported == ()


@pytest.fixture
def overlaid(qtbot, window, project_path, tmp_path):  # noqa: F811
    window.share_actions.dropped_files.overlay(project_like(project_path, tmp_path, "theirs"))
    qtbot.waitUntil(lambda: len(window.store.state.others) == 1, timeout=20_000)
    return window


def test_another_project_is_overlaid_until_it_is_removed(overlaid):
    (overlay,) = overlaid.plot_view.plot.scene.overlays
    assert (overlay.tag, overlay.comparable) == ("theirs", True)
    table, front = overlaid.store.state.table, overlaid.store.state.frame.front
    # the same project: its front is this one's
    assert set(table.column("tpot_s")[front]) <= set(overlay.x)
    overlaid.actions_table.by_name["drop_overlays"].trigger()
    assert overlaid.plot_view.plot.scene.overlays == ()


def test_the_same_project_laid_over_twice_counts_once(qtbot, overlaid, tmp_path):
    first = overlaid.store.state.others
    overlaid.share_actions.dropped_files.overlay(tmp_path / "theirs.paretoscope")
    qtbot.waitUntil(lambda: overlaid.store.state.others is not first, timeout=20_000)
    assert len(overlaid.store.state.others) == 1


def test_a_broken_project_is_refused(qtbot, window, tmp_path):  # noqa: F811
    broken = tmp_path / "broken.paretoscope"
    broken.write_text("no")
    window.share_actions.dropped_files.overlay(broken)
    shows_message(qtbot, window, "not a Paretoscope project")
    assert window.store.state.others == ()


def test_other_devices_of_the_project_are_laid_over(qtbot, window):  # noqa: F811
    from dataclasses import replace

    from core.records.measurement import Device

    action = window.actions_table.by_name["overlay_devices"]
    assert not action.isEnabled()
    window.store.choose(device_key=window.store.state.table.device_key)
    faster = Device("cuda", "Quick GPU", 80 * 2**30)
    for m in window.store.state.contents.measurements[:8]:
        half = {k: tuple(tuple(s / 2 for s in b) for b in v) for k, v in m.samples.items()}
        window.store.measuring.measured.emit(replace(m, device=faster, samples=half))
    qtbot.waitUntil(lambda: window.store.settled and action.isEnabled(), timeout=30_000)
    action.trigger()
    qtbot.waitUntil(lambda: len(window.store.state.others) == 1, timeout=20_000)
    (overlay,) = window.plot_view.plot.scene.overlays
    assert overlay.tag == "tiny, Quick GPU"
    # what came is in view
    assert window.plot_view.plot.view.viewRange()[0][0] < np.log10(overlay.x.min())
    window.store.choose(y="params_total")
    qtbot.waitUntil(lambda: window.store.settled, timeout=20_000)
