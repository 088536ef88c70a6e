"""Repetitions: one point measured several times, minutes and processes apart, taken together.

Blocks of one repetition agree with each other far better than repetitions do: where memory happened to
lie, which cores the host gave, and what else ran on it stay the same for seconds and change within
minutes. So from three repetitions on each is one block, and the interval is that between repetitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.records.measurement import Measurement
from core.samples.statistics import corrected

# another program, a slowed clock or a compiler was at work: a calm repetition is worth more than such a one
OVERRULED = frozenset({"busy", "throttled", "late-compile"})
# what the interval of several repetitions accounts for
ANSWERED = frozenset({"drift", "budget"})
ENOUGH = 3
REPETITIONS = 3  # of a point, unless asked otherwise
# these hold for good: measuring the point again would end the same
SETTLED = frozenset({"oom", "unsupported"})
MOST = 1000  # repetitions of one point


def together(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """One measurement for every key, in order of first appearance; a single one is itself.

    Repetitions under the latest one's software count, the disturbed ones among them only when there is
    no other. Every sample of those is kept, corrected for drift where that is known: two repetitions
    lie side by side in blocks as they were measured, of three and more each is one block. A flag stays
    when most repetitions raised it. `timing.repetitions` is their number. A key that only ever failed
    gives its latest failure.
    """
    groups: dict[Any, list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(m.key, []).append(m)
    return tuple(_one(rows) for rows in groups.values())


def repetitions_made(measurements: Iterable[Measurement]) -> Counter[Any]:
    """Repetitions by key; what is known to fail for good counts as repeated often enough."""
    made: Counter[Any] = Counter()
    for m in measurements:
        if SETTLED.intersection(m.flags):
            made[m.key] += MOST
        elif not m.failed:
            made[m.key] += m.timing.repetitions
    return made


def _one(rows: Sequence[Measurement]) -> Measurement:
    usable = [m for m in rows if not m.failed]
    if not usable:
        return rows[-1]
    last = usable[-1]
    if len(usable) == 1 or last.runtime.served:
        # a server may be another one, or otherwise set up: only the latest run shows it as it is
        return last
    alike = [m for m in usable if _software(m) == _software(last)]
    # what is noted of a repetition that was cut short is not true of all of them
    last = next((m for m in reversed(alike) if not m.timing.ended_early), last)
    calm = [m for m in alike if not OVERRULED.intersection(m.flags)] or alike
    if len(calm) == 1:
        return calm[0]
    raised = Counter(flag for m in calm for flag in m.flags)
    most = [flag for flag, count in raised.items() if count > len(calm) / 2]
    if len(calm) >= ENOUGH:
        most = [flag for flag in most if flag not in ANSWERED]
    sizes = dict.fromkeys(name for m in calm for name in m.memory_bytes)
    return replace(
        last,
        samples=_samples(calm),
        flags=tuple(most),
        memory_bytes={
            name: max(m.memory_bytes[name] for m in calm if name in m.memory_bytes)
            for name in sizes
        },
        energy=next((m.energy for m in reversed(calm) if m.energy), last.energy),
        quality=next((m.quality for m in reversed(calm) if m.quality), last.quality),
        # the samples have been corrected already
        timing=replace(
            last.timing, repetitions=sum(m.timing.repetitions for m in calm), drift_factors={}
        ),
        started_at=min(m.started_at for m in calm),
    )


def _samples(repetitions: Sequence[Measurement]) -> dict[str, tuple[tuple[float, ...], ...]]:
    samples = [corrected(m) for m in repetitions]
    phases = dict.fromkeys(name for each in samples for name in each)
    found = {}
    for name in phases:
        parts = [each[name] for each in samples if each.get(name)]
        if len(repetitions) < ENOUGH:
            blocks = [block for part in parts for block in part]
        else:
            blocks = [np.concatenate(part) for part in parts]
        found[name] = tuple(tuple(block.tolist()) for block in blocks)
    return found


def _software(m: Measurement) -> tuple[Any, ...]:
    """What makes two timings of one point comparable."""
    known = m.environment
    return (m.source, *(known.get(name) for name in ("torch", "threads", "driver", "kernels")))
