"""Each run beside a law's prediction made without its shape: the columns behind a law's charts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.arrays import Floats
from core.fit.fit import Fit
from core.fit.groups import groups_of
from core.fit.resample import bootstrap_starts, refit
from core.fit.solve import problem_of
from core.laws.columns import fit_columns, params_column
from core.records.training_runs import TrainingRuns


@dataclass(frozen=True, slots=True, eq=False)
class Residuals:
    """Columns of one length, one row per run.

    Where `left_out`, `predicted` comes from a fit without the run's shape; otherwise, with too few
    shapes to leave one out, from the fit to all runs. `error` is predicted / observed - 1. `size` is
    N in the law's convention, `shape` d_model / n_layers (NaN where not known).
    """

    fit: Fit
    names: tuple[str, ...]
    observed: Floats
    predicted: Floats
    error: Floats
    size: Floats
    tokens: Floats
    shape: Floats
    left_out: bool


def residuals(fit: Fit, runs: TrainingRuns) -> Residuals:
    """The runs that a law was (or would be) fitted to, each predicted without its shape.

    A fit without parameters gives no rows. Published constants are not fitted again.
    """
    if not fit.theta:
        nothing = np.zeros(0)
        return Residuals(fit, (), *(nothing,) * 6, left_out=False)
    problem, usable = problem_of(fit, runs)
    kept = runs.take(usable)
    columns = fit_columns(kept)
    groups = groups_of(kept, "shape")
    observed = columns["loss"]
    distinct = int(groups.max()) + 1
    weights = (groups[None, :] != np.arange(distinct)[:, None]).astype(np.float64)
    left_out = fit.n > 0 and distinct >= 3 and weights.sum(axis=1).min() >= len(fit.theta)
    if left_out:
        found = refit(problem, weights, bootstrap_starts(fit, problem))
        predicted = problem.value(found.theta)[groups, np.arange(observed.size)]
    else:
        predicted = problem.value(fit.vector()[None])[0]
    unknown = np.full(observed.size, np.nan)
    width, depth = columns.get("d_model", unknown), columns.get("n_layers", unknown)
    return Residuals(
        fit,
        kept.names,
        observed,
        predicted,
        predicted / observed - 1.0,
        columns[params_column(fit.params)],
        columns["tokens"],
        width / depth,
        left_out,
    )


def mean_error(found: Residuals) -> float:
    """Root mean square of the relative errors; NaN without rows."""
    return float(np.sqrt(np.mean(found.error**2))) if len(found.error) else math.nan
