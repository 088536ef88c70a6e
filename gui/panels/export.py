"""Writing the chosen candidate, the front or the picture for other tools and other people."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import Unusable
from core.export.export import ExportOrder, export, shape_refusal
from core.export.formats import format_of, formats
from core.records.progress import Steps
from core.resources import command_line
from gui.app.settings import Settings
from gui.panels.view import HELP_PAGE
from gui.state.state import State
from gui.state.store import Store

if TYPE_CHECKING:
    from gui.panels.plot_view import PlotView

KEY = Qt.ItemDataRole.UserRole
PICTURES = {"png": ("Picture, PNG", "front.png"), "svg": ("Picture, SVG", "front.svg")}


@dataclass(frozen=True, slots=True)
class What:
    """Candidates that can be exported together."""

    text: str
    identities: tuple[str, ...]


class ExportDialog(QDialog):
    """Asks what is written in which format, then where; `core.export` writes what is on screen."""

    exported = Signal(str)
    measure_first = Signal(object)  # points whose latency is only predicted

    def __init__(self, store: Store, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty(HELP_PAGE, "formats.md")
        self._store = store
        self._settings = settings
        self.plot: PlotView | None = None
        self.setWindowTitle("Export")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(640, 460)
        self.what = QComboBox(self)
        self.what.setAccessibleName("What to export")
        self.what.activated.connect(lambda _: self._refresh())
        self.formats = QListWidget(self)
        self.formats.setAccessibleName("Format")
        self.formats.currentRowChanged.connect(lambda _: self._refresh())
        self.formats.itemDoubleClicked.connect(lambda _: self.on_save())
        for key, row in formats().items():
            self._add(
                key, row.title, f"usual name: {row.file}; checked against {row.checked_against}"
            )
        for key, (title, _) in PICTURES.items():
            self._add(key, title, "The plot as it is shown")
        self.about = self._text_label("What will be written")
        self.command = self._text_label("The same on the command line")
        self.command.setProperty("quiet", True)
        self.save = QPushButton("Save as …", self)
        self.save.setProperty("leading", True)
        self.save.setDefault(True)
        self.save.clicked.connect(self.on_save)
        self.measure = QPushButton("Measure it first", self)
        self.measure.setToolTip("Time the candidate on this machine, so that its latency is known")
        self.measure.clicked.connect(self.on_measure)
        close = QPushButton("Close", self)
        close.clicked.connect(self.reject)
        top = QHBoxLayout()
        top.addWidget(QLabel("Export", self))
        top.addWidget(self.what, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.measure)
        buttons.addStretch(1)
        buttons.addWidget(close)
        buttons.addWidget(self.save)
        column = QVBoxLayout(self)
        column.addLayout(top)
        column.addWidget(self.formats, 1)
        column.addWidget(self.about)
        column.addWidget(self.command)
        column.addLayout(buttons)
        for choice in choices_of(store.state):
            self.what.addItem(choice.text, choice)
        self.formats.setCurrentRow(0)

    def _add(self, key: str, title: str, tip: str) -> None:
        item = QListWidgetItem(title, self.formats)
        item.setData(KEY, key)
        item.setToolTip(tip)

    def _text_label(self, name: str) -> QLabel:
        label = QLabel("", self)
        label.setWordWrap(True)
        label.setAccessibleName(name)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return label

    @property
    def format_key(self) -> str:
        """The chosen format."""
        item = self.formats.currentItem()
        return str(item.data(KEY)) if item is not None else ""

    @property
    def chosen(self) -> What:
        """What was chosen to be written."""
        found: What = self.what.currentData() or What("", ())
        return found

    def _refresh(self) -> None:
        key, what, state = self.format_key, self.chosen, self._store.state
        problem = problem_of(state, key, what)
        if key in PICTURES:
            self.about.setText("The plot as it is shown, with its limits and landmarks.")
            self.command.setText("")
        elif problem:
            self.about.setText(problem)
            self.command.setText("")
        else:
            self.about.setText(
                f"{format_of(key).title}, checked against {format_of(key).checked_against}."
                f"{predicted_note(state, what)}{measurements_note(state, key, what)}"
            )
            words = command_words(state.path, key, what, format_of(key).file)
            # a command reads the choices from the file, which may lag behind the window
            stored = ", with the choices stored in the file" if state.read_only else ""
            self.command.setText(
                f"The same without a window{stored}:\n{command_line()} {shlex.join(words)}"
            )
        self.save.setEnabled(not problem)
        self.measure.setVisible(bool(predicted_note(state, what)) and key not in PICTURES)

    @Slot()
    def on_measure(self) -> None:
        """Propose the candidates to the Measure panel and close."""
        table = self._store.state.table
        if table is not None:
            rows = [table.find(identity) for identity in self.chosen.identities]
            self.measure_first.emit(tuple(table.point(row) for row in rows if row is not None))
        self.accept()

    @Slot()
    def on_save(self) -> None:
        """Ask where, then write."""
        key = self.format_key
        if not self.save.isEnabled():
            return
        usual = PICTURES[key][1] if key in PICTURES else format_of(key).file
        folder = Path(self._settings["folder"] or Path.home())
        name, _ = QFileDialog.getSaveFileName(self, "Export", str(folder / usual))
        if name:
            self.write(Path(name))

    def write(self, path: Path) -> None:
        """Write to this path, in place of a file that is there."""
        key = self.format_key
        self._settings["folder"] = str(path.parent)
        if key in PICTURES:
            self._write_picture(key, path)
            return
        state, order = self._store.state, ExportOrder(key, path, self.chosen.identities, force=True)
        self.save.setEnabled(False)
        self.about.setText("Writing …")
        job = self._store.background(lambda: export_shown(state, order), lane="export")
        job.returned.connect(self.on_written)
        job.failed.connect(self.on_failed)

    def _write_picture(self, key: str, path: Path) -> None:
        if self.plot is None:
            return
        try:
            if key == "png":
                self.plot.plot.export_png(path)
            else:
                self.plot.plot.export_svg(path)
        except Unusable as error:
            self.on_failed(error)
            return
        self.on_written(f"wrote {path}")

    @Slot(str)
    def on_written(self, text: str) -> None:
        """Show what was written."""
        self.about.setText(f"{text[:1].upper()}{text[1:]}.")
        self.save.setEnabled(True)
        self.exported.emit(text)

    @Slot(object)
    def on_failed(self, error: BaseException) -> None:
        """Show why it could not be written."""
        self.about.setText(str(error))
        self.save.setEnabled(True)


def export_shown(state: State, order: ExportOrder) -> Steps[Any]:
    """Steps that write an order from the table and the front on screen; returns what was written."""
    yield None
    if state.laws is None or state.table is None or state.frame is None:
        raise Unusable("there is no candidate to export")
    return export(state.contents, state.laws, state.table, state.frame, order).text


def command_words(project: str, key: str, what: What, out: str) -> list[str]:
    """The export command that writes this; with --force, since the file dialog asked about replacing."""
    words = ["export", project]
    for identity in what.identities:
        words += ["--candidate", identity]
    return [*words, "--to", key, "--out", out, "--force"]


def choices_of(state: State) -> list[What]:
    """What there is to export, most likely first."""
    table, frame = state.table, state.frame
    if table is None or frame is None:
        return []
    found = []
    if frame.selected is not None:
        found.append(
            What(
                f"the chosen candidate, {table.label(frame.selected)}",
                (table.id_of(frame.selected),),
            )
        )
    if len(frame.front):
        # no identities: an order without any takes the front itself
        found.append(What(f"the front, {len(frame.front):,} candidates", ()))
    pins = tuple(pin for pin in state.choices.pins if table.find(pin) is not None)
    if pins:
        found.append(What(f"the {len(pins)} pinned candidates", pins))
    return found


def problem_of(state: State, key: str, what: What) -> str:
    """Why this cannot be written in this format; empty when it can."""
    if key in PICTURES:
        return ""
    if state.table is None or not what.text:
        return "There is no candidate to export."
    if format_of(key).kind == "measurements" and not state.contents.measurements:
        return "Nothing was measured yet."
    if format_of(key).kind == "shape":
        if len(what.identities) != 1:
            return f"{format_of(key).title} describes one candidate; choose the chosen candidate above."
        order = ExportOrder(key, Path(), what.identities)
        reason = shape_refusal(state.contents, state.table, order)
        return f"{reason[:1].upper()}{reason[1:]}." if reason else ""
    return ""


def predicted_note(state: State, what: What) -> str:
    """A note when what is exported was never timed; empty otherwise."""
    table = state.table
    if table is None or len(what.identities) != 1:
        return ""
    row = table.find(what.identities[0])
    if row is None or table.source("tpot_s", row).kind != "predicted":
        return ""
    return " Its latency is predicted, not measured."


def measurements_note(state: State, key: str, what: What) -> str:
    """A note when more is written than the front: raw measurements without a named candidate."""
    if format_of(key).kind != "measurements" or what.identities:
        return ""
    return f" All {len(state.contents.measurements):,} measurements of the project are written."
