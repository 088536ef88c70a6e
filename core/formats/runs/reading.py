"""Run tables from files into TrainingRuns, with every row that was left out and the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from core.arrays import Floats
from core.document import Document
from core.errors import Unusable
from core.fit.repeats import Keep, keep_rows
from core.fit.row_filter import kept
from core.formats.runs.about import about_of
from core.formats.runs.cells import cell, derive, impossible
from core.formats.runs.columns import (
    NAMED_IN_FILE,
    SURE,
    ColumnGuess,
    Guess,
    as_field,
    guess_mapping,
    is_plain,
    meaning_of,
    stated,
)
from core.formats.runs.oddities import SIZES, odd_rows
from core.formats.runs.report import Report
from core.formats.runs.shapes import shape_columns
from core.formats.runs.tables import UNFINISHED, RawTable, read_table, table_of
from core.records.training_runs import TrainingRuns
from core.units import plain_number

# field -> column of the file (a name, or a guess someone edited)
FieldColumns = Mapping[str, "str | ColumnGuess"]
LEFT_OUT = "; left out"
ALL = Keep()


@dataclass(frozen=True, slots=True)
class Reading:
    """Runs as read, and what was found about rows on the way.

    `errors` has one line per row left out, `warnings` one per row kept but odd (outliers, repeats) and
    one where rows look like a sweep of settings or like checkpoints of one run,
    `notes` the assumptions made about the file. `counts` holds 'rows', 'read', 'errors',
    'duplicates', 'missing', 'repeats', 'outliers' and 'unfinished'. `report` is the same in short.
    `whole` are the warnings about all rows: a sweep of settings, checkpoints of runs.
    """

    runs: TrainingRuns
    report: Report
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    whole: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunsFile:
    """A file opened once: its table, what its columns are guessed to be, and what it says of itself.

    `about` holds the known keys of the lines above the header; `wrong` names those with a value that
    cannot be used.
    """

    path: Path
    table: RawTable
    guess: Guess
    about: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    @property
    def suite(self) -> str:
        """What the runs are called: as the file says, else as the file is called."""
        return self.about.get("suite", self.path.stem)

    @property
    def source(self) -> str:
        """Where the runs come from: as the file says, else the file's name."""
        return self.about.get("source", self.path.name)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file holds before it is read in: its first rows, the guess and every complaint.

    `file` can be previewed again under another mapping without being opened again. `problem` says why
    the file cannot be read under this guess (empty: it can); `reading` is then None.
    """

    file: RunsFile
    rows: tuple[tuple[Any, ...], ...]
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    reading: Reading | None = None

    @property
    def kind(self) -> str:
        """The kind of table, such as 'CSV'."""
        return self.file.table.kind

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.file.table.header

    @property
    def guess(self) -> Guess:
        """What the columns are guessed to be."""
        return self.file.guess


def read_runs(
    path: str | Path,
    mapping: FieldColumns | None = None,
    where: Sequence[str] | Mapping[str, str] | None = None,
) -> TrainingRuns:
    """The good rows of a CSV, JSON, JSON-lines or Parquet file, W&B export or MLflow folder.

    `mapping` names the file's column for each field; fields it leaves out are guessed. `where` keeps
    rows whose column has a value ('published_fit_set=20N+160N'). Raises Unusable when nothing is
    left or a needed column is missing. `load` also reports the rows left out.
    """
    return load(path, mapping, where).runs


def load(
    path: str | Path,
    mapping: FieldColumns | None = None,
    where: Sequence[str] | Mapping[str, str] | None = None,
    keep: Keep = ALL,
) -> Reading:
    """Like read_runs, with every row left out and the reason; `keep` leaves some rows to others."""
    reading = _reading(open_runs(path), mapping, keep)
    if where:
        try:
            reading = replace(reading, runs=kept(reading.runs, where))
        except Unusable as error:
            raise Unusable(f"{path}: {error}") from error
    return reading


def open_runs(source: str | Path | Document) -> RunsFile:
    """The table in a file, or in an opened document; Unusable where there is none."""
    if isinstance(source, Document):
        path, table = source.path, table_of(source)
    else:
        path, table = Path(source), read_table(Path(source))
    about, wrong = about_of(table.comments, table.header)
    guess = stated(guess_mapping(table.header, table.rows), about)
    return RunsFile(path, table, guess, about, tuple(wrong))


def preview(
    file: RunsFile, mapping: FieldColumns | None = None, shown: int = 20, keep: Keep = ALL
) -> Preview:
    """What an opened file holds under a mapping: the first rows, the guess and every complaint."""
    table = file.table
    head = table.rows[:shown]
    try:
        reading = _reading(file, mapping, keep)
    except Unusable as error:
        counts = {"rows": len(table.rows)}
        return Preview(file, head, notes=table.notes, counts=counts, problem=str(error))
    return Preview(
        file,
        head,
        reading.errors,
        reading.warnings,
        reading.notes,
        reading.counts,
        reading=reading,
    )


# --- reading


def _chosen(
    path: Path, table: RawTable, guess: Guess, mapping: FieldColumns | None
) -> dict[str, ColumnGuess]:
    """The column of each field: as given in the mapping, else as guessed with enough confidence."""
    given: dict[str, ColumnGuess] = {}
    for name, column in (mapping or {}).items():
        label = column.column if isinstance(column, ColumnGuess) else str(column)
        if label not in table.header:
            raise Unusable(
                f"{path}: no column '{label}' (given for {name}); there are "
                f"{', '.join(table.header)}"
            )
        if isinstance(column, ColumnGuess):
            given[name] = replace(column, field=name)
        else:
            index = table.header.index(label)
            given[name] = as_field(label, name, [row[index] for row in table.rows])
    used = {c.column for c in given.values()}
    return {f: c for f, c in guess.mapping.items() if c.column not in used} | given


def _reading(file: RunsFile, mapping: FieldColumns | None, keep: Keep) -> Reading:
    path, table, guess = file.path, file.table, file.guess
    chosen = _chosen(path, table, guess, mapping)
    _need(path, table, guess, chosen)
    position = {name: i for i, name in enumerate(table.header)}
    problems: dict[int, str] = {row: text for row, _, text in table.problems}
    counts = {"rows": len(table.rows), "missing": 0, "unfinished": 0, "duplicates": 0}
    columns: dict[str, list[float]] = {f: [] for f in chosen if f != "name"}
    state = position.get("State") if table.kind in ("W&B runs", "MLflow") else None
    seen: dict[tuple[Any, ...], int] = {}
    for row, cells in enumerate(table.rows, 1):
        wrong = problems.get(row, "")
        for name in columns:
            value, text = cell(chosen[name], cells[position[chosen[name].column]])
            columns[name].append(value)
            wrong = wrong or text
        if not wrong and state is not None and str(cells[state]).lower() in UNFINISHED:
            wrong, counts["unfinished"] = f"the run is {cells[state]}", counts["unfinished"] + 1
        if not wrong and cells in seen:
            wrong = f"repeats row {seen[cells]} in every column"
            counts["duplicates"] += 1
        seen.setdefault(cells, row)
        if wrong:
            problems[row] = wrong
    arrays = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    derived = [*table.notes, *derive(arrays)]
    impossible(chosen, arrays, problems, counts)
    good = np.array([row not in problems for row in range(1, len(table.rows) + 1)], dtype=bool)
    if not good.any():
        row, text = min(problems.items())
        raise Unusable(
            f"{path}: none of {len(table.rows)} rows can be used; {table.where(row)}: {text}{LEFT_OUT}"
        )
    runs = _runs(file, chosen, arrays).take(good)
    if "shapes" in file.about:
        runs, more = _with_shapes(runs, file.about["shapes"])
        derived += more
    rows = np.flatnonzero(good) + 1
    asked = keep_rows(runs, keep)
    problems |= {int(rows[i]): text for i, text in asked.why.items()}
    runs, rows = runs.take(asked.rows), rows[asked.rows]
    errors = [f"{table.where(row)}: {text}" for row, text in sorted(problems.items())]
    odd = odd_rows(runs, rows, table, chosen["name"].column if "name" in chosen else "")
    counts |= {
        "read": len(runs),
        "errors": len(problems),
        "repeats": len(odd.repeats),
        "outliers": len(odd.outliers),
    }
    notes = derived + [
        f"{c.field}: column '{c.column}' ({c.reason})"
        for c in chosen.values()
        if c.confidence < 0.9 or c.scale != 1.0 or c.transform
    ]
    warnings = (*file.wrong, *asked.warnings, *odd.whole)
    report = Report(
        len(table.rows),
        tuple(errors),
        _guessed(chosen, mapping),
        tuple(derived),
        (*warnings, *odd.outliers, *odd.repeats_in_short),
    )
    return Reading(
        odd.runs,
        report,
        tuple(f"{line}{LEFT_OUT}" for line in errors),
        (*warnings, *odd.outliers, *odd.repeats),
        tuple(notes),
        counts,
        odd.whole,
    )


def _guessed(
    chosen: Mapping[str, ColumnGuess], mapping: FieldColumns | None
) -> dict[str, tuple[str, str]]:
    """Column and reason of every field that was guessed; a column called like its field is certain."""
    return {
        name: (guess.column, guess.reason)
        for name, guess in chosen.items()
        if name not in (mapping or {})
        and guess.reason != NAMED_IN_FILE
        and (guess.column != name or guess.scale != 1.0 or guess.transform)
    }


def _need(path: Path, table: RawTable, guess: Guess, chosen: Mapping[str, ColumnGuess]) -> None:
    """Unusable, with what was looked for and found, unless tokens, loss and a size can be known."""
    size = any(f in chosen for f in (*SIZES, "n_layers"))
    tokens = "tokens" in chosen or (
        any(f in chosen for f in SIZES) and ("flops" in chosen or "tokens_per_parameter" in chosen)
    )
    missing = [
        text
        for there, text in (
            (tokens, "training tokens (tokens, train_tokens, ...)"),
            ("loss" in chosen, "a loss (loss, val_loss, bpb, ...)"),
            (size, "a size (params_total, params_non_embedding, or n_layers and d_model)"),
        )
        if not there
    ]
    if not missing:
        return
    maybe = [
        f"'{c.column}' may be {c.field}" for c in guess.columns if c.field and c.confidence < SURE
    ]
    hint = f"; {', '.join(maybe)}: name it in the mapping" if maybe else ""
    found = ", ".join(table.header[:30]) + (", ..." if len(table.header) > 30 else "")
    raise Unusable(f"{path}: no column for {' and '.join(missing)}; found {found}{hint}")


def _with_shapes(runs: TrainingRuns, rule: str) -> tuple[TrainingRuns, list[str]]:
    """The runs with the columns that follow from the shapes of `rule`, and a note of them."""
    more = shape_columns(rule, runs)
    new = [name for name in more if name not in runs.columns]
    if not new:
        return runs, []
    note = (
        f"{', '.join(new)}: by the shapes of {rule}, where they have exactly the row's parameters"
    )
    return replace(runs, columns={**runs.columns, **more}), [note]


def _runs(
    file: RunsFile,
    chosen: Mapping[str, ColumnGuess],
    arrays: Mapping[str, Floats],
) -> TrainingRuns:
    table, loss = file.table, chosen["loss"]
    columns = dict(arrays)
    if loss.column == file.about.get("loss column") and not loss.transform:
        # a table with several losses keeps each under its own name
        columns[loss.column] = columns["loss"]
    labels: dict[str, tuple[str, ...]] = {}
    used = {c.column for c in chosen.values()}
    for index, name in enumerate(table.header):
        if name in used or name in columns:
            continue
        cells = [row[index] for row in table.rows]
        if is_plain(cells):
            columns[name] = np.array([plain_number(cell) for cell in cells], dtype=np.float64)
        else:
            labels[name] = tuple("" if cell is None else str(cell).strip() for cell in cells)
    if "name" in chosen:
        index = table.header.index(chosen["name"].column)
        names = [str(row[index]).strip() or f"row {i}" for i, row in enumerate(table.rows, 1)]
    else:
        names = [f"row {i}" for i in range(1, len(table.rows) + 1)]
    meaning, unit, _ = meaning_of(loss.column)
    guessed = file.guess.of("loss")
    if guessed is not None and guessed.column == loss.column:
        meaning, unit = file.guess.loss_meaning, file.guess.loss_unit
    return TrainingRuns(
        suite=file.suite,
        names=tuple(names),
        columns=columns,
        labels=labels,
        loss_meaning=meaning,
        loss_unit=unit,
        source=file.source,
        licence=file.about.get("licence", ""),
    )
