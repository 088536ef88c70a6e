"""Pareto fronts of columns: who dominates whom, the front, its staircase and its neighbours.

Everything here minimises; `oriented` negates a metric of which more is better. Point p
dominates q when p is no worse in every column and better in at least one (strict dominance), so
**points that are equal in every column do not dominate each other and are kept or dropped
together**. A row with a NaN dominates nothing and is never on a front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.arrays import Bools, Floats, Indices

# more bins cost more than the sort they save
BINS_2D = 4096
BINS_3D = 256
# below this many points a sort is quicker than any prefilter
FEW = 4096
CHUNK = 4096
BLOCK = 256


def oriented(column: Floats, better: str) -> Floats:
    """The column as one to minimise: itself where 'lower' is better, negated where 'higher' is."""
    if better not in ("lower", "higher"):
        raise ValueError(f"better must be 'lower' or 'higher', not {better!r}")
    values = np.asarray(column, dtype=np.float64)
    return values if better == "lower" else -values


def nondominated(values: Floats, feasible: Bools | None = None) -> Bools:
    """Mask (n,) of the rows of `values` (n, d) that no other feasible row dominates.

    Minimises every column; ties as the module says. Rows outside `feasible` neither dominate nor
    are kept. Two columns: bin prefilter and a sorted sweep, O(n log n). Three: grid prefilter and a
    vectorised divide and conquer, O(n log^2 n) even where every row is on the front. Four and more:
    chunks in order of their rank sum against a growing archive, O(n x front).
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"values must be (n, d) with d >= 1, not {table.shape}")
    usable = ~np.isnan(table).any(axis=1)
    if feasible is not None:
        usable &= feasible
    rows = np.flatnonzero(usable)
    mask = np.zeros(len(table), dtype=bool)
    if len(rows) == 0:
        return mask
    d = table.shape[1]
    if d == 1:
        mask[rows] = table[rows, 0] == table[rows, 0].min()
    elif d == 2:
        mask[rows[_front_2d(table[rows, 0], table[rows, 1])]] = True
    elif d == 3:
        mask[rows[_front_3d(table[rows, 0], table[rows, 1], table[rows, 2])]] = True
    else:
        mask[rows[_front_many(table[rows])]] = True
    return mask


def front_indices(x: Floats, y: Floats, feasible: Bools | None = None) -> Indices:
    """Indices of the front of two minimised columns, in order of rising x (so falling y)."""
    usable = ~(np.isnan(x) | np.isnan(y))
    if feasible is not None:
        usable &= feasible
    rows = np.flatnonzero(usable)
    on_front = rows[_front_2d(x[rows], y[rows])]
    along: Indices = on_front[np.lexsort((on_front, y[on_front], x[on_front]))]
    return along


def dominators(x: Floats, y: Floats, i: int, feasible: Bools | None = None) -> Indices:
    """Indices of the feasible points that dominate point i, those with the largest gain first.

    The gain is summed over both columns, relative to the spread of the points. If there are none and
    i is feasible, i is on the front.
    """
    mask = (x <= x[i]) & (y <= y[i]) & ((x < x[i]) | (y < y[i]))
    if feasible is not None:
        mask &= feasible
    found = np.flatnonzero(mask)
    if len(found) == 0:
        return found
    gain = np.zeros(len(found))
    for column in (x, y):
        spread = float(np.ptp(column[found])) + abs(float(column[i]) - float(column[found].max()))
        if np.isfinite(spread) and spread > 0:
            gain += (column[i] - column[found]) / spread
    return found[np.argsort(-gain, kind="stable")]


def neighbours_on_front(
    x: Floats, y: Floats, front: Indices, i: int, count: int = 2
) -> tuple[Indices, Indices]:
    """The front points on either side of point i along x: (lower x, higher x), nearest first.

    `front` is in order of rising x, as `front_indices` gives it. Points equal to i in both columns
    are no neighbours: they are the same place.
    """
    elsewhere = front[(x[front] != x[i]) | (y[front] != y[i])]
    # a point off the front may share its x with a front point, which then lies on the lower side
    at = int(np.searchsorted(x[elsewhere], x[i], side="right"))
    return elsewhere[max(0, at - count) : at][::-1], elsewhere[at : at + count]


def staircase(
    x: Floats,
    y: Floats,
    better: tuple[str, str] = ("lower", "lower"),
    ends: tuple[float, float] | None = None,
) -> tuple[Floats, Floats]:
    """Vertices of the front drawn as steps, so that no line suggests configurations between points.

    `x`, `y` are the front's points in any order, in the metrics' own values; `better` says which
    way each improves. The line bounds what the points attain: from each point it runs towards worse
    x at that point's y, then straight to the next point. With `ends` = (worst x, worst y) it starts
    and ends at those lines. Points that another one given dominates are left out.
    """
    order = front_indices(oriented(x, better[0]), oriented(y, better[1]))
    return steps_along(x[order], y[order], better, ends)


