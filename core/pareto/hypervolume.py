"""How much of the plane or space a set of points dominates, up to a reference point."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from core.arrays import Floats
from core.pareto.front import nondominated


def hypervolume(points: Floats, reference: Floats) -> float:
    """Area (n, 2) or volume (n, 3) dominated by the points and bounded by the reference point.

    Minimises every column. Points that are not better than the reference in every column, and
    rows with a NaN, add nothing. Exact: an ordered sum in two columns, a sweep over the third with
    a staircase kept along the way in three. More columns raise ValueError.
    """
    table = np.asarray(points, dtype=np.float64)
    bound = np.asarray(reference, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] not in (2, 3) or bound.shape != (table.shape[1],):
        raise ValueError(
            "the hypervolume takes points (n, 2) or (n, 3) and one reference value a column, "
            f"not {table.shape} and {bound.shape}"
        )
    table = table[(table < bound).all(axis=1)]
    if len(table) == 0:
        return 0.0
    table = np.unique(table[nondominated(table)], axis=0)
    if table.shape[1] == 2:
        # unique sorts by x, so y falls
        above = np.r_[bound[1], table[:-1, 1]]
        return float(np.sum((bound[0] - table[:, 0]) * (above - table[:, 1])))
    return _volume(table[np.argsort(table[:, 2], kind="stable")], bound)


def _volume(table: Floats, bound: Floats) -> float:
    """Sweep upwards in z: the area dominated so far times the height to the next point."""
    end_x, end_y, end_z = (float(b) for b in bound)
    # the staircase of what was passed: x rising, y falling, with a guard at either end
    xs: list[float] = [-np.inf, end_x]
    ys: list[float] = [end_y, -np.inf]
    area = 0.0
    total = 0.0
    last_z = 0.0
    for x, y, z in table.tolist():
        total += area * (z - last_z)
        last_z = z
        first = bisect_left(xs, x)
        if ys[bisect_right(xs, x) - 1] <= y:
            continue
        # steps at or right of x that are no lower than y vanish under the new one
        last = first
        level = ys[first - 1]
        from_x = x
        while ys[last] >= y:
            area += (xs[last] - from_x) * (level - y)
            from_x, level = xs[last], ys[last]
            last += 1
        area += (xs[last] - from_x) * (level - y)
        xs[first:last] = [x]
        ys[first:last] = [y]
    return total + area * (end_z - last_z)
