"""The formats of results that can be read: one module of this folder each, which holds its row."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.collect import collected
from core.document import Document
from core.records.imported import ImportedPoint


def never(_: Path, __: Collection[Path]) -> bool:
    """False: no other file of the folder repeats this one."""
    return False


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """Results of one tool: how its files are recognised and read.

    `title` names the tools, `file` the usual file, and `checked_against` what the reader was checked
    against; all three are for people. `looked_for` is the part of an error message that says how such
    a file is recognised. `recognises` must be False for the files of all other formats. `read` gives
    at least one point or raises Unusable.

    `in_folders` are patterns of the files that the tool leaves in a folder of results.
    `repeated(file, files)` is True for a file whose content is also in another file of the folder.
    A `general` format recognises files that many tools could have written, so it is tried last.
    """

    title: str
    file: str
    checked_against: str
    looked_for: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document], tuple[ImportedPoint, ...]]
    in_folders: tuple[str, ...] = ()
    repeated: Callable[[Path, Collection[Path]], bool] = never
    general: bool = False


@cache
def result_formats() -> tuple[ResultFormat, ...]:
    """Every format of this folder in the order they are tried: by title, general ones last."""
    rows = collected("core.formats.results", ResultFormat)
    return tuple(sorted(rows, key=lambda row: (row.general, row.title.casefold())))
