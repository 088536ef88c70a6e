"""One export: the candidates of an order, written in its format, with the sources of the numbers."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.analysis.contents import Contents
from core.analysis.frame import Frame, rows_of
from core.analysis.pipeline import Laws, loss_text
from core.errors import Unusable
from core.export.formats import format_of, refusal, write_shape
from core.files import check_target, write_atomically
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.writing import ExportContext, sidecar, sidecar_path
from core.formats.own.own_formats import Content, OwnFormat
from core.formats.own.selection import Row, rows_of_table
from core.formats.own.training_device import TrainingDevice
from core.records.measurement import Measurement, Point
from core.records.metrics import METRICS
from core.table.table import Table

# a usual context length of servers, used unless the workload needs a longer one
USUAL_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """What to write and where.

    `candidates` are identities. Without any, the format decides: the frame's selected row for a shape,
    its front for a selection, everything measured for raw measurements. `top` is the largest number of
    rows of the front. `max_context` is in tokens.
    """

    format: str
    out: Path
    candidates: tuple[str, ...] = ()
    top: int | None = None
    force: bool = False
    name: str = ""  # inside the export; empty: the project's and the candidate's
    max_context: int | None = None
    training: TrainingDevice | None = None

    def check_target(self) -> None:
        """Raises Unusable for an unknown format and when a file of the order cannot be written."""
        check_target(self.out, self.force)
        form = format_of(self.format)
        if isinstance(form, ConfigFormat) or form.sidecar is not None:
            check_target(sidecar_path(self.out), self.force)


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the files, the candidates in them (as ids, with their parameters), the number
    of rows or measurements, and all of it in one sentence."""

    format: str
    files: tuple[str, ...]
    rows: int
    text: str
    candidates: tuple[str, ...] = ()
    params_total: tuple[int, ...] = ()


def export(
    contents: Contents, laws: Laws, table: Table, frame: Frame, order: ExportOrder
) -> Written:
    """Write the candidates of an order with their values in this table and frame.

    Raises Unusable, with nothing written, for a candidate that is not in the table or that the format
    cannot express, for an empty frame, and for a target that cannot be written.
    """
    form = format_of(order.format)
    order.check_target()
    if form.kind == "measurements":
        if not order.candidates:
            return write_measurements(contents.measurements, order)
        wanted = {_timed_as(table, row) for row in _named(contents, table, order)}
        return write_measurements(
            [m for m in contents.measurements if (m.model, *_work(m)) in wanted], order
        )
    rows = rows_of_table(table, _chosen(contents, table, frame, order))
    provenance = provenance_of(contents, laws, table, frame, rows)
    if isinstance(form, ConfigFormat):
        files = _write_files(order, *_shape(contents, rows[0], order, provenance))
    else:
        files = _write_own(form, Content(rows, provenance, order.training), order)
    what = rows[0].label if len(rows) == 1 else f"{len(rows)} candidates"
    return Written(
        order.format,
        files,
        len(rows),
        f"wrote {what} as {form.title} to {', '.join(files)}",
        tuple(row.identity for row in rows),
        tuple(row.architecture.params_total for row in rows),
    )


def shape_refusal(contents: Contents, table: Table, order: ExportOrder) -> str:
    """Why `export` could not write the one candidate that an order names, in a format of shapes; empty
    when it could."""
    try:
        # what a context is made of; the other values are only written
        (row,) = rows_of_table(table, _named(contents, table, order), ("train_tokens",))
        context = _context(contents, row, order, {})
    except Unusable as error:
        return str(error)
    return refusal(order.format, row.architecture, context)


def write_measurements(measurements: Sequence[Measurement], order: ExportOrder) -> Written:
    """Write these measurements as they were made; Unusable where there are none."""
    form = format_of(order.format)
    if not isinstance(form, OwnFormat) or form.kind != "measurements":
        raise Unusable(f"'{order.format}' is not a format of measurements")
    if not measurements:
        what = "these candidates were never" if order.candidates else "nothing was"
        raise Unusable(f"{what} measured, so there is nothing raw to write")
    files = _write_own(form, Content(measurements=measurements), order)
    count = len(measurements)
    text = f"wrote {count} measurement{'' if count == 1 else 's'} to {', '.join(files)}"
    return Written(order.format, files, count, text, order.candidates)


