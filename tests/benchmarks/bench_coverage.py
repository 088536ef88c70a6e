"""How often the interval of a measurement holds what more measuring finds: the honesty of its width.

    python tests/benchmarks/bench_coverage.py [TIMES] [SECONDS] [DEVICE]

One shape is measured TIMES over (30), each time in a process of its own for up to SECONDS (10), as one
repetition of a sweep is. What all the others say together is taken for the truth of each. Printed is how
often a repetition's own 95 % interval holds it, and how often that of so many repetitions taken together does
(`core.samples.repetitions`), by metric, with the median half-width; and the correlation of neighbouring
blocks, which is why a repetition alone may be too sure of itself.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from core.measure.process.session import Session
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Workload
from core.records.measurement import Measurement, Point
from core.samples.repetitions import together
from core.samples.statistics import estimate, metric_blocks

POINT = Point(Architecture(8, 384, 6, 6, 64, 1024, 4096), Workload(1, 16, 24))
METRICS = ("tpot", "ttft")
GROUPS = (1, 2, 3, 6)
DRAWS = 400


def outcome(steps: Generator[Any, None, Measurement]) -> Measurement:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def repetition(seconds: float, device: str) -> Measurement:
    session = Session(device, Settings(budget_s=seconds), probe=False)
    try:
        return outcome(session.measure(POINT))
    finally:
        session.close()


def row(found: Sequence[Measurement], metric: str, size: int) -> str:
    rng = np.random.default_rng(0)
    values = np.array([estimate(m, metric).value for m in found])
    held, widths = [], []
    for draw in range(len(found) if size == 1 else DRAWS):
        chosen = [draw] if size == 1 else list(rng.choice(len(found), size, replace=False))
        truth = float(np.median(np.delete(values, chosen)))
        told = estimate(together([found[i] for i in chosen])[0], metric)
        held.append(told.low <= truth <= told.high)
        widths.append(told.half_width)
    return f"{metric}  {size} repetitions: {np.mean(held):5.1%} hold it, half-width {np.median(widths):.1%}"


def correlation(found: Sequence[Measurement], metric: str) -> float:
    """Of a block's median with the next one's, around the median of its repetition."""
    first: list[float] = []
    second: list[float] = []
    for m in found:
        medians = np.array([np.median(b) for b in metric_blocks(m, metric)])
        rest = np.log(medians / np.median(medians))
        first += list(rest[:-1])
        second += list(rest[1:])
    return float(np.corrcoef(first, second)[0, 1])


def main() -> None:
    times, seconds, device = 30, 10.0, "cpu"
    if len(sys.argv) > 1:
        times = int(sys.argv[1])
    if len(sys.argv) > 2:
        seconds = float(sys.argv[2])
    if len(sys.argv) > 3:
        device = sys.argv[3]
    found = []
    for number in range(times):
        found.append(repetition(seconds, device))
        print(f"{number + 1} of {times}", end="\r", file=sys.stderr, flush=True)
    found = [m for m in found if not m.failed]
    for metric in METRICS:
        values = np.array([estimate(m, metric).value for m in found])
        between = float(np.std(np.log(values)))
        blocks = np.median([len(m.samples[metric]) for m in found])
        print(
            f"{metric}  {len(found)} repetitions of {blocks:.0f} blocks, {np.median(values) * 1e3:.3f} ms,"
            f" {between:.1%} between repetitions, neighbouring blocks correlate {correlation(found, metric):.2f}"
        )
        for size in [size for size in GROUPS if size <= len(found) // 2]:
            print(row(found, metric, size))


if __name__ == "__main__":
    main()
