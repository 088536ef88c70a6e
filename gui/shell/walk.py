"""`paretoscope --walk FOLDER`: the whole job once, in the real window, to check an installation.

Opens, paints, measures in the child process, fits, drags a limit with the mouse, exports and closes;
prints one line per step with its time, leaves a picture, the project and the export in the folder, and
returns 0 only when every step worked.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QWidget

from core.errors import Unusable
from core.formats.configs.hf import read_config
from core.pareto.limits import Limit
from core.project.project import SUFFIX
from gui.panels.export import ExportDialog
from gui.shell.window import Window
from gui.state.machine import find_devices

SPACE = """
schema_version = 1
name = "Walk"
[shape]
n_layers = { from = 1, to = 8, step = 1 }
d_model = { from = 64, to = 256, step = 32 }
d_head = 32
ffn_multiple = 32
vocab_size = 2048
[run]
prompt_tokens = 8
output_tokens = 16
[train]
tokens = "10B"
[measure]
levels = ["0.5M", "1.5M"]
shapes_per_level = 8
tolerance = 0.3
"""
# a law needs six shapes; the sweep is stopped there
MEASURED = 6
# shared by all points: enough for six of sixteen where a busy machine makes each use up its share
SWEEP_S = 48.0
PATIENCE_S = 240.0


class Failed(Exception):
    """A step that failed; the message names it."""


def walk(app: QApplication, window: Window, folder: Path, started: float) -> int:
    """Go through all steps; 0 when each worked. `started` is when our code began (monotonic)."""
    folder.mkdir(parents=True, exist_ok=True)
    window.show()
    _wait(window.isVisible, "the window to appear")
    # one turn of the event loop paints it
    app.processEvents()
    _print_step("painted, from the start of the process", _born(started))
    status = 0
    try:
        for step in (_demonstration, _measure, _drag, _export):
            began = time.monotonic()
            _print_step(f"{step.__name__.strip('_')}: {step(window, folder)}", began)
        window.grab().save(str(folder / "walk.png"))
    except (Failed, Unusable) as failure:
        print(f"FAILED: {failure}", flush=True)
        window.grab().save(str(folder / "failed.png"))
        status = 1
    began = time.monotonic()
    window.store.close()
    window.close()
    _print_step("closed", began)
    # the window must never import torch
    if "torch" in sys.modules:
        print("FAILED: torch was imported by the window", flush=True)
        status = 1
    print("all steps worked" if not status else "not all steps worked", flush=True)
    return status


def _demonstration(window: Window, _: Path) -> str:
    _wait(lambda: window.store.state.frame is not None, "the demonstration's picture")
    state = window.store.state
    if state.table is None or state.frame is None or not len(state.frame.front):
        raise Failed("the demonstration has no front")
    return f"{len(state.table):,} candidates, {len(state.frame.front)} on the front"


def _measure(window: Window, folder: Path) -> str:
    store = window.store
    path = folder / f"walk{SUFFIX}"
    path.unlink(missing_ok=True)
    store.new(path, SPACE)
    _wait(lambda: store.state.path == str(path), "the new project")
    find_devices(store)
    _wait(lambda: bool(store.state.devices), "a device to measure on")
    space = store.state.contents.space
    assert space is not None
    device = next(d for d in store.state.devices if d.kind == "cpu")
    points = space.measurement_points()
    store.measure(points, device, budget_s=SWEEP_S)
    _wait(lambda: store.state.sweep.running, "the sweep to start")

    def measured() -> int:
        return len({m.architecture for m in store.state.contents.measurements if not m.failed})

    _wait(lambda: measured() >= MEASURED or not store.state.sweep.running, "shapes to be measured")
    store.cancel_sweep()
    _wait(lambda: not store.state.sweep.running, "the sweep to end")
    if measured() < MEASURED:
        messages = "; ".join(m.message for m in store.state.contents.measurements if m.message)
        raise Failed(f"only {measured()} of {len(points)} shapes were measured ({messages})")
    _wait(lambda: store.settled and store.state.frame is not None, "laws of the new measurements")
    laws = store.state.laws
    assert laws is not None
    fits = [fit for fit in laws.latency if fit.metric == "tpot"]
    if not fits or not fits[0].ok:
        raise Failed(f"no latency law: {fits[0].message if fits else 'nothing measured'}")
    return f"{measured()} shapes, latency law off by {fits[0].heldout_error or 0:.1%} held out"


def _drag(window: Window, _: Path) -> str:
    store = window.store
    table = store.state.table
    assert table is not None
    known = sorted(v for v in table.column("tpot_s") if v == v)
    start = float(known[len(known) // 2])
    store.set_limit(Limit("tpot_s", "<=", start))
    _wait(lambda: store.settled and bool(store.state.choices.limits), "the limit")
    QCoreApplication.processEvents()
    plot = window.plot_view.plot
    line = next(line for key, line in plot.lines.items() if line.vertical)
    place = line.mapToScene(line.label_box().center())
    at = plot.canvas.mapFromScene(place)
    viewport = plot.canvas.viewport()
    before = store.state.frame
    _mouse(viewport, QEvent.Type.MouseButtonPress, at)
    for step in (10, 30, 60):
        _mouse(viewport, QEvent.Type.MouseMove, at - QPoint(step, 0))
        QCoreApplication.processEvents()
        time.sleep(0.03)
    _mouse(viewport, QEvent.Type.MouseButtonRelease, at - QPoint(60, 0))
    _wait(
        lambda: store.settled and store.state.choices.limits[0].value != start,
        "the limit to follow the mouse",
    )
    after = store.state.frame
    assert before is not None and after is not None
    moved = store.state.choices.limits[0].value
    if not moved < start or after.feasible.sum() >= before.feasible.sum():
        raise Failed("dragging the limit to the left did not leave fewer candidates")
    return f"{int(before.feasible.sum())} -> {int(after.feasible.sum())} candidates under the limit"


def _export(window: Window, folder: Path) -> str:
    store = window.store
    state = store.state
    if state.table is None or state.frame is None or state.frame.selected is None:
        raise Failed("nothing is selected to export")
    target = folder / "config.json"
    target.unlink(missing_ok=True)
    dialog = ExportDialog(store, window.settings, window)
    for row in range(dialog.formats.count()):
        dialog.formats.setCurrentRow(row)
        if dialog.format_key == "hf":
            break
    dialog.write(target)
    _wait(target.exists, "the exported file")
    dialog.close()
    read = read_config(target).architecture
    chosen = state.table.point(state.frame.selected).architecture
    if read.params_total != chosen.params_total:
        raise Failed(f"the export has {read.params_total} parameters, not {chosen.params_total}")
    named = json.loads(target.read_text(encoding="utf-8"))["architectures"][0]
    return f"{named} of {read.params_total:,} parameters"


def _mouse(widget: QWidget, kind: QEvent.Type, at: QPoint) -> None:
    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    moving, released = kind == QEvent.Type.MouseMove, kind == QEvent.Type.MouseButtonRelease
    event = QMouseEvent(
        kind,
        QPointF(at),
        QPointF(widget.mapToGlobal(at)),
        none if moving else left,
        none if released else left,
        Qt.KeyboardModifier.NoModifier,
    )
    QCoreApplication.sendEvent(widget, event)


def _wait(done: Callable[[], bool], what: str) -> None:
    """Run the event loop until a condition holds; Failed when that takes too long."""
    if done():
        return
    loop = QEventLoop()
    watch = QTimer()
    watch.setInterval(20)
    watch.timeout.connect(lambda: loop.quit() if done() else None)
    watch.start()
    QTimer.singleShot(int(PATIENCE_S * 1000), loop.quit)
    loop.exec()
    watch.stop()
    if not done():
        raise Failed(f"waited {PATIENCE_S:.0f} s for {what}")


def _born(started: float) -> float:
    """When the process began, on the clock of time.monotonic(); `started` where that is unknown."""
    if sys.platform == "linux":
        # the loader of a bundle has run before our code
        with suppress(OSError, ValueError):
            fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
            ticks_per_s = os.sysconf("SC_CLK_TCK")
            age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / ticks_per_s
            return min(started, time.monotonic() - age)
    return started


def _print_step(what: str, since: float) -> None:
    print(f"{time.monotonic() - since:7.2f} s  {what}", flush=True)
