"""What can be measured on, and with which Python: our own torch or that of another environment."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.units import format_quantity
from gui.app.settings import Settings
from gui.panels.view import Panel
from gui.state.machine import find_devices, short_name
from gui.state.state import State
from gui.state.store import Store


class DevicesPanel(Panel):
    """Lists devices here and in the project; chooses the project's device and the Python that measures."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._settings = Settings(None)
        self._problem = ""
        self.tree = QTreeWidget(self)
        self.tree.setHeaderLabels(["Device", "Memory", "Read bandwidth", "Arithmetic", "Measured"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setAlternatingRowColors(True)
        self.tree.setAccessibleName("Devices")
        self.tree.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.shown = QComboBox(self)
        self.shown.setAccessibleName("Device whose latencies are shown")
        self.shown.setToolTip("Latencies of unlike devices are never mixed; these are shown")
        self.shown.activated.connect(self.on_shown)
        self.python = QLineEdit(self)
        self.python.setPlaceholderText("the program's own Python")
        self.python.setAccessibleName("Python that measures")
        self.python.setToolTip(
            "Path of a python whose torch does the measuring, e.g. your CUDA environment's"
            " bin/python; it needs torch and numpy"
        )
        self.python.editingFinished.connect(self.on_python)
        browse = QPushButton("Choose …", self)
        browse.setToolTip("Choose a python executable")
        browse.clicked.connect(self.on_browse)
        self.check = QPushButton("Check", self)
        self.check.setToolTip("Start a measuring process with this Python and list its devices")
        self.check.clicked.connect(self.on_check)
        self.report = QLabel("", self)
        self.report.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(QLabel("Latencies of", self))
        row.addWidget(self.shown)
        row.addSpacing(16)
        row.addWidget(QLabel("Measure with", self))
        row.addWidget(self.python, 1)
        row.addWidget(browse)
        row.addWidget(self.check)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.addLayout(row)
        column.addWidget(self.report)
        column.addWidget(self.tree, 1)

    def set_settings(self, settings: Settings) -> None:
        """Where the Python is remembered."""
        self._settings = settings
        self.python.setText(settings["python"])

    def refresh(self, new: State, old: State | None) -> None:
        """Devices of this machine and of the project."""
        if (
            old is not None
            and new.devices is old.devices
            and new.contents.measurements is old.contents.measurements
            and new.table is old.table
        ):
            return
        counts: dict[str, int] = {}
        known = {device.key: device for device in new.devices}
        here = set(known)
        for m in new.contents.measurements:
            counts[m.device.key] = counts.get(m.device.key, 0) + (not m.failed)
            if m.device.bandwidth_bytes_per_s is not None or m.device.key not in known:
                known[m.device.key] = m.device
        self.tree.clear()
        for key, device in known.items():
            peaks = ", ".join(
                f"{name} {flops_text(value)}" for name, value in device.peak_flops_per_s.items()
            )
            bandwidth = device.bandwidth_bytes_per_s
            item = QTreeWidgetItem(
                self.tree,
                [
                    f"{short_name(device)}{', this machine' if key in here else ''}",
                    format_quantity(device.memory_bytes, "B"),
                    f"{format_quantity(bandwidth, 'B')}/s" if bandwidth else "not measured",
                    peaks or "not measured",
                    f"{counts.get(key, 0)} in this project",
                ],
            )
            item.setToolTip(0, device.name)
            item.setToolTip(3, "Measured with a product of large matrices, in each precision")
            for column in (1, 2):
                item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
        self.shown.clear()
        for key in counts:
            self.shown.addItem(short_name(known[key]), key)
        if not counts:
            self.shown.addItem("nothing measured yet", "")
        if new.table is not None:
            self.shown.setCurrentIndex(self.shown.findData(new.table.device_key))
        self.shown.setEnabled(len(counts) > 1)

    @Slot(int)
    def on_shown(self, index: int) -> None:
        """Show another device's latencies."""
        self._store.choose(device_key=self.shown.itemData(index))

    @Slot()
    def on_python(self) -> bool:
        """Remember another Python; False, with a message, where there is no such file."""
        text = self.python.text().strip()
        if text and not Path(text).expanduser().is_file():
            self.report.setText(f"There is no file {text}.")
            return False
        self.report.setText("")
        self._settings["python"] = str(Path(text).expanduser()) if text else ""
        return True

    @Slot()
    def on_browse(self) -> None:
        """Choose the executable."""
        name, _ = QFileDialog.getOpenFileName(self, "Python that measures")
        if name:
            self.python.setText(name)
            self.on_python()

    @Slot()
    def on_check(self) -> None:
        """Start a measuring process and see what it finds."""
        if not self.on_python():
            return
        self.check.setEnabled(False)
        self.report.setText("Starting a measuring process …")
        job = find_devices(self._store, self._settings["python"])
        job.yielded.connect(self.on_problem)
        job.returned.connect(self.on_found)
        job.failed.connect(self.on_failed)
        job.ended.connect(lambda _: self.check.setEnabled(True))

    @Slot(object)
    def on_problem(self, problem: str) -> None:
        """Keep why there is no GPU, which arrives before the devices do."""
        self._problem = problem

    @Slot(object)
    def on_found(self, found: tuple[object, ...]) -> None:
        """Show the devices it found."""
        names = ", ".join(getattr(device, "name", "") for device in found)
        problem = f" No GPU: {self._problem}." if self._problem else ""
        self.report.setText(f"It can measure on: {names}.{problem}")

    @Slot(object)
    def on_failed(self, error: BaseException) -> None:
        """Show why it could not."""
        self.report.setText(str(error))


def flops_text(flops_per_s: float) -> str:
    """An arithmetic rate, e.g. '989 TFLOP/s', '2.37 GFLOP/s'."""
    if flops_per_s >= 1e11:
        return f"{flops_per_s / 1e12:.3g} TFLOP/s"
    return f"{flops_per_s / 1e9:.3g} GFLOP/s"
