"""A sweep cut by size: laws of the smaller points, and how they predict the larger ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats
from core.fit.latency import fit_latency
from core.fit.latency_fit import LatencyFit
from core.fit.latency_terms import points_of
from core.records.measurement import Measurement

SIZES: Mapping[str, Callable[[Measurement], float]] = {
    "parameters": lambda m: m.architecture.params_total,
    "bytes read": lambda m: m.architecture.params_read_per_step * m.runtime.weight_bytes,
    "layers' parameters": lambda m: m.architecture.params_non_embedding,
}


@dataclass(frozen=True)
class Larger:
    """The larger points of one metric and runtime beside what the law of the smaller ones says."""

    law: LatencyFit
    error: Floats  # predicted over measured, less one
    inside: Bools  # of the 95 % interval
    outside: Bools  # of what the law was fitted to
    half_width: Floats  # of the interval, on the log scale


def larger(
    rows: Sequence[Measurement], share: float = 2 / 3, size: str = "parameters"
) -> Iterator[Larger]:
    """What laws of this share of the points, the smallest, say of the others."""
    of = SIZES[size]
    rows = [m for m in rows if not m.failed]
    limit = sorted(map(of, rows))[round(len(rows) * share) - 1]
    for law in fit_latency([m for m in rows if of(m) <= limit]):
        others = [
            m
            for m in rows
            if of(m) > limit and m.runtime == law.runtime and m.samples.get(law.metric)
        ]
        if not (law.ok and others):
            continue
        p = points_of(others, law.metric)
        work = (p.shapes, p.batch, p.prompt_tokens, p.output_tokens)
        said, (low, high) = law.predict(*work), law.interval(*work)
        yield Larger(
            law,
            said / p.seconds - 1,
            (low <= p.seconds) & (p.seconds <= high),
            law.outside(*work),
            np.log(high / said),
        )
