"""Every law on one table of runs, in both N conventions, judged on runs left out of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from core.errors import Unusable
from core.fit.doubting import coverage
from core.fit.fit import Fit
from core.fit.left_out import Cut, Guesses
from core.fit.solve import fit
from core.fit.standing import Standing, Standings, standings
from core.fit.validate import validation
from core.laws.columns import CONVENTIONS
from core.laws.loss import LAWS
from core.records.progress import Progress, Steps
from core.records.training_runs import TrainingRuns


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Fits of one suite, best first by held-out error; failed ones come last.

    `standings` says which of them the runs cannot tell apart, in the order of `fits`. `missing`
    holds law, tying, convention and reason of those that could not be tried.
    """

    suite: str
    method: str
    fits: tuple[Fit, ...]
    missing: tuple[tuple[str, str, str, str], ...] = ()
    standings: Standings = field(default_factory=lambda: Standings(()))

    @property
    def proposed(self) -> Fit | None:
        """The simplest of the laws that tie with the best; None where nothing could be compared."""
        place = self.standings.proposed
        return None if place is None else self.fits[place]

    def rows(self) -> list[dict[str, Any]]:
        """One plain dictionary per fit, free of NaN."""
        found = []
        for one, standing in zip(self.fits, self.standings.each, strict=True):
            same = None if standing is None else standing.same_as
            as_other = None if same is None else named(self.fits[same])
            found.append(row(one) | standing_row(standing) | {"same_as": as_other})
        return found + [
            {"law": law, "tying": tying, "params": params, "ok": False, "message": why}
            for law, tying, params, why in self.missing
        ]

    def naive(self) -> dict[str, dict[str, tuple[float, float | None]]]:
        """Errors of predictions that need no law, by count of N and by name.

        Each is over shapes left out and over the largest size, None where that was not left out.
        """
        found: dict[str, dict[str, tuple[float, float | None]]] = {}
        for one in self.fits:
            left = one.left_out
            if left is not None and left.by_shape is not None and one.params not in found:
                beyond = left.largest.guesses.naive_rms if left.largest is not None else {}
                each = left.by_shape.naive_rms.items()
                found[one.params] = {name: (error, beyond.get(name)) for name, error in each}
        return found

    def sentences(self) -> list[str]:
        """Which law is proposed and why, what is one law under two names, and what is not compared."""
        stand, chosen = self.standings, self.proposed
        if chosen is None:
            return ["No law is proposed: none could be judged on shapes left out of its fit."]
        told = [f"Proposed: {chosen.title}: {_why(stand)}."]
        pairs = list(zip(self.fits, stand.each, strict=True))
        told += [
            f"{one.title} predicts the same as {self.fits[s.same_as].title}: they count as one."
            for one, s in pairs
            if s is not None and s.same_as is not None
        ]
        if stand.runs < stand.used:
            told.append(
                f"Compared over the {stand.runs} of {stand.used} runs that every law could use."
            )
        apart = [one.title for one, s in pairs if s is None and one.ok and one.left_out]
        if apart:
            told.append(f"Not compared, being fitted to other runs: {', '.join(apart)}.")
        return told


def _why(stand: Standings) -> str:
    each = [s for s in stand.each if s is not None and s.same_as is None]
    ties = sum(s.tie for s in each)
    if len(each) == 1:
        return "the only law that could be judged"
    if ties == 1:
        return (
            f"all others miss more, by over one standard error over {stand.shapes} shapes left out"
        )
    return f"the simplest of {ties} laws that these runs cannot tell apart"


def named(fit: Fit) -> dict[str, str]:
    """What distinguishes one fit of a comparison from the others."""
    return {"law": fit.law, "tying": fit.tied, "params": fit.params}


