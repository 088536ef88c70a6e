"""The log of one run as CSV: Lightning's `metrics.csv`, or a CSV for each run of a ladder.

A row is a step, and cells are empty where nothing was logged at it. The last value of each column is
taken, as of a run's chart.
"""

from __future__ import annotations

import re
from typing import Any

from core.document import Document, open_document, words_of
from core.errors import Unusable
from core.formats.runs.columns import guess_mapping
from core.formats.runs.single.run_files import OneRun, RunFile, run_name
from core.units import plain_number

STEPS = frozenset(
    {"step", "steps", "iteration", "iter", "globalstep", "trainerglobalstep", "epoch"}
)
SIZES = ("params_total", "params_non_embedding", "n_layers", "d_model")
# '190M-1xC': the size that a run is named by
NAMED_SIZE = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)([MB])(?![A-Za-z0-9])")
SCALES = {"M": 1e6, "B": 1e9}


def recognises(document: Document) -> bool:
    """True for a table with a column of steps that never fall, a loss, and no size or name of a run."""
    if document.kind != "csv" or len(document.cells) < 2:
        return False
    steps = [n for n, name in enumerate(document.header) if "".join(words_of(name)) in STEPS]
    if not steps:
        return False
    values = [plain_number(row[steps[-1]]) for row in document.cells]
    known = [v for v in values if v is not None and v == v]
    if len(known) < 2 or known != sorted(known) or known[0] == known[-1]:
        return False
    guess = guess_mapping(document.header, document.cells)
    named = guess.of("name")
    if any(guess.of(field) for field in SIZES):
        return False
    return guess.of("loss") is not None and named is None


def read(document: Document) -> OneRun:
    """The last value of each column, what hparams.yaml beside it says, and the size in the file's name."""
    row: dict[str, Any] = {"name": run_name(document.path, "metrics")}
    for index, column in enumerate(document.header):
        filled = [cells[index] for cells in document.cells if cells[index].strip()]
        if filled:
            row[column] = filled[-1]
    notes = [f"the last value of each column of {len(document.cells)} rows is taken"]
    settings = _settings_beside(document)
    row |= {key: cell for key, cell in settings.items() if key not in row}
    if settings:
        notes.append("settings: from the hparams.yaml beside it")
    size = NAMED_SIZE.search(str(row["name"]))
    if size and not any(key in row for key in SIZES):
        row["params_total"] = float(size[1]) * SCALES[size[2]]
        notes.append("params_total: the round size in the run's name")
    return OneRun(row, tuple(notes))


def _settings_beside(document: Document) -> dict[str, Any]:
    path = document.path.with_name("hparams.yaml")
    if not path.is_file():
        return {}
    try:
        values = open_document(path).object
    except Unusable:
        return {}
    return {str(k): v for k, v in values.items() if isinstance(v, str | int | float)}


FORMAT = RunFile(
    title="Lightning, CSV logs",
    file="metrics.csv, a CSV for each run",
    checked_against="documented columns, files by hand",
    suffix=".csv",
    recognises=recognises,
    read=read,
)
