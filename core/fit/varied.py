"""What a run table varies: sizes, training tokens at one size, and shapes at one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Floats, Indices
from core.fit.groups import SAME_SIZE, levels_of

# shapes whose R lies within this factor are too alike to compare
ALIKE = 1.2
# below this cover (see Contrasts) shapes of one size say too little of the range of all shapes
LEAST_COVER = 0.5
# the highest power of ln N in the curve that tokens may follow: one bend more than a parabola's
HIGHEST_POWER = 3


@dataclass(frozen=True, slots=True)
class Levels:
    """Distinct values of a column, those within 22 % counted as one, and its range."""

    count: int
    low: float
    high: float

    @property
    def span(self) -> float:
        """The largest value over the smallest."""
        return self.high / self.low


@dataclass(frozen=True, slots=True)
class Contrasts:
    """How shapes of one size differ in R = d_model/n_layers.

    `sets` counts the sizes with two or more shapes, and `one_size` is the factor that one size may
    span. Of every size, shapes whose R lies within 20 % count as one. `count` sums what the others
    are beyond the first of their size, and `levels` counts the distinct R in such sizes. `within`
    is their range of R and `among` that of all shapes, equal where there are none. `cover` is the
    root of the sum of squares of ln R about its mean at each size, over the range of ln R.
    """

    shapes: int
    sets: int
    one_size: float
    count: int
    levels: int
    within: tuple[float, float]
    among: tuple[float, float]
    cover: float


def levels(values: Floats) -> Levels:
    """The levels of positive values; there must be at least one."""
    classes = levels_of(values, SAME_SIZE)
    return Levels(int(classes.max()) + 1, float(values.min()), float(values.max()))


def free_tokens(size: Floats, tokens: Floats) -> tuple[float, float]:
    """What a smooth curve in ln N leaves of ln D: its standard deviation, and its share of the variance.

    The curve is a cubic, of lower degree where there are fewer sizes; at one size it is the mean.
    """
    n, d = np.log(size), np.log(tokens)
    degree = min(HIGHEST_POWER, levels(size).count - 1)
    basis = np.vander((n - n.mean()) / max(float(np.ptp(n)), 1e-12), degree + 1)
    left = d - basis @ np.linalg.lstsq(basis, d, rcond=None)[0]
    spread, whole = float(left.std()), float(d.std())
    # rounding leaves something of tokens that do not vary
    return (spread, (spread / whole) ** 2) if whole > 1e-9 else (0.0, 0.0)


def contrasts(log_ratio: Floats, size: Floats, one_size: float) -> Contrasts:
    """How shapes differ in R where they have one size: every (ln R, N) counts as one shape."""
    pairs = np.unique(np.stack([log_ratio, np.log(size)], axis=1).round(9), axis=0)
    ratio = pairs[:, 0]
    sizes = levels_of(np.exp(pairs[:, 1]), one_size)
    sets = count = 0
    squares = 0.0
    compared: list[Indices] = []
    for k in np.unique(sizes):
        here = np.flatnonzero(sizes == k)
        if here.size < 2:
            continue
        sets += 1
        squares += float(((ratio[here] - ratio[here].mean()) ** 2).sum())
        if (unlike := _unlike(ratio[here])) > 1:
            count += unlike - 1
            compared.append(here)
    among = float(np.ptp(ratio))
    seen = ratio[np.concatenate(compared)] if compared else ratio[:1]
    return Contrasts(
        len(pairs),
        sets,
        one_size,
        count,
        _unlike(seen) if compared else 0,
        (float(np.exp(seen.min())), float(np.exp(seen.max()))),
        (float(np.exp(ratio.min())), float(np.exp(ratio.max()))),
        float(np.sqrt(squares)) / among if among > 1e-9 else 0.0,
    )


def told_apart_at_one_size(log_values: Floats, log_width: Floats, size: Floats) -> bool:
    """True where runs of one size differ enough in a column, whatever a straight line in ln width says.

    Enough is two comparisons, three values, and LEAST_COVER of the column's range. Sizes within 22 %
    are one size.
    """
    sizes = levels_of(size, SAME_SIZE)
    counts = np.bincount(sizes)
    free, given = (v - (np.bincount(sizes, v) / counts)[sizes] for v in (log_values, log_width))
    square = float(given @ given)
    slope = float(free @ given) / square if square > 1e-12 else 0.0
    seen = contrasts(log_values - slope * given, size, SAME_SIZE)
    return seen.count >= 2 and seen.levels >= 3 and seen.cover >= LEAST_COVER


def _unlike(log_ratio: Floats) -> int:
    """How many shapes can be picked of which no two are alike."""
    picked, last = 0, -np.inf
    for value in np.sort(log_ratio):
        if value - last >= np.log(ALIKE):
            picked, last = picked + 1, value
    return picked
