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
    """False: a file that says something no other file of its folder says."""
    return False


@dataclass(frozen=True, slots=True)
class ResultFormat:
    """Results of one tool: how its files are recognised and read.

    `title` names the tools, `file` the usual file and `checked_against` what the reader was checked
    against, for people. `looked_for` says in a refusal what marks such a file. `recognises` must be
    False for the files of all other formats. `read` gives at least one point or raises Unusable.

    `in_folders` are patterns of the files that the tool leaves in a folder of results;
    `repeated(file, files)` is True for one whose content another file of the folder holds too.
    A `general` format recognises what many tools could have written, so it is asked last of all.
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
    """Every format of this folder in the order they are asked: by title, general ones last."""
    rows = collected("core.formats.results", ResultFormat)
    return tuple(sorted(rows, key=lambda row: (row.general, row.title.casefold())))
