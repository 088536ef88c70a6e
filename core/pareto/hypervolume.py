"""How much of the plane a set of points dominates, up to a reference point."""

from __future__ import annotations

import numpy as np

from core.arrays import Floats
from core.pareto.front import nondominated


def hypervolume(points: Floats, reference: Floats) -> float:
    """Area dominated by the points (n, 2) and bounded by the reference point (2,).

    Minimises both columns; exact. Points that are not better than the reference in both, and rows
    with a NaN, add nothing. Other numbers of columns raise ValueError.
    """
    table = np.asarray(points, dtype=np.float64)
    bound = np.asarray(reference, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] != 2 or bound.shape != (2,):
        raise ValueError(
            "the hypervolume takes points (n, 2) and one reference value per column, "
            f"not {table.shape} and {bound.shape}"
        )
    table = table[(table < bound).all(axis=1)]
    if len(table) == 0:
        return 0.0
    # unique sorts by x, so y falls
    table = np.unique(table[nondominated(table)], axis=0)
    above = np.r_[bound[1], table[:-1, 1]]
    return float(np.sum((bound[0] - table[:, 0]) * (above - table[:, 1])))
