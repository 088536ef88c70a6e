"""Real models for the plot: dialogs that measure a local folder and a served endpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core.errors import Unusable
from core.measure.backends.registry import for_folders
from core.measure.backends.served import Endpoint
from core.measure.backends.served_shape import measure_endpoint, served_shape
from core.measure.sweeps.real_model import (
    PRECISIONS,
    WINDOWS,
    ModelPlan,
    measure_model,
    plan_model,
)
from core.model.workload import BYTES_PER_ELEMENT, Workload
from core.project.project import Project
from core.records.measurement import Device
from core.records.progress import Steps
from core.units import format_quantity
from gui.app.settings import Settings
from gui.state.job import Job
from gui.state.machine import device_text
from gui.state.store import Store

MOST_TOKENS = 1_000_000
# a path is read once typing pauses, not letter by letter
LOOK_AFTER_MS = 250


class WorkloadRow(QWidget):
    """Fields for batch, prompt and output tokens."""

    def __init__(self, start: Workload, parent: QWidget) -> None:
        super().__init__(parent)
        self.batch = number(start.batch, 4096, "Batch", self)
        self.prompt = number(start.prompt_tokens, MOST_TOKENS, "Prompt tokens", self)
        self.output = number(start.output_tokens, MOST_TOKENS, "Output tokens", self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for text, box in (("batch", self.batch), ("in", self.prompt), ("out", self.output)):
            row.addWidget(box)
            row.addWidget(QLabel(text, self))
        row.addStretch(1)

    def workload(self) -> Workload:
        """The workload in the fields."""
        return Workload(self.batch.value(), self.prompt.value(), self.output.value())


class RealModelDialog(QDialog):
    """What both dialogs share: a form, a line on what was found, and a button that begins measuring.

    The form is checked off the window's thread; the reason for a refusal is shown in the dialog.
    """

    def __init__(
        self, store: Store, settings: Settings, device: Device, title: str, parent: QWidget | None
    ) -> None:
        super().__init__(parent)
        self._store = store
        self._settings = settings
        self._device = device
        self._look: Job | None = None
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.about = QLabel("", self)
        self.about.setWordWrap(True)
        self.about.setProperty("quiet", True)
        self.summary = QLabel("", self)
        self.summary.setWordWrap(True)
        # a server's words are shown as they are, whatever tags are in them
        self.summary.setTextFormat(Qt.TextFormat.PlainText)
        self.summary.setMinimumHeight(3 * self.fontMetrics().height())
        self.summary.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.summary.setAccessibleName("What was found, or why it cannot be measured")
        self.summary.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.form = QFormLayout()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        self.measure = self.buttons.addButton("Measure", QDialogButtonBox.ButtonRole.ActionRole)
        self.measure.setProperty("leading", True)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.about)
        column.addLayout(self.form)
        column.addWidget(self.summary)
        column.addWidget(self.buttons)
        self.setMinimumWidth(560)

    def look(self, ask: Callable[[], Any], found: Callable[[Any], None]) -> None:
        """Call `ask` off this thread, then `found` with its answer unless a newer call was made."""
        self._look = job = self._store.background(partial(answered, ask), lane="real models")

        def returned(answer: Any) -> None:
            if self._look is not job:
                return
            if isinstance(answer, Unusable):
                self.refuse(str(answer))
            else:
                found(answer)

        job.returned.connect(returned)

    def done(self, result: int) -> None:
        """Close, and drop an answer that arrives later."""
        self._look = None
        super().done(result)

    def refuse(self, reason: str) -> None:
        """Show in the dialog why it cannot be measured."""
        self.summary.setText(f"× {reason}")

    def begin(self, work: Callable[[Project], Steps[Any]]) -> None:
        """Begin to measure and close; the Measure panel shows the progress."""
        if self._store.measuring.running:
            self.refuse("something is being measured; wait for it to end, or stop it")
        elif self._store.measure_by(work, self._device):
            self.accept()
        else:
            self.refuse(self._store.state.message or "no project is open to measure into")

    def chooser(self, line: QLineEdit, choose: Callable[[], str]) -> QWidget:
        """A line with a button to choose a path."""
        button = QPushButton("Choose…", self)
        button.setAutoDefault(False)

        def clicked() -> None:
            path = choose()
            if path:
                self._settings["folder"] = str(Path(path).parent)
                line.setText(path)

        button.clicked.connect(clicked)
        box = QWidget(self)
        box.setFocusProxy(line)
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(line, 1)
        row.addWidget(button)
        return box

    def ask_folder(self) -> str:
        """A folder, or ''."""
        return QFileDialog.getExistingDirectory(self, "Model folder", self._start())

    def ask_file(self, title: str, kinds: str) -> str:
        """A file, or ''."""
        return QFileDialog.getOpenFileName(self, title, self._start(), kinds)[0]

    def _start(self) -> str:
        return str(self._settings["folder"] or Path.home())

    def usual_workload(self) -> Workload:
        """The workload measured last, so that the model can be compared with it."""
        measured = self._store.state.contents.measurements
        return measured[-1].workload if measured else Workload()


class ModelDialog(RealModelDialog):
    """Chooses a local model folder and, for its loss, a text."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        device: Device,
        threads: int = 0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(store, settings, device, "Measure a local model", parent)
        self.measure.clicked.connect(self.on_measure)
        self._threads = threads
        self._plan: ModelPlan | None = None
        self.about.setText(
            "A Hugging Face folder (config.json and safetensors) on this machine, timed on"
            f" {device_text(device)}. Nothing is fetched, and code from the folder is never run."
        )
        self.folder = QLineEdit(self)
        self.folder.setAccessibleName("Model folder")
        self.text = QLineEdit(self)
        self.text.setPlaceholderText("none: its loss is not measured")
        self.text.setAccessibleName("Text to measure the loss on")
        self.text.setToolTip("A UTF-8 text file; loss and bits per byte are measured on it")
        self.work = WorkloadRow(self.usual_workload(), self)
        self.weights = choice("Precision", [("as stored", ""), *((p, p) for p in PRECISIONS)], self)
        cuts = [("overlapping by half", WINDOWS[0]), ("disjoint, as in lm-eval", WINDOWS[1])]
        self.windows = choice("Windows of text", cuts, self)
        self.windows.setToolTip(
            "How the text is cut to score it. Disjoint windows are quicker and give another metric:"
            " the first tokens of each have little text before them"
        )
        runs = [(row.name, row.name) for row in for_folders()]
        self.execution = choice("Runs as", runs, self)
        self.execution.setToolTip(
            "transformers runs any folder; the others run those with Llama's layout"
        )
        self.form.addRow("&Folder", self.chooser(self.folder, self.ask_folder))
        kinds = "Text (*.txt *.md *.jsonl);;All files (*)"
        texts = self.chooser(self.text, lambda: self.ask_file("Text", kinds))
        self.form.addRow("&Text", texts)
        self.form.addRow("Wi&ndows", self.windows)
        self.form.addRow("&Workload", self.work)
        self.form.addRow("&Precision", self.weights)
        self.form.addRow("&Runs as", self.execution)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(LOOK_AFTER_MS)
        self._soon.timeout.connect(self.on_look)
        for line in (self.folder, self.text):
            line.textChanged.connect(self.on_changed)
        for spin in (self.work.batch, self.work.prompt, self.work.output):
            spin.valueChanged.connect(self.on_changed)
        for combo in (self.windows, self.weights, self.execution):
            combo.activated.connect(self.on_changed)
        self.measure.setEnabled(False)

    @Slot()
    def on_changed(self) -> None:
        """Drop what was found, since the form has changed."""
        self._plan = None
        self._look = None
        self.measure.setEnabled(False)
        self._soon.start()

    @Slot()
    def on_look(self) -> None:
        """Read the folder's small files."""
        path, text = self.folder.text().strip(), self.text.text().strip()
        if not path:
            self.summary.setText("")
            return
        ask = partial(
            plan_model,
            path,
            self.work.workload(),
            text=text or None,
            weights=self.weights.currentData(),
            execution=self.execution.currentData(),
            windows=self.windows.currentData(),
        )
        self.summary.setText("Reading …")
        self.look(ask, self.on_planned)

    def on_planned(self, plan: ModelPlan) -> None:
        """It can be measured: show what it is."""
        self._plan = plan
        self.summary.setText(plan_text(plan))
        self.measure.setEnabled(True)

    @Slot()
    def on_measure(self) -> None:
        """Begin."""
        if self._plan is not None:
            self.begin(
                partial(
                    model_steps,
                    plan=self._plan,
                    device=self._device,
                    threads=self._threads,
                    python=self._settings["python"] or None,
                )
            )


