"""The reachable range of one metric while a limit on another moves: two staircases, made once.

The lowest value among the points inside `c <= v` falls in steps as v rises, and each step is at a
point on the front of (c, value); the highest value likewise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Bools, Floats
from core.pareto.front import front_indices
from core.pareto.limits import Column, Limit, feasible


@dataclass(frozen=True, slots=True, eq=False)
class LiveReach:
    """Lowest and highest value of a metric for every value of one moving limit.

    `side` is '<=' or '>='. Each value in `low` can be reached from the bound in `low_from` on, and
    likewise for `high`. Bounds are negated where needed so that `<=` is the test. `free` is the range
    without a limit, None where there is none.
    """

    side: str
    low_from: Floats
    low: Floats
    high_from: Floats
    high: Floats
    free: tuple[float, float] | None

    def at(self, limit: float | None) -> tuple[float, float] | None:
        """Lowest and highest value under the limit at this value; None where no point is left."""
        if limit is None:
            return self.free
        bound = limit if self.side == "<=" else -limit
        low = int(np.searchsorted(self.low_from, bound, side="right"))
        high = int(np.searchsorted(self.high_from, bound, side="right"))
        return (float(self.low[low - 1]), float(self.high[high - 1])) if low and high else None


def prepare_reach(
    values: Floats, column: Floats, side: str, passes_others: Bools | None = None
) -> LiveReach:
    """The reach of `values` (n,) while a limit on `column` (n,) moves, among the points that pass
    every other limit. Unknown values are not reached; a point without a value in `column` passes
    only when there is no limit. ValueError for a side that is neither '<=' nor '>='."""
    if side not in ("<=", ">="):
        raise ValueError(f"side must be '<=' or '>=', not {side!r}")
    counted = np.isfinite(values)
    if passes_others is not None:
        counted &= passes_others
    known = values[counted]
    turned = column if side == "<=" else -column
    down = front_indices(turned, values, counted)
    up = front_indices(turned, -values, counted)
    return LiveReach(
        side,
        turned[down],
        values[down],
        turned[up],
        values[up],
        (float(known.min()), float(known.max())) if len(known) else None,
    )


def reach_of_each(
    column: Column, limits: Sequence[Limit], rows: int, key: tuple[Any, ...], names: Sequence[str]
) -> Iterator[tuple[str, LiveReach]]:
    """Each of the metrics with its reach while the limit of this key (metric, statistic, side) moves.

    As in `limits.reachable` a metric's own limits do not count; so the reach of the moving limit's
    metric does not change, and it is left out.
    """
    metric, statistic, side = key
    for name in names:
        if name != metric:
            others = [limit for limit in limits if limit.key != key and limit.metric != name]
            inside = feasible(column, others, rows)
            yield (
                name,
                prepare_reach(column(name, "p50"), column(metric, statistic), side, inside),
            )
