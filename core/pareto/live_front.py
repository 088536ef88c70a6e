"""The front under a limit that moves: sorted once, then a comparison of a few thousand points.

With a limit `c <= v`, a point is on the front of (x, y) exactly while it is inside the limit and
nothing that dominates it is: from v = its own c, up to the lowest c of all that dominate it. So
each point has an interval of v. Most intervals are empty, and the rest give the front for every v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.pareto.front import lowest_dominating, prefilter_3d

# replaces an unknown value: outside every limit, inside where there is none
UNKNOWN = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True, eq=False)
class FrontPoints:
    """The points that are ever on a front, by rising x, and the bounds between which each is."""

    rows: Indices
    enters: Floats
    leaves: Floats

    def front(self, bound: float) -> Indices:
        """Those on the front at a bound."""
        return self.rows[(self.enters <= bound) & (bound < self.leaves)]


@dataclass(frozen=True, slots=True, eq=False)
class LiveFront:
    """The front of two minimised columns for every value of one moving limit.

    `side` is '<=' or '>='. `order` holds the points that pass all other limits, in the order in which
    loosening this one admits them. `enters` are their values, negated where needed so that `<=` is the
    test. `candidates` and their values hold the few thousand points that are ever on a front, by
    rising x. `preferred`, where there are any, are those of a front among some points only, which is
    the front as long as one of them passes.
    """

    side: str
    order: Indices
    enters: Floats
    candidates: FrontPoints
    preferred: FrontPoints | None = None

    def turned(self, value: float | None) -> float:
        """The limit as the upper bound on `enters`; None (no limit) admits every point."""
        if value is None or np.isnan(value):
            return UNKNOWN
        bound = value if self.side == "<=" else -value
        # an infinite bound is a limit that every known value passes
        return float(np.clip(bound, -UNKNOWN, np.nextafter(UNKNOWN, 0)))

    def count(self, value: float | None) -> int:
        """How many points pass this limit and all others: also how far along `order` it lies."""
        return int(np.searchsorted(self.enters, self.turned(value), side="right"))

    def front(self, value: float | None) -> Indices:
        """Indices of the front under the limit, in order of rising x and falling y."""
        bound = self.turned(value)
        if self.preferred is not None:
            found = self.preferred.front(bound)
            if len(found):
                return found
        return self.candidates.front(bound)

    def feasible(self, value: float | None) -> Indices:
        """Indices of the points that pass this limit and all others, in no useful order."""
        return self.order[: self.count(value)]


def prepare(
    x: Floats,
    y: Floats,
    column: Floats,
    side: str,
    passes_others: Bools | None = None,
    preferred: Bools | None = None,
) -> LiveFront:
    """The live front of minimised x and y while a limit on `column` moves.

    `passes_others` masks the points that pass every other limit. With `preferred` the front is of
    these points alone, as long as the limits leave one of them with x and y. Points without x or y count as
    feasible but are never on the front; points without a value in `column` pass only when there is
    no limit. It sorts the column once, which takes some hundred milliseconds for a million points.
    Each move afterwards is one comparison of the candidates.
    """
    if side not in ("<=", ">="):
        raise ValueError(f"side must be '<=' or '>=', not {side!r}")
    turned = np.asarray(column, dtype=np.float64) if side == "<=" else -column
    turned = np.where(np.isnan(turned), UNKNOWN, np.clip(turned, -UNKNOWN, UNKNOWN))
    if passes_others is None:
        order = np.argsort(turned)
    else:
        inside = np.flatnonzero(passes_others)
        order = inside[np.argsort(turned[inside])]
    placed = order[~(np.isnan(x[order]) | np.isnan(y[order]))]
    return LiveFront(
        side,
        order,
        turned[order],
        _ever(x, y, turned, placed),
        None if preferred is None else _ever(x, y, turned, placed[preferred[placed]]),
    )


def _ever(x: Floats, y: Floats, turned: Floats, placed: Indices) -> FrontPoints:
    """The points of `placed` that are ever on the front of these points."""
    few = placed[prefilter_3d(x[placed], y[placed], turned[placed])]
    fx, fy, fc = x[few], y[few], turned[few]
    leaves = lowest_dominating(fx, fy, fc)
    ever = np.flatnonzero(fc < leaves)
    ever = ever[np.lexsort((few[ever], fy[ever], fx[ever]))]
    return FrontPoints(few[ever], fc[ever], leaves[ever])
