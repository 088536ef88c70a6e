"""The progress of long work, and the form that all long work has."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

Outcome = TypeVar("Outcome")

# long work: yields `Progress` and partial results, returns its outcome, is closed to cancel, raises to fail
Steps = Generator[Any, None, Outcome]


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work: how much is done, of how much, what it is doing, and the time left."""

    done: float
    total: float
    text: str = ""
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that whoever started long work should know at once, in one line."""

    text: str


def outcome(steps: Steps[Outcome]) -> Outcome:
    """Run long work to its end and return its outcome."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Outcome = end.value
            return result
