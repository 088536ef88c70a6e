"""`export`: a candidate as the config of another tool, or a selection as a table or a training plan."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.analysis.contents import read_contents
from core.analysis.frame import make_frame
from core.analysis.pipeline import make_laws, make_table
from core.commands.options import whole
from core.commands.unread import tell_unread
from core.export.export import ExportOrder, Written, export, write_measurements
from core.export.formats import format_of, formats
from core.formats.own.training_device import TrainingDevice
from core.project.demo import open_any

HELP = "write a candidate for another tool, or a selection as CSV, JSON or a training plan"


def arguments(parser: argparse.ArgumentParser) -> None:
    """P.paretoscope, which candidates, what to write and where."""
    tables = _keys("selection")
    parser.add_argument("project", metavar="P.paretoscope", help="the project file")
    parser.add_argument(
        "--candidate",
        action="append",
        default=[],
        metavar="ID",
        help="a candidate's id (from 'frontier --json'); repeatable; without it: the project's"
        f" selected candidate, for {tables} the front, for {_keys('measurements')} all that was"
        " measured",
    )
    parser.add_argument(
        "--top", type=whole, metavar="K", help=f"for {tables}: at most K rows of the front"
    )
    parser.add_argument("--to", required=True, choices=tuple(formats()), help="the format")
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


def _keys(kind: str) -> str:
    """The formats of a kind, for example 'csv, json and plan'."""
    *most, last = (key for key, row in formats().items() if row.kind == kind)
    return f"{', '.join(most)} and {last}" if most else last


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Write the file (and its sidecar) and report what was written."""
    order = order_of(options)
    # refused before anything is fitted
    order.check_target()
    with open_any(options.project) as project:
        contents, choices = read_contents(project), project.choices()
        tell_unread(project)
    if format_of(order.format).kind == "measurements" and not order.candidates:
        # raw measurements need no law
        return answer(write_measurements(contents.measurements, order))
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    return answer(export(contents, laws, table, make_frame(table, choices), order))


def order_of(options: argparse.Namespace) -> ExportOrder:
    """The order that the options describe. Raises Unusable for an impossible training device."""
    device = None
    if options.to == "plan":
        device = TrainingDevice(
            options.device, options.devices, options.utilisation, options.peak, options.price
        )
    return ExportOrder(
        options.to,
        Path(options.out).expanduser(),
        tuple(options.candidate),
        options.top,
        options.force,
        options.name or "",
        options.max_context,
        device,
    )


def answer(written: Written) -> tuple[str, dict[str, Any]]:
    """The sentence, and the same as JSON."""
    return written.text, {
        "format": written.format,
        "path": written.files[0],
        "files": list(written.files),
        "rows": written.rows,
        "candidates": list(written.candidates),
        "params_total": list(written.params_total),
    }
