"""The output of `profile --plan`: the points, what each needs, and how long all of them could take."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from core.guarded import is_there
from core.measure.sweeps.plan import Plan, plan
from core.project.project import Project
from core.records.measurement import Device, Point
from core.records.serial import to_plain
from core.samples.repetitions import repetitions_made
from core.units import format_quantity


def planned(
    points: Sequence[Point], device: Device, options: argparse.Namespace
) -> tuple[str, dict[str, Any]]:
    """The text and the JSON object of a plan; nothing is measured and no project is made."""
    made: dict[Any, int] = {}
    if is_there(options.project) and not options.again:
        with Project.open(options.project, read_only=True) as project:
            made = dict(repetitions_made(project.measurements()))
    found = plan(
        points,
        device,
        made,
        repetitions=1 if options.until_error is not None else options.repetitions,
        budget_s=options.budget_s,
        energy_s=5.0 if options.energy else 0.0,
    )
    return text_of(found), answer_of(found)


def answer_of(found: Plan) -> dict[str, Any]:
    """The plan as one JSON object."""
    return {
        "schema_version": 1,
        "device": to_plain(found.device),
        "visits": found.repetitions,
        "known": found.known,
        "most_s": found.most_s,
        "too_large": len(found.too_large),
        "points": [
            {
                "shape": dataclasses.asdict(row.point.architecture),
                "model": row.point.model,
                "params_total": int(row.point.architecture.params_total),
                "workload": dataclasses.asdict(row.point.workload),
                "runtime": dataclasses.asdict(row.point.runtime),
                "visits": row.repetitions,
                "needed_bytes": row.needed_bytes,
                "refusal": row.refusal,
            }
            for row in found.points
        ],
    }


def text_of(found: Plan) -> str:
    """One row per point, then the total."""
    too_large = set(found.too_large)
    lines = [f"{'shape':<14} {'parameters':>10} {'needs':>9} {'repeat':>6}  runs as"]
    for row in found.points:
        point = row.point
        note = "  cannot fit" if point in too_large else ""
        note += f"  cannot run: {row.refusal}" if row.refusal else ""
        lines.append(
            f"{point.model or point.architecture.label:<14}"
            f" {format_quantity(point.architecture.params_total, 'count'):>10}"
            f" {format_quantity(row.needed_bytes, 'B'):>9} {row.repetitions or 'known':>6}"
            f"  {point.runtime.label}; {point.workload.label}{note}"
        )
    return "\n".join([*lines, found.device.name, found.text])
