"""Which laws the runs cannot tell apart, and the simplest of them: the rule of one standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import Floats, Indices
from core.fit.fit import Fit
from core.fit.left_out import Guesses, LeftOut, rms

# a fit that could use fewer of the runs that another used is not compared with it
LEAST_SHARE = 0.5
# predictions this close are of one function, found from two sides
SAME = 1e-6
# the share of a normal distribution below one standard deviation
ONE_SIGMA = 0.8413447460685429


@dataclass(frozen=True, slots=True)
class Standing:
    """A law beside the best one, both predicting the same runs without their shape.

    `rms` is its root mean square error there. `excess` is how much its mean squared relative error
    is above that of the best, and `standard_error` that of the difference, over whole shapes. With
    few shapes it is widened as Student's t asks. `tie` says that the excess is no larger.
    `same_as` is the place of the fit that is the same function, written otherwise, and stands for
    both.
    """

    rms: float
    excess: float
    standard_error: float
    tie: bool
    same_as: int | None = None


@dataclass(frozen=True, slots=True)
class Standings:
    """Every fit's standing, in the order of the fits; None where one is not compared.

    `runs` of the `used` runs, those that every fit compared could use, of `shapes` shapes were
    compared. `best` is the place of the fit with the smallest error, `proposed` that of the simplest
    one that ties with it: fewest free parameters, then no term for shape, then the smallest error.
    Both are None where nothing could be compared.
    """

    each: tuple[Standing | None, ...]
    runs: int = 0
    used: int = 0
    shapes: int = 0
    best: int | None = None
    proposed: int | None = None

    def ordered(self, order: Sequence[int]) -> Standings:
        """The same for the fits in another order: the place that each now has."""
        now = {old: new for new, old in enumerate(order)}

        def moved(place: int | None) -> int | None:
            return None if place is None else now[place]

        each = (self.each[old] for old in order)
        return replace(
            self,
            each=tuple(s and replace(s, same_as=moved(s.same_as)) for s in each),
            best=moved(self.best),
            proposed=moved(self.proposed),
        )


def standings(fits: Sequence[Fit]) -> Standings:
    """How the fits stand by their errors on shapes left out of them, over the runs that all could use.

    The fits are of one table of runs. Not compared are those that failed or are withheld, have too
    few shapes to leave one out, or could use less than half of the runs that another used.
    """
    used, rows = _common(
        {i: f.left_out for i, f in enumerate(fits) if f.ok and f.left_out and f.left_out.by_shape}
    )
    guesses = {i: _guesses(left, rows) for i, left in used.items()}
    error = {i: g.error for i, g in guesses.items() if g is not None and np.isfinite(g.error).all()}
    if not error:
        return Standings((None,) * len(fits))

    def alike(i: int, k: int) -> bool:
        near = np.abs((1.0 + error[i]) / (1.0 + error[k]) - 1.0).max() < SAME
        return i == k or (bool(near) and len(fits[i].theta) == len(fits[k].theta))

    # one function found from two sides differs by rounding alone, which must decide nothing
    first = {i: next(k for k in error if alike(i, k)) for i in error}
    best = min(first.values(), key=lambda i: rms(error[i]))
    most = max(used.values(), key=lambda left: left.rows.size)
    shapes = most.shapes[np.searchsorted(most.rows, rows)]
    each: list[Standing | None] = [None] * len(fits)
    ties = []
    for i, k in first.items():
        excess, standard = paired(error[k] ** 2 - error[best] ** 2, shapes)
        tie = excess <= standard
        each[i] = Standing(rms(error[k]), excess, standard, tie, None if k == i else k)
        if tie and k == i:
            ties.append(i)
    proposed = min(
        ties,
        key=lambda i: (len(fits[i].theta), fits[i].definition.has_shape_term, rms(error[i])),
    )
    count = len(np.unique(shapes))
    return Standings(tuple(each), rows.size, most.rows.size, count, best, proposed)


def paired(difference: Floats, shapes: Indices) -> tuple[float, float]:
    """Mean of a difference over runs, and its standard error over whole shapes.

    The error is that of a ratio of sums over shapes, times the quantile of Student's t that stands
    for one standard deviation.
    """
    _, places = np.unique(shapes, return_inverse=True)
    sums = np.bincount(places.reshape(-1), difference)
    rows = np.bincount(places.reshape(-1))
    count = rows.size
    mean = float(sums.sum() / rows.sum())
    if count < 2:
        return mean, float("inf")
    from scipy.special import stdtrit

    away = sums - mean * rows
    spread = np.sqrt(count / (count - 1) * float(away @ away)) / rows.sum()
    return mean, float(stdtrit(count - 1, ONE_SIGMA) * spread)


def _common(left: Mapping[int, LeftOut]) -> tuple[dict[int, LeftOut], Indices]:
    """Those that are compared, in order, and the places of the runs that all of them used."""
    most = max((each.rows.size for each in left.values()), default=0)
    compared: list[int] = []
    common: Indices = np.zeros(0, dtype=np.intp)
    # those that used most come first, so that one that used few cannot take runs from the others
    for i in sorted(left, key=lambda i: -left[i].rows.size):
        both = np.intersect1d(common, left[i].rows) if compared else left[i].rows
        if both.size >= LEAST_SHARE * most:
            compared.append(i)
            common = both
    return {i: left[i] for i in sorted(compared)}, common


def _guesses(left: LeftOut, rows: Indices) -> Guesses | None:
    return left.by_shape and left.by_shape.take(np.searchsorted(left.rows, rows))
