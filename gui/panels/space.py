"""The described space: a TOML text checked as it is typed, and its number of candidates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer, Slot
from PySide6.QtGui import QFontDatabase, QTextCursor
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import Unusable
from core.guarded import MOST_SETTINGS_BYTES, read_text
from core.records.progress import Steps
from core.resources import resource
from core.space.space_file import parse_space
from core.units import format_quantity
from gui.panels.view import Panel
from gui.state.job import Job
from gui.state.state import State
from gui.state.store import Store

CHECK_AFTER_MS = 350
HELP = (
    "A value is a number, a list, or a range: { from = 2, to = 32, step = 1 } or"
    " { from = 1e6, to = 1e9, count = 20 }. [constraints] takes { min = …, max = … } on parameters,"
    " aspect ratio and heads. [measure] sets at which sizes shapes are timed first. Ctrl+Z in the text"
    " takes back edits, presets and files."
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How many candidates a described space has, their sizes, and the points to measure."""

    candidates: int
    smallest: float
    largest: float
    points: int


class SpacePanel(Panel):
    """Edits the space of the project."""

    def __init__(self, store: Store, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self._job: Job | None = None
        self.text = QPlainTextEdit(self)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setAccessibleName("Space as TOML")
        self.text.setTabChangesFocus(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setPlaceholderText("Choose a preset, or write a space")
        self.text.textChanged.connect(self._check_soon)
        self.presets = QComboBox(self)
        self.presets.setAccessibleName("Preset spaces")
        self.presets.setToolTip("Begin from a space that ships with the program")
        self.presets.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.presets.addItem("Presets …", "")
        for path in sorted(resource("spaces").glob("*.toml")):
            self.presets.addItem(preset_title(path), str(path))
            self.presets.setItemData(
                self.presets.count() - 1, preset_title(path), Qt.ItemDataRole.ToolTipRole
            )
        self.presets.activated.connect(self.on_preset)
        self.apply = self._button(
            "Use this space", "Predict its candidates (Ctrl+Return)", self.on_apply
        )
        self.apply.setProperty("leading", True)
        self.apply.setShortcut("Ctrl+Return")
        self.apply.setEnabled(False)
        self.revert = self._button(
            "Revert",
            "Back to the space in use (Ctrl+Z in the text undoes this too)",
            self.on_revert,
        )
        self.read = self._button("Read a file …", "Read a space from a TOML file", self.on_read)
        self.write = self._button("Write a file …", "Write this text to a TOML file", self.on_write)
        self.extent = QLabel("", self)
        self.extent.setWordWrap(True)
        self.extent.setAccessibleName("Candidates of the space")
        self.problem = QLabel("", self)
        self.problem.setProperty("bad", True)
        self.problem.setWordWrap(True)
        self.problem.setAccessibleName("What is wrong with the text")
        hint = QLabel(HELP, self)
        hint.setProperty("quiet", True)
        hint.setWordWrap(True)
        buttons = QHBoxLayout()
        for widget in (self.apply, self.revert):
            buttons.addWidget(widget)
        files = QHBoxLayout()
        for widget in (self.read, self.write):
            files.addWidget(widget)
        side = QVBoxLayout()
        side.addWidget(self.presets)
        side.addWidget(self.extent)
        side.addWidget(self.problem)
        side.addLayout(buttons)
        side.addLayout(files)
        side.addWidget(hint)
        side.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 6, 6, 6)
        row.addWidget(self.text, 4)
        row.addLayout(side, 3)
        self._timer = QTimer(self, singleShot=True, interval=CHECK_AFTER_MS)
        self._timer.timeout.connect(self.check)

    def _button(self, text: str, tip: str, slot: object) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.clicked.connect(slot)
        return button

    def refresh(self, new: State, old: State | None) -> None:
        """Show the project's space when it changed; what is being typed is kept otherwise."""
        if old is None or new.contents.space is not old.contents.space or new.path != old.path:
            used = new.contents.space.text if new.contents.space else ""
            if old is not None and new.path == old.path:
                self.write_over(used)
            else:
                # on opening: the text that was written and not used, even where the window was killed
                self.text.setPlainText(self._store.draft() or used)
                self.text.document().clearUndoRedoStacks()
        if old is None or new.read_only != old.read_only or new.path != old.path:
            self.setEnabled(bool(new.path) and not new.read_only)

    def write_over(self, text: str) -> None:
        """Replace the text by another, as one step that Ctrl+Z in the editor undoes."""
        if text == self.text.toPlainText():
            return
        cursor = QTextCursor(self.text.document())
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)
        self.text.moveCursor(QTextCursor.MoveOperation.Start)

    def _used(self) -> str:
        space = self._store.state.contents.space
        return space.text if space else ""

    def _check_soon(self) -> None:
        # an unchecked text could put a space without candidates in place of a good one
        self.apply.setEnabled(False)
        self._timer.start()

    @Slot()
    def check(self) -> None:
        """Count the candidates of the text, or show what is wrong with it."""
        text = self.text.toPlainText()
        changed = text != self._used()
        self._store.put_draft(text if changed else "")
        self.revert.setEnabled(changed)
        if self._job is not None:
            self._job.cancel()
        if not text.strip():
            self._show_result("", "")
            self.apply.setEnabled(False)
            return
        # the result of an earlier text must not stay beside this one
        self._show_result("Counting the candidates …", "")
        self._job = self._store.background(lambda: count(text), lane="space")
        self._job.returned.connect(self.on_counted)

    @Slot(object)
    def on_counted(self, found: Extent | str) -> None:
        """Show the candidates that were counted, or why the text cannot be used."""
        changed = self.text.toPlainText() != self._used()
        self.apply.setEnabled(changed and isinstance(found, Extent))
        if isinstance(found, str):
            self._show_result("", found)
            return
        in_use = "" if changed else " In use."
        self._show_result(
            f"<b>{found.candidates:,}</b> candidates of {format_quantity(found.smallest, 'count')}"
            f" to {format_quantity(found.largest, 'count')} parameters;"
            f" {found.points} points to measure first.{in_use}",
            "",
        )

    def _show_result(self, extent: str, problem: str) -> None:
        self.extent.setText(extent)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    @Slot()
    def on_apply(self) -> None:
        """Use the text."""
        try:
            self._store.put_space(self.text.toPlainText())
        except Unusable as error:
            self._show_result("", str(error))

    @Slot()
    def on_revert(self) -> None:
        """Show the space in use again."""
        self.write_over(self._used())

    @Slot(int)
    def on_preset(self, index: int) -> None:
        """Show a preset; it is not used before it is applied."""
        path = self.presets.itemData(index)
        self.presets.setCurrentIndex(0)
        if path:
            self.write_over(Path(path).read_text(encoding="utf-8"))

    @Slot()
    def on_read(self) -> None:
        """Read a TOML file."""
        name, _ = QFileDialog.getOpenFileName(self, "Read a space", "", "TOML (*.toml)")
        if name:
            try:
                self.write_over(read_text(Path(name), MOST_SETTINGS_BYTES))
            except Unusable as error:
                self._show_result("", str(error))

    @Slot()
    def on_write(self) -> None:
        """Write the text to a TOML file."""
        name, _ = QFileDialog.getSaveFileName(
            self, "Write the space", "space.toml", "TOML (*.toml)"
        )
        if name:
            try:
                Path(name).write_text(self.text.toPlainText(), encoding="utf-8")
            except OSError as error:
                self._show_result("", f"{name} cannot be written ({error.strerror})")


def count(text: str) -> Steps[Any]:
    """Steps that return the space's `Extent`, or in one line what is wrong with the text."""
    try:
        space = parse_space(text)
        yield None
        candidates = space.candidates()
        yield None
        params = candidates.shapes.params_total
        return Extent(
            len(candidates),
            float(params.min()),
            float(params.max()),
            len(space.measurement_points()),
        )
    except Unusable as error:
        return str(error)


def preset_title(path: Path) -> str:
    """The comment a preset begins with, or its file's name."""
    with path.open(encoding="utf-8") as file:
        first = file.readline().strip()
    return first.lstrip("# ").rstrip(".") if first.startswith("#") else path.stem
