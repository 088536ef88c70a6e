"""The plot follows its limits, reports each action once, and survives odd scenes."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from core.errors import Unusable
from core.pareto.front import front_indices
from gui.plot.pareto_plot import ParetoPlot
from gui.plot.plane import plane_of
from gui.plot.scene import DARK, Axis, Band, Landmark, LimitView, Measured, Overlay, Scene

X = Axis("tpot_s", "Time per output token", "s", True, "lower")
Y = Axis("loss", "Loss", "nats/token", False, "lower", 4)
TPOT, LOSS, MEMORY = ("tpot_s", "<="), ("loss", "<="), ("memory_bytes", "<=")


@pytest.fixture(autouse=True)
def every_mouse_move_counts():
    before = pg.getConfigOption("mouseRateLimit")
    pg.setConfigOption("mouseRateLimit", 0)
    yield
    pg.setConfigOption("mouseRateLimit", before)


def made(n=4000, seed=0):
    random = np.random.default_rng(seed)
    x = 1e-3 * random.lognormal(0, 0.6, n)
    y = 2 + 0.3 * (x / 1e-3) ** -0.5 * random.lognormal(0, 0.1, n)
    memory = 1e9 * random.lognormal(0, 0.5, n)
    limits = (
        LimitView(TPOT, "<=", 2e-3, x, "x", "TPOT", "s"),
        LimitView(LOSS, "<=", None, y, "y", "Loss", "nats/token", 4),
        LimitView(MEMORY, "<=", 2e9, memory, "", "Memory", "B"),
    )
    return Scene(x, y, X, Y, limits)


def limited(scene, key, value):
    """The scene with one limit elsewhere, as the store would make it after a release."""
    return replace(
        scene,
        limits=tuple(replace(m, value=value) if m.key == key else m for m in scene.limits),
    )


def mask_of(scene):
    mask = np.ones(len(scene.x), dtype=bool)
    for limit in scene.limits:
        if limit.value is not None:
            mask &= (
                limit.column <= limit.value if limit.side == "<=" else limit.column >= limit.value
            )
    return mask


@pytest.fixture
def plot(qtbot):
    plot = ParetoPlot()
    qtbot.addWidget(plot)
    plot.resize(900, 600)
    plot.show()
    qtbot.waitExposed(plot)
    return plot


def heard(signal):
    """Everything a signal emits from now on."""
    got = []
    signal.connect(lambda *parts: got.append(parts))
    return got


def mouse(plot, kind, at, held):
    port = plot.canvas.viewport()
    button, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    QApplication.sendEvent(
        port,
        QMouseEvent(
            kind,
            QPointF(at),
            QPointF(port.mapToGlobal(at)),
            none if kind == QEvent.Type.MouseMove else button,
            button if held else none,
            Qt.KeyboardModifier.NoModifier,
        ),
    )


def canvas_point(plot, x, y):
    """The canvas pixel of a pixel of the plot area."""
    return plot.canvas.mapFromScene(plot.view.mapToScene(QPointF(x, y)))


def drag(plot, start, stops):
    mouse(plot, QEvent.Type.MouseMove, start, False)
    mouse(plot, QEvent.Type.MouseButtonPress, start, True)
    for stop in stops:
        mouse(plot, QEvent.Type.MouseMove, stop, True)
        QApplication.processEvents()
    mouse(plot, QEvent.Type.MouseButtonRelease, stops[-1], False)


def shown_counts(plot):
    plot.picture.cloud.place() if plot.picture.cloud._stale else None
    inside, _ = plot.picture.cloud.raster.counts()
    return int(inside.sum())


def agrees(plot, scene):
    """Cloud, count, front and best are those of the scene's limits."""
    mask = mask_of(scene)
    expected = front_indices(scene.x, scene.y, mask)
    assert plot.front.tolist() == expected.tolist()
    assert plot.feasible_count == mask.sum()
    assert shown_counts(plot) == mask.sum()
    assert plot.best == (expected[-1] if len(expected) else None)


def test_shows_a_scene(plot):
    scene = made()
    plot.refresh(scene)
    agrees(plot, scene)
    assert "candidates inside all limits" in plot.accessibleDescription()
    # every point is in view
    _, total = plot.picture.cloud.raster.counts()
    assert total.sum() == len(scene.x)


