"""Refits without each shape, without the largest size, and below several sizes and tokens: one batch."""

from __future__ import annotations

from math import ceil

import numpy as np

from core.arrays import Bools, Floats
from core.fit.fit import Fit
from core.fit.groups import SAME_SIZE, groups_of, levels_of, sizes_of
from core.fit.left_out import Cut, Guesses, LeftOut
from core.fit.naive import nearest_run, power_law
from core.fit.resample import bootstrap_starts, refit
from core.fit.solve import problem_of
from core.laws.columns import fit_columns, params_column
from core.records.training_runs import TrainingRuns

# fewer shapes cannot be left out one at a time
LEAST_SHAPES = 3
# a cut fits the values below these shares of the distinct ones
SHARES = (1 / 2, 2 / 3, 5 / 6)
# a term such as E + A/N^alpha needs as many distinct values
LEAST_LEVELS = 3


def left_out(fit: Fit, runs: TrainingRuns, cuts: bool = True) -> LeftOut:
    """The runs that a fit could use, each predicted without its shape, and, where wanted, by cuts.

    The law is fitted again without every shape, without the largest size and below each cut.
    Published constants are not fitted again. The fit must have parameters.
    """
    problem, usable = problem_of(fit, runs)
    kept = runs.take(usable)
    columns = fit_columns(kept)
    size, tokens, loss = columns[params_column(fit.params)], columns["tokens"], columns["loss"]
    shapes = groups_of(kept, "shape")
    nothing = LeftOut(usable, shapes, size, tokens)
    if not fit.n:
        return nothing
    needed = len(fit.theta)
    without = shapes[None, :] != np.arange(int(shapes.max()) + 1)[:, None]
    if len(without) < LEAST_SHAPES or without.sum(axis=1).min() < needed:
        without = without[:0]
    smaller = _smaller(size, needed) if cuts else []
    below = [*smaller, *(_cuts(size, tokens, needed) if cuts else ())]
    fitted = np.concatenate([without, *(rest[None] for _, rest in below)])
    if not len(fitted):
        return nothing
    found = refit(problem, fitted.astype(np.float64), bootstrap_starts(fit, problem))
    guess = problem.value(found.theta)

    def guesses(rest: Bools, law: Floats) -> Guesses:
        """Every run not in the rest, predicted from the rest."""
        out = np.flatnonzero(~rest)
        near = nearest_run(size, tokens, loss, rest, out)
        return Guesses(loss[out], law[out], near, power_law(size, tokens, loss, rest, out))

    by_shape, variance = None, np.zeros(0)
    if len(without):
        variance = _jackknife(guess[: len(without)], problem.value(fit.vector()[None])[0])
        law, near, power = np.zeros((3, loss.size))
        for rest, theirs in zip(without, guess, strict=False):
            each = guesses(rest, theirs)
            law[~rest], near[~rest], power[~rest] = each.predicted, each.nearest, each.power
        by_shape = Guesses(loss, law, near, power)
    made = []
    for (name, rest), theirs in zip(below, guess[len(without) :], strict=True):
        values = size if name == "N" else tokens
        beyond = values[~rest]
        factor = float(beyond.max() / values[rest].max())
        places = np.flatnonzero(~rest)
        made.append(Cut(name, float(beyond.min()), factor, places, guesses(rest, theirs)))
    largest = made[0] if smaller else None
    several = tuple(made[len(smaller) :])
    return LeftOut(usable, shapes, size, tokens, by_shape, variance, largest, several)


def _jackknife(without: Floats, whole: Floats) -> Floats:
    """Variance (n,) of ln L from fits without each of G shapes (G,n): (G-1)/G times the sum of squares."""
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.log(without) - np.log(whole)
    shapes = len(without)
    return np.asarray(np.nan_to_num((shapes - 1) / shapes * np.sum(moved**2, axis=0)))


def _smaller(size: Floats, needed: int) -> list[tuple[str, Bools]]:
    """The runs of all sizes but the largest, where there are enough to fit."""
    classes = sizes_of(size)
    rest = classes < classes.max()
    return [("N", rest)] if rest.sum() >= needed else []


def _cuts(size: Floats, tokens: Floats, needed: int) -> list[tuple[str, Bools]]:
    """The runs below each threshold of N and of D, where there are enough to fit."""
    every = [
        (name, values < threshold)
        for name, values in (("N", size), ("D", tokens))
        for threshold in thresholds(values)
    ]
    return [(name, rest) for name, rest in every if rest.sum() > needed]


def thresholds(values: Floats) -> list[float]:
    """Where to cut a column: the smallest value left out, with SHARES of the distinct values below.

    Values within 22 % of each other count as one. At least three stay below.
    """
    levels = levels_of(values, SAME_SIZE)
    count = int(levels.max()) + 1
    places = sorted({ceil(share * count) for share in SHARES})
    return [
        float(values[levels == place].min()) for place in places if LEAST_LEVELS <= place < count
    ]
