"""Time of a whole frame while a limit is dragged in the program's own window, everything on.

    xvfb-run -s '-screen 0 1920x1080x24' python tests/benchmarks/bench_drag.py [--points N ...]

The demonstration, then the same measurements in spaces of a million candidates and more. The limit
is dragged by its line in the plot and by its handle in the limits panel, with real mouse events. A
frame is everything from the mouse event to the painted window: the plot with marks, bars, landmarks
and labels, and whatever else follows the hand. Wall time counts what other programs take of the
processor; the window's own processor time beside it does not. In the same run the plain pyqtgraph
scatter (two ScatterPlotItems, setData at every move) is driven along the same path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.pareto.limits import parse_limit
from core.project.demo import create_demo, recorded_sweep
from core.project.project import Project
from core.records.measurement import Measurement
from core.resources import resource
from core.space.space_file import parse_space
from gui.app import theme
from gui.app.settings import Settings
from gui.plot.plane import plane_of
from gui.shell.window import Window
from gui.state.machine import find_processor
from gui.state.store import Store

# the mouse goes back and forth over this share of the way, in small and in large steps
PATH = np.concatenate(
    [np.linspace(0.45, 0.75, 120), np.linspace(0.75, 0.35, 60), np.linspace(0.35, 0.9, 20)]
)
# shapes of that space with this many FFN ratios; each comes with every training length
RATIOS, SHAPES = 11, 24_770
SHAPES_PER_LEVEL = 40  # three levels of size, so three times as many are measured
LIMITS = ("tpot<=8ms", "memory<=2GB", "ttft<=2s")


def space_text(points: int) -> str:
    """The demonstration's space with more and finer shapes and training lengths: about so many."""
    text = resource("spaces/demo.toml").read_text(encoding="utf-8")
    ffn = [round(float(v), 4) for v in np.linspace(1.5, 4.0, RATIOS)]
    train = [round(float(v), 2) for v in np.geomspace(20, 160, max(3, round(points / SHAPES)))]
    for old, new in (
        ("[2.6667, 2.75, 2.8333, 2.9167, 3.0]", str(ffn)),
        ("[20, 28, 40, 57, 80, 113, 160]", str(train)),
        ("from = 3, to = 36", "from = 2, to = 36"),
        ("from = 384, to = 1536, step = 64", "from = 320, to = 1536, step = 32"),
        ("d_head = 64", "d_head = [32, 64]"),
        ("kv_groups = 1", "kv_groups = [1, 2, 4]"),
        ("ffn_multiple = 32", "ffn_multiple = 64"),
        ('min = "81M", max = "305M"', 'min = "60M", max = "400M"'),
        ("min = 17.5, max = 384", "min = 12, max = 400"),
        ("shapes_per_level = 6", f"shapes_per_level = {SHAPES_PER_LEVEL}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


def made_up(text: str) -> Iterator[Measurement]:
    """Measurements of the space's points: the demonstration's samples, as much longer as it is larger."""
    random = np.random.default_rng(0)
    recorded = recorded_sweep()
    sizes = np.array([float(m.architecture.params_total) for m in recorded])
    for point in parse_space(text).measurement_points():
        size = float(point.architecture.params_total)
        near = int(np.argmin(np.abs(np.log(sizes / size))))
        longer = size / sizes[near] * float(random.lognormal(0, 0.03))
        samples = {
            phase: tuple(tuple(longer * s for s in block) for block in blocks)
            for phase, blocks in recorded[near].samples.items()
        }
        yield replace(
            recorded[near],
            architecture=point.architecture,
            workload=point.workload,
            runtime=point.runtime,
            samples=samples,
        )


def make_project(points: int) -> Project:
    """The demonstration with several limits (0), or a finer space of about so many points, in which
    many shapes are measured."""
    project = create_demo(Path(tempfile.mkdtemp()) / "drag.paretoscope")
    if points:
        text = space_text(points)
        project.put_text("space", text)
        for measurement in made_up(text):
            project.add_measurement(measurement)
    limits = tuple(parse_limit(text) for text in LIMITS)
    # what lies outside the loss law's runs is drawn and followed like the rest
    project.put_choices(project.choices().changed(limits=limits, outside_counts=True))
    return project


def mouse(widget: QWidget, kind: QEvent.Type, at: QPoint, held: bool) -> None:
    """One mouse event through Qt's own delivery."""
    button = Qt.MouseButton.LeftButton
    buttons = button if held else Qt.MouseButton.NoButton
    which = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else button
    event = QMouseEvent(
        kind,
        QPointF(at),
        QPointF(widget.mapToGlobal(at)),
        which,
        buttons,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(widget, event)


def show(widget: QWidget) -> None:
    """Fill the screen, and wait until the window is really there."""
    widget.resize(widget.screen().size() if on_screen() else pg.QtCore.QSize(1920, 1080))
    widget.show()
    wait(lambda: widget.windowHandle() is not None and widget.windowHandle().isExposed(), 5)
    rest(0.2)


def on_screen() -> bool:
    """Whether there is a display; the offscreen platform's is smaller than what is timed."""
    return QApplication.platformName() != "offscreen"


def wait(until: Callable[[], bool], patience_s: float) -> None:
    """Let the program go on until something is so."""
    end = time.perf_counter() + patience_s
    while not until() and time.perf_counter() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def rest(seconds: float) -> None:
    """Let the program go on for a while."""
    wait(lambda: False, seconds)


class Painted(QObject):
    """Counts how often a widget was painted."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """A paint event was delivered."""
        self.count += event.type() == QEvent.Type.Paint
        return False


class Drag:
    """One drag over PATH: times of its frames in seconds, by the wall and by this thread's processor."""

    def __init__(self, taken: QWidget, painted: Painted, place: Callable[[float], QPoint]) -> None:
        self.wall: list[float] = []
        self.own: list[float] = []
        self._taken, self._painted = taken, painted
        self._place = place

    def run(self, start: QPoint, seen: Callable[[], Any], path: np.ndarray = PATH) -> None:
        """Take what is at `start`, move it, let it go; SystemExit where it did not follow."""
        mouse(self._taken, QEvent.Type.MouseMove, start, False)
        QApplication.processEvents()
        mouse(self._taken, QEvent.Type.MouseButtonPress, start, True)
        for step in (4, 8):
            # the first moves only make pyqtgraph take it for a drag
            time.sleep(0.05)
            mouse(self._taken, QEvent.Type.MouseMove, start + QPoint(step, 0), True)
        rest(0.1)
        found, to = set(), start
        for share in path:
            to = self._place(float(share))
            before = self._painted.count
            wall, own = time.perf_counter(), time.thread_time()
            mouse(self._taken, QEvent.Type.MouseMove, to, True)
            QApplication.processEvents()
            self.wall.append(time.perf_counter() - wall)
            self.own.append(time.thread_time() - own)
            if self._painted.count == before and (not found or seen() not in found):
                raise SystemExit("a frame was not painted at once")
            found.add(seen())
        mouse(self._taken, QEvent.Type.MouseButtonRelease, to, False)
        if len(found) < len(path) // 4:
            raise SystemExit("the drag did not take hold")

    def text(self) -> str:
        """Median and 95th percentile of the frames in milliseconds."""
        wall, own = (np.quantile(times, [0.5, 0.95, 1]) * 1e3 for times in (self.wall, self.own))
        return (
            f"frame p50 {wall[0]:5.1f}  p95 {wall[1]:5.1f}  max {wall[2]:5.1f} ms"
            f"  (own processor time p50 {own[0]:5.1f}  p95 {own[1]:5.1f})"
        )


class Bench:
    """The program's window on one project."""

    def __init__(self, points: int) -> None:
        app = QApplication.instance()
        settings = Settings(None)
        theme.apply(app, theme.theme_of("light"))
        self.store = Store()
        self.window = Window(self.store, settings)
        show(self.window)
        self.window.fill()
        find_processor(self.store)
        began = time.perf_counter()
        self.store.load(lambda: make_project(points))
        self.settle()
        self.opened_s = time.perf_counter() - began
        self.plot = self.window.plot_view.plot
        table = self.store.state.table
        middle = len(table) // 2
        self.store.choose(pins=(table.id_of(middle),), baseline=table.id_of(middle + 1))
        self.window.show_panel("front_table")
        self.settle()
        self.painted = Painted(self.plot.canvas.viewport())

    def settle(self) -> None:
        """Wait until everything is derived, prepared and drawn."""
        quiet = 0
        end = time.perf_counter() + 600
        while quiet < 20 and time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.02)
            busy = not self.store.settled or bool(self.store.state.busy)
            view = getattr(self.window, "plot_view", None)
            busy = busy or view is None or view.busy or view.plot._prepare_timer.isActive()
            quiet = 0 if busy else quiet + 1
        rest(0.5)

    def by_line(self) -> Drag:
        """Drag the latency limit by its line in the plot."""
        plot = self.plot
        plane = plane_of(plot.view)
        line = next(one for one in plot.lines.values() if one.vertical)
        at = plot.canvas.mapFromScene(
            line.mapToScene(QPointF(line._pixel(plane), plane.height / 2))
        )
        left = plot.canvas.mapFromScene(plot.view.mapToScene(QPointF(0, 0))).x()
        drag = Drag(
            plot.canvas.viewport(),
            self.painted,
            lambda share: QPoint(round(left + share * plane.width), at.y()),
        )
        drag.run(at, lambda: plot.feasible_count)
        self.settle()
        return drag

    def by_handle(self) -> Drag:
        """Drag the same limit by its handle in the limits panel."""
        key = next(one.limit.key for one in self.plot.lines.values() if one.vertical)
        handle = self.window.limits._rows[key].histogram
        area = handle._area()
        middle = round(area.center().y())
        drag = Drag(
            handle,
            self.painted,
            lambda share: QPoint(round(area.left() + share * area.width()), middle),
        )
        start = QPoint(round(area.left() + handle._handle_share() * area.width()), middle)
        drag.run(start, lambda: self.plot.feasible_count)
        self.settle()
        return drag

    def close(self) -> None:
        """Take the window away."""
        self.window.close()
        self.window.deleteLater()
        self.store.close()
        rest(0.2)


def plain_scatter(x: np.ndarray, y: np.ndarray, moves: int) -> Drag:
    """The plain way: two scatter items that get new data at every move, along the same path."""
    canvas = pg.PlotWidget(useOpenGL=False)
    inside = pg.ScatterPlotItem(size=2, pen=None, brush="#4f9bd9", pxMode=True)
    beyond = pg.ScatterPlotItem(size=2, pen=None, brush="#b4bac1", pxMode=True)
    line = pg.InfiniteLine(float(np.median(x)), movable=True)
    for item in (beyond, inside, line):
        canvas.addItem(item)

    def follow() -> None:
        mask = x <= line.value()
        inside.setData(x[mask], y[mask])
        beyond.setData(x[~mask], y[~mask])

    show(canvas)
    follow()
    QApplication.processEvents()
    line.sigPositionChanged.connect(follow)
    port = canvas.viewport()
    view = canvas.getPlotItem().getViewBox()
    at = canvas.mapFromScene(view.mapViewToScene(QPointF(line.value(), float(np.median(y)))))
    drag = Drag(
        port,
        Painted(port),
        lambda share: QPoint(round(60 + share * (port.width() - 80)), at.y()),
    )
    drag.run(at, line.value, PATH[:: max(1, len(PATH) // moves)])
    canvas.close()
    canvas.deleteLater()
    rest(0.1)
    return drag


def main() -> None:
    """Print percentiles of both drags, and how many times as long the plain scatter takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[0, 1_000_000, 3_000_000])
    parser.add_argument("--runs", type=int, default=3, help="drags of each kind")
    parser.add_argument("--scatter-most", type=int, default=2_000_000)
    options = parser.parse_args()
    app = QApplication([])
    # pyqtgraph's throttle to 100 moves a second would hide frames
    pg.setConfigOption("mouseRateLimit", 0)
    for points in options.points:
        bench = Bench(points)
        table, scene = bench.store.state.table, bench.plot.scene
        size = bench.window.size()
        marks = len(bench.plot.picture.marks)
        print(
            f"{len(table):,} candidates, {marks:,} measured marks, window {size.width()}x{size.height()},"
            f" platform {app.platformName()}, opened in {bench.opened_s:.1f} s",
            flush=True,
        )
        usual = []
        for _ in range(options.runs):
            for name, drag in (("line", bench.by_line()), ("handle", bench.by_handle())):
                print(f"  by its {name:<7} {drag.text()}", flush=True)
                usual.append(float(np.median(drag.wall)))
        if points and len(table) <= options.scatter_most:
            x, y = np.log10(scene.x), np.array(scene.y)
            known = np.isfinite(x) & np.isfinite(y)
            plain = float(np.median(plain_scatter(x[known], y[known], 8).wall))
            print(
                f"  plain scatter: frame p50 {plain * 1e3:.0f} ms, "
                f"{plain / float(np.median(usual)):.0f} times as long",
                flush=True,
            )
        bench.close()


if __name__ == "__main__":
    main()
