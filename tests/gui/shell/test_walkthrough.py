"""A whole demonstration, played with the mouse and the keys a person would use."""

import json
import re

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton

from core.analysis.explain import sentences
from core.formats.configs.config_formats import read_shape
from core.project.demo import create_demo
from gui.app.settings import Settings
from gui.panels.export import KEY, ExportDialog
from gui.plot.plane import plane_of
from gui.shell.presenter import Presenter
from gui.shell.report_dialog import ReportDialog
from gui.shell.tour import Tour
from gui.shell.window import Window
from gui.state.store import Store

LEFT = Qt.MouseButton.LeftButton
TPOT = ("tpot_s", "p50", "<=")


@pytest.fixture
def window(qtbot, tmp_path):
    """The window on a fresh demonstration, as it is after the first start."""
    path = tmp_path / "demo.paretoscope"
    create_demo(path).close()
    made = Window(Store(), Settings(tmp_path / "settings.json"))
    made.resize(1280, 800)
    qtbot.addWidget(made)
    made.show()
    made.fill()
    made.share_actions.first_start()
    made.store.open(path)
    qtbot.waitUntil(
        lambda: made.plot_view.plot.scene is not None and made.store.settled, timeout=60_000
    )
    at_rest(qtbot, made)
    yield made
    made.store.close()


def at_rest(qtbot, window):
    """Chips and sentences have their text, and the plot the size that leaves."""
    port = window.plot_view.plot.canvas.viewport()
    sizes = []
    qtbot.waitUntil(
        lambda: sizes.append(port.size()) or (len(sizes) > 9 and sizes[-10:] == [sizes[-1]] * 10)
    )


def send(port, kind, at, button, held):
    QApplication.sendEvent(
        port,
        QMouseEvent(
            kind,
            QPointF(at),
            QPointF(port.mapToGlobal(at)),
            button,
            held,
            Qt.KeyboardModifier.NoModifier,
        ),
    )


def drag(port, start, stops):
    none = Qt.MouseButton.NoButton
    send(port, QEvent.Type.MouseMove, start, none, none)
    send(port, QEvent.Type.MouseButtonPress, start, LEFT, LEFT)
    for stop in stops:
        send(port, QEvent.Type.MouseMove, stop, none, LEFT)
        # a mouse reports about a hundred times a second; faster moves are thinned out
        QTest.qWait(15)
    send(port, QEvent.Type.MouseButtonRelease, stops[-1], LEFT, none)


def on_canvas(plot, x, y):
    return plot.canvas.mapFromScene(plot.view.mapToScene(QPointF(x, y)))


def place_of(plot, row):
    plane = plane_of(plot.view)
    return on_canvas(plot, plane.px(plot.picture.u[row]), plane.py(plot.picture.v[row]))


def click(button):
    QTest.mouseClick(button, LEFT)


def press(window, name):
    """A button of the toolbar."""
    click(window.toolbar.widgetForAction(window.actions_table.by_name[name]))


def dialog_of(qtbot, window, kind):
    qtbot.waitUntil(lambda: any(d.isVisible() for d in window.findChildren(kind)))
    return next(d for d in window.findChildren(kind) if d.isVisible())


