"""A picture of the window as it settles, for tests and the README."""

from __future__ import annotations

import sys
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from gui.shell.window import Window

PATIENCE_MS = 120_000
# after the last change: layouts and the plot's own timers still have to run
SETTLE_MS = 400


def take_shot(app: QApplication, window: Window, path: Path, *, panel: str = "") -> int:
    """Show the window, wait until it is settled, write the picture; 1 when nothing could be shown."""
    window.show()
    status = {"code": 1}

    def write() -> None:
        if panel:
            window.show_panel(panel)
            app.processEvents()
        if not window.grab().save(str(path)):
            print(f"paretoscope: {path} cannot be written", file=sys.stderr)
        else:
            status["code"] = 0
        finish()

    def finish() -> None:
        window.store.close()
        app.quit()

    def sure() -> bool:
        # the plot is made after the first paint; band and chances come a little after the front
        return window.filled and not window.plot_view.busy

    def look() -> None:
        state = window.store.state
        if state.message and state.table is None:
            print(f"paretoscope: {state.message}", file=sys.stderr)
            finish()
        elif state.frame is not None and window.store.settled and sure():
            watch.stop()
            QTimer.singleShot(SETTLE_MS, write)

    def late() -> None:
        print("paretoscope: the picture was not ready in time", file=sys.stderr)
        finish()

    watch = QTimer()
    watch.timeout.connect(look)
    watch.start(50)
    QTimer.singleShot(PATIENCE_MS, late)
    app.exec()
    return status["code"]
