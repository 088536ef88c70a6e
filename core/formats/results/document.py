"""A result file opened once: JSON, JSON lines, CSV or YAML, whatever its name says."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Unusable

LARGEST_BYTES = 2 * 2**30


@dataclass(frozen=True, slots=True)
class Document:
    """A file's content: one JSON or YAML `value`, or `rows` of objects (JSON lines, CSV)."""

    path: Path
    kind: str  # 'json', 'jsonl', 'csv', 'yaml'
    value: Any = None
    rows: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def object(self) -> Mapping[str, Any]:
        """The JSON object; an empty one when the file holds something else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def objects(self) -> tuple[Mapping[str, Any], ...]:
        """All objects the file holds: its one object, its list of objects, or its rows."""
        if self.rows:
            return self.rows
        if isinstance(self.value, list):
            return tuple(v for v in self.value if isinstance(v, Mapping))
        return (self.value,) if isinstance(self.value, Mapping) else ()

    @property
    def found(self) -> str:
        """What the file holds, in words, for a message."""
        kinds = {"json": "JSON", "jsonl": "JSON lines", "csv": "CSV", "yaml": "YAML"}
        keys: list[str] = []
        for item in self.objects[:1]:
            keys = [str(k)[:40] for k in item][:10]
        shape = {"csv": "columns", "jsonl": "keys"}.get(self.kind, "top-level keys")
        if not keys:
            return f"{kinds[self.kind]} holding {type(self.value).__name__}"
        inside = "a list of objects with " if isinstance(self.value, list) else ""
        return f"{kinds[self.kind]}, {inside}{shape} {', '.join(keys)}"


def open_document(path: Path) -> Document:
    """Read a file by its content; Unusable says which file and where it breaks off."""
    try:
        size = path.stat().st_size
        if size > LARGEST_BYTES:
            raise Unusable(f"{path}: {size / 2**30:.1f} GiB is too large to be a result file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise Unusable(f"{path}: there is no such file") from None
    except OSError as error:
        raise Unusable(f"{path}: cannot be read ({error.strerror or error})") from error
    if b"\0" in data[:4096] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise Unusable(f"{path}: a binary file, not the text of results")
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unusable(f"{path}: not UTF-8 text (byte {error.start})") from error
    if not text.strip():
        raise Unusable(f"{path}: the file is empty")
    first = text.lstrip()[0]
    if first in "{[":
        return _json(path, text)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _yaml(path, text)
    return _csv(path, text)


def _json(path: Path, text: str) -> Document:
    try:
        return Document(path, "json", json.loads(text))
    except RecursionError:
        raise Unusable(f"{path}: nested too deeply to be a result file") from None
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        rows, broken = _lines(lines)
        # a broken list with one object a line is no JSON lines file: those begin with an object
        if len(lines) > 1 and _lines(lines[:1])[0]:
            notes = (f"{broken} of {len(lines)} lines are not JSON and were left out",)
            return Document(path, "jsonl", rows=tuple(rows), notes=notes if broken else ())
        at_end = error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg
        cut = "; the file seems cut off" if at_end else ""
        raise Unusable(
            f"{path}: not complete JSON: {error.msg} at line {error.lineno} "
            f"column {error.colno}{cut}"
        ) from error


def _lines(lines: list[str]) -> tuple[list[Mapping[str, Any]], int]:
    rows: list[Mapping[str, Any]] = []
    broken = 0
    for line in lines:
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            broken += 1
            continue
        if isinstance(value, Mapping):
            rows.append(value)
        else:
            broken += 1
    return rows, broken


def _yaml(path: Path, text: str) -> Document:
    import yaml

    try:
        # safe_load builds plain values only
        return Document(path, "yaml", yaml.safe_load(text))
    except (yaml.YAMLError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise Unusable(f"{path}: not valid YAML{line}") from error


def _csv(path: Path, text: str) -> Document:
    header = text.lstrip().splitlines()[0]
    delimiter = max(",;\t", key=header.count)
    try:
        table = list(csv.reader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise Unusable(f"{path}: not a table ({error})") from error
    names = [name.strip() for name in table[0]]
    body = [row for row in table[1:] if any(cell.strip() for cell in row)]
    if len(names) < 2:
        raise Unusable(f"{path}: neither JSON, JSON lines, CSV nor YAML; it begins {header[:60]!r}")
    whole = [row for row in body if len(row) == len(names)]
    notes: tuple[str, ...] = ()
    if len(whole) < len(body):
        missing = len(body) - len(whole)
        notes = (f"{missing} of {len(body)} rows have another number of cells and were left out",)
    if not whole:
        raise Unusable(f"{path}: a table with columns {', '.join(names[:10])} but no complete row")
    rows = tuple(dict(zip(names, row, strict=True)) for row in whole)
    return Document(path, "csv", rows=rows, notes=notes)
