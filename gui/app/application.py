"""The application object, which receives the files that the desktop opens with it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QFileOpenEvent
from PySide6.QtWidgets import QApplication


class Application(QApplication):
    """Ours, because macOS gives a double-clicked file to the running program as an event.

    Only events of the application itself pass through `event`; a filter would see every mouse move.
    """

    asked = Signal(str)  # the path of a file to open

    def event(self, event: QEvent) -> bool:
        """Emit `asked` for a file to open; leave the rest to Qt."""
        if isinstance(event, QFileOpenEvent):
            self.asked.emit(event.file())
            return True
        return bool(super().event(event))
