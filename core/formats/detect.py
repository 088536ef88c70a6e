"""What a file is, by its content: a project, a space, training runs, results or a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.document import Document, open_document
from core.errors import Unusable
from core.formats.results.reading import format_of, read_results, why_not
from core.formats.runs.reading import open_runs, preview
from core.formats.runs.single.run_files import kind_of
from core.formats.runs.tables import is_parquet
from core.guarded import is_folder, read_start

SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds: kind is 'project', 'space', 'runs', 'results' or 'model'.

    `value` is the path of a project, the text of a space, a `core.formats.runs.reading.Preview`
    whose runs could be read, the imported points, or the path of a model's folder or config.
    """

    kind: str
    path: Path
    value: Any


def what_file(path: Path | str) -> Found:
    """What this file or folder is; Unusable names what was looked for and what was found."""
    path = Path(path)
    if is_folder(path):
        return _folder(path)
    head = read_start(path, len(SQLITE))
    if head == SQLITE or path.suffix == ".paretoscope":
        return Found("project", path, path)
    if path.suffix.lower() == ".toml":
        from core.space.space_file import read_space

        return Found("space", path, read_space(path).text)
    return _document(path)


def _folder(path: Path) -> Found:
    if (path / "config.json").is_file():
        return Found("model", path, path)
    if (path / "meta.yaml").is_file() or (path / "params").is_dir():
        return _runs(path)
    try:
        return Found("results", path, read_results(path))
    except Unusable:
        # a folder with a file for each run
        try:
            return _runs(path)
        except Unusable:
            pass
        raise


def _runs(source: Path | Document) -> Found:
    """Runs, with the opened file; Unusable where none can be read under the guess."""
    found = preview(open_runs(source))
    if found.problem:
        raise Unusable(found.problem)
    return Found("runs", found.file.path, found)


def _document(path: Path) -> Found:
    if is_parquet(path):
        return _runs(path)
    document = open_document(path)
    values, inner = document.object, document.object.get("text_config")
    if "model_type" in values and (
        "hidden_size" in values or (isinstance(inner, Mapping) and "hidden_size" in inner)
    ):
        return Found("model", path, path)
    if kind_of(document) is not None:
        return _runs(document)
    named = format_of(document)
    if named is not None and not named.general:
        return Found("results", path, named.read(document))
    # a table of runs may also look like one of results, which hold losses and sizes too
    try:
        return _runs(document)
    except Unusable:
        if named is not None:
            return Found("results", path, named.read(document))
    raise Unusable(f"{path.name} is of no known kind: {why_not(document)}")
