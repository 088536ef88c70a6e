"""How far apart two sizes may lie for a law to count them as one size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.fit.fit import Fit
from core.fit.groups import SAME_SIZE
from core.laws.columns import fit_columns, params_column
from core.records.training_runs import TrainingRuns

# sizes this close are one size, however small the law's error
ALWAYS_ONE = 1.05
# how far, in ln N, the slope of the loss is taken
STEP = 0.1


def size_factor(fit: Fit, runs: TrainingRuns) -> float:
    """The factor between two sizes that changes the predicted loss by as much as the law errs.

    The law's error is its scatter about the runs, and the change is the median over the runs when
    only the size grows, with R and the tokens as they are. The factor is at least 1.05 and at most
    1.22; it is 1.22 where the error is not known.
    """
    if not fit.theta or not np.isfinite(fit.scatter):
        return SAME_SIZE
    slope = _slope(fit, runs)
    if not np.isfinite(slope):
        return SAME_SIZE
    widest = np.log(SAME_SIZE)
    apart = fit.scatter / slope if slope > fit.scatter / widest else widest
    return float(np.exp(np.clip(apart, np.log(ALWAYS_ONE), widest)))


def _slope(fit: Fit, runs: TrainingRuns) -> float:
    """How fast ln L falls with ln N at one R, the median over the runs; NaN where unknown."""
    here = fit_columns(runs)
    grown = dict(here)
    for name, share in ((params_column(fit.params), 1.0), ("d_model", 1 / 3), ("n_layers", 1 / 3)):
        if name in grown:
            # N grows as layers times width squared
            grown[name] = grown[name] * np.exp(share * STEP)
    law = replace(fit, withheld="")
    with np.errstate(invalid="ignore", divide="ignore"):
        fall = np.log(law.predict(here)) - np.log(law.predict(grown))
    known = fall[np.isfinite(fall)]
    return float(np.median(np.abs(known))) / STEP if known.size else float("nan")
