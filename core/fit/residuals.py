"""Each run beside a law's prediction made without its shape: the columns behind a law's charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Floats
from core.fit.fit import Fit, predicted
from core.fit.leaving_out import left_out
from core.fit.left_out import rms
from core.laws.columns import fit_columns
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
    found = left_out(fit, runs, cuts=False)
    kept = runs.take(found.rows)
    columns = fit_columns(kept)
    observed = columns["loss"]
    guess = found.by_shape.predicted if found.by_shape is not None else predicted(fit, kept)
    unknown = np.full(observed.size, np.nan)
    width, depth = columns.get("d_model", unknown), columns.get("n_layers", unknown)
    return Residuals(
        fit,
        kept.names,
        observed,
        guess,
        guess / observed - 1.0,
        found.size,
        found.tokens,
        width / depth,
        found.by_shape is not None,
    )


def mean_error(found: Residuals) -> float:
    """Root mean square of the relative errors; NaN without rows."""
    return rms(found.error)
