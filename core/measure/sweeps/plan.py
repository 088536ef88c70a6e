"""What a sweep would do and could cost, known before it starts. Arithmetic only: nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.measure.backends.registry import needed_bytes, refusal
from core.measure.timing.energy import COOL_S, IDLE_S, SHORTEST_S
from core.measure.timing.protocol import Settings
from core.records.measurement import Device, Point
from core.samples.repetitions import MOST
from core.units import format_quantity, time_text


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """A point with the repetitions it still gets (0: known already) and the bytes it will need.

    `refusal` is why its backend cannot run it on the device, or ''.
    """

    point: Point
    repetitions: int
    needed_bytes: int
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep would do on a device.

    `most_s` is how long warming and timing take by the protocol when no point is sure of itself before
    its time is up, or the budget where that is shorter. Many end sooner; loading comes on top, and a
    single request longer than its point's share runs to its end.
    """

    points: tuple[PlannedPoint, ...]
    device: Device
    most_s: float

    @property
    def repetitions(self) -> int:
        """Repetitions to make of all points together."""
        return sum(p.repetitions for p in self.points)

    @property
    def known(self) -> int:
        """Points that need no repetition any more."""
        return sum(not p.repetitions for p in self.points)

    @property
    def too_large(self) -> tuple[Point, ...]:
        """Points to measure that the device can never hold; they would be flagged 'oom' at once."""
        most = self.device.memory_bytes
        return tuple(p.point for p in self.points if p.repetitions and 0 < most < p.needed_bytes)

    @property
    def refused(self) -> tuple[PlannedPoint, ...]:
        """Points to measure that cannot run on the device; they would be flagged 'unsupported'."""
        return tuple(p for p in self.points if p.repetitions and p.refusal)

    @property
    def text(self) -> str:
        """One line for a person."""
        if not self.points:
            return "There is nothing to measure."
        if not self.repetitions:
            return f"All {counted(len(self.points), 'point')} measured already."
        due = [p for p in self.points if p.repetitions]
        times = (
            f", {counted(self.repetitions, 'repetition')}" if self.repetitions > len(due) else ""
        )
        parts = [
            f"{counted(len(due), 'point')} to measure{times}: up to about {time_text(self.most_s)}"
        ]
        largest = format_quantity(max(p.needed_bytes for p in due), "B")
        held = self.device.memory_bytes
        of = f" of {format_quantity(held, 'B')}" if held else ""
        parts.append(f"largest {largest}{of}")
        if self.too_large:
            parts.append(f"{len(self.too_large)} cannot fit")
        if self.refused:
            parts.append(f"{len(self.refused)} cannot run here ({self.refused[0].refusal})")
        if self.known:
            parts.append(f"{self.known} known already")
        return "; ".join(parts)


def plan(
    points: Iterable[Point],
    device: Device,
    made: Mapping[Any, int],
    *,
    repetitions: int = 1,
    budget_s: float | None = None,
    energy_s: float = 0.0,
    settings: Settings | None = None,
    devices: int = 1,
) -> Plan:
    """The plan of a sweep that repeats each point so often; `made` counts the repetitions made, by key.

    `devices` is the number of alike devices that share the points. Raises Unusable for a point whose
    backend does not exist.
    """
    chosen = settings or Settings()
    rows = []
    for point in points:
        done = made.get(point.key(device), 0)
        left = 0 if done >= MOST else max(0, repetitions - done)
        need = needed_bytes(point)["total"]
        rows.append(PlannedPoint(point, left, need, refusal(point, device.kind)))
    # a point's repetitions share its budget of time; each is warmed up anew
    each = chosen.budget_s / max(1, repetitions) + chosen.warm_s
    if energy_s > 0:
        each += max(SHORTEST_S, energy_s) + IDLE_S + COOL_S
    longest = each * sum(row.repetitions for row in rows) / devices
    return Plan(tuple(rows), device, min(longest, budget_s or longest))


def counted(number: int, noun: str) -> str:
    """'1 point', '2 points'."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
