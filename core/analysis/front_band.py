"""How far the drawn front may lie, as the vertical metric is uncertain."""

from __future__ import annotations

import numpy as np

from core.analysis.pipeline import Frame, minimised
from core.arrays import Floats
from core.pareto.front_chance import band_along_front, draws_from_intervals, ever_on_front
from core.records.metrics import METRICS
from core.table.table import Table

DRAWS = 400
# points of the front at which the band is told; more could not be told apart in a picture
MOST_PLACES = 400
# further candidates could hardly reach the front, and each costs a draw of every resample
MOST_CANDIDATES = 20_000


def picture_band(
    table: Table, frame: Frame, coverage: float = 0.9
) -> tuple[Floats, Floats, Floats] | None:
    """x (m,), low and high y (m,) of the front in the metrics' own units, x rising; each pair of y
    holds from its x to the next.

    A predicted loss moves with the law's resamples, all candidates together; any other uncertain
    metric by its intervals, independent of each other. The horizontal metric is taken as it is.
    None where the vertical metric is certain, or there is no front to speak of.
    """
    if len(frame.front) < 2 or not (METRICS[frame.x].better and METRICS[frame.y].better):
        return None
    x, y = minimised(table, frame.x), minimised(table, frame.y)
    estimates = table.estimates(frame.y)
    higher = METRICS[frame.y].better == "higher"
    low, high = (-estimates.high, -estimates.low) if higher else (estimates.low, estimates.high)
    low, high = np.fmin(low, y), np.fmax(high, y)
    few = ever_on_front(x, x, low, high, frame.feasible)
    if len(few) > MOST_CANDIDATES or not (high[few] > low[few]).any():
        return None
    draws = table.loss_draws(few) if frame.y == "loss" else np.empty((0, len(few)))
    if len(draws) < 2:
        # the intervals hold 95 %
        draws = draws_from_intervals(y[few], low[few], high[few], DRAWS, 0, level=0.95)
    else:
        known = np.flatnonzero(estimates.measured[few])
        draws = np.array(draws)
        draws[:, known] = y[few][known]
    at = x[frame.front]
    if len(at) > MOST_PLACES:
        at = at[np.linspace(0, len(at) - 1, MOST_PLACES).round().astype(int)]
    below, above = band_along_front(np.broadcast_to(x[few], draws.shape), draws, at, coverage)
    if higher:
        below, above = -above, -below
    if METRICS[frame.x].better == "higher":
        # turned round, what is attained at an x holds down to the one before it
        at, below, above = -at[::-1], below[::-1], above[::-1]
        below, above = np.append(below[1:], below[-1]), np.append(above[1:], above[-1])
    return at, below, above
