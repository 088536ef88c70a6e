"""Tables of runs from files: CSV, JSON, JSON lines, Parquet, W&B exports, MLflow run folders."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.document import Document, Problem, open_document
from core.errors import Unusable
from core.formats.runs.single.run_files import OneRun, RunFile, kind_of, run_files
from core.guarded import (
    MOST_DOCUMENT_BYTES,
    MOST_SETTINGS_BYTES,
    check_nesting,
    is_folder,
    opened,
    read_bytes,
    read_start,
)

MOST_FILES = 2000
MOST_NOTED = 3
# run states in W&B and MLflow of runs that did not train on all planned tokens
UNFINISHED = frozenset({"crashed", "failed", "killed", "running", "preempting", "preempted"})
_MLFLOW_STATES = {"1": "running", "2": "scheduled", "3": "finished", "4": "failed", "5": "killed"}


@dataclass(frozen=True, slots=True)
class RawTable:
    """A header, rows of cells (text, numbers, None) and where each row stands in the file.

    `lines` holds the line of each row where the file has lines, else it is empty. `problems` are rows
    that could not be split into cells: (row number, line or 0, what is wrong). `comments` are the
    lines that begin with '#' above the header of a CSV.
    """

    kind: str
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    lines: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()

    def where(self, row: int) -> str:
        """E.g. 'row 17 (line 18)'; rows count from 1 and leave the header out."""
        line = self.lines[row - 1] if self.lines else 0
        return f"row {row} (line {line})" if line and line != row else f"row {row}"


def read_table(path: Path) -> RawTable:
    """The table in a file or an MLflow folder; raises Unusable with what is wrong and what to do."""
    if is_folder(path):
        return _mlflow(path)
    if is_parquet(path):
        return _parquet(path)
    return table_of(open_document(path))


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet by its name or by how it begins; Unusable when it cannot be read."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return True
    return read_start(path, 4) == b"PAR1"


def table_of(document: Document) -> RawTable:
    """The table of runs in an opened file: CSV, JSON lines, or JSON with a list of objects in it.

    Unusable where there is no such table. A CSV may be one of the two kinds that W&B exports.
    """
    path = document.path
    single = kind_of(document)
    if single is not None:
        return _of_single(single, [single.read(document)])
    if document.kind == "csv":
        table = RawTable(
            "CSV",
            document.header,
            document.cells,
            document.lines,
            document.problems,
            comments=document.comments,
        )
        return _wandb_chart(path, table) or _wandb_runs(table) or table
    if document.kind == "jsonl":
        return _of_records(path, "JSON lines", document.records, document.lines, document.problems)
    records = _records(document.value)
    if records is None:
        raise Unusable(
            f"{path}: no runs found; write a list of objects (one per run) or an object of columns"
        )
    return _of_records(path, document.kind.upper(), records, ())


# --- files of one run each


def _of_single(kind: RunFile, runs: Sequence[OneRun]) -> RawTable:
    # a value that should be one may be a list or an object
    flat = [dict(_flat(run.row)) for run in runs]
    header = tuple(dict.fromkeys(name for row in flat for name in row))
    rows = tuple(tuple(row.get(name) for name in header) for row in flat)
    notes = dict.fromkeys(note for run in runs[:MOST_NOTED] for note in run.notes)
    return RawTable(kind.title, header, rows, notes=tuple(notes))


def _folder_of_runs(folder: Path) -> RawTable | None:
    """The runs of a folder in which each has a file; None where no file is one. Of checkpoints of one run
    the last is taken."""
    found: dict[str, list[OneRun]] = {}
    broken = []
    for file in _last_checkpoints(folder):
        try:
            document = open_document(file)
            kind = kind_of(document)
            if kind is not None:
                found.setdefault(kind.title, []).append(kind.read(document))
        except Unusable as error:
            broken.append(str(error))
    if not found:
        return None
    title = max(found, key=lambda name: len(found[name]))
    table = _of_single(next(row for row in run_files() if row.title == title), found[title])
    more = [
        f"{len(runs)} files of {name} are left out" for name, runs in found.items() if name != title
    ]
    if broken:
        more.append(f"{len(broken)} files cannot be read, the first: {broken[0]}")
    return replace(table, notes=(*table.notes, *more))


def _last_checkpoints(folder: Path) -> list[Path]:
    """The files up to three levels down that may hold a run, of 'checkpoint-N' folders the highest only."""
    suffixes = {row.suffix for row in run_files()}
    kept: dict[tuple[Path, str], tuple[int, Path]] = {}
    for level in ("*", "*/*", "*/*/*", "*/*/*/*"):
        for file in sorted(folder.glob(level))[:MOST_FILES]:
            if file.suffix.lower() not in suffixes or not file.is_file():
                continue
            match = re.fullmatch(r"checkpoint-(\d{1,12})", file.parent.name)
            key = (file.parent.parent if match else file.parent, file.name)
            step = int(match[1]) if match else 0
            if key not in kept or kept[key][0] < step:
                kept[key] = (step, file)
    return [file for _, file in kept.values()][:MOST_FILES]


# --- W&B


def _wandb_runs(table: RawTable) -> RawTable | None:
    """A W&B table of runs, recognised by its columns; it already has one run per row."""
    names = set(table.header)
    if not ("State" in names and names & {"Name", "ID"} and names & {"Runtime", "Created", "User"}):
        return None
    return replace(table, kind="W&B runs")


def _wandb_chart(path: Path, table: RawTable) -> RawTable | None:
    """A W&B chart export ('Step', 'RUN - METRIC', ...__MIN, ...__MAX) as the last point of each run."""
    if len(table.header) < 2:
        return None
    x_name, *others = table.header
    # W&B's own '_step' stands beside each series where another x axis was chosen
    others = [n for n in others if not n.rpartition(" - ")[2].startswith("_")]
    series = [n for n in others if " - " in n and not n.endswith(("__MIN", "__MAX"))]
    sides = [n for n in others if n.endswith(("__MIN", "__MAX"))]
    if not series or not sides or len(series) + len(sides) != len(others):
        return None
    metrics = {name.rpartition(" - ")[2] for name in series}
    if len(metrics) != 1:
        raise Unusable(
            f"{path}: the W&B chart mixes the metrics {', '.join(sorted(metrics))}; export one chart per metric"
        )
    rows = []
    for name in series:
        index = table.header.index(name)
        points = [(row[0], row[index]) for row in table.rows if str(row[index]).strip()]
        if points:
            rows.append((name.rpartition(" - ")[0], *points[-1]))
    note = f"W&B chart: the last of up to {len(table.rows)} points of each run is taken as its loss"
    return RawTable("W&B chart", ("Name", x_name, metrics.pop()), tuple(rows), notes=(note,))


# --- objects


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


def _of_records(
    path: Path,
    kind: str,
    records: Sequence[Mapping[str, Any]],
    lines: tuple[int, ...],
    problems: tuple[Problem, ...] = (),
) -> RawTable:
    flat = [dict(_flat(record)) for record in records]
    header = tuple(dict.fromkeys(name for record in flat for name in record))
    if not header:
        raise Unusable(f"{path}: the runs in it have no fields")
    rows = tuple(tuple(record.get(name) for name in header) for record in flat)
    return RawTable(kind, header, rows, lines, problems)


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Nested objects as dotted names; lists stay whole, as text."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            # config entries of W&B are {"value": x, "desc": ...}
            if "value" in value and set(value) <= {"value", "desc"}:
                yield from _flat({name: value["value"]}, prefix)
            else:
                yield from _flat(value, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                json.dumps(value, default=str) if isinstance(value, list) else value,
            )


# --- Parquet


def _parquet(path: Path) -> RawTable:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise Unusable(
            f"{path}: reading Parquet needs pyarrow, which is not installed; "
            "run 'pip install pyarrow' or export the table as CSV"
        ) from None
    with opened(path) as (stream, size):
        try:
            file = pyarrow.parquet.ParquetFile(stream)
            cells = file.metadata.num_rows * file.metadata.num_columns
            if max(size, cells) > MOST_DOCUMENT_BYTES // 16:
                raise Unusable(f"{path}: {cells:,} cells are too many for a table of runs")
            records = file.read().to_pylist()
            check_nesting(records, MOST_DOCUMENT_BYTES)
        except Unusable:
            raise
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            raise Unusable(f"{path}: not a readable Parquet file: {error}") from None
    if not records:
        raise Unusable(f"{path}: the Parquet file has no rows")
    return _of_records(path, "Parquet", records, ())


# --- MLflow


def _mlflow(folder: Path) -> RawTable:
    """MLflow's file store (a run, an experiment or a whole `mlruns` folder): last value per metric."""
    runs = sorted(
        run
        for run in (folder, *folder.glob("*"), *folder.glob("*/*"), *folder.glob("*/*/*"))
        if (run / "metrics").is_dir() and (run / "meta.yaml").is_file()
    )
    if not runs:
        single = _folder_of_runs(folder)
        if single is not None:
            return single
        extra = ""
        if (folder / "mlflow.db").exists():
            extra = " (it holds mlflow.db: export the runs with mlflow.search_runs().to_csv())"
        raise Unusable(
            f"{folder}: this is a folder without MLflow runs or logs of runs "
            f"(looked for meta.yaml beside metrics/, up to three levels down){extra}; name a file"
        )
    records = []
    for run in runs:
        meta = dict(
            (key.strip(), value.strip().strip("'\""))
            for key, _, value in (
                line.partition(":") for line in _read(run / "meta.yaml").splitlines()
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
    return RawTable(table.kind, table.header, table.rows, notes=(note,))


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file()) if folder.is_dir() else []


def _one_line(file: Path) -> str:
    return _read(file).strip() if file.is_file() else ""


def _read(file: Path) -> str:
    return read_bytes(file, MOST_SETTINGS_BYTES).decode("utf-8", "replace")


def _last_metric(file: Path) -> float | None:
    """The value at the highest step of 'timestamp value step' lines; None when there is none."""
    points = []
    for line in _read(file).splitlines():
        words = line.split()
        try:
            points.append((int(words[2]) if len(words) > 2 else 0, int(words[0]), float(words[1])))
        except (ValueError, IndexError):
            continue
    return max(points, key=lambda p: p[:2])[2] if points else None
