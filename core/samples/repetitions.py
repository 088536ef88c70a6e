"""Repetitions: one point measured several times, minutes and processes apart, combined into one.

Blocks of one repetition agree far better than repetitions do: memory placement, the cores that the
host assigned and the load on it stay the same for seconds and change within minutes. So from three
repetitions on, each is one block, and the interval is that between repetitions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.records.measurement import Measurement
from core.records.software import software_of
from core.samples.statistics import corrected

# another program, a slowed clock or a compiler disturbed these; undisturbed repetitions are preferred
OVERRULED = frozenset({"busy", "throttled", "late-compile"})
# what the interval of several repetitions accounts for
ANSWERED = frozenset({"drift", "budget"})
# what is kept of the score: its text and precision
OF_SCORE = ("text", "text_sha256", "scored_in")
ENOUGH = 3
REPETITIONS = 3  # per point, by default
# these are final: measuring the point again would end the same way
SETTLED = frozenset({"oom", "unsupported"})
MOST = 1000  # repetitions of one point


def together(measurements: Iterable[Measurement]) -> tuple[Measurement, ...]:
    """One measurement for every key, in order of first appearance; a single one stays as it is.

    Repetitions under the latest one's software count; disturbed ones only when there are no others.
    All their samples are kept, corrected for drift where it is known. Two repetitions keep their
    blocks; of three or more, each is one block. A flag stays when most repetitions have it.
    `timing.repetitions` is their number. A key with failures only gives its latest failure.
    """
    groups: dict[Any, list[Measurement]] = {}
    for m in measurements:
        groups.setdefault(m.key, []).append(m)
    return tuple(_one(rows) for rows in groups.values())


def repetitions_made(measurements: Iterable[Measurement]) -> Counter[Any]:
    """Number of repetitions by key; a point with a final failure counts as fully repeated."""
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
        # the server may have changed between runs, so only the latest run counts
        return last
    alike = [m for m in usable if _software(m) == _software(last)]
    # the note of a repetition that was cut short does not hold for all of them
    last = next((m for m in reversed(alike) if not m.timing.ended_early), last)
    calm = [m for m in alike if not OVERRULED.intersection(m.flags)] or alike
    if len(calm) == 1:
        return calm[0]
    raised = Counter(flag for m in calm for flag in m.flags)
    most = [flag for flag, count in raised.items() if count > len(calm) / 2]
    if len(calm) >= ENOUGH:
        most = [flag for flag in most if flag not in ANSWERED]
    scores = [m for m in calm if m.quality]
    scored = scores[-1] if scores else last
    quality: dict[str, float] = {}
    for m in scores:
        # on one text, overlapping and disjoint windows give two metrics
        if _of_score(m) == _of_score(scored):
            quality |= m.quality
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
        quality=quality,
        environment={**last.environment, **_of_score(scored)},
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


def _of_score(m: Measurement) -> dict[str, Any]:
    return {name: m.environment[name] for name in OF_SCORE if name in m.environment}


def _software(m: Measurement) -> tuple[Any, ...]:
    """The software and threads that must be equal for two timings of one point to be comparable."""
    known = m.environment
    settings = (known.get(name) for name in ("threads", "driver", "kernels"))
    return (m.source, software_of(known), *settings)