def provenance_of(
    contents: Contents, laws: Laws, table: Table, frame: Frame, rows: Sequence[Row]
) -> dict[str, Any]:
    """The sources of an export: project, device, laws, limits, and the source of each number."""
    about: dict[str, Any] = {
        "program": "Paretoscope",
        "project": contents.name,
        "device": table.device_key,
        "loss_law": loss_text(laws),
        "limits": [limit.text for limit in frame.limits],
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


# --- which rows ------------------------------------------------------------------------------------


def _chosen(contents: Contents, table: Table, frame: Frame, order: ExportOrder) -> list[int]:
    one = format_of(order.format).kind == "shape"
    if order.candidates:
        rows = _named(contents, table, order)
        if one and len(rows) > 1:
            raise Unusable(
                f"'{order.format}' writes one candidate; name one, or export csv or json"
            )
        return rows
    if one:
        rows = [frame.selected] if frame.selected is not None else []
    else:
        rows = list(rows_of(frame, order.top))
    if not rows:
        raise Unusable(f"{contents.name}: {_why_nothing(table, frame)}, or name a candidate")
    return rows


def _named(contents: Contents, table: Table, order: ExportOrder) -> list[int]:
    found = []
    for identity in order.candidates:
        row = table.find(identity)
        if row is None:
            raise Unusable(
                f"{contents.name}: no candidate with id '{identity}';"
                " 'frontier --json' lists the ids of the front"
            )
        found.append(row)
    return found


def _why_nothing(table: Table, frame: Frame) -> str:
    unknown = [METRICS[k].label for k in (frame.x, frame.y) if not table.known(k)]
    if unknown:
        return f"no candidate has a known {' or '.join(unknown)}; measure first"
    return "no candidate meets the limits; loosen one"


def _work(thing: Point | Measurement) -> tuple[Any, ...]:
    return thing.architecture, thing.workload, thing.runtime


def _timed_as(table: Table, row: int) -> tuple[Any, ...]:
    return table.names.get(row, ""), *_work(table.point(row))


# --- the text and what lies beside it ---------------------------------------------------------------


def _shape(
    contents: Contents, row: Row, order: ExportOrder, provenance: Mapping[str, Any]
) -> tuple[str, str]:
    context = _context(contents, row, order, provenance)
    text = write_shape(order.format, row.architecture, context)
    return text, sidecar(row.architecture, context, order.format)


def _context(
    contents: Contents, row: Row, order: ExportOrder, provenance: Mapping[str, Any]
) -> ExportContext:
    needed = row.workload.prompt_tokens + row.workload.output_tokens
    longest = order.max_context
    if longest is None:
        longest = max(needed, USUAL_CONTEXT)
    if longest < needed:
        raise Unusable(
            f"a longest context of {longest} tokens is shorter than prompt + output ({needed})"
        )
    tokens = row.values.get("train_tokens")
    return ExportContext(
        order.name or f"{contents.name}-{row.label}",
        tokens.value if tokens else None,
        row.runtime.weights,
        row.runtime.cache,
        longest,
        row.workload.batch,
        provenance=provenance,
    )


def _write_own(form: OwnFormat, content: Content, order: ExportOrder) -> tuple[str, ...]:
    beside = form.sidecar(content) if form.sidecar is not None else ""
    return _write_files(order, form.write(content), beside)


def _write_files(order: ExportOrder, text: str, beside: str) -> tuple[str, ...]:
    """Write the file of an order and, where there is a text for it, its sidecar; returns their paths."""
    files = [str(order.out)]
    if beside:
        write_atomically(sidecar_path(order.out), beside, order.force)
        files.append(str(sidecar_path(order.out)))
    write_atomically(order.out, text, order.force)
    if text.startswith("#!"):
        order.out.chmod(order.out.stat().st_mode | stat.S_IXUSR)
    return tuple(files)