def test_dragging_a_line_follows_the_mouse_and_releases_once(plot, qtbot):
    scene = made()
    plot.refresh(scene)
    QApplication.processEvents()
    dragged, released, live = (
        heard(plot.limit_dragged),
        heard(plot.limit_released),
        heard(plot.live),
    )
    plane = plane_of(plot.view)
    line = plot.lines[TPOT]
    x = plane.px(np.log10(2e-3))
    start = canvas_point(plot, x, 250)
    drag(plot, start, [start - QPoint(step, 0) for step in (15, 60, 110, 90)])
    assert len(live) == len(dragged) == 4 and len(released) == 1
    key, side, value = released[0]
    assert (key, side) == (TPOT, "<=") and dragged[-1][2] == value
    # one pixel of the axis is about a percent
    assert np.log10(value) == pytest.approx(plane.u(x - 90), abs=1.5 * (plane.u(1) - plane.u(0)))
    for (state,) in live:
        mask = mask_of(limited(scene, TPOT, state.value))
        assert state.feasible == mask.sum() and state.total == len(scene.x)
        assert state.front.tolist() == front_indices(scene.x, scene.y, mask).tolist()
        assert state.best == state.front[-1]
    assert not line.dragging and "≤" in line.text
    after = limited(scene, TPOT, value)
    agrees(plot, after)
    plot.refresh(after, scene)
    agrees(plot, after)
    assert len(live) == 4 and len(released) == 1


def test_the_front_is_of_the_points_that_count_until_the_limits_leave_none(plot):
    scene = made()
    slow = scene.x > np.median(scene.x)
    scene = replace(scene, eligible=slow)
    plot.refresh(scene)

    def expected(value):
        mask = mask_of(limited(scene, TPOT, value))
        counted = mask & slow
        return mask, front_indices(scene.x, scene.y, counted if counted.any() else mask).tolist()

    for value in (float(scene.x.max()), float(np.quantile(scene.x, 0.2))):
        mask, front = expected(value)
        state = plot.preview_limit(TPOT, value)
        assert state.front.tolist() == front and state.feasible == mask.sum()
        after = limited(scene, TPOT, value)
        plot.refresh(after, scene)
        assert plot.front.tolist() == front
        scene = after
    # a change of what counts is drawn, with the limits as they are
    plot.refresh(replace(scene, eligible=None), scene)
    agrees(plot, scene)


def test_the_view_stays_under_a_dragged_limit(plot):
    plot.refresh(made())
    before = plot.view.viewRange()
    start = canvas_point(plot, plane_of(plot.view).px(np.log10(2e-3)), 250)
    drag(plot, start, [start + QPoint(40, 30)])
    assert plot.view.viewRange() == before


def test_labels_of_limits_keep_clear_of_each_others_lines(plot):
    plot.refresh(made())
    lines = plot.lines
    x_line, y_line = lines[TPOT], lines[LOSS]
    plane = plane_of(x_line.view)
    for at in np.linspace(plane.bottom, plane.top, 41):
        y_line.value = float(at)
        for across in np.linspace(plane.left, plane.right, 21):
            x_line.value = float(10.0**across)
            box = x_line.label_box()
            y = y_line._pixel(plane)
            assert not box.top() - 2 < y < box.bottom() + 2
            assert not box.intersects(y_line.label_box())


def test_dragged_past_the_data_is_no_limit_and_comes_back(plot):
    scene = made()
    plot.refresh(scene)
    released = heard(plot.limit_released)
    plane = plane_of(plot.view)
    start = canvas_point(plot, plane.px(np.log10(2e-3)), 250)
    drag(plot, start, [start + QPoint(30, 0), canvas_point(plot, plane.width + 30, 250)])
    assert released == [(TPOT, "<=", None)]
    free = limited(scene, TPOT, None)
    agrees(plot, free)
    plot.refresh(free, scene)
    agrees(plot, free)
    # the handle waits at the edge of the data
    line = plot.lines[TPOT]
    assert line.text == "no limit"
    edge = canvas_point(plot, plane.px(np.log10(scene.x.max())), 250)
    drag(plot, edge, [edge - QPoint(30, 0), edge - QPoint(200, 0)])
    assert released[-1][2] < scene.x.max()
    agrees(plot, limited(scene, TPOT, released[-1][2]))