def steps_along(
    x: Floats,
    y: Floats,
    better: tuple[str, str] = ("lower", "lower"),
    ends: tuple[float, float] | None = None,
) -> tuple[Floats, Floats]:
    """`staircase` of points that are a front already and come in the order of `front_indices`."""
    if len(x) == 0:
        return np.empty(0), np.empty(0)
    steps_x, steps_y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    if ends is None:
        return steps_x, steps_y
    # a front beyond the ends stays as it is
    worse_x = max if better[0] == "lower" else min
    worse_y = max if better[1] == "lower" else min
    return (
        np.concatenate([x[:1], steps_x, [worse_x(ends[0], float(x[-1]))]]),
        np.concatenate([[worse_y(ends[1], float(y[0]))], steps_y, y[-1:]]),
    )


# ---------------------------------------------------------------- two columns


def _front_2d(x: Floats, y: Floats) -> Indices:
    """Indices (unordered) of the front of two NaN-free columns."""
    keep = np.arange(len(x))
    while len(keep) > FEW:
        survive = _survives_bins(x[keep], y[keep])
        enough = np.count_nonzero(survive) < 0.5 * len(keep)
        keep = keep[survive]
        if not enough:
            break
    order = keep[np.lexsort((y[keep], x[keep]))]
    sx, sy = x[order], y[order]
    starts = np.r_[True, sx[1:] != sx[:-1]]
    group = np.maximum.accumulate(np.where(starts, np.arange(len(sx)), 0))
    lowest_so_far = np.minimum.accumulate(sy)
    before = np.where(group > 0, lowest_so_far[group - 1], np.inf)
    kept: Indices = order[(sy == sy[group]) & ((sy < before) | (group == 0))]
    return kept


def _survives_bins(x: Floats, y: Floats) -> Bools:
    """False for points that a point of a lower x bin dominates."""
    bins = _rising_bins(x, BINS_2D)
    lowest = np.full(BINS_2D, np.inf)
    np.minimum.at(lowest, bins, y)
    before = np.r_[np.inf, np.minimum.accumulate(lowest)[:-1]]
    there = before[bins]
    # a lower bin means a strictly lower x, so an equal y is enough to be dominated
    survive: Bools = (y < there) | (there == np.inf)
    return survive