class EndpointDialog(RealModelDialog):
    """Fields for the address of a server on this machine and the name of its model."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        device: Device,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(store, settings, device, "Measure a served model", parent)
        self.measure.clicked.connect(self.on_measure)
        self.about.setText(
            "An OpenAI-compatible server on this machine (vLLM, SGLang, llama.cpp, Ollama), taken to"
            f" run on {device_text(device)}: first token, time between tokens, realised counts."
        )
        self.url = QLineEdit(self)
        self.url.setPlaceholderText("http://127.0.0.1:8000")
        self.url.setAccessibleName("Address")
        self.name = QLineEdit(self)
        self.name.setAccessibleName("Model")
        self.name.setPlaceholderText("its name at the endpoint")
        self.key = QLineEdit(self)
        self.key.setPlaceholderText("where the server needs one; it is not stored")
        self.key.setAccessibleName("Key")
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.config = QLineEdit(self)
        self.config.setPlaceholderText("as the server reports")
        self.config.setAccessibleName("Config")
        self.config.setToolTip("config.json or GGUF file of the model, where the server names none")
        usual = self.usual_workload()
        self.work = WorkloadRow(dataclasses.replace(usual, batch=min(usual.batch, 256)), self)
        self.rounds = number(12, 1000, "Rounds of requests", self)
        self.weights = choice(
            "Precision", [("as in its config", ""), *((p, p) for p in BYTES_PER_ELEMENT)], self
        )
        self.form.addRow("&Address", self.url)
        self.form.addRow("&Model", self.name)
        self.form.addRow("&Key", self.key)
        kinds = "Config (*.json *.gguf);;All files (*)"
        configs = self.chooser(self.config, lambda: self.ask_file("Config", kinds))
        self.form.addRow("&Config", configs)
        self.form.addRow("&Workload", self.work)
        self.form.addRow("&Rounds", self.rounds)
        self.form.addRow("&Precision", self.weights)

    @Slot()
    def on_measure(self) -> None:
        """Ask the server which shape it serves, then begin."""
        url, name = self.url.text().strip(), self.name.text().strip()
        if not url or not name:
            self.refuse("give the address, and the model's name there")
            return
        endpoint = Endpoint(url, name, self.key.text().strip())
        self.summary.setText(f"Asking {url} …")
        self.measure.setEnabled(False)
        config = self.config.text().strip() or None
        self.look(partial(served_shape, endpoint, config), partial(self.on_shape, endpoint))

    def on_shape(self, endpoint: Endpoint, found: tuple[Any, str]) -> None:
        """Begin, since the shape is known."""
        self.measure.setEnabled(True)
        architecture, precision = found
        self.begin(
            partial(
                endpoint_steps,
                endpoint=endpoint,
                workload=self.work.workload(),
                architecture=architecture,
                precision=self.weights.currentData() or precision,
                device=self._device,
                requests=self.rounds.value(),
            )
        )

    def refuse(self, reason: str) -> None:
        """Show why not, and let the user try again."""
        super().refuse(reason)
        self.measure.setEnabled(True)


def answered(ask: Callable[[], Any]) -> Steps[Any]:
    """Steps that return the answer, or the refusal as a value, so that the dialog can show it."""
    yield from ()
    try:
        return ask()
    except Unusable as error:
        return error


def model_steps(project: Project, *, plan: ModelPlan, device: Device, **options: Any) -> Steps[Any]:
    """Steps that measure the folder into the project."""
    return measure_model(plan, device=device, store=project.add_measurement, **options)


def endpoint_steps(
    project: Project, *, endpoint: Endpoint, workload: Workload, **options: Any
) -> Steps[Any]:
    """Steps that measure the endpoint into the project."""
    return measure_endpoint(endpoint, workload, store=project.add_measurement, **options)


def plan_text(plan: ModelPlan) -> str:
    """What a folder holds and what will be done with it."""
    folder = plan.folder
    params = format_quantity(folder.params, "count")
    stored = f"stored in {folder.dtype}" if folder.has_weights else "no weights"
    lines = [
        f"● {folder.name}: {folder.family}, {folder.architecture.label}, {params} parameters, "
        f"{stored}. Runs in {plan.point.runtime.weights}."
    ]
    lines += [f"{note[:1].upper()}{note[1:]}." for note in folder.notes]
    if plan.text is None and folder.has_weights:
        lines.append("Without a text it has no loss, and is shown only on axes of cost.")
    return "\n".join(lines)


def number(value: int, most: int, name: str, parent: QWidget) -> QSpinBox:
    """A field for a whole number from 1."""
    box = QSpinBox(parent)
    box.setRange(1, most)
    box.setValue(value)
    box.setAccessibleName(name)
    return box


def choice(name: str, rows: list[tuple[str, str]], parent: QWidget) -> QComboBox:
    """A box of texts, each with its value."""
    box = QComboBox(parent)
    box.setAccessibleName(name)
    for text, value in rows:
        box.addItem(text, value)
    return box
