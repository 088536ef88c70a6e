"""How certain a front is: the points that could be on it, draws of their values, a band along it.

Uncertainty is given either as resamples (one row per resample of the laws, so errors move together)
or as an interval for each value (errors are then treated as independent). Columns are minimised, as
in `core.pareto.front`.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.pareto.front import front_indices

# draws are cut here, in half-widths of the interval, so that points far from the front can be left out
FARTHEST = 1.5


def ever_on_front(
    x_best: Floats,
    x_worst: Floats,
    y_best: Floats,
    y_worst: Floats,
    feasible: Bools | None = None,
    surely: Bools | None = None,
) -> Indices:
    """Indices of the points that could be on the front: their best corner is not dominated by the
    worst corner of another. `feasible` are the points that count in some draws, `surely` those that
    count in every draw and so can exclude others (None: all of them)."""
    usable = ~(np.isnan(x_best) | np.isnan(x_worst) | np.isnan(y_best) | np.isnan(y_worst))
    if feasible is not None:
        usable &= feasible
    front = front_indices(x_worst, y_worst, usable if surely is None else usable & surely)
    rows = np.flatnonzero(usable)
    if len(front) == 0:
        return rows
    fx, fy = x_worst[front], y_worst[front]
    at = np.searchsorted(fx, x_best[rows], side="right") - 1
    reached = at >= 0
    at = np.maximum(at, 0)
    beaten = (fy[at] < y_best[rows]) | ((fy[at] == y_best[rows]) & (fx[at] < x_best[rows]))
    ever: Indices = rows[~(reached & beaten)]
    return ever


def draws_from_intervals(
    middle: Floats, low: Floats, high: Floats, draws: int, seed: int, level: float = 0.9
) -> Floats:
    """Independent draws (draws, n) of values given as a middle and a central interval of `level`.

    Each side is half a normal whose quantile at that level is the interval's end, cut at FARTHEST
    half-widths (the probability beyond is put on that value). A missing interval (NaN) is exact.
    """
    z = np.random.default_rng(seed).standard_normal((draws, len(middle)))
    z /= NormalDist().inv_cdf(0.5 + level / 2)
    np.clip(z, -FARTHEST, FARTHEST, out=z)
    down = np.nan_to_num(middle - low, nan=0.0)
    up = np.nan_to_num(high - middle, nan=0.0)
    return np.asarray(middle + z * np.where(z < 0, down, up))


def band_along_front(
    x_draws: Floats, y_draws: Floats, at: Floats, coverage: float = 0.9
) -> tuple[Floats, Floats]:
    """Low and high (m,) of the best y attained at or below each x of `at`, over the draws (S, n).

    The central `coverage` of the draws lies between them (the empirical attainment function). inf
    where a draw attains nothing yet.
    """
    attained = np.array(
        [_lowest_up_to(x, y, at) for x, y in zip(x_draws, y_draws, strict=True)]
    ).reshape(len(x_draws), len(at))
    tail = 0.5 - coverage / 2
    # no interpolation between draws, since one of them may be inf
    low = np.quantile(attained, tail, axis=0, method="lower")
    high = np.quantile(attained, 1 - tail, axis=0, method="higher")
    return low, high


def _lowest_up_to(x: Floats, y: Floats, at: Floats) -> Floats:
    order = np.argsort(x, kind="stable")
    lowest = np.r_[np.inf, np.minimum.accumulate(y[order])]
    return np.asarray(lowest[np.searchsorted(x[order], at, side="right")])
