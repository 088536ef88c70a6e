"""Tables of runs from files: CSV, JSON, JSON lines, Parquet, W&B exports, MLflow run folders."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.numbers import plain_number

# run states that W&B and MLflow give to runs whose last loss is not the loss of the planned tokens
UNFINISHED = frozenset({"crashed", "failed", "killed", "running", "preempting", "preempted"})
_MLFLOW_STATES = {"1": "running", "2": "scheduled", "3": "finished", "4": "failed", "5": "killed"}


@dataclass(frozen=True, slots=True)
class Table:
    """A header, rows of cells (text, numbers, None) and where each row stands in the file.

    `lines` holds a line number a row where the file has lines, else it is empty. `problems` are rows
    that could not even be cut into cells: (row number, line or 0, what is wrong).
    """

    kind: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    lines: tuple[int, ...] = ()
    problems: tuple[tuple[int, int, str], ...] = ()
    notes: tuple[str, ...] = ()

    def where(self, row: int) -> str:
        """E.g. 'row 17 (line 18)'; rows count from 1 and leave the header out."""
        line = self.lines[row - 1] if self.lines else 0
        return f"row {row} (line {line})" if line and line != row else f"row {row}"


def read_table(path: Path) -> Table:
    """The table a file or an MLflow folder holds; raises Unusable with what is wrong and what to do."""
    try:
        if path.is_dir():
            return _mlflow(path)
        if not path.exists():
            raise Unusable(f"{path}: there is no such file")
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path)
        data = path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path}: cannot be read: {error.strerror or error}") from None
    if not data.strip():
        raise Unusable(f"{path}: the file is empty")
    if data.startswith(b"PAR1"):
        return _parquet(path)
    text = _text(path, data)
    if not text.strip():
        raise Unusable(f"{path}: the file is empty")
    name = path.suffix.lower()
    if name in (".jsonl", ".ndjson"):
        return _json_lines(path, text)
    if name == ".json" or (name not in (".csv", ".tsv") and text.lstrip()[:1] in "[{"):
        return _json(path, text)
    return _csv(path, text)


def _text(path: Path, data: bytes) -> str:
    """File bytes as text; UTF-8 (with or without mark) and marked UTF-16 only."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if not data.startswith(mark):
            continue
        if encoding != "utf-16" and b"\0" in data[:65536]:
            kinds = {b"PK": "a zip archive or spreadsheet", b"\x1f\x8b": "gzip", b"SQLi": "SQLite"}
            kind = next((k for m, k in kinds.items() if data.startswith(m)), "binary data")
            raise Unusable(f"{path}: this is {kind}, not a table in text; export it as CSV first")
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise Unusable(
                f"{path}: line {line} is not valid {encoding.upper().removesuffix('-SIG')} "
                f"(byte {data[error.start]:#04x}); save the file as UTF-8"
            ) from None
    raise AssertionError("the empty mark matches every file")


# --- CSV


