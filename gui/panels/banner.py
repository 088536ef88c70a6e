"""The bars at the top: messages, and the device that the shown latencies were recorded on."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from gui.state.state import State
from gui.state.store import Store


class MessageBar(QFrame):
    """One line about what went wrong, or what was done, until it is dismissed."""

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
        close.setToolTip("Dismiss this message")
        close.setAccessibleName("Dismiss the message")
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
    """The device the latencies were recorded on, notes on what was left out, and a button to measure here."""

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
        """Show where the numbers come from."""
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
    """One or two sentences on what the picture is made from; empty when there is nothing to add."""
    lines = []
    if state.table is not None and state.demo:
        device = state.table.device_key.partition(":")[2].rpartition(":")[0]
        count = len({m.id for m in state.table.measured_rows.values()})
        lines.append(
            f"Demonstration: latencies recorded on {device} ({count} measured points);"
            " losses predicted from published training runs."
        )
    elif state.contents.space is not None and not state.contents.measurements:
        lines.append("Nothing is measured yet, so no latency is known.")
    lines += state.notes
    return "  ".join(lines)
