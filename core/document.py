"""A text file opened once: JSON, JSON lines, CSV or YAML, recognised by its content and not its name."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.guarded import (
    TOO_DEEP,
    check_brackets,
    check_nesting,
    json_start,
    json_value,
    most_document_bytes,
    read_text,
)
from core.units import plain_number

# a number with a decimal comma, and a cell of one or of a mean and its spread
DECIMAL_COMMA = re.compile(r"([+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)),(\d+)")
COMMA_CELL = re.compile(rf"{DECIMAL_COMMA.pattern}(\s*(±|\+/-)\s*\d+(,\d+)?)?")
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
MARKDOWN_RULE = re.compile(r"\|?(\s*:?-{2,}:?\s*\|)+(\s*:?-{2,}:?\s*)?")
# a log line such as '[INFO] loading' is no JSON
LOG_MARK = re.compile(r"\[\s*[A-Za-z]")

# PyYAML reads some hundred thousand characters a second
MOST_YAML = 16_000_000

# a row number from 1, its line in the file or 0, and what is wrong with it
Problem = tuple[int, int, str]


@dataclass(frozen=True)
class Document:
    """A file's content: one JSON or YAML `value`, or a table of `header` and `cells`, or `records`.

    CSV has a header of unique names and as many cells of text in every row; JSON lines have an
    object in every record. `lines` holds the line of the file on which each row or record begins.
    `problems` are incomplete rows: their cells were padded or cut, their record is empty.
    `comments` are the lines that begin with '#' above the header of a CSV. `around` says which lines of
    other text (a log) stand around the JSON.
    """

    path: Path
    kind: str  # 'json', 'jsonl', 'csv', 'yaml'
    value: Any = None
    header: tuple[str, ...] = ()
    cells: tuple[tuple[str, ...], ...] = ()
    records: tuple[Mapping[str, Any], ...] = ()
    lines: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    comments: tuple[str, ...] = ()
    around: str = ""

    @cached_property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """The complete rows of a table, by column, or the objects of JSON lines."""
        wrong = {row for row, _, _ in self.problems}
        if self.kind == "csv":
            whole = [c for row, c in enumerate(self.cells, 1) if row not in wrong]
            return tuple(dict(zip(self.header, cells, strict=True)) for cells in whole)
        return tuple(r for row, r in enumerate(self.records, 1) if row not in wrong)

    @property
    def object(self) -> Mapping[str, Any]:
        """The JSON object; an empty one when the file holds something else."""
        if self.kind == "jsonl" and len(self.rows) == 1:
            return self.rows[0]
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
    def left_out(self) -> tuple[str, ...]:
        """What `rows` and `value` leave out of the file; empty when that is nothing."""
        around = (self.around,) if self.around else ()
        if not self.problems:
            return around
        if self.kind == "csv":
            many, wrong = f"{len(self.cells)} rows", "have another number of cells"
        else:
            many, wrong = f"{len(self.records)} lines", "are not JSON"
        return (*around, f"{len(self.problems)} of {many} {wrong}")

    @property
    def found(self) -> str:
        """The file's content in words, for a message."""
        kinds = {"json": "JSON", "jsonl": "JSON lines", "csv": "CSV", "yaml": "YAML"}
        keys = [_one_line(str(key))[:40] for item in self.objects[:1] for key in item][:10]
        shape = {"csv": "columns", "jsonl": "keys"}.get(self.kind, "top-level keys")
        if not keys:
            return f"{kinds[self.kind]} holding {type(self.value).__name__}"
        inside = "a list of objects with " if isinstance(self.value, list) else ""
        return f"{kinds[self.kind]}, {inside}{shape} {', '.join(keys)}"


def open_document(path: Path) -> Document:
    """The content of a file, of any kind; Unusable names the file and the place of the error."""
    text = read_text(path, most_document_bytes())
    begins = text.lstrip()
    if (begins[0] in "{[" and not LOG_MARK.match(begins)) or _named_lines(path):
        return _json(path, text)
    if path.suffix.lower() in (".yaml", ".yml"):
        return _yaml(path, text)
    return _json_in_log(path, text) or _markdown(path, text) or _csv(path, text)


# --- JSON and YAML


