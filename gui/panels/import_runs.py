"""Importing runs: which column is what, what the loss means, and every row that would be left out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core.fit.repeats import Keep
from core.formats.runs.columns import BIG, SURE, ColumnGuess
from core.formats.runs.reading import Preview, preview
from core.formats.runs.suites import bundled_suites
from core.records.progress import Steps
from core.records.training_runs import LOSS_UNITS, TrainingRuns
from gui.panels.drawing import tones
from gui.panels.numbers_table import Cell, NumbersTable
from gui.panels.view import HELP_PAGE
from gui.panels.work_row import WorkRow

# field -> its title, and why it is wanted
FIELDS = {
    "loss": ("Loss", "The loss at the end of each run; needed"),
    "tokens": ("Training tokens D", "Needed, unless FLOPs or tokens per parameter are given"),
    "params_total": ("Parameters, total", "Every stored parameter, both embeddings counted"),
    "params_non_embedding": ("Parameters, non-embedding", "Without input embedding and output head"),
    "n_layers": ("Layers", "Number of decoder layers"),
    "d_model": ("Width", "Size of the hidden state, d_model"),
    "name": ("Run's name", "What each run is called"),
    "n_heads": ("Heads", "Query heads of a layer"),
    "n_kv_heads": ("KV heads", "Key-value heads of a layer"),
    "d_ff": ("FFN width", "d_ff"),
    "vocab_size": ("Vocabulary", "Entries of the vocabulary"),
    "flops": ("Training FLOPs", "Gives the tokens where no column does: C = 6 N D"),
    "tokens_per_parameter": ("Tokens per parameter", "Gives the tokens where no column does"),
}  # fmt: skip
COUNTED = (
    ("as written", 1.0), ("thousands", 1e3), ("millions", 1e6), ("billions", 1e9),
    ("trillions", 1e12),
)  # fmt: skip
LOSSES = (
    ("as written", 1.0, ""), ("perplexity: take ln", 1.0, "ln"),
    ("bits: times ln 2", math.log(2.0), ""),
)  # fmt: skip
MEANINGS = (
    ("validation", "on data held out"),
    ("train average", "training loss averaged over the run"),
    ("unknown", "the file does not say"),
)
NOT_HERE = "not in this file"
# rows named in the notes; the others are counted
MOST_SHOWN = 1000


class ImportRuns(QDialog):
    """Shows a previewed file, again whenever the mapping changes; stores nothing before OK.

    The file is not opened again, and its rows are read off the window's thread. `taken` carries the
    name of the suite that was stored.
    """

    taken = Signal(str)

    def __init__(self, store: Any, found: Preview, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty(HELP_PAGE, "formats.md")
        self._store = store
        self._path = found.file.path
        self._preview = found
        self._columns: dict[str, QComboBox] = {}
        self._scales: dict[str, QComboBox] = {}
        self._why: dict[str, QLabel] = {}
        self._touched = False
        self.setWindowTitle(f"Import runs from {self._path.name}")
        self.resize(1080, 640)
        self._build()
        self._fill_boxes(found)
        self._on_read(found)

    @property
    def busy(self) -> bool:
        """Whether the rows are being read under another mapping."""
        return self.work.busy

    # --- laying out ---------------------------------------------------------------------------

    def _build(self) -> None:
        self.head = QLabel()
        self.head.setWordWrap(True)
        self.head.setAccessibleName("What was found")
        self.work = WorkRow(self._store, "import")
        self.work.finished.connect(self._on_read)
        self.work.ended.connect(self._offer)

        self.best = QCheckBox("Keep the &best of repeats")
        self.best.setToolTip(
            "Of rows with one shape and number of tokens, such as a sweep of learning rates, keep the "
            "lowest loss; with a column of seeds, the best setting with all of its seeds"
        )
        self.last = QCheckBox("Keep the &last of each run")
        self.last.setToolTip("Of the checkpoints of one run, keep the one with the most tokens")
        self.grid = QGridLayout()
        self.grid.setVerticalSpacing(3)
        self.grid.setColumnStretch(3, 1)
        for row, (field, (title, tip)) in enumerate(FIELDS.items()):
            self._build_field(row, field, title, tip)
        self.grid.setRowStretch(len(FIELDS), 1)
        mapping = QWidget()
        mapping.setLayout(self.grid)
        area = QScrollArea()
        area.setWidget(mapping)
        area.setWidgetResizable(True)
        area.setMinimumWidth(430)

        self.table = NumbersTable("First rows of the file")
        self.notes = QPlainTextEdit()
        self.notes.setReadOnly(True)
        self.notes.setAccessibleName("Notes on rows")
        self.tabs = QTabWidget()
        self.tabs.addTab(self.table, "First rows")
        self.tabs.addTab(self.notes, "Rows left out and odd")
        both = QSplitter(Qt.Orientation.Horizontal)
        both.addWidget(area)
        both.addWidget(self.tabs)
        both.setStretchFactor(0, 1)
        both.setStretchFactor(1, 1)
        both.setSizes([560, 500])

        choices = QHBoxLayout()
        for choice in (self.best, self.last):
            choice.clicked.connect(self._read)
            choices.addWidget(choice)
        choices.addStretch(1)
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.ok = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.ok.setText("&Import")
        self.ok.setProperty("leading", True)
        self.buttons.accepted.connect(self._take)
        self.buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addWidget(self.head)
        column.addWidget(self.work)
        column.addWidget(both, 1)
        column.addLayout(choices)
        column.addLayout(self._about_form())
        column.addWidget(self.buttons)
        self._offer()

    def _build_field(self, row: int, field: str, title: str, tip: str) -> None:
        name = QLabel(title)
        name.setToolTip(tip)
        box = QComboBox()
        box.setAccessibleName(f"Column of {title}")
        box.setToolTip(tip)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(15)
        box.activated.connect(self._on_mapping)
        name.setBuddy(box)
        self._columns[field] = box
        self.grid.addWidget(name, row, 0)
        self.grid.addWidget(box, row, 1)
        if field in BIG or field == "loss":
            scale = QComboBox()
            scale.setAccessibleName(f"{title} is written as")
            scale.setToolTip("How the column is written")
            ways: tuple[tuple[Any, ...], ...] = LOSSES if field == "loss" else COUNTED
            for text, *value in ways:
                scale.addItem(text, tuple(value))
            scale.activated.connect(self._on_mapping)
            self._scales[field] = scale
            self.grid.addWidget(scale, row, 2)
        why = QLabel()
        why.setProperty("quiet", True)
        self._why[field] = why
        self.grid.addWidget(why, row, 3)

    def _about_form(self) -> QGridLayout:
        named = self._preview.file.suite
        # a copy of a bundled table stands beside it, not in its place
        self.suite = QLineEdit(self._path.stem if named in bundled_suites() else named)
        self.suite.setAccessibleName("Name of the suite")
        self.suite.setToolTip("What the runs are called in the project")
        self.suite.textChanged.connect(self._offer)
        self.meaning = QComboBox()
        self.meaning.setAccessibleName("What the loss means")
        self.meaning.setToolTip(
            "Suites whose losses mean different things are never fitted together"
        )
        for name, words in MEANINGS:
            self.meaning.addItem(f"{name} ({words})", name)
        self.unit = QComboBox()
        self.unit.setAccessibleName("Unit of the loss")
        self.unit.setToolTip("Unit of the loss as it is stored")
        self.unit.addItems(LOSS_UNITS)
        self.source = QLineEdit(self._preview.file.source)
        self.source.setAccessibleName("Source")
        self.source.setToolTip(
            "Where the runs come from; it is shown beside everything they predict"
        )
        self.licence = QLineEdit(self._preview.file.about.get("licence", ""))
        self.licence.setAccessibleName("Licence")
        self.licence.setToolTip("Under which licence the runs may be used")
        self.use = QCheckBox("Fit the plot's loss law to these runs")
        self.use.setToolTip("Choose this suite for the law in use, as one undoable step")
        form = QGridLayout()
        for place, (title, widget) in enumerate(
            (
                ("Suite", self.suite),
                ("Source", self.source),
                ("The loss is", self.meaning),
                ("Licence", self.licence),
                ("in", self.unit),
            )
        ):
            label = QLabel(title)
            label.setBuddy(widget)
            form.addWidget(label, place // 2, 2 * (place % 2))
            form.addWidget(widget, place // 2, 2 * (place % 2) + 1)
        form.addWidget(self.use, 2, 3)
        form.setColumnStretch(1, 1)
        form.setColumnStretch(3, 1)
        return form

    # --- reading --------------------------------------------------------------------------------

    @Slot()
    def _read(self) -> None:
        file, mapping = self._preview.file, self._mapping() if self._touched else None
        keep = Keep(self.best.isChecked(), self.last.isChecked())

        def work() -> Steps[Any]:
            yield from ()
            return preview(file, mapping, keep=keep)

        self.work.run(work, f"Reading {file.path.name}")

    @Slot(object)
    def _on_read(self, found: Preview) -> None:
        self._preview = found
        self._show(found)
        self._offer()

    @Slot()
    def _on_mapping(self) -> None:
        self._touched = True
        # a column is one thing only: the field that had it before gives it up
        sender = self.sender()
        for box in self._columns.values():
            if box is not sender and sender in self._columns.values():
                taken = sender.currentData() if isinstance(sender, QComboBox) else None
                if taken and box.currentData() == taken:
                    box.setCurrentIndex(0)
        self._read()

    def _fill_boxes(self, found: Preview) -> None:
        for field, box in self._columns.items():
            box.clear()
            box.addItem(NOT_HERE, "")
            for column in found.columns:
                box.addItem(column, column)
            guess = found.guess.of(field)
            if guess is None:
                continue
            box.setCurrentIndex(max(0, box.findData(guess.column)))
            self._why[field].setText("" if guess.confidence >= SURE else "check this")
            self._why[field].setToolTip(_why(guess))
            box.setToolTip(f"{FIELDS[field][1]}\n{_why(guess)}")
            scale = self._scales.get(field)
            if scale is not None:
                wanted = (guess.scale, guess.transform) if field == "loss" else (guess.scale,)
                scale.setCurrentIndex(
                    next((i for i in range(scale.count()) if tuple(scale.itemData(i)) == wanted), 0)
                )
        # a guess too weak to be used without asking is shown, and used once it is shown
        self._touched = any(
            0 < guess.confidence < SURE for guess in found.guess.columns if guess.field
        )
        self.meaning.setCurrentIndex(max(0, self.meaning.findData(found.guess.loss_meaning)))
        self.meaning.setToolTip(found.guess.loss_reason or self.meaning.toolTip())
        self.unit.setCurrentText(found.guess.loss_unit)
        if self._touched:
            self._read()

    def _mapping(self) -> Mapping[str, ColumnGuess]:
        """The mapping in the boxes; a column that was guessed and is not wanted is kept under its name."""
        chosen: dict[str, ColumnGuess] = {}
        for field, box in self._columns.items():
            column = str(box.currentData() or "")
            if not column:
                continue
            scale, transform = 1.0, ""
            if field in self._scales:
                scale, *rest = tuple(self._scales[field].currentData())
                transform = rest[0] if rest else ""
            chosen[field] = ColumnGuess(column, field, scale, transform, 1.0, "chosen here")
        used = {guess.column for guess in chosen.values()}
        for guess in self._preview.guess.mapping.values():
            if guess.column not in used:
                kept = guess.column if guess.column != guess.field else f"{guess.column} (not used)"
                chosen[kept] = replace(guess, field=kept, scale=1.0, transform="")
        return chosen

    # --- showing --------------------------------------------------------------------------------

    def _show(self, found: Preview) -> None:
        counts = found.counts
        rows = counts.get("rows", 0)
        if found.problem:
            self.head.setText(f"⚠ {found.problem}")
        else:
            parts = [f"{found.kind}: {counts.get('read', 0):,} of {rows:,} rows can be imported"]
            for name, words in (
                ("errors", "left out"),
                ("duplicates", "exact copies"),
                ("missing", "with a value missing"),
                ("unfinished", "unfinished"),
                ("repeats", "the same size and tokens again (kept)"),
                ("outliers", "far from the others (kept)"),
            ):
                if counts.get(name):
                    parts.append(f"{counts[name]:,} {words}")
            whole = found.reading.whole if found.reading is not None else ()
            self.head.setText(
                "\n".join(["; ".join(parts) + ".", *(f"⚠ {text}." for text in whole)])
            )
        fields = {
            str(box.currentData()): FIELDS[field][0]
            for field, box in self._columns.items()
            if box.currentData()
        }
        header = [
            Cell(f"{column}\n→ {fields[column]}" if column in fields else f"{column}\n")
            for column in found.columns
        ]
        self.table.set_tones(tones(self))
        cells = [
            [
                Cell("" if value is None else str(value), tone="" if column in fields else "muted")
                for column, value in zip(found.columns, row, strict=True)
            ]
            for row in found.rows
        ]
        self.table.show_rows(header, cells, sortable=False)
        problems = [*found.errors, *found.warnings]
        notes = [f"Assumed: {note}" for note in found.notes]
        shown = [*notes, *problems[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            shown.append(f"and {len(problems) - MOST_SHOWN:,} more")
        self.notes.setPlainText("\n".join(shown) or "Every row can be imported.")
        self.tabs.setTabText(1, f"Rows left out and odd ({len(problems):,})")

    @Slot()
    def _offer(self) -> None:
        good = self._preview.reading is not None and not self.busy
        self.ok.setEnabled(good and bool(self.suite.text().strip()))
        taken = {runs.suite for runs in self._store.state.contents.runs}
        name = self.suite.text().strip()
        self.ok.setToolTip(
            f"Puts these runs in place of the suite '{name}'" if name in taken
            else "Store these runs in the project"
        )  # fmt: skip

    # --- importing -----------------------------------------------------------------------------

    def runs(self) -> TrainingRuns | None:
        """The runs as they would be stored."""
        reading = self._preview.reading
        if reading is None:
            return None
        return replace(
            reading.runs,
            suite=self.suite.text().strip(),
            loss_meaning=str(self.meaning.currentData()),
            loss_unit=self.unit.currentText(),
            source=self.source.text().strip(),
            licence=self.licence.text().strip(),
        )

    @Slot()
    def _take(self) -> None:
        runs = self.runs()
        if runs is None or not runs.suite:
            return
        self._store.put_runs(runs)
        if self.use.isChecked():
            loss = self._store.state.choices.loss
            self._store.choose(loss=replace(loss, suite=runs.suite, where=()))
        self.taken.emit(runs.suite)
        self.accept()

    def done(self, result: int) -> None:
        """Stop reading when the dialog is closed."""
        self.work.cancel()
        super().done(result)


def _why(guess: ColumnGuess) -> str:
    return f"Guessed from {guess.reason} (confidence {guess.confidence:.2f})"
