"""`export`: a candidate as the config of another tool, or a selection as a table or a training plan."""

from __future__ import annotations

import argparse
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.analysis.pipeline import (
    Contents,
    Laws,
    make_frame,
    make_laws,
    make_table,
    read_contents,
    rows_of,
)
from core.errors import Unusable
from core.export.formats import FORMATS, write_shape
from core.export.selection import Row, rows_of_table
from core.files import check_target, to_json, write_atomically
from core.formats.configs.writing import ExportContext, sidecar, sidecar_path
from core.project.choices import Choices
from core.project.demo import open_any
from core.records.measurement import Measurement, Point
from core.records.metrics import METRICS
from core.table.table import Table

HELP = "write a candidate for another tool, or a selection as CSV, JSON or a training plan"


def arguments(parser: argparse.ArgumentParser) -> None:
    """P.paretoscope, which candidates, what to write and where."""
    parser.add_argument("project", metavar="P.paretoscope", help="the project file")
    parser.add_argument(
        "--candidate",
        action="append",
        default=[],
        metavar="ID",
        help="a candidate's id (from 'frontier --json'); repeatable; without it: the project's"
        " selected candidate, for csv, json and plan the front, for raw all that was measured",
    )
    parser.add_argument(
        "--top", type=int, metavar="K", help="for csv, json and plan: at most K rows of the front"
    )
    parser.add_argument("--to", required=True, choices=tuple(FORMATS), help="the format")
    parser.add_argument("--out", required=True, metavar="PATH", help="the file to write")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--name", help="name inside the export (the file's project and candidate)")
    parser.add_argument(
        "--max-context", type=int, metavar="N", help="longest context (at least prompt + output)"
    )
    plan = parser.add_argument_group("training plan")
    plan.add_argument("--device", default="H100", help="training device (H100)")
    plan.add_argument("--devices", type=int, default=8, metavar="N", help="how many (8)")
    plan.add_argument(
        "--utilisation", type=float, default=0.4, metavar="U", help="share of the peak (0.4)"
    )
    plan.add_argument("--peak", type=float, metavar="FLOP/S", help="peak of one device")
    plan.add_argument("--price", type=float, metavar="P", help="price of one device-hour")


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Write the file (and its sidecar) and say what was written."""
    target = Path(options.out).expanduser()
    row = FORMATS[options.to]
    beside = sidecar_path(target)
    check_target(target, options.force)
    if options.to not in ("json", "raw"):
        check_target(beside, options.force)
    if options.top is not None and options.top < 1:
        raise Unusable(f"--top must be at least 1, not {options.top}")
    with open_any(options.project) as project:
        contents = read_contents(project)
        choices = project.choices()
    if row.kind == "measurements" and not options.candidate:
        return _write_raw(options, contents.measurements)
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    indices = _chosen(options, table, choices)
    if row.kind == "measurements":
        wanted = {(table.names.get(i, ""), _timed_as(table.point(i))) for i in indices}
        return _write_raw(
            options,
            [m for m in contents.measurements if (m.model, _timed_as(m)) in wanted],
        )
    rows = rows_of_table(table, indices)
    provenance = provenance_of(contents, laws, table, rows, choices)
    written = [str(target)]
    if row.kind == "shape":
        text = _write_shape(options, rows[0], contents, provenance, beside, written)
    else:
        text = _write_selection(options, rows, provenance, beside, written)
    write_atomically(target, text, options.force)
    if text.startswith("#!"):
        target.chmod(target.stat().st_mode | stat.S_IXUSR)
    what = rows[0].label if len(rows) == 1 else f"{len(rows)} candidates"
    answer = {
        "format": options.to,
        "path": str(target),
        "files": written,
        "rows": len(rows),
        "candidates": [r.identity for r in rows],
        "params_total": [r.architecture.params_total for r in rows],
    }
    return f"wrote {what} as {row.title} to {', '.join(written)}", answer


def _timed_as(thing: Point | Measurement) -> tuple[Any, ...]:
    return thing.architecture, thing.workload, thing.runtime


def _write_raw(
    options: argparse.Namespace, measurements: Sequence[Measurement]
) -> tuple[str, dict[str, Any]]:
    """Measurements as they were made: all of the project, or all visits of the candidates named."""
    from core.formats.results.raw_json import write

    if not measurements:
        what = "these candidates were never" if options.candidate else "nothing was"
        raise Unusable(f"{options.project}: {what} measured, so there is nothing raw to write")
    target = Path(options.out).expanduser()
    write_atomically(target, write(measurements), options.force)
    count = len(measurements)
    answer = {"format": "raw", "path": str(target), "files": [str(target)], "rows": count}
    return f"wrote {count} measurement{'' if count == 1 else 's'} to {target}", answer


def _chosen(options: argparse.Namespace, table: Table, choices: Choices) -> list[int]:
    if options.candidate:
        found = []
        for identity in options.candidate:
            row = table.find(identity)
            if row is None:
                raise Unusable(
                    f"{options.project}: no candidate with id '{identity}'; "
                    "'frontier --json' lists the ids of the front"
                )
            found.append(row)
        if FORMATS[options.to].kind == "shape" and len(found) > 1:
            raise Unusable(f"'{options.to}' writes one candidate; name one, or export csv or json")
        return found
    frame = make_frame(table, choices)
    if FORMATS[options.to].kind == "selection":
        rows = [int(r) for r in rows_of(frame, options.top)]
        if not rows:
            raise Unusable(_nothing(options, table, choices))
        return rows
    if frame.selected is None:
        raise Unusable(_nothing(options, table, choices))
    return [frame.selected]


def _nothing(options: argparse.Namespace, table: Table, choices: Choices) -> str:
    unknown = [METRICS[k].label for k in (choices.x, choices.y) if not table.known(k)]
    if unknown:
        why = f"no candidate has a known {' or '.join(unknown)}; measure first"
    else:
        why = "no candidate meets the limits; loosen one"
    return f"{options.project}: {why}, or name a candidate with --candidate"


def _write_shape(
    options: argparse.Namespace,
    row: Row,
    contents: Contents,
    provenance: Mapping[str, Any],
    beside: Path,
    written: list[str],
) -> str:
    tokens = row.values.get("train_tokens")
    needed = row.workload.prompt_tokens + row.workload.output_tokens
    longest = options.max_context if options.max_context is not None else max(needed, 4096)
    if longest < needed:
        raise Unusable(f"--max-context {longest} is shorter than prompt + output ({needed})")
    context = ExportContext(
        options.name or f"{contents.name}-{row.label}",
        tokens.value if tokens else None,
        row.runtime.weights,
        row.runtime.cache,
        longest,
        row.workload.batch,
        provenance=provenance,
    )
    text = write_shape(options.to, row.architecture, context)
    write_atomically(beside, sidecar(row.architecture, context, options.to), options.force)
    written.append(str(beside))
    return text


def _write_selection(
    options: argparse.Namespace,
    rows: tuple[Row, ...],
    provenance: Mapping[str, Any],
    beside: Path,
    written: list[str],
) -> str:
    if options.to == "json":
        from core.export.table_json import write as write_json

        return write_json(rows, provenance)
    if options.to == "csv":
        from core.export.table_csv import write as write_csv

        units = {
            k: {"unit": m.unit, "label": m.label, "better": m.better, "formula": m.formula}
            for k, m in METRICS.items()
            if any(k in row.values for row in rows)
        }
        about = {
            "schema_version": 1,
            "kind": "paretoscope export",
            "format": "csv",
            "metrics": units,
            "provenance": dict(provenance),
        }
        write_atomically(beside, to_json(about), options.force)
        written.append(str(beside))
        return write_csv(rows, provenance)
    from core.export.training_plan import TrainingDevice, write

    device = TrainingDevice(
        options.device, options.devices, options.utilisation, options.peak, options.price
    )
    return write(rows, provenance, device)


def provenance_of(
    contents: Contents, laws: Laws, table: Table, rows: tuple[Row, ...], choices: Any
) -> dict[str, Any]:
    """Where everything in an export came from: project, device, laws, limits, and each number."""
    from core.analysis.pipeline import loss_text

    about: dict[str, Any] = {
        "program": "Paretoscope",
        "project": contents.name,
        "device": table.device_key,
        "loss_law": loss_text(laws),
        "limits": [limit.text for limit in choices.limits],
        "measurements": len(contents.measurements),
    }
    if len(rows) == 1:
        row = rows[0]
        about |= {
            "candidate": row.identity,
            "workload": asdict(row.workload),
            "runtime": asdict(row.runtime),
            "numbers": {k: asdict(v) for k, v in row.values.items()},
        }
    return about
