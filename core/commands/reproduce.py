"""`reproduce`: the published experiment, refitted on its own runs, published beside obtained."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

HELP = "refit the inference-aware paper's experiment and its 7,200 random-shape draws"


def arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments: the runs are the paper's."""


def run(_: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Every published number beside the one obtained here, and what holds up and what does not."""
    from core.paper.reproduce import reproduction
    from core.records.progress import Progress

    steps = reproduction()
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            found = end.value
            break
        if isinstance(step, Progress):
            print(f"{step.done:.0f} of {step.total:.0f}  {step.text}", file=sys.stderr)
    draws = found.draws
    answer = {
        "rows": [
            {
                "title": row.published.title,
                "published": dict(row.published.values),
                "obtained": {k: float(v) for k, v in row.obtained.items()},
                "errors_of_largest": list(row.errors),
            }
            for row in found.rows
        ],
        "draws": {
            "count": len(draws.members),
            "summaries": {k: dataclasses.asdict(v) for k, v in draws.summaries.items()},
            "shape_wins": draws.shape_wins,
            "shape_wins_by_the_papers_solver": draws.shape_wins_paper,
            "papers_solver_misses_the_minimum": draws.stuck,
        },
        "holds": list(found.holds),
        "fails": list(found.fails),
    }
    return found.text(), answer
