"""What `profile --plan` answers: the points, what each needs, and how long all of it could take."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.measure.sweeps.plan import Plan, plan
from core.project.project import Project
from core.records.measurement import Device, Point
from core.records.serial import to_plain
from core.samples.repetitions import visits_made
from core.units import format_quantity


def planned(
    points: Sequence[Point], device: Device, options: argparse.Namespace
) -> tuple[str, dict[str, Any]]:
    """The text and the JSON object of a plan; nothing is measured and no project is made."""
    made: dict[Any, int] = {}
    if Path(options.project).exists() and not options.again:
        with Project.open(options.project, read_only=True) as project:
            made = dict(visits_made(project.measurements()))
    told = plan(
        points,
        device,
        made,
        visits=1 if options.until_error is not None else options.visits,
        budget_s=options.budget_s,
        energy_s=5.0 if options.energy else 0.0,
    )
    return text_of(told), answer_of(told)


def answer_of(told: Plan) -> dict[str, Any]:
    """The plan as one JSON object."""
    return {
        "schema_version": 1,
        "device": to_plain(told.device),
        "visits": told.visits,
        "known": told.known,
        "most_s": told.most_s,
        "too_large": len(told.too_large),
        "points": [
            {
                "shape": dataclasses.asdict(row.point.architecture),
                "model": row.point.model,
                "params_total": int(row.point.architecture.params_total),
                "workload": dataclasses.asdict(row.point.workload),
                "runtime": dataclasses.asdict(row.point.runtime),
                "visits": row.visits,
                "needed_bytes": row.needed_bytes,
            }
            for row in told.points
        ],
    }


def text_of(told: Plan) -> str:
    """One row a point, then what it comes to."""
    too_large = set(told.too_large)
    lines = [f"{'shape':<14} {'parameters':>10} {'needs':>9} {'visits':>6}  runs as"]
    for row in told.points:
        point = row.point
        note = "  cannot fit" if point in too_large else ""
        lines.append(
            f"{point.model or point.architecture.label:<14}"
            f" {format_quantity(point.architecture.params_total, 'count'):>10}"
            f" {format_quantity(row.needed_bytes, 'B'):>9} {row.visits or 'known':>6}"
            f"  {point.runtime.label}; {point.workload.label}{note}"
        )
    return "\n".join([*lines, told.device.name, told.text])
