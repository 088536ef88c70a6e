"""How sure a front is: the chance of each point to be on it, and a band along it.

Uncertainty comes either as resamples (one row a resample of the laws, so errors move together) or
as an interval for each value (errors then count as independent of each other). Columns are
minimised, as in `core.pareto.front`.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.pareto.front import front_indices, nondominated

# draws are cut here, in widths of the interval's half, so that a few points surely can be left out
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
    worst corner of another. `feasible` are those that may count, `surely` those among them that
    count in every draw and so can beat others for certain (None: all)."""
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
    half-widths (so the chance beyond is laid on that point). A missing interval (NaN) is exact.
    """
    z = np.random.default_rng(seed).standard_normal((draws, len(middle)))
    z /= NormalDist().inv_cdf(0.5 + level / 2)
    np.clip(z, -FARTHEST, FARTHEST, out=z)
    down = np.nan_to_num(middle - low, nan=0.0)
    up = np.nan_to_num(high - middle, nan=0.0)
    return np.asarray(middle + z * np.where(z < 0, down, up))


def chance_on_front(x_draws: Floats, y_draws: Floats, feasible: Bools | None = None) -> Floats:
    """Share of the draws (S, n) in which each point (n,) is on the front.

    Its standard error is at most 0.5 / sqrt(S). Points that no draw can bring to the front are left
    out beforehand, so the cost is that of the few that matter.
    """
    if x_draws.shape != y_draws.shape or x_draws.ndim != 2:
        raise ValueError(f"draws must be two (S, n) arrays, not {x_draws.shape}, {y_draws.shape}")
    chance = np.zeros(x_draws.shape[1])
    few = ever_on_front(x_draws.min(0), x_draws.max(0), y_draws.min(0), y_draws.max(0), feasible)
    for x, y in zip(x_draws[:, few], y_draws[:, few], strict=True):
        chance[few] += nondominated(np.column_stack([x, y]))
    return chance / max(1, len(x_draws))


def front_chance(
    x: Floats,
    y: Floats,
    x_interval: tuple[Floats, Floats] | None = None,
    y_interval: tuple[Floats, Floats] | None = None,
    feasible: Bools | None = None,
    draws: int = 400,
    seed: int = 0,
    level: float = 0.9,
) -> Floats:
    """Chance (n,) of each point to be on the front, given independent intervals of its values.

    An interval is (low, high) at `level`; None or NaN counts as exact. The same seed gives the same
    chances. Where every interval is exact the chance is 1 on the front and 0 elsewhere.
    """
    few, x_draws, y_draws = _drawn(x, y, x_interval, y_interval, feasible, draws, seed, level)
    chance = np.zeros(len(x))
    chance[few] = chance_on_front(x_draws, y_draws)
    return chance


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
    # an actual draw at each end: between a number and inf there is nothing to interpolate
    low = np.quantile(attained, tail, axis=0, method="lower")
    high = np.quantile(attained, 1 - tail, axis=0, method="higher")
    return low, high


def front_band(
    x: Floats,
    y: Floats,
    at: Floats,
    x_interval: tuple[Floats, Floats] | None = None,
    y_interval: tuple[Floats, Floats] | None = None,
    feasible: Bools | None = None,
    draws: int = 400,
    seed: int = 0,
    level: float = 0.9,
) -> tuple[Floats, Floats]:
    """`band_along_front` of points with independent intervals, at coverage `level`."""
    _, x_draws, y_draws = _drawn(x, y, x_interval, y_interval, feasible, draws, seed, level)
    return band_along_front(x_draws, y_draws, at, level)


def _drawn(
    x: Floats,
    y: Floats,
    x_interval: tuple[Floats, Floats] | None,
    y_interval: tuple[Floats, Floats] | None,
    feasible: Bools | None,
    draws: int,
    seed: int,
    level: float,
) -> tuple[Indices, Floats, Floats]:
    """The points that matter and their draws."""
    x_low, x_high = _ends(x, x_interval)
    y_low, y_high = _ends(y, y_interval)
    few = ever_on_front(
        x - FARTHEST * (x - x_low),
        x + FARTHEST * (x_high - x),
        y - FARTHEST * (y - y_low),
        y + FARTHEST * (y_high - y),
        feasible,
    )
    x_draws = draws_from_intervals(x[few], x_low[few], x_high[few], draws, 2 * seed, level)
    y_draws = draws_from_intervals(y[few], y_low[few], y_high[few], draws, 2 * seed + 1, level)
    return few, x_draws, y_draws


def _ends(middle: Floats, interval: tuple[Floats, Floats] | None) -> tuple[Floats, Floats]:
    if interval is None:
        return middle, middle
    low, high = interval
    # an interval that does not hold its middle is widened to it
    return np.fmin(low, middle), np.fmax(high, middle)


def _lowest_up_to(x: Floats, y: Floats, at: Floats) -> Floats:
    order = np.argsort(x, kind="stable")
    lowest = np.r_[np.inf, np.minimum.accumulate(y[order])]
    return np.asarray(lowest[np.searchsorted(x[order], at, side="right")])
