"""Time of a whole frame while a limit is dragged with real mouse events in a real window.

    xvfb-run -s '-screen 0 1920x1080x24' python tests/benchmarks/bench_drag.py [--points N ...]

A frame is everything from the mouse event to the painted window: mask, front, counts, colours,
paint. In the same run the plain pyqtgraph scatter (two ScatterPlotItems, setData at every move) is
driven through the same path at the sizes it can bear, and the ratio is printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

sys.path.insert(0, str(Path(__file__).parent))
from bench_front import compare, designs
from plot_scene import scene

from gui.plot.pareto_plot import ParetoPlot

# the mouse goes back and forth over this share of the plot, in small and in large steps
PATH = np.concatenate(
    [np.linspace(0.45, 0.75, 120), np.linspace(0.75, 0.35, 60), np.linspace(0.35, 0.9, 20)]
)


def mouse(widget: object, kind: QEvent.Type, at: QPoint, held: bool) -> None:
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
    app = QApplication.instance()
    widget.resize(widget.screen().size())
    widget.show()
    until = time.perf_counter() + 5
    while time.perf_counter() < until and not (
        widget.windowHandle() is not None and widget.windowHandle().isExposed()
    ):
        app.processEvents()
        time.sleep(0.01)
    for _ in range(20):
        app.processEvents()
        time.sleep(0.01)


def drag_plot(points: int) -> tuple[np.ndarray, dict[str, float]]:
    """Frame times in seconds of a drag of the latency limit, and the one-off costs."""
    app = QApplication.instance()
    given = scene(points, rich=False)
    plot = ParetoPlot()
    show(plot)
    costs = {}
    start = time.perf_counter()
    plot.refresh(given)
    plot.repaint()
    app.processEvents()
    costs["open"] = time.perf_counter() - start
    start = time.perf_counter()
    plot._prepare_timer.stop()
    for limit in given.limits:
        if limit.axis:
            plot._limits.live(limit)
            break
    costs["prepare one limit"] = time.perf_counter() - start
    port = plot.canvas.viewport()
    line = plot.lines[("tpot_s", "<=")]
    centre = line.mapToScene(QPointF(line._pixel(plane(plot)), plane(plot).height / 2))
    at = plot.canvas.mapFromScene(centre)
    mouse(port, QEvent.Type.MouseMove, at, False)
    app.processEvents()
    mouse(port, QEvent.Type.MouseButtonPress, at, True)
    for step in (4, 8):
        # the first moves only make pyqtgraph take it for a drag
        time.sleep(0.05)
        mouse(port, QEvent.Type.MouseMove, at + QPoint(step, 0), True)
    app.processEvents()
    frames, seen = [], set()
    left = plot.canvas.mapFromScene(plot.view.mapToScene(QPointF(0, 0))).x()
    for share in PATH:
        to = QPoint(round(left + share * plane(plot).width), at.y())
        start = time.perf_counter()
        mouse(port, QEvent.Type.MouseMove, to, True)
        app.processEvents()
        frames.append(time.perf_counter() - start)
        seen.add(plot.feasible_count)
    if not line.dragging or len(seen) < 50:
        raise SystemExit("the drag did not take the line")
    mouse(port, QEvent.Type.MouseButtonRelease, to, False)
    app.processEvents()
    start = time.perf_counter()
    plot.view.scaleBy((0.8, 0.8))
    plot.picture.cloud.place()
    plot.repaint()
    app.processEvents()
    costs["zoom"] = time.perf_counter() - start
    plot.close()
    return np.array(frames), costs


def plane(plot: ParetoPlot) -> object:
    """The plot's plane now."""
    from gui.plot.plane import plane_of

    return plane_of(plot.view)


def drag_scatter(points: int, moves: int) -> np.ndarray:
    """Frame times of the plain way: two scatter items that get new data at every move."""
    app = QApplication.instance()
    given = scene(points, rich=False)
    x, y = np.log10(given.x), given.y
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
    app.processEvents()
    line.sigPositionChanged.connect(follow)
    port = canvas.viewport()
    view = canvas.getPlotItem().getViewBox()
    at = canvas.mapFromScene(view.mapViewToScene(QPointF(line.value(), float(np.median(y)))))
    mouse(port, QEvent.Type.MouseMove, at, False)
    app.processEvents()
    mouse(port, QEvent.Type.MouseButtonPress, at, True)
    for step in (4, 8):
        time.sleep(0.05)
        mouse(port, QEvent.Type.MouseMove, at + QPoint(step, 0), True)
    app.processEvents()
    frames, places = [], set()
    for share in PATH[:: max(1, len(PATH) // moves)]:
        to = QPoint(round(60 + share * (port.width() - 80)), at.y())
        start = time.perf_counter()
        mouse(port, QEvent.Type.MouseMove, to, True)
        app.processEvents()
        frames.append(time.perf_counter() - start)
        places.add(line.value())
    if len(places) < moves // 2:
        raise SystemExit("the drag did not take the plain line")
    mouse(port, QEvent.Type.MouseButtonRelease, to, False)
    canvas.close()
    app.processEvents()
    return np.array(frames)


def main() -> None:
    """Print percentiles, one-off costs and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000, 3_000_000])
    parser.add_argument("--open", type=int, default=10_000_000, help="a size to open (0: none)")
    parser.add_argument("--scatter-most", type=int, default=1_000_000)
    options = parser.parse_args()
    app = QApplication([])
    # pyqtgraph's throttle to 100 moves a second would hide frames
    pg.setConfigOption("mouseRateLimit", 0)
    size = app.primaryScreen().size()
    print(f"screen {size.width()}x{size.height()}, platform {app.platformName()}")
    sizes = [*options.points, *([options.open] if options.open else [])]
    for points in sizes:
        frames, costs = drag_plot(points)
        ms = np.quantile(frames, [0.5, 0.95, 1.0]) * 1e3
        line = f"{points:>10,} points: frame p50 {ms[0]:.1f} p95 {ms[1]:.1f} max {ms[2]:.1f} ms"
        line += "; " + ", ".join(f"{name} {s * 1e3:.0f} ms" for name, s in costs.items())
        print(line, flush=True)
        if points <= options.scatter_most:
            plain = np.median(drag_scatter(points, 20 if points <= 100_000 else 8)) * 1e3
            print(
                f"{'':>10}  plain scatter: frame p50 {plain:.0f} ms, {plain / ms[0]:.0f} times as long",
                flush=True,
            )
    print("the front alone, ratios to other libraries (above 1: ours is quicker)")
    random = np.random.default_rng(0)
    table = designs(1_000_000, random)
    for d in (2, 3):
        compare(f"designs {d} columns 1,000,000", np.ascontiguousarray(table[:, :d]))


if __name__ == "__main__":
    main()