def _csv(path: Path, text: str) -> Table:
    """A CSV or TSV table, also the two kinds W&B exports (a table of runs, a chart of one metric)."""
    if "\0" in text:
        raise Unusable(f"{path}: this is binary data, not a table in text; export it as CSV first")
    # some tools write where a table is from above its header
    above = 0
    for content in text.split("\n"):
        if content.strip() and not content.startswith("#"):
            break
        above += 1
    text = "\n".join(text.split("\n")[above:])
    if not text.strip():
        raise Unusable(f"{path}: there are only comments in it")
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t|", key=first.count)
    decimal_comma = delimiter == ";"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = []
    lines: list[int] = []
    problems: list[tuple[int, int, str]] = []
    last_line = 0
    try:
        for cells in reader:
            line, last_line = above + last_line + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = unique(cell.strip() for cell in cells)
                continue
            if len(cells) != len(header):
                problems.append(
                    (len(rows) + 1, line, f"{len(cells)} cells where the header has {len(header)}")
                )
                cells = (cells + [""] * len(header))[: len(header)]
            if decimal_comma:
                cells = [re.sub(r"^([+-]?\d+),(\d+)$", r"\1.\2", cell.strip()) for cell in cells]
            rows.append(tuple(cells))
            lines.append(line)
    except csv.Error as error:
        raise Unusable(f"{path}: line {reader.line_num} is not CSV: {error}") from None
    if all(isinstance(plain_number(name), float) for name in header):
        raise Unusable(
            f"{path}: the first line holds only numbers; write a line of column names first"
        )
    if not rows:
        raise Unusable(f"{path}: there is a header ({', '.join(header)[:120]}) but no row under it")
    table = Table("CSV", header, tuple(rows), tuple(lines), tuple(problems))
    return _wandb_chart(path, table) or _wandb_runs(table) or table


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Column names with repeats and blanks told apart: 'loss', 'loss (2)', 'column 3'."""
    seen: dict[str, int] = {}
    result = []
    for position, name in enumerate(names, 1):
        name = name or f"column {position}"
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(result)


def _wandb_runs(table: Table) -> Table | None:
    """A W&B table of runs, known by its own columns; its cells are already one run a row."""
    names = set(table.header)
    if not ("State" in names and names & {"Name", "ID"} and names & {"Runtime", "Created", "User"}):
        return None
    return Table("W&B runs", table.header, table.rows, table.lines, table.problems)


def _wandb_chart(path: Path, table: Table) -> Table | None:
    """A W&B chart export ('Step', 'RUN - METRIC', ...__MIN, ...__MAX) as the last point of each run."""
    if len(table.header) < 2:
        return None
    x_name, *others = table.header
    series = [n for n in others if " - " in n and not n.endswith(("__MIN", "__MAX"))]
    sides = [n for n in others if n.endswith(("__MIN", "__MAX"))]
    if not series or not sides or len(series) + len(sides) != len(others):
        return None
    metrics = {name.rpartition(" - ")[2] for name in series}
    if len(metrics) != 1:
        raise Unusable(
            f"{path}: the W&B chart mixes the metrics {', '.join(sorted(metrics))}; export one chart a metric"
        )
    rows = []
    for name in series:
        index = table.header.index(name)
        points = [(row[0], row[index]) for row in table.rows if str(row[index]).strip()]
        if points:
            rows.append((name.rpartition(" - ")[0], *points[-1]))
    note = f"W&B chart: the last of up to {len(table.rows)} points of each run is taken as its loss"
    return Table("W&B chart", ("Name", x_name, metrics.pop()), tuple(rows), notes=(note,))


# --- JSON


def _json(path: Path, text: str) -> Table:
    """A list of objects, an object of lists, or an object with such a thing under one key."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if not isinstance(error, json.JSONDecodeError):
            raise Unusable(f"{path}: not JSON that can be read: {error}") from None
        if error.msg == "Extra data" and text.lstrip().startswith("{"):
            return _json_lines(path, text)
        raise Unusable(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    records = _records(value)
    if records is None:
        raise Unusable(
            f"{path}: no runs found; write a list of objects (one a run) or an object of columns"
        )
    return _of_records(path, "JSON", records, ())


def _records(value: Any) -> list[Mapping[str, Any]] | None:
    if isinstance(value, list):
        return [v for v in value if isinstance(v, dict)] if _all_objects(value) else None
    if not isinstance(value, dict) or not value:
        return None
    lists = {k: v for k, v in value.items() if isinstance(v, list)}
    whole = len(lists) == len(value) and len({len(v) for v in lists.values()}) == 1
    if whole and not any(isinstance(v, (dict, list)) for c in lists.values() for v in c):
        return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
    for name in ("runs", "data", "rows", "records", *lists):
        if _all_objects(value.get(name)):
            return list(value[name])
    inner = list(value.values())
    if _all_objects(inner) and not any(isinstance(v, dict) for v in inner[0].values()):
        # {"run name": {...}, ...}
        return [{"name": name, **record} for name, record in value.items()]
    return None


def _all_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _json_lines(path: Path, text: str) -> Table:
    records: list[Mapping[str, Any]] = []
    lines: list[int] = []
    problems: list[tuple[int, int, str]] = []
    for line, content in enumerate(text.split("\n"), 1):
        if not content.strip():
            continue
        record: Any = None
        try:
            record = json.loads(content)
            wrong = "" if isinstance(record, dict) else "not an object"
        except (ValueError, RecursionError) as error:
            wrong = f"not valid JSON: {getattr(error, 'msg', error)}"
        if wrong:
            problems.append((len(records) + 1, line, wrong))
        records.append(record if isinstance(record, dict) else {})
        lines.append(line)
    if len(problems) == len(records):
        raise Unusable(f"{path}: no line holds a JSON object; line 1: {problems[0][2]}")
    return _of_records(path, "JSON lines", records, tuple(lines), tuple(problems))


def _of_records(
    path: Path,
    kind: str,
    records: Sequence[Mapping[str, Any]],
    lines: tuple[int, ...],
    problems: tuple[tuple[int, int, str], ...] = (),
) -> Table:
    flat = [dict(_flat(record)) for record in records]
    header = tuple(dict.fromkeys(name for record in flat for name in record))
    if not header:
        raise Unusable(f"{path}: the runs in it have no fields")
    rows = tuple(tuple(record.get(name) for name in header) for record in flat)
    return Table(kind, header, rows, lines, problems)


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Nested objects as dotted names; lists stay whole, as text."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            # config entries of W&B are {"value": x, "desc": ...}
            if "value" in value and set(value) <= {"value", "desc"}:
                yield f"{prefix}{name}", value["value"]
            else:
                yield from _flat(value, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                json.dumps(value, default=str) if isinstance(value, list) else value,
            )


# --- Parquet


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Unusable(
            f"{path}: reading Parquet needs pyarrow, which is not installed; "
            "run 'pip install pyarrow' or export the table as CSV"
        ) from None
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise Unusable(f"{path}: not a readable Parquet file: {error}") from None
    if not table.num_rows:
        raise Unusable(f"{path}: the Parquet file has no rows")
    return _of_records(path, "Parquet", table.to_pylist(), ())


# --- MLflow


def _mlflow(folder: Path) -> Table:
    """MLflow's file store: a run, an experiment or a whole `mlruns` folder; last value a metric."""
    runs = sorted(
        run
        for run in (folder, *folder.glob("*"), *folder.glob("*/*"), *folder.glob("*/*/*"))
        if (run / "metrics").is_dir() and (run / "meta.yaml").is_file()
    )
    if not runs:
        extra = ""
        if (folder / "mlflow.db").exists():
            extra = " (it holds mlflow.db: export the runs with mlflow.search_runs().to_csv())"
        raise Unusable(
            f"{folder}: this is a folder without MLflow runs "
            f"(looked for meta.yaml beside metrics/, up to three levels down){extra}; name a file"
        )
    records = []
    for run in runs:
        meta = dict(
            (key.strip(), value.strip().strip("'\""))
            for key, _, value in (
                line.partition(":")
                for line in (run / "meta.yaml").read_text("utf-8", "replace").splitlines()
            )
        )
        if meta.get("lifecycle_stage") == "deleted":
            continue
        status = meta.get("status", "")
        record: dict[str, Any] = {
            "name": meta.get("run_name") or _one_line(run / "tags" / "mlflow.runName") or run.name,
            "State": _MLFLOW_STATES.get(status, status.lower()),
        }
        for file in _files(run / "params"):
            record[file.relative_to(run / "params").as_posix()] = _one_line(file)
        for file in _files(run / "metrics"):
            record[file.relative_to(run / "metrics").as_posix()] = _last_metric(file)
        records.append(record)
    if not records:
        raise Unusable(f"{folder}: every MLflow run in it is marked deleted")
    note = "MLflow: the value at the last step of each metric is taken"
    table = _of_records(folder, "MLflow", records, ())
    return Table(table.kind, table.header, table.rows, notes=(note,))


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else []


def _one_line(file: Path) -> str:
    return file.read_text("utf-8", "replace").strip() if file.is_file() else ""


def _last_metric(file: Path) -> float | None:
    """The value at the highest step of 'timestamp value step' lines; None when there is none."""
    points = []
    for line in file.read_text("utf-8", "replace").splitlines():
        words = line.split()
        try:
            points.append((int(words[2]) if len(words) > 2 else 0, int(words[0]), float(words[1])))
        except (ValueError, IndexError):
            continue
    return max(points, key=lambda p: p[:2])[2] if points else None
