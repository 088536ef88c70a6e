"""`import`: results of other tools into a project, as an overlay on its candidates."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.commands.following import said_to_be_read
from core.commands.unread import tell_unread
from core.records.imported import ImportedPoint, left_out

HELP = "read result files of benchmark tools into a project"


def arguments(parser: argparse.ArgumentParser) -> None:
    """P.paretoscope and the files or folders to read."""
    from core.formats.results.readers import result_formats

    *others, last = (row.title for row in result_formats())
    tools = f"{', '.join(others)} or {last}"
    parser.add_argument("project", metavar="P.paretoscope", help="the project, made if missing")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=f"results of {tools} with units in its column names; or a folder of them",
    )


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Read every file, then store the new points; nothing is stored if a file cannot be read."""
    from core.analysis.overlays import new_points
    from core.analysis.paired_scores import paired_scores
    from core.formats.results.reading import read_results
    from core.project.project import Project
    from core.records.serial import to_plain

    read = []
    for name in options.files:
        path = Path(name).expanduser()
        with said_to_be_read(path):
            read.append((Path(name), read_results(path)))
    files: list[dict[str, Any]] = []
    with Project.open_or_create(Path(options.project).expanduser()) as project:
        for path, points in read:
            fresh = new_points(project.imported(), points)
            if fresh:
                project.add_imported(str(path), fresh)
            files.append(
                {
                    "file": str(path),
                    "read": len(points),
                    "stored": len(fresh),
                    "left_out": list(left_out(points)),
                    "failed_requests": sum(p.failed_requests for p in points),
                    "points": [described(p) for p in points],
                }
            )
        stored = project.imported()
        tell_unread(project)
    given = {(p.source, p.name) for _, points in read for p in points}
    pairs = paired_scores(stored, [p for p in stored if (p.source, p.name) in given])
    text = "\n".join((human(files, options.project), *(pair.text for pair in pairs)))
    return text, {
        "project": options.project,
        "total": len(stored),
        "files": files,
        "paired": [to_plain(pair) for pair in pairs],
    }


def described(point: ImportedPoint) -> dict[str, Any]:
    """One imported point as plain values."""
    w = point.workload
    return {
        "name": point.name,
        "tool": point.tool,
        "tool_version": point.tool_version,
        "device": point.device,
        "workload": {
            "batch": w.batch,
            "prompt_tokens": w.prompt_tokens,
            "output_tokens": w.output_tokens,
        }
        if w is not None
        else None,
        "metrics": {
            key: {
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "n": e.n,
                "statistic": e.statistic,
                "statistics": dict(e.statistics),
            }
            for key, e in point.metrics.items()
        },
        "failed_requests": point.failed_requests,
        "notes": list(point.notes),
    }


def human(files: Sequence[dict[str, Any]], project: str) -> str:
    """Each file with its points: name, workload and numbers."""
    lines = []
    for file in files:
        again = file["read"] - file["stored"]
        known = f" ({again} known already)" if again else ""
        lines.append(f"{file['file']}: {file['stored']} points stored in {project}{known}")
        for point in file["points"]:
            w = point["workload"]
            about = (
                f"batch {w['batch']}, {w['prompt_tokens']} in, {w['output_tokens']} out"
                if w
                else "unknown workload"
            )
            values = ", ".join(
                _with_statistic(key, e) for key, e in point["metrics"].items() if ":" not in key
            )
            version = f" {point['tool_version']}" if point["tool_version"] else ""
            lines.append(f"  {point['name']} ({point['tool']}{version}; {about}): {values}")
            lines += [f"    note: {note}" for note in point["notes"]]
        lines += [f"  left out: {line}" for line in file["left_out"]]
    return "\n".join(lines)


def _with_statistic(key: str, estimate: Mapping[str, Any]) -> str:
    """A metric as it is shown, with what it is where that is no plain median."""
    said = estimate["statistic"]
    usual = said in ("median", "value") or said.startswith("1 /")
    return shown(key, estimate["value"]) + ("" if usual else f" ({said})")


def shown(key: str, value: float) -> str:
    """A metric's short name and its value with a unit; ITL is not among the table's metrics."""
    from core.records.metrics import METRICS
    from core.units import format_quantity

    if key in METRICS:
        return f"{METRICS[key].short} {METRICS[key].format(value)}"
    return f"{key.removesuffix('_s')} {format_quantity(value, 's')}"
