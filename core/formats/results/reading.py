"""Results of any known tool, recognised by the file's content and not by its name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.document import Document, open_document
from core.errors import Unusable
from core.formats.results.readers import ResultFormat, result_formats
from core.records.imported import ImportedPoint

MOST_FILES = 1000


def read_results(path: Path | str) -> tuple[ImportedPoint, ...]:
    """The points of a result file, or of every known result file in a folder.

    Unusable, with what was looked for and what was found, when the file is unknown or broken. In a
    folder broken files are skipped with a note on the other points, unless all of them are broken.
    """
    path = Path(path)
    if not path.is_dir():
        return read_document(open_document(path))
    files = _in_folder(path)
    if not files:
        patterns = [pattern for row in result_formats() for pattern in row.in_folders]
        names = ", ".join(pattern.rpartition("/")[2] for pattern in patterns)
        raise Unusable(f"{path}: no result file in this folder (looked for {names})")
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
        note = f"{len(errors)} of {len(files)} files were skipped, the first: {errors[0]}"
        points = [replace(p, notes=(*p.notes, note)) for p in points]
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
    """The points of an opened file, read as the format that it is recognised as. Raises Unusable, with
    what was looked for, when no format recognises it."""
    row = format_of(document)
    if row is not None:
        return row.read(document)
    looked_for = "; ".join(row.looked_for for row in result_formats())
    raise Unusable(
        f"{document.path}: not a known result file; looked for {looked_for}; found {document.found}"
    )
