"""Drift correction: how slow the machine was at each moment, estimated from interleaved measurements.

On a machine that is shared (a virtual one, a busy one) everything runs slower for some seconds and
faster for the next. Points that are timed interleaved share the same background load. In
`log value = point + drift(time)` the drift is estimated from the other points' blocks around a moment,
and divided out. That is the additive model of a randomised block design (Fisher 1935), with a moving
window for the blocks.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from core.arrays import Floats, Indices

SIDE = 4  # neighbours in time on each side from which the drift of a block is estimated
FEWEST = 6  # points below which no drift is estimated
ROUNDS = 12


def drift_factors(points: Sequence[int], times: Sequence[float], values: Sequence[float]) -> Floats:
    """A factor for each block: above 1 where the machine was slower than usual; median 1.

    `values` are positive block medians of the numbered `points` at `times`. A block's own value never
    enters its factor. The drift is shrunk by how well neighbours predict a block (the least-squares
    slope, within 0 to 1), so that the factor stays near 1 where blocks scatter independently. With
    fewer than six points it is 1.
    """
    who = np.asarray(points, np.intp)
    if len(np.unique(who)) < FEWEST:
        return np.ones(len(who))
    order = np.argsort(np.asarray(times, float), kind="stable")
    near = _neighbours(who[order])
    logs = np.log(np.asarray(values, np.float64))[order]
    mine = who[order]
    drift = np.zeros(len(logs))
    for _ in range(ROUNDS):
        usual = _medians(logs - drift, mine)
        rest = logs - usual[mine]
        with warnings.catch_warnings():
            # a block with no other point near has no estimate
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            nearby = np.nanmedian(np.where(near >= 0, rest[near], np.nan), axis=1)
        nearby = np.nan_to_num(nearby - np.nanmedian(nearby), nan=0.0)
        scale = float(nearby @ nearby)
        slope = float(np.clip(nearby @ rest / scale, 0.0, 1.0)) if scale > 0 else 0.0
        before, drift = drift, slope * nearby
        if np.max(np.abs(drift - before)) < 1e-4:
            break
    found = np.empty(len(logs))
    found[order] = np.exp(drift)
    return found


def _neighbours(who: Indices) -> Indices:
    """Positions of the nearest blocks in time of other points, (blocks, 2 SIDE); -1: none there."""
    n = len(who)
    steps = np.concatenate([np.arange(-SIDE, 0), np.arange(1, SIDE + 1)])
    at = np.arange(n)[:, None] + steps
    inside = (at >= 0) & (at < n)
    at = np.clip(at, 0, n - 1)
    return np.where(inside & (who[at] != who[:, None]), at, -1)


def _medians(values: Floats, who: Indices) -> Floats:
    """Median of the values of each number up to the largest; anything for a number without values."""
    sizes = np.bincount(who)
    starts = np.cumsum(sizes) - sizes
    ordered = values[np.lexsort((values, who))]
    low, high = starts + (sizes - 1) // 2, starts + sizes // 2
    return np.asarray((ordered[low] + ordered[high]) / 2)
