"""Long work followed on the command line, with one line of progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from core.commands.stopping import StopAsked
from core.harmless import visible
from core.records.progress import Outcome, Progress, Steps

WIDTH = 118


def followed(
    steps: Steps[Outcome], on_result: Callable[[Any], str | None] | None = None
) -> Outcome:
    """The outcome of long work; on a terminal, its progress is one line on standard error.

    `on_result` receives every value that the work yields besides progress. The line that it returns,
    if any, is printed on standard error. The work is always closed in the end. Whoever asks the program
    to stop (`core.commands.stopping`) stops it between two steps, and Stopped is raised.
    """
    live = sys.stderr.isatty()
    width = 0
    with StopAsked() as stop:
        try:
            while True:
                step = next(steps)
                if isinstance(step, Progress):
                    if live:
                        left = (
                            "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
                        )
                        line = f"      {step.done:.1f} of {step.total:.0f}  {visible(step.text)}{left}"[
                            :WIDTH
                        ]
                        print(line.ljust(width), end="\r", file=sys.stderr, flush=True)
                        width = len(line)
                elif on_result is not None and (text := on_result(step)) is not None:
                    clear = " " * width + "\r" if live else ""
                    print(f"{clear}{visible(text)}", file=sys.stderr, flush=True)
                stop.check()
        except StopIteration as end:
            outcome: Outcome = end.value
        finally:
            stop.closing()
            steps.close()
            if live:
                print(" " * width, end="\r", file=sys.stderr, flush=True)
    return outcome