def _named_lines(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson")


def _json(path: Path, text: str) -> Document:
    try:
        value = json_value(text)
    except json.JSONDecodeError as error:
        if _several_lines(path, text):
            return _json_lines(path, text)
        at_end = error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg
        cut = "; the file seems cut off" if at_end else ""
        raise Unusable(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}{cut}"
        ) from None
    except ValueError as error:
        if _several_lines(path, text):
            return _json_lines(path, text)
        raise Unusable(f"{path}: not JSON that can be read: {error}") from None
    if _named_lines(path) and isinstance(value, dict):
        return Document(path, "jsonl", records=(value,), lines=(1,))
    return Document(path, "json", value)


def _json_in_log(path: Path, text: str) -> Document | None:
    """The JSON after lines of other text, as a program prints it to the same place as its log.

    None where the first line that begins like JSON does not begin an object or a list of objects.
    """
    lines = text.splitlines(keepends=True)
    above = next(
        (
            n
            for n, line in enumerate(lines)
            if line.startswith(("{", "[")) and not LOG_MARK.match(line)
        ),
        None,
    )
    if above is None:
        return None
    rest = "".join(lines[above:])
    try:
        value, end = json_start(rest)
    except ValueError:
        return None
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    around = f"{above} lines of other text above the JSON"
    after = rest[end:].strip()
    if after.startswith("{"):
        return replace(_json_lines(path, rest), around=around)
    below = len(after.splitlines())
    if below:
        around += f" and {below} below it"
    return Document(path, "json", value, around=around)


def _several_lines(path: Path, text: str) -> bool:
    """Whether a text that is not one value may be JSON lines, which begin with an object."""
    first = next(line for line in text.splitlines() if line.strip())
    begins = first.strip() != text.strip() and isinstance(_parsed(first)[0], dict)
    return begins or _named_lines(path)


def _parsed(text: str) -> tuple[Any, str]:
    """The value of a text, and the error if it is not JSON."""
    try:
        return json_value(text), ""
    except ValueError as error:
        return None, f"not valid JSON: {getattr(error, 'msg', error)}"


def _json_lines(path: Path, text: str) -> Document:
    records: list[Mapping[str, Any]] = []
    lines: list[int] = []
    problems: list[Problem] = []
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        value, wrong = _parsed(content)
        if not isinstance(value, dict):
            problems.append((len(records) + 1, line, wrong or "not an object"))
        records.append(value if isinstance(value, dict) else {})
        lines.append(line)
    if len(problems) == len(records):
        _, line, wrong = problems[0]
        raise Unusable(f"{path}: no line holds a JSON object; line {line}: {wrong}")
    return Document(
        path, "jsonl", records=tuple(records), lines=tuple(lines), problems=tuple(problems)
    )


def _yaml(path: Path, text: str) -> Document:
    try:
        import yaml
    except ImportError:
        raise Unusable(f"{path}: reading YAML needs PyYAML ('pip install pyyaml')") from None
    try:
        if len(text) > MOST_YAML:
            raise ValueError(
                f"{len(text):,} characters take too long; at most {MOST_YAML:,} do not"
            )
        check_brackets(text)
        # safe_load builds plain values only
        value = yaml.safe_load(text)
        check_nesting(value, len(text))
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" at line {where.line + 1}" if where else ""
        raise Unusable(f"{path}: not valid YAML{line}") from error
    except RecursionError:
        raise Unusable(f"{path}: not YAML that can be read: {TOO_DEEP}") from None
    except (ValueError, TypeError, AttributeError, LookupError, OverflowError) as error:
        # a date that does not exist, a number too long, and what PyYAML itself does not expect
        raise Unusable(f"{path}: not YAML that can be read: {error}") from error
    return Document(path, "yaml", value)


# --- Markdown and CSV