def comparison(
    runs: TrainingRuns,
    method: str = "huber",
    laws: Sequence[str] = (),
    conventions: Sequence[str] = CONVENTIONS,
    insist: bool = False,
) -> Steps[Comparison]:
    """Steps: fit and judge every law, tying and N convention; returns the comparison.

    A law that needs a column the runs lack, and a convention of N they do not have, are left out and
    listed in `missing` with the reason. `heldout` of every law also holds how many of the losses left
    out lie in its 95 % prediction intervals, which take the other laws into account.
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
    stand = standings(fits)
    fits = _covered(fits, stand, runs)
    order = sorted(range(len(fits)), key=lambda i: _worth(fits[i], stand.each[i]))
    yield Progress(len(tasks), len(tasks), "compared")
    return Comparison(
        runs.suite, method, tuple(fits[i] for i in order), tuple(missing), stand.ordered(order)
    )


def _covered(fits: Sequence[Fit], stand: Standings, runs: TrainingRuns) -> list[Fit]:
    """The fits with how often their prediction intervals hold.

    The doubt of each is shared with the other laws that give predictions. A law under two names is
    believed once.
    """
    own = [
        (i if s is None or s.same_as is None else s.same_as, one.params)
        for i, (one, s) in enumerate(zip(fits, stand.each, strict=True))
    ]
    once = {key: one for key, one in reversed(list(zip(own, fits, strict=True))) if one.ok}
    found = []
    for key, one in zip(own, fits, strict=True):
        others = [other for name, other in once.items() if name != key]
        held = coverage(one, runs, others) if one.ok else {}
        found.append(replace(one, heldout={**one.heldout, **held}))
    return found


def _worth(fit: Fit, standing: Standing | None) -> tuple[bool, bool, float]:
    """Sorts fits: those compared by their error there, then the others, then those that failed."""
    if standing is not None:
        return False, False, standing.rms
    return not fit.ok, True, fit.heldout.get("shape_rms", np.inf)


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
        "theta": fit.shown,
        "undetermined": dict(fit.undetermined),
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
        "coverage95_shape": held.get("coverage95_shape"),
        "heldout": heldout(fit),
        "lack_of_fit": _lack(fit),
        "warnings": list(fit.warnings),
    }


def standing_row(standing: Standing | None) -> dict[str, Any]:
    """Whether a law ties with the best, and by how much its mean squared error is larger."""
    if standing is None:
        return {"tie_with_best": None, "excess": None, "excess_standard_error": None}
    known = np.isfinite(standing.standard_error)
    return {
        "tie_with_best": standing.tie,
        "excess": standing.excess,
        "excess_standard_error": standing.standard_error if known else None,
    }


def heldout(fit: Fit) -> dict[str, Any]:
    """Errors on runs left out of a fit, as fractions, beside those of naive predictions.

    'shape' is over shapes left out, 'largest' over the largest size, and 'cuts' has one entry per
    cut by size or tokens. Each is None, or empty, where it could not be tried.
    """
    left = fit.left_out
    if left is None:
        return {"shape": None, "largest": None, "cuts": []}
    return {
        "shape": None if left.by_shape is None else _errors(left.by_shape),
        "largest": None if left.largest is None else _cut(left.largest),
        "cuts": [_cut(cut) for cut in left.cuts],
    }


def _lack(fit: Fit) -> dict[str, Any] | None:
    """The test against repeats; None without repeats."""
    lack = fit.lack_of_fit
    if lack is None:
        return None
    return {
        "repeats": lack.repeats,
        "pure_error": lack.pure_error,
        "law_error": lack.law_error,
        "F": lack.f,
        "p": lack.p,
    }


def _cut(cut: Cut) -> dict[str, Any]:
    where = {"column": cut.column, "below": cut.below, "factor": cut.factor}
    return where | _errors(cut.guesses)


def _errors(guesses: Guesses) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if np.isfinite(value) else None

    return {
        "runs": len(guesses),
        "rms": finite(guesses.rms),
        "bias": finite(guesses.bias),
        "naive": {name: finite(value) for name, value in guesses.naive_rms.items()},
    }
