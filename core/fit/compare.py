"""Every law on one table of runs, in both N conventions, judged on runs left out of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import Unusable
from core.fit.fit import Fit
from core.fit.solve import fit
from core.fit.validate import validation
from core.laws.columns import CONVENTIONS
from core.laws.loss import LAWS
from core.records.progress import Progress, Steps
from core.records.training_runs import TrainingRuns


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Fits of one suite, best first by held-out error; failed ones come last.

    `missing` holds law, tying, convention and reason of those that could not be tried.
    """

    suite: str
    method: str
    fits: tuple[Fit, ...]
    missing: tuple[tuple[str, str, str, str], ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """One plain dictionary per fit, free of NaN."""
        return [row(f) for f in self.fits] + [
            {"law": law, "tying": tying, "params": params, "ok": False, "message": why}
            for law, tying, params, why in self.missing
        ]


def comparison(
    runs: TrainingRuns,
    method: str = "huber",
    laws: Sequence[str] = (),
    conventions: Sequence[str] = CONVENTIONS,
    insist: bool = False,
) -> Steps[Comparison]:
    """Steps: fit and judge every law, tying and N convention; returns the comparison.

    A law that needs a column the runs lack, and a convention of N they do not have, are left out and
    listed in `missing` with the reason.
    """
    tasks = [
        (law, tying.name, params)
        for params in conventions
        for law in (laws or tuple(LAWS))
        for tying in LAWS[law].tyings
    ]
    fits, missing = [], []
    for done, (law, tying, params) in enumerate(tasks):
        yield Progress(done, len(tasks), f"{law}, {tying}, {params} N")
        try:
            found = fit(runs, law, tied=tying, params=params, method=method, insist=insist)
        except Unusable as error:
            missing.append((law, tying, params, str(error)))
            continue
        judged = yield from validation(found, runs)
        fits.append(judged)
    fits.sort(key=lambda f: (not f.ok, f.heldout.get("shape_rms", np.inf)))
    yield Progress(len(tasks), len(tasks), "compared")
    return Comparison(runs.suite, method, tuple(fits), tuple(missing))


def row(fit: Fit) -> dict[str, Any]:
    """A fit as one row of the table."""
    held = fit.heldout

    def known(value: float | None) -> float | None:
        return float(value) if value is not None and np.isfinite(value) else None

    return {
        "law": fit.law,
        "tying": fit.tied,
        "params": fit.params,
        "method": fit.method,
        "suite": fit.suite,
        "n": fit.n,
        "ok": fit.ok,
        "message": fit.withheld or fit.message or "ok",
        "theta": dict(fit.theta),
        "objective": known(fit.objective),
        "mse": known(fit.mse),
        "r2": known(fit.r2),
        "heldout_shape_rms": held.get("shape_rms"),
        "heldout_shape_rms_low": held.get("shape_rms_low"),
        "heldout_shape_rms_high": held.get("shape_rms_high"),
        "heldout_shape_worst": held.get("shape_worst"),
        "heldout_largest_rms": held.get("largest_rms"),
        "heldout_largest_worst": held.get("largest_worst"),
        "rank_correlation": held.get("rank"),
        "largest_rank_correlation": held.get("largest_rank"),
        "pairs_right": held.get("pairs_right"),
        "aic": held.get("aic"),
        "bic": held.get("bic"),
        "warnings": list(fit.warnings),
    }