def test_setting_a_scene_is_not_the_users_doing(plot):
    emitted = [
        heard(s) for s in (plot.limit_dragged, plot.limit_released, plot.live, plot.view_changed)
    ]
    scene = made()
    plot.refresh(scene)
    plot.refresh(limited(scene, TPOT, 1e-3), scene)
    assert emitted == [[], [], [], []]
    agrees(plot, limited(scene, TPOT, 1e-3))


def test_a_limit_that_is_no_axis_can_be_previewed(plot):
    scene = made()
    plot.refresh(scene)
    for value in (3e9, 5e8, None, 1e9):
        state = plot.preview_limit(MEMORY, value)
        agrees(plot, limited(scene, MEMORY, value))
        assert state.key == MEMORY and state.value == value
    # another limit after the first was let go without a new scene
    plot.refresh(limited(scene, MEMORY, 1e9), scene)
    plot.preview_limit(TPOT, 1e-3)
    agrees(plot, limited(limited(scene, MEMORY, 1e9), TPOT, 1e-3))


def test_a_preview_gives_way_to_another_limit(plot):
    scene = made()
    plot.refresh(scene)
    plot.preview_limit(MEMORY, 5e8)
    # something that is not about limits happens in the middle of it
    picked = replace(scene, selected=3)
    plot.refresh(picked, scene)
    agrees(plot, limited(scene, MEMORY, 5e8))
    # and then the store has it otherwise
    plot.refresh(limited(picked, MEMORY, 2e9), picked)
    agrees(plot, scene)


def test_higher_is_better_turns_the_front(plot):
    scene = made()
    speed = 1 / scene.x
    turned = replace(
        scene,
        x=speed,
        x_axis=Axis("tokens_per_s", "Speed", "tokens/s", True, "higher"),
        limits=(LimitView("s", ">=", 500.0, speed, "x", "Speed", "tokens/s"),),
    )
    plot.refresh(turned)
    expected = front_indices(scene.x, scene.y, speed >= 500.0)
    assert plot.front.tolist() == expected.tolist()
    state = plot.preview_limit("s", 900.0)
    assert state.front.tolist() == front_indices(scene.x, scene.y, speed >= 900.0).tolist()
    # the staircase runs towards worse, which is lower here, and ends at the limit
    steps = plot.picture.front._steps[0]
    assert min(steps) == pytest.approx(np.log10(900.0))


