"""How fast a law's error grows outside the runs it was fitted to: rates of N, D and R, each of its own."""

from __future__ import annotations

import numpy as np

from core.arrays import Bools, Floats
from core.fit.beyond import axes
from core.fit.fit import Fit
from core.fit.groups import groups_of
from core.fit.resample import bootstrap_starts, refit
from core.fit.solve import problem_of
from core.fit.terms import SHAPE, term_answers
from core.laws.columns import fit_columns, log_columns
from core.records.training_runs import TrainingRuns

# standard deviation of ln L per unit of ln N, ln D or ln R beyond the runs, before any cut was tried:
# the middle of what cuts of the bundled suites find (0.2 to 3 %)
PRIOR_RATE = 0.01
# how many cuts the prior is worth, each of runs that are twice as large as those that were fitted
PRIOR_CUTS = 2.0
PRIOR_AWAY = float(np.log(2.0))
# a cut counts with at most so many times the rate of the median one: a law fitted to half of the runs
# may run off to an exponent of 40
MOST_ABOVE = 3.0
# a cut fits the runs on one side of these quantiles of a column's distinct values
SHARES = (1 / 2, 2 / 3, 5 / 6)
# a cut must leave as many shapes to fit
LEAST_SHAPES = 4


def rates(fit: Fit, runs: TrainingRuns, known_error: float) -> dict[str, float]:
    """Standard deviation of ln L per unit of ln N, ln D and (for a law of shape) ln R beyond the runs.

    The law is fitted to the runs on one side of several cuts through each column, from below and from
    above, and judged on the others that lie inside what was fitted in every other column. The rate
    squared is what the mean squared errors exceed `known_error` squared by (the standard deviation of
    ln L inside), summed over the cuts, over the sum of mean squared distances from the cut. Cuts that
    reach far so count most, and PRIOR_RATE counts as PRIOR_CUTS more. No cut counts with more than
    MOST_ABOVE times the median one's rate: neither one run nor one cut can set a rate alone.
    """
    names = axes(fit)
    missed: dict[str, list[float]] = {name: [] for name in names}
    distance: dict[str, list[float]] = {name: [] for name in names}
    problem, usable = problem_of(fit, runs)
    kept = runs.take(usable)
    logs = log_columns(fit_columns(kept), names, fit.params)
    shapes, loss = groups_of(kept, "shape"), np.log(kept.columns["loss"])
    cuts = [
        (name, sign, rest)
        for name in names
        for sign in (1.0, -1.0)
        for rest in _sides(sign * logs[name])
        if rest.sum() > len(fit.theta) + 1
        and np.unique(shapes[rest]).size >= LEAST_SHAPES
        and _determined(fit, kept.take(rest))
    ]
    if cuts:
        weights = np.stack([rest for *_, rest in cuts]).astype(np.float64)
        found = refit(problem, weights, bootstrap_starts(fit, problem))
        with np.errstate(invalid="ignore", divide="ignore"):
            guess = np.log(problem.value(found.theta))
        for (name, sign, rest), theirs in zip(cuts, guess, strict=True):
            out = ~rest
            for other in names:
                if other != name:
                    inside = logs[other][rest]
                    out &= (logs[other] >= inside.min()) & (logs[other] <= inside.max())
            away = sign * logs[name][out] - (sign * logs[name][rest]).max()
            error = theirs[out] - loss[out]
            if not out.any() or not np.isfinite(error).all():
                continue
            missed[name].append(max(float((error**2).mean()) - known_error**2, 0.0))
            distance[name].append(float((away**2).mean()))
    return {name: _pooled(np.array(missed[name]), np.array(distance[name])) for name in names}


def _pooled(missed: Floats, distance: Floats) -> float:
    """One rate from the squared errors and squared distances of several cuts, and the prior."""
    prior = PRIOR_CUTS * PRIOR_AWAY**2
    limit = 0.0
    if missed.size:
        limit = (MOST_ABOVE * max(float(np.sqrt(np.median(missed / distance))), PRIOR_RATE)) ** 2
    bounded = np.minimum(missed, limit * distance)
    total = (prior * PRIOR_RATE**2 + bounded.sum()) / (prior + distance.sum())
    return float(np.sqrt(total))


def _determined(fit: Fit, runs: TrainingRuns) -> bool:
    """Whether runs fix the terms of size and tokens; beyond those that do not, any error may come."""
    return not any(a.undetermined for a in term_answers(fit, runs) if a.question != SHAPE)


def _sides(values: Floats) -> list[Bools]:
    """The runs up to each cut, as masks (n,)."""
    distinct = np.unique(values)
    places = {int(np.ceil(share * distinct.size)) for share in SHARES}
    return [values <= distinct[p - 1] for p in sorted(places) if 0 < p < distinct.size]
