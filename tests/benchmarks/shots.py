"""Pictures of every panel and state at two sizes in both themes, to be looked at by a person.

    python tests/benchmarks/shots.py FOLDER [PROJECT.paretoscope] [--only WORD]

Without a project the demonstration is used. Run by hand; nothing is asserted.
"""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QElapsedTimer, QEventLoop
from PySide6.QtWidgets import QApplication

from core.project.project import Project
from core.records.progress import Progress
from gui.app import theme
from gui.app.settings import Settings
from gui.panels.export import ExportDialog
from gui.panels.table import PANELS
from gui.shell.window import Window
from gui.state.machine import find_processor
from gui.state.store import Store

SIZES = ((1280, 800), (1920, 1080))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("project", nargs="?")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    app = QApplication([])
    theme.use_own_font(app)
    for name in ("light", "dark"):
        for size in SIZES:
            shoot(app, options, name, size)


def shoot(app, options, name, size):
    theme.apply(app, theme.theme_of(name))
    settings = Settings(None)
    settings["theme"] = name
    store = Store()
    window = Window(store, settings)
    window.resize(*size)
    window.show()

    def take(what, widget=None):
        if options.only not in what:
            return
        settle(app, store)
        path = options.folder / f"{what}-{name}-{size[0]}.png"
        (widget or window).grab().save(str(path))
        print(path)

    take("0-before-anything")
    window.fill()
    find_processor(store)
    store.load(lambda: project(options))
    settle(app, store)
    take("1-opened")
    for row in PANELS:
        window.show_panel(row.name)
        take(f"panel-{row.name}")
    window.show_panel("measure")
    sweep = store.measuring.changed
    sweep.emit(
        {
            "running": True,
            "progress": Progress(7.4, 24, "10x512, eager, fp32, batch 1: timing", 340.0),
            "errors": ((4, 0.31), (5, 0.12), (6, 0.06), (7, 0.045)),
        }
    )
    take("sweep")
    sweep.emit(
        {"running": False, "progress": None, "message": "stopped; what was measured is kept"}
    )
    window.show_panel("front_table")
    plot = window.plot_view.plot
    line = next(iter(plot.lines.values()))
    known = sorted(v for v in line.limit.column.tolist() if v == v)
    window.plot_view.plot.preview_limit(line.limit.key, known[len(known) // 4])
    take("limit-in-hand")
    plot.limit_released.emit(line.limit.key, line.limit.side, known[len(known) // 4])
    for key in ("ttft_s", "params_total", "train_flops"):
        window.limits.on_add(key)
    take("many-limits")
    store.choose(x="params_total", y="loss", x_log=True)
    take("landmarks")
    served = replace(store.state.choices.what_if, served_tokens=1e12)
    store.choose(x="lifetime_flops", limits=(), what_if=served)
    take("served-tokens")
    store.choose(x="tpot_s", what_if=replace(served, served_tokens=0.0))
    table = store.state.table
    store.choose(selected=table.id_of(len(table) // 3))
    take("beaten-row")
    store.notify(
        "the disk of /data/project.paretoscope is full; free some space, what was stored is safe"
    )
    take("message")
    store.notify("")
    dialog = ExportDialog(store, settings, window)
    dialog.show()
    take("export", dialog)
    dialog.close()
    window.close()
    window.deleteLater()
    app.processEvents()


def project(options):
    if options.project:
        return Project.open(options.project)
    import tempfile

    from core.project.demo import open_demo

    return open_demo(Path(tempfile.mkdtemp()))


def settle(app, store):
    clock = QElapsedTimer()
    clock.start()
    quiet = 0
    while quiet < 12 and clock.elapsed() < 120_000:
        app.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        QThreadSleep(20)
        quiet = quiet + 1 if store.settled and not store.state.busy else 0


def QThreadSleep(milliseconds):
    from PySide6.QtCore import QThread

    QThread.msleep(milliseconds)


if __name__ == "__main__":
    main()