def _rising_bins(column: Floats, bins: int) -> NDArray[np.uint16]:
    """Bin of each value, rising with it, with about as many points in each bin.

    The leading bits of a float are a logarithmic scale that costs nothing: measured from the lowest
    value they resolve finest where fronts are, and a small table turns them into equal shares.
    """
    lowest = float(column.min())
    if not np.isfinite(lowest):
        finite = column[np.isfinite(column)]
        lowest = float(finite.min()) if len(finite) else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        above = (column - lowest).astype(np.float32)
    np.maximum(above, np.float32(0), out=above)
    # -0.0 would have the sign bit set
    above += np.float32(0)
    scale = above.view(np.int32) >> 15
    share = np.cumsum(np.bincount(scale[:: max(1, len(scale) // 16384)], minlength=65536))
    table = ((share - 1) * bins // (share[-1] + 1)).clip(0, bins - 1).astype(np.uint16)
    binned: NDArray[np.uint16] = table[scale]
    return binned


# ---------------------------------------------------------------- three columns


def lowest_dominating(x: Floats, y: Floats, c: Floats) -> Floats:
    """For each point the lowest c of any point that dominates it in (x, y); inf where none does.

    NaN-free columns, minimised. Points equal in (x, y) do not dominate each other. Divide and
    conquer from the bottom up: sorted by (x, y), a left half can only dominate a right half, and
    does so where its y is no higher; all blocks of a level are merged by one vectorised step.
    """
    n = len(x)
    if n == 0:
        return np.empty(0)
    order = np.lexsort((y, x))
    sx, sy, sc = x[order], y[order], c[order]
    starts = np.flatnonzero(np.r_[True, (sx[1:] != sx[:-1]) | (sy[1:] != sy[:-1])])
    places = len(starts)
    group = np.repeat(np.arange(places), np.diff(np.r_[starts, n]))
    size = 1 << max(1, (places - 1).bit_length())
    height = np.full(size, np.inf)
    lowest_here = np.full(size, np.inf)
    height[:places] = sy[starts]
    lowest_here[:places] = np.minimum.reduceat(sc, starts)
    place = np.arange(size)
    best = np.full(size, np.inf)
    half = 1
    while half < size:
        blocks = (size // (2 * half), 2 * half)
        # stable: at equal y the left half comes first, and no worse in y is enough to dominate
        by_height = np.argsort(height.reshape(blocks), axis=1, kind="stable")
        left = by_height < half
        flat = (by_height + np.arange(0, size, 2 * half)[:, None]).ravel()
        height, place = height[flat], place[flat]
        lowest_here, best = lowest_here[flat], best[flat]
        from_left = np.where(left, lowest_here.reshape(blocks), np.inf)
        np.minimum.accumulate(from_left, axis=1, out=from_left)
        from_left[left] = np.inf
        np.minimum(best, from_left.ravel(), out=best)
        half *= 2
    by_place = np.empty(size)
    by_place[place] = best
    result = np.empty(n)
    result[order] = by_place[group]
    return result


def prefilter_3d(x: Floats, y: Floats, c: Floats) -> Indices:
    """Indices that may have no (x, y) dominator of lower or equal c: a grid drops most others.

    Never drops a point that is on the front of (x, y) under some limit on c.
    """
    keep = np.arange(len(x))
    while len(keep) > FEW:
        survive = _survives_grid(x[keep], y[keep], c[keep])
        enough = np.count_nonzero(survive) < 0.5 * len(keep)
        keep = keep[survive]
        if not enough:
            break
    return keep


def _survives_grid(x: Floats, y: Floats, c: Floats) -> Bools:
    cell = _rising_bins(x, BINS_3D).astype(np.int32) * BINS_3D + _rising_bins(y, BINS_3D)
    lowest = np.full(BINS_3D * BINS_3D, np.inf)
    np.minimum.at(lowest, cell, c)
    grid = lowest.reshape(BINS_3D, BINS_3D)
    np.minimum.accumulate(grid, axis=0, out=grid)
    np.minimum.accumulate(grid, axis=1, out=grid)
    before = np.full((BINS_3D, BINS_3D), np.inf)
    before[1:, 1:] = grid[:-1, :-1]
    there = before.ravel()[cell]
    survive: Bools = (c < there) | (there == np.inf)
    return survive


def _front_3d(x: Floats, y: Floats, c: Floats) -> Indices:
    """Indices of the front of three NaN-free columns."""
    keep = prefilter_3d(x, y, c)
    kx, ky, kc = x[keep], y[keep], c[keep]
    order = np.lexsort((kc, ky, kx))
    sx, sy, sc = kx[order], ky[order], kc[order]
    starts = np.r_[True, (sx[1:] != sx[:-1]) | (sy[1:] != sy[:-1])]
    group = np.maximum.accumulate(np.where(starts, np.arange(len(sx)), 0))
    lowest = lowest_dominating(sx, sy, sc)
    # lowest is inf where no point dominates too, so points with c = inf are judged by (x, y) alone
    dominated = lowest <= sc
    infinite = np.isposinf(sc)
    if infinite.any():
        dominated[infinite] = np.isfinite(lowest_dominating(sx, sy, np.zeros_like(sc)))[infinite]
    kept: Indices = keep[order[~dominated & (sc == sc[group])]]
    return kept


# ---------------------------------------------------------------- four columns and more


def _front_many(table: Floats) -> Indices:
    """Indices of the front of any number of NaN-free columns."""
    ranks = np.column_stack([_dense_ranks(column) for column in table.T])
    distinct, back = _distinct_rows(ranks)
    # a dominating row has the lower rank sum, so a row is only ever dropped by earlier ones
    order = np.argsort(distinct.sum(axis=1, dtype=np.int64), kind="stable")
    columns = np.ascontiguousarray(distinct[order].T)
    archive = np.empty((len(columns), 0), dtype=columns.dtype)
    kept: list[Indices] = []
    for start in range(0, len(order), CHUNK):
        here = np.arange(start, min(start + CHUNK, len(order)))
        for first in range(0, archive.shape[1], BLOCK):
            beaten = _any_dominates(archive[:, first : first + BLOCK], columns[:, here])
            if beaten.any():
                here = here[~beaten]
            if len(here) == 0:
                break
        chunk = columns[:, here]
        alive = np.ones(len(here), dtype=bool)
        for first in range(0, len(here), BLOCK):
            late = np.arange(first, len(here))
            late = late[alive[late]]
            block = late[late < first + BLOCK]
            alive[late] = ~_any_dominates(chunk[:, block], chunk[:, late], same_start=True)
        kept.append(here[alive])
        archive = np.concatenate([archive, chunk[:, alive]], axis=1)
    on_front = np.zeros(len(order), dtype=bool)
    on_front[order[np.concatenate(kept)]] = True
    return np.flatnonzero(on_front[back])


def _any_dominates(
    by: NDArray[np.int32], points: NDArray[np.int32], same_start: bool = False
) -> Bools:
    """Which of `points` (d, m) some column of `by` (d, k) is no worse than in every row.

    The points are distinct, so no worse everywhere is dominance; with `same_start` the first k
    points are `by` itself, and being no worse than oneself does not count.
    """
    no_worse = by[0][:, None] <= points[0][None, :]
    for row in range(1, len(by)):
        no_worse &= by[row][:, None] <= points[row][None, :]
    if same_start:
        own = np.arange(by.shape[1])
        no_worse[own, own] = False
    found: Bools = no_worse.any(axis=0)
    return found


def _dense_ranks(column: Floats) -> NDArray[np.int32]:
    order = np.argsort(column, kind="stable")
    ordered = column[order]
    ranks = np.empty(len(column), dtype=np.int32)
    ranks[order] = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])
    return ranks


def _distinct_rows(table: NDArray[np.int32]) -> tuple[NDArray[np.int32], Indices]:
    """The distinct rows, and for every row which of them it is."""
    order = np.lexsort(table.T)
    ordered = table[order]
    new = np.r_[True, (ordered[1:] != ordered[:-1]).any(axis=1)]
    back = np.empty(len(table), dtype=np.intp)
    back[order] = np.cumsum(new) - 1
    return ordered[new], back