def _markdown(path: Path, text: str) -> Document | None:
    """The first Markdown table of a text, as a table of cells; None where there is none."""
    lines = [line.strip() for line in text.split("\n")]
    top = next(
        (
            n
            for n, line in enumerate(lines[:-1])
            if "|" in line and MARKDOWN_RULE.fullmatch(lines[n + 1])
        ),
        None,
    )
    if top is None:
        return None
    end = next((n for n in range(top + 2, len(lines)) if "|" not in lines[n]), len(lines))
    header, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines[top:end]
    )
    rows = rows[1:]
    other = sum(bool(line) for line in (*lines[:top], *lines[end:]))
    problems = tuple(
        (number, top + 2 + number, f"{len(cells)} cells where the header has {len(header)}")
        for number, cells in enumerate(rows, 1)
        if len(cells) != len(header)
    )
    if len(header) < 2 or len(problems) == len(rows):
        return None
    return Document(
        path,
        "csv",
        header=unique(header),
        cells=tuple(tuple((c + [""] * len(header))[: len(header)]) for c in rows),
        lines=tuple(range(top + 3, end + 1)),
        problems=problems,
        around=f"{other} lines of other text around the table" if other else "",
    )


def _csv(path: Path, text: str) -> Document:
    # some tools write the source of a table above its header
    content = text.split("\n")
    above = next((n for n, c in enumerate(content) if c.strip() and not c.startswith("#")), None)
    if above is None:
        raise Unusable(f"{path}: there are only comments in it")
    first = content[above].strip()
    delimiter = max(",;\t|", key=first.count)
    body = io.StringIO("\n".join(content[above:]), newline="")
    reader = csv.reader(body, delimiter=delimiter)
    header: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    problems: list[Problem] = []
    last_line = 0
    try:
        for cells in reader:
            line, last_line = above + last_line + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = unique(_one_line(cell) for cell in cells)
                continue
            if len(cells) != len(header):
                problems.append(
                    (len(rows) + 1, line, f"{len(cells)} cells where the header has {len(header)}")
                )
                cells = (cells + [""] * len(header))[: len(header)]
            rows.append(tuple(cells))
            lines.append(line)
    except csv.Error as error:
        raise Unusable(f"{path}: line {above + reader.line_num} is not CSV: {error}") from None
    if delimiter != "," and _decimal_commas(rows, delimiter):
        rows = [tuple(_points(cells)) for cells in rows]
    if len(header) < 2:
        raise Unusable(f"{path}: neither JSON, JSON lines, CSV nor YAML; it begins {first[:60]!r}")
    if all(isinstance(plain_number(name), float) for name in header):
        raise Unusable(
            f"{path}: the first line holds only numbers; write a line of column names first"
        )
    names = ", ".join(header)[:120]
    if not rows:
        raise Unusable(f"{path}: there is a header ({names}) but no row under it")
    if len(problems) == len(rows):
        _, line, wrong = problems[0]
        raise Unusable(
            f"{path}: a table with columns {names} but no complete row; line {line}: {wrong}"
        )
    return Document(
        path,
        "csv",
        header=header,
        cells=tuple(rows),
        lines=tuple(lines),
        problems=tuple(problems),
        comments=tuple(line.strip() for line in content[:above] if line.startswith("#")),
    )


def _one_line(name: str) -> str:
    """A name without line breaks, which quotes allow and no message does."""
    return " ".join(name.split()) if "\n" in name or "\r" in name else name.strip()


def _decimal_commas(rows: Sequence[Sequence[str]], delimiter: str) -> bool:
    """Whether a comma in a cell is the decimal point: always between semicolons, which are written for
    its sake; elsewhere where some cell can be meant in no other way."""
    return delimiter == ";" or any(
        COMMA_CELL.fullmatch(cell.strip()) and not GROUPED.fullmatch(cell.strip())
        for cells in rows
        for cell in cells
    )


def _points(cells: Sequence[str]) -> list[str]:
    """Cells with a decimal point for the comma: '1.234,5' is 1234.5."""
    return [
        DECIMAL_COMMA.sub(lambda m: f"{m[1].replace('.', '')}.{m[2]}", cell)
        if COMMA_CELL.fullmatch(cell.strip())
        else cell
        for cell in cells
    ]


def words_of(name: str) -> list[str]:
    """Lower-case words of a column's name: 'nParams_total (M)' -> n, params, total, m."""
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.findall(r"[a-z0-9]+", split.lower())


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Column names with repeats and blanks numbered: 'loss', 'loss (2)', 'column 3'."""
    seen: dict[str, int] = {}
    result = []
    for position, name in enumerate(names, 1):
        name = name or f"column {position}"
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(result)
