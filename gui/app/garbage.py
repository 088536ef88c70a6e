"""Garbage is collected on the GUI thread alone.

Python collects reference cycles on whatever thread happens to allocate. If a widget is among them, Qt
destroys it there, holding a lock of its own while it waits for Python's global one. If the window's
thread holds the global one and waits for Qt's, both wait for ever. So automatic collection is off, and
a timer of the GUI thread collects by the thresholds Python would have used.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer, Slot

EVERY_MS = 500


class Collector(QObject):
    """Collects what is due by Python's thresholds, on the thread that it was made on."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    @Slot()
    def collect(self) -> None:
        """Collect the oldest generation that is due, and with it the younger ones."""
        counts, thresholds = gc.get_count(), gc.get_threshold()
        for generation in (2, 1, 0):
            if counts[generation] > thresholds[generation] > 0:
                gc.collect(generation)
                return
