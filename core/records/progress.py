"""How far long work is, and the shape that all long work has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work: how far, of how much, with what is being done and the time left."""

    done: float
    total: float
    text: str = ""
    seconds_left: float | None = None
