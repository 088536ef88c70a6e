"""The kinds of files that hold one training run each, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.collect import collected
from core.document import Document


@dataclass(frozen=True, slots=True)
class OneRun:
    """A run as a row of a table, column -> cell, and the notes on how its cells came about."""

    row: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunFile:
    """A kind of file with one run: how it is recognised and read.

    `title`, `file` and `checked_against` are for people. `recognises` is False for the files of all other
    kinds and for tables of runs. `read` gives what the file holds of a run, which may lack what a fit
    needs. `suffix` is that of its files in a folder of runs.
    """

    title: str
    file: str
    checked_against: str
    suffix: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document], OneRun]


@cache
def run_files() -> tuple[RunFile, ...]:
    """Every kind of this folder, by title."""
    rows = collected("core.formats.runs.single", RunFile)
    return tuple(sorted(rows, key=lambda row: row.title.casefold()))


def kind_of(document: Document) -> RunFile | None:
    """The kind that recognises an opened file; None for a file of any other kind."""
    return next((row for row in run_files() if row.recognises(document)), None)


def run_name(path: Path, usual: str) -> str:
    """The name of a run: of its file, or of its folder where the file has the usual name of its kind."""
    folder = path.absolute().parent
    if path.stem != usual or not folder.name:
        return path.stem
    return f"{folder.parent.name}/{folder.name}" if folder.parent.name else folder.name
