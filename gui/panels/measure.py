"""Measuring: on which device, which shapes, its progress, and results as they arrive."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.errors import Unusable
from core.measure.backends.registry import backend_of, check_names
from core.measure.sweeps.plan import plan
from core.records.measurement import Device, Measurement, Point
from core.samples.repetitions import REPETITIONS, repetitions_made
from core.units import format_quantity, parse_quantity
from gui.app.settings import Settings
from gui.panels.measure_rows import (
    ended_text,
    flags_text,
    point_of,
    progress_text,
    repeated,
    result_item,
    state_of,
    trail_text,
)
from gui.panels.view import Panel
from gui.panels.work_row import ElidedLabel
from gui.state.machine import alike_gpus, device_text, find_devices
from gui.state.state import State
from gui.state.store import Store

POINT = Qt.ItemDataRole.UserRole


class MeasurePanel(Panel):
    """Plans and watches a sweep."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._settings = Settings(None)
        self._proposed: tuple[Point, ...] = ()
        self._problem = ""  # why the space has no points to measure
        self._offered: list[tuple[Device, ...]] = []  # in the order of the box
        self._wanted: dict[Point, bool] = {}  # what the user ticked or unticked by hand
        self.device = QComboBox(self)
        self.device.setAccessibleName("Device")
        self.device.setToolTip("What to measure on")
        # it takes the space that is left; this keeps the row within a small window
        self.device.setMinimumContentsLength(9)
        self.device.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.device.activated.connect(lambda _: self._refresh_points(self._store.state))
        self.look = QPushButton("Find GPUs", self)
        self.look.setToolTip("Start a measuring process and list the devices it can use")
        self.look.clicked.connect(self.on_look)
        self.threads = QSpinBox(self)
        self.threads.setRange(0, 512)
        self.threads.setSpecialValueText("default")
        self.threads.setAccessibleName("Threads")
        self.threads.setToolTip("Threads on a CPU; default: one per physical core")
        self.repetitions = QSpinBox(self)
        self.repetitions.setRange(1, 50)
        self.repetitions.setValue(REPETITIONS)
        self.repetitions.setAccessibleName("Repetitions")
        self.repetitions.setToolTip(
            "Measure each shape this many times, spread over the sweep and each in a fresh process."
            " From three on, the interval is that between repetitions, which includes how the machine"
            " varies from minute to minute."
        )
        self.repetitions.valueChanged.connect(self.on_repetitions)
        self.interleave = QSpinBox(self)
        self.interleave.setRange(1, 200)
        self.interleave.setAccessibleName("Interleave")
        self.interleave.setToolTip(
            "On a CPU, hold up to this many shapes in memory and time them interleaved: when other"
            " programs slow the machine for a while, all of them show it, and it is corrected for. Useful"
            " on a shared or virtual machine; the results of one group arrive together."
        )
        self.budget = QLineEdit(self)
        self.budget.setPlaceholderText("no limit")
        self.budget.setFixedWidth(86)
        self.budget.setAccessibleName("Time to spend")
        self.budget.setToolTip("Stop after this time, e.g. 10min or 1h; what was measured is kept")
        self.budget.textChanged.connect(lambda _: self._refresh_sweep(self._store.state))
        self.again = QCheckBox("again", self)
        self.again.setToolTip("Also measure what this project has measured already")
        self.again.clicked.connect(self.on_again)
        self.start = QPushButton("Measure", self)
        self.start.setProperty("leading", True)
        self.start.clicked.connect(self.on_start)
        self.pause = QPushButton("Pause", self)
        self.pause.setToolTip("Pause after the shape that is being measured")
        self.pause.clicked.connect(self.on_pause)
        self.cancel = QPushButton("Stop", self)
        self.cancel.setToolTip("End the sweep; what was measured is kept, and it can be resumed")
        self.cancel.clicked.connect(store.cancel_sweep)
        self.folder = QPushButton("Local model…", self)
        self.folder.setToolTip(
            "Time a model folder of this machine, and measure its loss on a text of yours"
        )
        self.folder.clicked.connect(self.on_folder)
        self.endpoint = QPushButton("Endpoint…", self)
        self.endpoint.setToolTip("Time a model that a server on this machine serves")
        self.endpoint.clicked.connect(self.on_endpoint)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("Progress of the sweep")
        self.words = ElidedLabel(self)
        self.words.setAccessibleName("What is being measured")
        # a long line must not make the window wider
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.trail = QLabel("", self)
        self.trail.setProperty("quiet", True)
        self.trail.setToolTip(
            "The latency law is fitted again after each result; this is its mean error on shapes"
            " left out of the fit. When it stops falling, measuring more of the same helps little."
        )
        self.points = self._tree("Shapes to measure", ["Shape", "State", "Parameters", "Runs as"])
        self.points.itemClicked.connect(self.on_ticked)
        self.points.itemActivated.connect(self.on_ticked)
        self.results = self._tree(
            "Results",
            [
                "Result",
                "Per output token",
                "First token",
                "Peak memory",
                "Over the floor",
                "Energy per token",
                "Flags",
                "Measured",
            ],
        )
        self.results.headerItem().setToolTip(
            4, "Time per output token over the time that only reading weights and cache would take"
        )
        self._build()

    def _build(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(5)
        for widget in (
            QLabel("On", self),
            self.device,
            self.look,
            QLabel("Threads", self),
            self.threads,
            QLabel("Repetitions", self),
            self.repetitions,
            QLabel("Interleave", self),
            self.interleave,
            QLabel("Time", self),
            self.budget,
            self.again,
        ):
            head.addWidget(widget, 1 if widget is self.device else 0)
        foot = QHBoxLayout()
        for widget in (self.start, self.pause, self.cancel):
            foot.addWidget(widget)
        foot.addWidget(self.words, 1)
        foot.addWidget(self.folder)
        foot.addWidget(self.endpoint)
        lists = QSplitter(Qt.Orientation.Horizontal, self)
        lists.addWidget(self.points)
        lists.addWidget(self.results)
        lists.setSizes([400, 600])
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(4)
        column.addLayout(head)
        progress = QHBoxLayout()
        progress.addWidget(self.bar, 1)
        progress.addWidget(self.trail)
        column.addLayout(progress)
        column.addLayout(foot)
        column.addWidget(lists, 1)

    def _tree(self, name: str, headings: Sequence[str]) -> QTreeWidget:
        tree = QTreeWidget(self)
        tree.setHeaderLabels(list(headings))
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        tree.setAlternatingRowColors(True)
        tree.setAccessibleName(name)
        # a stretched last column is cut off where there is too little space for it
        tree.header().setStretchLastSection(False)
        tree.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        return tree

    def set_settings(self, settings: Settings) -> None:
        """Where the chosen Python environment is remembered."""
        self._settings = settings

    # --- showing ----------------------------------------------------------------------------------

    def refresh(self, new: State, old: State | None) -> None:
        """Devices, points, progress and results, each when it changed."""
        if old is None or new.devices is not old.devices:
            self._refresh_devices(new)
        if old is None or new.path != old.path:
            self._proposed, self._wanted = (), {}
        contents = new.contents
        if (
            old is None
            or contents.space is not old.contents.space
            or contents.measurements is not old.contents.measurements
            or new.devices is not old.devices
        ):
            self._refresh_points(new)
        if old is None or contents.measurements is not old.contents.measurements:
            self._refresh_results(new, old)
        if old is None or new.sweep is not old.sweep:
            self._refresh_sweep(new)

    def _refresh_devices(self, new: State) -> None:
        before = [(device.key, device.index) for device in self.chosen()]
        groups = alike_gpus(new.devices)
        self._offered = [*((device,) for device in new.devices), *groups]
        self.device.clear()
        for device in new.devices:
            self.device.addItem(device_text(device, new.devices))
            whole = f"{device.name}, {device.memory_bytes / 1e9:.1f} GB"
            self.device.setItemData(self.device.count() - 1, whole, Qt.ItemDataRole.ToolTipRole)
        for group in groups:
            self.device.addItem(f"{len(group)} × {device_text(group[0])}, side by side")
        offered = [[(device.key, device.index) for device in some] for some in self._offered]
        if before in offered:
            self.device.setCurrentIndex(offered.index(before))
        elif len(offered) > 1:
            # a GPU was found: most sweeps are for one
            self.device.setCurrentIndex(len(offered) - 1)

    def chosen(self) -> tuple[Device, ...]:
        """The device chosen, or the devices to share a sweep; empty before any is known."""
        at = self.device.currentIndex()
        return self._offered[at] if 0 <= at < len(self._offered) else ()

    def propose(self, points: tuple[Point, ...]) -> None:
        """Offer these points, ticked, in place of those of the space."""
        self._proposed = points
        self._wanted = dict.fromkeys(points, True)
        self._refresh_points(self._store.state)
        self.start.setFocus(Qt.FocusReason.OtherFocusReason)

    def planned(self, state: State) -> tuple[Point, ...]:
        """The points that are offered."""
        if self._proposed:
            return self._proposed
        self._problem = ""
        space = state.contents.space
        try:
            points = space.measurement_points() if space is not None else ()
            check_names(point.runtime.execution for point in points)
        except Unusable as error:
            self._problem = str(error)
            return ()
        return points

    def _refresh_points(self, state: State) -> None:
        done = self._made(state)
        self.points.clear()
        for point in self.planned(state):
            known = done.get(point_of(point), ())
            label = point.folder.rpartition("/")[2] or point.architecture.label
            params = format_quantity(point.architecture.params_total, "count")
            item = QTreeWidgetItem(
                self.points,
                [
                    label,
                    state_of(known, self.repetitions.value()),
                    params,
                    f"{point.runtime.label}; {point.workload.label}",
                ],
            )
            item.setToolTip(3, f"{item.text(3)}\n{backend_of(point).label}")
            item.setData(0, POINT, point)
            if known:
                item.setToolTip(1, flags_text(known[-1]))
            wanted = self._wanted.get(
                point, repeated(known) < self.repetitions.value() or self.again.isChecked()
            )
            item.setCheckState(0, Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)
        self._refresh_sweep(state)

    def _made(self, state: State) -> dict[tuple[object, ...], list[Measurement]]:
        """Measurements on the chosen device, grouped by what was measured."""
        keys = {device.key for device in self.chosen()}
        found: dict[tuple[object, ...], list[Measurement]] = {}
        for m in state.contents.measurements:
            if m.device.key in keys:
                key = (m.architecture, m.workload, m.runtime, m.model)
                found.setdefault(key, []).append(m)
        return found

    def _items(self) -> list[QTreeWidgetItem]:
        found = (self.points.topLevelItem(i) for i in range(self.points.topLevelItemCount()))
        return [item for item in found if item is not None]

    def ticked(self) -> tuple[Point, ...]:
        """The points that are ticked."""
        return tuple(
            item.data(0, POINT)
            for item in self._items()
            if item.checkState(0) == Qt.CheckState.Checked
        )

    def _refresh_start(self) -> None:
        running = self._store.state.sweep.running
        count = len(self.ticked())
        self.start.setText(f"Measure {count}" if count else "Measure")
        self.start.setToolTip(
            f"Time {count} shapes with random weights in a process of their own;"
            " each result is stored before the next starts"
        )
        self.start.setEnabled(bool(count) and self.device.count() > 0 and not running)
        for button in (self.folder, self.endpoint):
            button.setEnabled(self.device.count() > 0 and not running)

    def _plan_text(self) -> str:
        """What pressing the button would do, and how long it could take."""
        devices, points = self.chosen(), self.ticked()
        if not devices or not points:
            contents = self._store.state.contents
            if self._problem:
                return self._problem
            if contents.measurements:
                return f"{len(contents.measurements)} measured so far."
            if contents.space is None:
                return (
                    "Nothing to time yet: describe a space in the Space panel, or choose a local"
                    " model."
                )
            return "Nothing is measured yet."
        again = self.again.isChecked()
        made = {} if again else repetitions_made(self._store.state.contents.measurements)
        return plan(
            points,
            devices[0],
            made,
            repetitions=self.repetitions.value(),
            budget_s=self._budget_s(),
            devices=len(devices),
        ).text

    def _budget_s(self) -> float | None:
        """The time to spend; None where nothing or no time is written."""
        try:
            return parse_quantity(self.budget.text(), "s")
        except Unusable:
            return None

    def _refresh_results(self, new: State, old: State | None) -> None:
        measurements = new.contents.measurements
        shown = self.results.topLevelItemCount()
        before = old.contents.measurements if old is not None else ()
        if measurements[: len(before)] != before or shown != len(before):
            self.results.clear()
            before = ()
        for m in measurements[len(before) :]:
            # newest first
            self.results.insertTopLevelItem(0, result_item(m))

    def _refresh_sweep(self, new: State) -> None:
        sweep = new.sweep
        progress = sweep.progress
        self.pause.setEnabled(sweep.running)
        self.pause.setText("Go on" if sweep.paused else "Pause")
        self.cancel.setEnabled(sweep.running)
        self.bar.setVisible(sweep.running)
        if progress is not None and progress.total:
            self.bar.setValue(round(1000 * progress.done / progress.total))
        if sweep.running:
            self.words.setText(progress_text(progress, paused=sweep.paused, message=sweep.message))
        else:
            self.words.setText(ended_text(sweep.message) if sweep.message else self._plan_text())
        self.words.setToolTip(self.words.text())
        self.trail.setText(trail_text(sweep.errors))
        self.trail.setVisible(bool(sweep.errors))
        self._refresh_start()

    # --- what the user does -----------------------------------------------------------------------

    @Slot()
    def on_look(self) -> None:
        """Look for every device."""
        self.look.setEnabled(False)
        self.words.setText("Starting a measuring process to look for devices …")
        job = find_devices(self._store, self._settings["python"])
        job.ended.connect(self.on_looked)

    @Slot(object)
    def on_looked(self, _: object) -> None:
        """Enable the search again."""
        self.look.setEnabled(True)
        self._refresh_sweep(self._store.state)

    @Slot(QTreeWidgetItem, int)
    def on_ticked(self, item: QTreeWidgetItem, _column: int) -> None:
        """Remember whether a point is ticked; a click elsewhere on it changes nothing."""
        self._wanted[item.data(0, POINT)] = item.checkState(0) == Qt.CheckState.Checked
        self._refresh_sweep(self._store.state)

    @Slot()
    def on_again(self) -> None:
        """Tick or untick what is measured already."""
        self._wanted = {}
        self._refresh_points(self._store.state)

    @Slot(int)
    def on_repetitions(self, _count: int) -> None:
        """Tick what has fewer repetitions than wanted."""
        self._refresh_points(self._store.state)

    @Slot()
    def on_start(self) -> None:
        """Begin the sweep."""
        if not self.chosen():
            return
        device, *others = self.chosen()
        try:
            budget = parse_quantity(self.budget.text(), "s") if self.budget.text().strip() else None
        except Unusable as error:
            self.words.setText(str(error))
            return
        self._store.measure(
            self.ticked(),
            device,
            budget_s=budget,
            python=self._settings["python"] or None,
            threads=self.threads.value(),
            again=self.again.isChecked(),
            repetitions=self.repetitions.value(),
            interleave=self.interleave.value(),
            others=tuple(others),
        )

    @Slot()
    def on_folder(self) -> None:
        """Open the dialog for a local model folder."""
        from gui.panels.models import ModelDialog

        for device in self.chosen()[:1]:
            threads = self.threads.value()
            ModelDialog(self._store, self._settings, device, threads, self.window()).open()

    @Slot()
    def on_endpoint(self) -> None:
        """Open the dialog for a served model."""
        from gui.panels.models import EndpointDialog

        for device in self.chosen()[:1]:
            EndpointDialog(self._store, self._settings, device, self.window()).open()

    @Slot()
    def on_pause(self) -> None:
        """Pause the sweep, or go on."""
        if self._store.state.sweep.paused:
            self._store.resume_sweep()
        else:
            self._store.pause_sweep()
