"""The formats of this program's own files: one module of this folder each, which holds its row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from core.collect import collected


@dataclass(frozen=True, slots=True)
class OwnFormat:
    """A file of candidates (`kind` 'selection') or of measurements as they were made ('measurements').

    `key` is its name on the command line and `file` its usual file name. `title` and `checked_against`
    are texts for people.
    """

    key: str
    title: str
    file: str
    checked_against: str
    kind: str = "selection"


@cache
def own_formats() -> tuple[OwnFormat, ...]:
    """Every format of this folder, by title."""
    rows = collected("core.formats.own", OwnFormat)
    return tuple(sorted(rows, key=lambda row: row.title.casefold()))
