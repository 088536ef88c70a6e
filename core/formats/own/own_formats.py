"""The formats of this program's own files: one module of this folder each, which holds its row."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from core.collect import collected


@dataclass(frozen=True, slots=True)
class OwnFormat:
    """A file of candidates (`kind` 'selection') or of measurements as they were made ('measurements').

    `key` names it on the command line, `title` and `checked_against` tell people what it is and what
    it was checked against, `file` is its usual name.
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
