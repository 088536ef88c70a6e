"""Long work followed on the command line, with one line of progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.commands.stopping import StopAsked
from core.guarded import is_file
from core.harmless import visible
from core.records.progress import Notice, Outcome, Progress, Steps
from core.units import format_quantity

WIDTH = 118
# a file that takes longer than a second to read is said to be read
SLOW_BYTES = 3_000_000


def followed(
    steps: Steps[Outcome], on_result: Callable[[Any], str | None] | None = None
) -> Outcome:
    """The outcome of long work; on a terminal, its progress is one line on standard error.

    `on_result` receives every value that the work yields besides progress and notices, which are printed. The line that it returns,
    if any, is printed on standard error. The work is always closed in the end. Whoever asks the program
    to stop (`core.commands.stopping`) stops it between two steps, and Stopped is raised.
    """
    line = _Line()
    with StopAsked() as stop:
        try:
            while True:
                step = next(steps)
                if isinstance(step, Progress):
                    line.show(step)
                elif isinstance(step, Notice):
                    line.above(f"paretoscope: {step.text}")
                elif on_result is not None and (text := on_result(step)) is not None:
                    line.above(text)
                stop.check()
        except StopIteration as end:
            outcome: Outcome = end.value
        finally:
            stop.closing()
            steps.close()
            line.clear()
    return outcome


class _Line:
    """The line of progress, where anybody watches."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._width = 0

    def show(self, step: Progress) -> None:
        """Put the present state in the place of the last one."""
        if not self._live:
            return
        left = "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
        line = f"      {step.done:.1f} of {step.total:.0f}  {visible(step.text)}{left}"[:WIDTH]
        print(line.ljust(self._width), end="\r", file=sys.stderr, flush=True)
        self._width = len(line)

    def above(self, text: str) -> None:
        """Print a line that stays."""
        clear = " " * self._width + "\r" if self._live else ""
        print(f"{clear}{visible(text)}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave nothing on the terminal."""
        if self._live:
            print(" " * self._width, end="\r", file=sys.stderr, flush=True)


@contextmanager
def said_to_be_read(path: Path) -> Iterator[None]:
    """While a large file is read, a line on a terminal that says so."""
    size = path.stat().st_size if is_file(path) else 0
    line = f"      reading {visible(path.name)}, {format_quantity(size, 'B')}"[:WIDTH]
    said = size > SLOW_BYTES and sys.stderr.isatty()
    if said:
        print(line, end="\r", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if said:
            print(" " * len(line), end="\r", file=sys.stderr, flush=True)