def save_as(monkeypatch, path):
    """The file dialog is the system's own: the user's answer is all that counts."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(path), ""))


def test_a_demonstration_from_first_start_to_report(qtbot, window, tmp_path, monkeypatch):
    store, plot = window.store, window.plot_view.plot
    port = plot.canvas.viewport()

    # --- the tour comes by itself; step through it with its button
    qtbot.waitUntil(lambda: window.findChild(Tour) is not None)
    tour = window.findChild(Tour)
    for _ in range(6):
        click(tour.next)
    assert window.settings["toured"] is True
    qtbot.waitUntil(lambda: window.findChild(Tour) is None)

    # --- drag the limit's line to the left; front and counts follow the hand, the store hears once
    state = store.state
    before, feasible_before = state.choices, int(state.frame.feasible.sum())
    plane = plane_of(plot.view)
    limited = window.store.state.choices.limits[0].value
    x = plane.px(np.log10(limited))
    start = on_canvas(plot, x, plane.height * 0.5)
    stops = [start - QPoint(8 * k, 0) for k in range(1, 11)]
    heard = []
    store.changed.connect(lambda new, old: heard.append(new.choices.limits))
    moves = []
    plot.live.connect(moves.append)
    drag(port, start, stops)
    assert len(moves) >= 8
    counts = [move.feasible for move in moves]
    assert counts == sorted(counts, reverse=True) and counts[-1] < feasible_before
    qtbot.waitUntil(lambda: store.state.choices.limits != before.limits)
    (limit,) = store.state.choices.limits
    assert limit.key == TPOT and limited / 4 < limit.value < limited
    # one gesture, one step
    assert len({limits for limits in heard}) == 1
    qtbot.waitUntil(lambda: store.settled and store.state.frame.limits == (limit,))
    frame, table = store.state.frame, store.state.table
    assert int(frame.feasible.sum()) == moves[-1].feasible
    assert np.array_equal(np.sort(frame.front), np.sort(moves[-1].front))
    first = sentences(table, frame, store.state.choices)[0]
    assert window.plot_view.sentence.first.text() == first

    # --- click a point of the front; the inspector speaks of it
    at_rest(qtbot, window)
    row = int(frame.front[len(frame.front) // 2])
    at = place_of(plot, row)
    QTest.mouseClick(port, LEFT, pos=at)
    qtbot.waitUntil(lambda: store.state.choices.selected != "")
    selected = store.state.frame.selected
    assert place_of(plot, selected).x() == pytest.approx(at.x(), abs=11)
    shown = {label.text() for label in window.inspector.findChildren(QLabel)}
    assert any(table.label(selected) in text for text in shown)

    # --- pin it, step on along the front by key, pin the next, compare
    pin = next(b for b in window.inspector.findChildren(QPushButton) if b.text() == "Pin")
    click(pin)
    assert store.state.choices.pins == (table.id_of(selected),)
    window.actions_table.by_name["next"].trigger()
    second = store.state.frame.selected
    assert second != selected
    window.actions_table.by_name["pin"].trigger()
    assert store.state.choices.pins == (table.id_of(selected), table.id_of(second))
    compare = window.show_panel("compare")
    qtbot.waitUntil(lambda: compare.isVisible())
    qtbot.waitUntil(lambda: compare.table.rowCount() > 3 and compare.table.columnCount() >= 3)

    # --- undo the pins, the steps and the limit; and all of it again
    while store.state.can_undo:
        press(window, "undo")
    assert store.state.choices == before
    qtbot.waitUntil(lambda: store.settled and store.state.frame.limits == before.limits)
    assert int(store.state.frame.feasible.sum()) == feasible_before
    while store.state.can_redo:
        press(window, "redo")
    assert store.state.choices.pins == (table.id_of(selected), table.id_of(second))
    qtbot.waitUntil(lambda: store.settled and store.state.frame.limits == (limit,))

    # --- export the chosen one for Hugging Face, and read it back
    press(window, "export")
    export = dialog_of(qtbot, window, ExportDialog)
    formats = export.formats
    keys = [formats.item(i).data(KEY) for i in range(formats.count())]
    box = formats.visualItemRect(formats.item(keys.index("hf")))
    QTest.mouseClick(formats.viewport(), LEFT, pos=box.center())
    assert export.format_key == "hf"
    config = tmp_path / "config.json"
    save_as(monkeypatch, config)
    click(export.save)
    qtbot.waitUntil(config.exists, timeout=60_000)
    qtbot.waitUntil(lambda: store.settled and "rote" in export.about.text(), timeout=60_000)
    shape, form = read_shape(config)
    assert form.key == "hf"
    assert shape == table.point(store.state.frame.selected).architecture
    export.reject()

    # --- keep two scenes and present them
    window.actions_table.by_name["save_scene"].trigger()
    store.choose(x="memory_bytes")
    qtbot.waitUntil(lambda: store.settled and store.state.frame.x == "memory_bytes")
    window.actions_table.by_name["save_scene"].trigger()
    chosen = store.state.choices
    press(window, "present")
    presenter = window.share_actions.presenter
    qtbot.waitUntil(lambda: presenter.frame is not None)
    assert isinstance(presenter, Presenter) and presenter.isFullScreen()
    assert presenter.frame.x == "tpot_s" and presenter.plot.scene.large
    QTest.keyClick(presenter, Qt.Key.Key_Right)
    qtbot.waitUntil(lambda: presenter.frame.x == "memory_bytes")
    with qtbot.waitSignal(presenter.left):
        QTest.keyClick(presenter, Qt.Key.Key_Escape)
    assert store.state.choices is chosen

    # --- report
    press(window, "report")
    report = dialog_of(qtbot, window, ReportDialog)
    QTest.keyClicks(report.name, "What we chose")
    page = tmp_path / "report.html"
    save_as(monkeypatch, page)
    click(report.write_button)
    qtbot.waitUntil(lambda: report.outcome.text() != "", timeout=60_000)
    assert "Written" in report.outcome.text()
    text = page.read_text(encoding="utf-8")
    facts = json.loads(re.search(r'paretoscope-report">(.*?)</script>', text, re.S)[1])
    assert facts["title"] == "What we chose" and "<h1>What we chose</h1>" in text
    assert facts["candidates"][0]["id"] == table.id_of(store.state.frame.selected)
    roles = [row["role"] for row in facts["candidates"]]
    assert roles[:3] == ["chosen", "pinned", "front"]
    report.reject()

    # --- what was chosen is in the file, for the next time
    store.flush()
    assert store.project.choices() == store.state.choices


def test_the_front_follows_the_hand_exactly(window, qtbot):
    """What is shown in mid-drag is what a full calculation at that place gives."""
    store, plot = window.store, window.plot_view.plot
    plane = plane_of(plot.view)
    limited = store.state.choices.limits[0].value
    start = on_canvas(plot, plane.px(np.log10(limited)), plane.height * 0.5)
    seen = []
    plot.live.connect(seen.append)
    drag(plot.canvas.viewport(), start, [start + QPoint(4 * k, 0) for k in (-3, -9, 4, 12, -14)])
    table = store.state.table
    x, y = np.asarray(table.column("tpot_s")), np.asarray(table.column("loss"))
    assert len(seen) >= 4
    for live in seen:
        inside = x <= live.value if live.value is not None else np.ones(len(x), bool)
        assert live.feasible == int(inside.sum())
        best = np.nanmin(np.where(inside, y, np.nan))
        assert y[live.best] == best
