import re

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from showing import window  # noqa: F401

from core.pareto.limits import parse_limit
from core.records.metrics import METRICS
from gui.app.theme import DARK, LIGHT
from gui.shell.presenter import Presenter, few_series, plain, plain_words


@pytest.fixture
def scenes(window):  # noqa: F811
    """Two scenes: a limit on speed, then memory across instead."""
    store = window.store
    store.choose(limits=(parse_limit("tpot<=3ms"),))
    window.share_actions.save_scene()
    store.choose(limits=(parse_limit("memory<=60MB"),), x="memory_bytes")
    window.share_actions.save_scene()
    store.choose(limits=(), x="tpot_s")
    return window


def presented(qtbot, window, theme=LIGHT, size=(1280, 720)):  # noqa: F811
    presenter = Presenter(window.store, theme)
    presenter.resize(*size)
    presenter.show()
    qtbot.waitUntil(lambda: presenter.frame is not None)
    qtbot.waitExposed(presenter)
    presenter.activateWindow()
    presenter.setFocus()
    return presenter


def test_keys_step_through_the_scenes_and_leave(qtbot, scenes):
    presenter = presented(qtbot, scenes)
    assert (
        presenter.title.text()
        == "Loss against time per output token; time per output token ≤ 3.00 ms"
    )
    assert [limit.text for limit in presenter.frame.limits] == ["tpot:p50<=3ms"]
    QTest.keyClick(presenter, Qt.Key.Key_Right)
    assert presenter.frame.x == "memory_bytes"
    assert presenter.place.text().startswith("2 of 2")
    assert presenter.plot.scene.x_axis.key == "memory_bytes"
    QTest.keyClick(presenter, Qt.Key.Key_Right)
    assert presenter.at == 1
    QTest.keyClick(presenter, Qt.Key.Key_Left)
    assert presenter.frame.x == "tpot_s"
    with qtbot.waitSignal(presenter.left):
        QTest.keyClick(presenter, Qt.Key.Key_Escape)


def test_presenting_changes_nothing_in_the_project(qtbot, scenes):
    before = scenes.store.state.choices
    presenter = presented(qtbot, scenes)
    presenter.go(1)
    presenter.on_released(("memory_bytes", "p50", "<="), "<=", 40e6)
    assert [limit.text for limit in presenter.frame.limits] == ["memory:p50<=40MB"]
    presenter.on_point(int(presenter.frame.front[0]))
    assert presenter.frame.selected == presenter.frame.front[0]
    presenter.close()
    assert scenes.store.state.choices is before


def test_without_scenes_it_shows_what_the_window_shows(qtbot, window):  # noqa: F811
    window.store.choose(limits=(parse_limit("tpot<=3ms"),))
    presenter = presented(qtbot, window)
    assert len(presenter.steps) == 1
    assert presenter.frame.front.tolist() == window.store.state.frame.front.tolist()
    first = window.plot_view.sentence.first.text()
    # the sentence in full: the same words as in the window
    assert presenter.sentence.text().replace("\u00a0", " ") == first
    presenter.close()


def test_at_most_three_series_in_large_type(qtbot, window):  # noqa: F811
    presenter = presented(qtbot, window, size=(1920, 1080))
    scene = presenter.plot.scene
    assert scene.large
    assert len(re.findall("<span", presenter.legend.text())) <= 3
    assert scene.landmarks == scene.pinned == () and scene.band is None
    assert all(limit.value is not None for limit in scene.limits)
    # legible from the last row: a share of the height, whatever the screen
    assert presenter.sentence.font().pixelSize() == round(0.034 * 1080)
    presenter.resize(1280, 720)
    assert presenter.sentence.font().pixelSize() == round(0.034 * 720)
    presenter.close()


def test_another_project_takes_the_place_of_the_measured_points(qtbot, window):  # noqa: F811
    from dataclasses import replace

    import numpy as np

    from gui.plot.scene import Overlay

    full = window.plot_view.plot.scene
    assert full.measured is not None
    layers = tuple(Overlay(f"o{i}", np.ones(1), np.ones(1)) for i in range(3))
    few = few_series(replace(full, overlays=layers))
    assert few.measured is None and [o.tag for o in few.overlays] == ["o0"]
    assert few_series(full).measured is full.measured


def test_words_without_jargon():
    words = plain_words("tpot_s", "loss")
    assert "Further left, it writes faster" in words and "further down, it predicts" in words
    words = plain_words("memory_bytes", "tokens_per_s_user")
    assert "further up, it writes faster" in words
    jargon = re.compile(r"pareto|dominat|metric|TPOT|TTFT|nats", re.IGNORECASE)
    assert not any(jargon.search(text) for text in (*(m.plain for m in METRICS.values()), words))
    assert plain("params_total") == "has fewer parameters"


def test_a_damaged_scene_is_reported(qtbot, window):  # noqa: F811
    window.store.choose(scenes=(("Broken", '{"x": "speed"}'), ("Worse", "{")))
    presenter = presented(qtbot, window, DARK)
    assert "not a metric" in presenter.sentence.text()
    presenter.go(1)
    assert "damaged" in presenter.sentence.text()
    presenter.close()
