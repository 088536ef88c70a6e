"""Results of any known tool, recognised by the file's content and not by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.document import Document, open_document
from core.errors import Unusable
from core.formats.results.no_results import why_no_results
from core.formats.results.readers import ResultFormat, result_formats
from core.guarded import is_folder
from core.harmless import visible
from core.records.imported import ImportedPoint

MOST_FILES = 1000


def read_results(path: Path | str) -> tuple[ImportedPoint, ...]:
    """The points of a result file, or of every known result file in a folder.

    Unusable, with what was looked for and what was found, when the file is unknown or broken. In a
    folder broken files are skipped with a note on the other points, unless all of them are broken.
    """
    path = Path(path)
    if not is_folder(path):
        return read_document(open_document(path))
    files = _in_folder(path)
    if not files:
        patterns = [pattern for row in result_formats() for pattern in row.in_folders]
        names = list(dict.fromkeys(pattern.rpartition("/")[2] for pattern in patterns))
        looked_for = f"{', '.join(names[:6])} and {len(names) - 6} more names"
        raise Unusable(f"{path}: no result file in this folder (looked for {looked_for})")
    if len(files) > MOST_FILES:
        raise Unusable(f"{path}: {len(files)} result files; name a smaller folder")
    points: list[ImportedPoint] = []
    errors: list[str] = []
    for file in files:
        try:
            points += read_document(open_document(file))
        except Unusable as error:
            errors.append(str(error))
    if not points:
        raise Unusable(errors[0])
    if errors:
        told = f"{len(errors)} of {len(files)} files, the first: {errors[0]}"
        points = [replace(p, left_out=(*p.left_out, told)) for p in points]
    return tuple(points)


def _in_folder(folder: Path) -> list[Path]:
    """The files of every known tool in a folder, without those that repeat another."""
    found: dict[Path, ResultFormat] = {}
    for row in result_formats():
        for pattern in row.in_folders:
            found |= {file: row for file in folder.glob(pattern) if file.is_file()}
    return sorted(file for file, row in found.items() if not row.repeated(file, found))


def format_of(document: Document) -> ResultFormat | None:
    """The first format that recognises an opened file; None where it holds no known results."""
    return next((row for row in result_formats() if row.recognises(document)), None)


def read_document(document: Document) -> tuple[ImportedPoint, ...]:
    """The points of an opened file, read as the format that it is recognised as, each named in one line
    without control characters. Raises Unusable, with what was looked for, when no format recognises it."""
    row = format_of(document)
    if row is not None:
        return tuple(
            replace(p, name=visible(p.name), device=visible(p.device)) for p in row.read(document)
        )
    raise Unusable(f"{document.path}: {why_not(document)}")


def why_not(document: Document) -> str:
    """Why a file is not read as results: what it is, or the format whose files are most like it, what it
    lacks of that, and what it holds. Short, since it is one line in a terminal or a dialog."""
    known = why_no_results(document)
    if known:
        return known
    present = _names_in(document)
    best, row = max(
        ((len(marks(row) & present), row) for row in result_formats()), key=lambda pair: pair[0]
    )
    found = f"found {_shortened(document.found, 110)}"
    if not best:
        return f"not a known result file (help page 'Files' lists them); {found}"
    missing = ", ".join(f"'{mark}'" for mark in sorted(marks(row) - present)[:4])
    lacks = f", which lacks {missing}" if missing else ""
    return f"not a known result file; nearest is {_shortened(row.title, 48)}{lacks}; {found}"


def marks(row: ResultFormat) -> frozenset[str]:
    """The names of keys that a format's files are recognised by, from what people are told of it."""
    return frozenset(re.findall(r"'([\w.,/ -]+)'", row.looked_for))


def _names_in(document: Document) -> set[str]:
    """The keys of a file, three objects deep."""
    names: set[str] = set()
    level: list[Any] = list(document.objects[:5]) or [document.value]
    for _ in range(3):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                names |= {str(key) for key in item}
                inner += item.values()
            elif isinstance(item, list):
                inner += item[:5]
        level = inner
    return names


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
