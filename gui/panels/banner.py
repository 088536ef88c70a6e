"""The bars at the top: what went wrong, and on what the shown latencies were recorded."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from gui.state.state import State
from gui.state.store import Store


class MessageBar(QFrame):
    """One line about what went wrong, or what was done, until it is put away."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("bar", "message")
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.label.setAccessibleName("Message")
        close = QToolButton(self)
        close.setText("×")
        close.setProperty("flat", True)
        close.setToolTip("Put this message away")
        close.setAccessibleName("Put the message away")
        close.clicked.connect(lambda: store.notify(""))
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 6, 4)
        self.sign = QLabel(self)
        row.addWidget(self.sign)
        row.addWidget(self.label, 1)
        row.addWidget(close)
        self.hide()

    def refresh(self, new: State, old: State | None) -> None:
        """Show the message, or nothing."""
        if old is None or (new.message, new.message_is_news) != (old.message, old.message_is_news):
            self.sign.setText("✓" if new.message_is_news else "⚠")
            self.sign.setAccessibleName("Done" if new.message_is_news else "Warning")
            self.label.setText(new.message)
            self.setVisible(bool(new.message))


class Banner(QFrame):
    """On what the latencies were recorded, notes on unlike things, and the way to measure here."""

    measure_here = Signal()

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("bar", "note")
        self.label = QLabel(self)
        self.label.setWordWrap(True)
        self.label.setAccessibleName("About this project")
        self.button = QPushButton("Measure on this machine", self)
        self.button.setToolTip("Time the described shapes on a device of this machine")
        self.button.clicked.connect(self.measure_here)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 8, 4)
        row.addWidget(self.label, 1)
        row.addWidget(self.button)
        self.hide()

    def refresh(self, new: State, old: State | None) -> None:
        """Say where the numbers come from."""
        if old is not None and all(
            getattr(new, part) is getattr(old, part)
            for part in ("contents", "table", "notes", "demo", "devices", "sweep")
        ):
            return
        text = banner_text(new)
        self.label.setText(text)
        here = {device.key for device in new.devices}
        shown = new.table.device_key if new.table is not None else ""
        self.button.setVisible(bool(new.path) and shown not in here and not new.sweep.running)
        self.setVisible(bool(text))


def banner_text(state: State) -> str:
    """One or two sentences on what stands behind the picture; empty when nothing needs saying."""
    said = []
    if state.table is not None and state.demo:
        device = state.table.device_key.partition(":")[2].rpartition(":")[0]
        count = len({m.id for m in state.table.measured_rows.values()})
        said.append(
            f"Demonstration: latencies recorded on {device} ({count} measured points);"
            " losses predicted from published training runs."
        )
    elif state.contents.space is not None and not state.contents.measurements:
        said.append("Nothing is measured yet, so no latency is known.")
    said += state.notes
    return "  ".join(said)