def test_arrow_keys_nudge_and_a_held_key_is_one_gesture(plot):
    scene = made()
    plot.refresh(scene)
    dragged, released = heard(plot.limit_dragged), heard(plot.limit_released)
    plot.setFocus()
    QTest.keyClick(plot, Qt.Key.Key_Tab)
    assert plot.lines[TPOT].focused and not plot.lines[LOSS].focused
    QTest.keyPress(plot, Qt.Key.Key_Left)
    QTest.keyPress(plot, Qt.Key.Key_Left)
    QTest.keyRelease(plot, Qt.Key.Key_Left)
    coarse = 2e-3 - released[0][2]
    assert len(dragged) == 2 and len(released) == 1 and coarse > 0
    plot.refresh(limited(scene, TPOT, released[0][2]), scene)
    QTest.keyClick(plot, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    fine = released[1][2] - released[0][2]
    assert 0 < fine < coarse / 10
    QTest.keyClick(plot, Qt.Key.Key_Delete)
    assert released[2] == (TPOT, "<=", None)
    QTest.keyClick(plot, Qt.Key.Key_Tab)
    assert plot.lines[LOSS].focused
    QTest.keyClick(plot, Qt.Key.Key_Escape)
    assert not plot.lines[LOSS].focused


def test_arrow_keys_step_along_the_front(plot):
    scene = made()
    plot.refresh(scene)
    clicked = heard(plot.point_clicked)
    plot.setFocus()
    QTest.keyClick(plot, Qt.Key.Key_Right)
    first = clicked[0][0]
    assert first == plot.front[0]
    plot.refresh(replace(scene, selected=first), scene)
    QTest.keyClick(plot, Qt.Key.Key_Right)
    assert clicked[1][0] == plot.front[1]
    QTest.keyClick(plot, Qt.Key.Key_Left)
    assert clicked[2][0] == plot.front[0]


def test_a_click_takes_the_nearest_point_and_marks_before_cloud(plot, qtbot):
    scene = made(300)
    plot.refresh(scene)
    clicked = heard(plot.point_clicked)
    QApplication.processEvents()
    plane = plane_of(plot.view)
    for index in (int(plot.front[2]), 17, 123):
        at = plot.view.mapToScene(
            QPointF(plane.px(plot.picture.u[index]), plane.py(plot.picture.v[index]))
        )
        QTest.mouseClick(
            plot.canvas.viewport(), Qt.MouseButton.LeftButton, pos=plot.canvas.mapFromScene(at)
        )
        assert plot.nearest(at) == clicked[-1][0]
        away = np.hypot(
            plane.px(plot.picture.u) - plane.px(plot.picture.u[index]),
            plane.py(plot.picture.v) - plane.py(plot.picture.v[index]),
        )
        assert away[clicked[-1][0]] <= 11
    assert clicked[0][0] == plot.front[2]
    corner = plot.view.mapToScene(QPointF(2, plane.height - 2))
    assert plot.nearest(corner) is None


def test_hovering_shows_a_card_inside_the_plot(plot, qtbot):
    scene = replace(made(), card=lambda i: f"<b>candidate {i}</b>")
    plot.refresh(scene)
    index = int(plot.front[0])
    plane = plane_of(plot.view)
    plot._mouse = plot.view.mapToScene(
        QPointF(plane.px(plot.picture.u[index]), plane.py(plot.picture.v[index]))
    )
    plot.canvas.viewport().underMouse = lambda: True
    plot._hover()
    assert plot.card.isVisible() and f"candidate {index}" in plot.card.text()
    assert plot.canvas.rect().contains(plot.card.geometry())
    QApplication.sendEvent(plot.canvas.viewport(), QEvent(QEvent.Type.Leave))
    assert not plot.card.isVisible()


def test_axes_request_their_menu(plot):
    plot.refresh(made())
    asked = heard(plot.axis_requested)
    for axis in (plot.bottom, plot.left):
        at = plot.canvas.mapFromScene(axis.sceneBoundingRect().center())
        QTest.mouseClick(plot.canvas.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert [which for which, _ in asked] == ["x", "y"]


def test_zoom_keeps_limits_and_new_points_join(plot):
    scene = made()
    plot.refresh(scene)
    plot.view.scaleBy((0.5, 0.5))
    plot.view.sigRangeChangedManually.emit([True, True])
    zoomed = plot.view.viewRange()
    more = made(5000)
    plot.refresh(more, scene)
    assert plot.view.viewRange() == zoomed and plot.lines[TPOT].value == 2e-3
    mask = mask_of(more)
    assert plot.feasible_count == mask.sum()
    plot.fit_view()
    agrees(plot, more)


def test_new_points_under_a_dragged_limit(plot):
    scene, more = made(), made(5000, seed=1)
    plot.refresh(scene)
    released = heard(plot.limit_released)
    start = canvas_point(plot, plane_of(plot.view).px(np.log10(2e-3)), 250)
    mouse(plot, QEvent.Type.MouseMove, start, False)
    mouse(plot, QEvent.Type.MouseButtonPress, start, True)
    mouse(plot, QEvent.Type.MouseMove, start - QPoint(50, 0), True)
    value = plot.lines[TPOT].value
    plot.refresh(more, scene)
    # the drag goes on, on the new points
    assert plot.lines[TPOT].value == value
    agrees(plot, limited(more, TPOT, value))
    mouse(plot, QEvent.Type.MouseMove, start - QPoint(80, 0), True)
    mouse(plot, QEvent.Type.MouseButtonRelease, start - QPoint(80, 0), False)
    agrees(plot, limited(more, TPOT, released[0][2]))


def test_axes_and_theme_change(plot):
    scene = made()
    plot.refresh(scene)
    linear = replace(scene, x_axis=replace(X, log=False))
    plot.refresh(linear, scene)
    (left, right), _ = plot.view.viewRange()
    assert left < scene.x.min() and scene.x.max() < right < 1
    agrees(plot, linear)
    dark = replace(linear, colours=DARK)
    plot.refresh(dark, linear)
    shot = plot.grab().toImage()
    assert shot.pixelColor(3, 3) == QColor(DARK.background)


def test_three_states(plot):
    scene = made()
    plot.refresh(scene)
    feasible = QColor(scene.colours.feasible)

    def blues():
        image = plot.image(900).convertToFormat(QImage.Format.Format_RGB32)
        data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1, 4)
        away = np.abs(data[:, :, 2::-1].astype(int) - feasible.getRgb()[:3]).sum(axis=2)
        return int(np.count_nonzero(away < 60))

    shown = blues()
    hidden = replace(scene, feasible_shown="hidden", front_shown="hidden")
    plot.refresh(hidden, scene)
    assert blues() < 0.05 * shown


def test_odd_scenes(plot):
    empty = np.empty(0)
    plot.refresh(Scene(empty, empty, X, Y, (LimitView("k", "<=", 1.0, empty, "x"),)))
    plot.grab()
    assert plot.best is None and plot.feasible_count == 0
    unknown = np.full(5, np.nan)
    plot.refresh(Scene(unknown, np.arange(5.0), X, Y, (LimitView("k", "<=", 1.0, unknown, "x"),)))
    plot.grab()
    assert plot.best is None
    # a log scale has no place for zero and below
    some = np.array([-1.0, 0.0, 1.0, 2.0])
    plot.refresh(Scene(some, np.array([4.0, 3.0, 2.0, 1.0]), X, Y))
    plot.grab()
    assert np.isfinite(plot.picture.u).sum() == 2
    one = np.array([1.0])
    plot.refresh(Scene(one, one, replace(X, better=""), Y))
    plot.grab()
    assert len(plot.front) == 0
    infinite = np.array([1.0, np.inf, 2.0])
    plot.refresh(Scene(infinite, np.array([1.0, 0.0, 3.0]), X, Y))
    plot.grab()


def full_scene():
    scene = made()
    rows = np.arange(0, 4000, 400)
    x, y = scene.x[rows], scene.y[rows]
    at = np.geomspace(5e-4, 2e-3, 20)
    return replace(
        scene,
        measured=Measured(x, y, rows, (x * 0.9, x * 1.1), (y - 0.02, y * np.nan)),
        landmarks=(Landmark(1e-3, 2.4, "Reference"), Landmark(0.0, 2.4, "Nowhere")),
        band=Band(at, np.full(20, 2.1), np.full(20, 2.3)),
        chance=np.linspace(0, 1, 4000),
        outside=scene.x > 3e-3,
        overlays=(Overlay("laptop", x * 1.5, y), Overlay("empty", x[:0], y[:0], False)),
        selected=5,
        pinned=(7, 9),
        baseline=11,
        large=True,
    )


def test_exports_png_and_svg(plot, tmp_path):
    plot.refresh(full_scene())
    png, svg = tmp_path / "plot.png", tmp_path / "plot.svg"
    plot.export_png(png, 1500)
    image = QImage(str(png))
    assert image.width() == 1500 and image.height() == 1000
    plot.export_svg(svg)
    root = ElementTree.parse(svg).getroot()
    words = " ".join(e.text or "" for e in root.iter() if e.tag.endswith("text"))
    for word in ("Loss", "Time per output token", "Reference", "laptop", "2.00 ms", "better"):
        assert word in words
    assert "Nowhere" not in words
    assert any(e.tag.endswith("image") for e in root.iter())
    # the screen is as it was
    assert plot.picture.cloud.magnify == 1.0
    with pytest.raises(Unusable, match="could not be written"):
        plot.export_png(tmp_path / "no such folder" / "plot.png")
    with pytest.raises(Unusable, match="could not be written"):
        plot.export_svg(tmp_path / "no such folder" / "plot.svg")


def test_background_work_may_be_elsewhere(qtbot):
    asked = []

    def later(work, done):
        asked.append((work, done))

    plot = ParetoPlot(background=later)
    qtbot.addWidget(plot)
    plot.resize(600, 400)
    plot.show()
    scene = made()
    plot.refresh(scene)
    qtbot.waitUntil(lambda: bool(asked), timeout=3000)
    work, done = asked.pop()
    done(work())
    qtbot.waitUntil(lambda: bool(asked), timeout=3000)
    # taken before its turn, a limit prepares itself
    plot.preview_limit(LOSS, 2.3)
    agrees(plot, limited(scene, LOSS, 2.3))
