"""Long work followed on the command line: one line that tells how far it is, where a person looks."""

from __future__ import annotations

import sys
from typing import Any

from core.records.progress import Progress, Steps

WIDTH = 118


def followed(steps: Steps[Any]) -> Any:
    """The outcome of a generator of steps; on a terminal, progress is one line on standard error."""
    live = sys.stderr.isatty()
    wide = 0
    try:
        while True:
            step = next(steps)
            if live and isinstance(step, Progress):
                left = "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
                line = f"      {step.done:.1f} of {step.total:.0f}  {step.text}{left}"[:WIDTH]
                print(line.ljust(wide), end="\r", file=sys.stderr, flush=True)
                wide = len(line)
    except StopIteration as end:
        return end.value
    finally:
        if live:
            print(" " * wide, end="\r", file=sys.stderr, flush=True)
        steps.close()
