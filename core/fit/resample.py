"""How certain a fit is: the law fitted again to resampled shapes or runs, never to checkpoints."""

from __future__ import annotations

from dataclasses import replace
from statistics import NormalDist
from time import monotonic

import numpy as np

from core.arrays import Floats
from core.errors import Unusable
from core.fit.fit import Fit, derived
from core.fit.groups import groups_of
from core.fit.minimise import Minima, Problem, descend
from core.fit.solve import finish, grid_of, natural, problem_of, project
from core.records.progress import Progress, Steps, outcome
from core.records.training_runs import TrainingRuns

UNITS = ("shape", "run")
AT_ONCE = 125


def with_resamples(
    fit: Fit, runs: TrainingRuns, count: int = 1000, unit: str = "shape", seed: int = 0
) -> Fit:
    """The fit with `count` resamples of its parameters; a failed fit comes back as it is."""
    return outcome(bootstrap(fit, runs, count, unit, seed))


def bootstrap(
    fit: Fit, runs: TrainingRuns, count: int = 1000, unit: str = "shape", seed: int = 0
) -> Steps[Fit]:
    """Steps: resample whole shapes (or runs) of the runs that were fitted, with replacement.

    Yields progress and returns the fit with its resamples, and a warning where they disagree on a
    sign. The search on every resample starts from the fit and from good points of the grid.
    """
    if unit not in UNITS:
        raise Unusable(f"the unit of resampling is '{unit}'; it must be one of {', '.join(UNITS)}")
    if count < 1:
        raise Unusable(f"{count} resamples; at least 1 is needed")
    if not fit.theta:
        return fit
    problem, usable = problem_of(fit, runs)
    groups = groups_of(runs.take(usable), unit)
    distinct = int(groups.max()) + 1
    generator = np.random.default_rng(seed)
    started, parts, lost = monotonic(), [], 0
    starts = bootstrap_starts(fit, problem)
    for first in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - first)
        drawn = generator.multinomial(distinct, np.full(distinct, 1.0 / distinct), size=size)
        found = refit(problem, drawn[:, groups].astype(np.float64), starts)
        columns = natural(fit.definition, fit.tying, found.theta, fit.centre)
        theta = np.stack([columns[name] for name in fit.theta], axis=1)
        good = np.isfinite(found.objective) & np.isfinite(theta).all(axis=1)
        parts.append(theta[good])
        lost += int((~good).sum())
        done = first + size
        left = (monotonic() - started) / done * (count - done)
        yield Progress(done, count, f"resampling {distinct} {unit}s", left)
    resamples = np.concatenate(parts)
    warnings = list(fit.warnings)
    if lost:
        warnings.append(f"{lost} of {count} resamples could not be fitted and are left out")
    warnings += disagreements(fit, resamples)
    return replace(fit, resamples=resamples, warnings=tuple(warnings), clusters=distinct)


def bootstrap_starts(fit: Fit, problem: Problem, others: int = 2) -> Floats:
    """Where refits start (S,P): the fit itself, and some of the better grid points."""
    grid = grid_of(problem)
    solved, value = project(problem, grid, np.zeros(len(grid), dtype=np.intp))
    best = np.argsort(value)[:: max(1, len(grid) // 8)][:others]
    return np.concatenate([fit.vector()[None], solved[best]])


def refit(problem: Problem, weights: Floats, starts: Floats, steps: int = 150) -> Minima:
    """The problem's minimum under every row of weights (B,n), each from every start (S,P)."""
    many = replace(problem, weights=weights)
    size, count = len(weights), len(starts)
    which = np.repeat(np.arange(size), count)
    first = descend(many, np.tile(starts, (size, 1)), which, 12, exact=False)
    return finish(many, size, count, first, which, steps)


def disagreements(fit: Fit, resamples: Floats) -> list[str]:
    """Warnings about shape parameters whose sign the resamples do not agree on."""
    warnings = []
    for i, name in enumerate(fit.theta):
        if name not in fit.definition.signed:
            continue
        negative = float((resamples[:, i] < 0).mean())
        if 0.025 < negative < 0.975:
            warnings.append(
                f"resamples disagree on the sign of {name}: {100 * negative:.0f} % are negative"
            )
    return warnings


def percentiles(fit: Fit, level: float = 0.95) -> dict[str, tuple[float, float]]:
    """Interval of every parameter shown, and of the values derived from them, from the resamples.

    The percentiles reach further out for few shapes: as far as `Fit.spread` does in a normal
    distribution (the expanded percentile bootstrap, Hesterberg 2015, arXiv 1411.5279).
    """
    if fit.resamples is None or not len(fit.resamples):
        return {}
    tail = 100.0 * NormalDist().cdf(-fit.spread(level))
    found = {}
    shown = fit.shown
    for i, name in enumerate(fit.theta):
        if name not in shown:
            continue
        low, high = np.percentile(fit.resamples[:, i], [tail, 100.0 - tail])
        found[name] = (float(low), float(high))
    if wanted := derived(fit):
        names = list(fit.theta)
        each = [
            derived(replace(fit, theta=dict(zip(names, row, strict=True)), resamples=None))
            for row in fit.resamples
        ]
        for name in wanted:
            values = np.array([d.get(name, np.nan) for d in each])
            values = values[np.isfinite(values)]
            if values.size:
                low, high = np.percentile(values, [tail, 100.0 - tail])
                found[name] = (float(low), float(high))
    return found
