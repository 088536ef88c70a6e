"""How well a fit predicts runs left out of it: the largest size, left-out shapes, ranks at one size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from core.arrays import Floats, Indices
from core.fit.doubt_facts import coverage_words, outdone_words
from core.fit.fit import Fit, predicted
from core.fit.groups import SAME_SIZE, contests, pairs_right, rank_correlation, sizes_of
from core.fit.lack_of_fit import LackOfFit, lack_of_fit
from core.fit.leaving_out import left_out
from core.fit.left_out import LeftOut
from core.fit.one_size import size_factor
from core.fit.repeats import conditions_of
from core.laws.columns import params_column
from core.records.progress import Progress, Steps, outcome
from core.records.training_runs import TrainingRuns
from core.units import plus_minus


def judge_largest(fit: Fit, runs: TrainingRuns) -> dict[str, Any]:
    """Relative errors and rank correlation on the runs of the largest size in the table.

    Sizes within 22 % are one size. The rank correlation is the mean over sets of shapes with one
    budget, None where there is no such set. 'in_fit' says whether the fit's range reaches that size.
    Empty where nothing can be predicted.
    """
    guess = predicted(fit, runs)
    loss = runs.columns["loss"]
    size = runs.columns.get(params_column(fit.params), np.full(len(runs), np.nan))
    known = np.flatnonzero(np.isfinite(guess) & (loss > 0) & (size > 0))
    if not known.size:
        return {}
    classes = sizes_of(size[known])
    largest = known[classes == classes.max()]
    errors = np.abs(guess[largest] / loss[largest] - 1.0)
    return {
        "names": [runs.names[i] for i in largest],
        "observed": [float(v) for v in loss[largest]],
        "predicted": [float(v) for v in guess[largest]],
        "relative_errors": [float(v) for v in errors],
        "rank_correlation": _mean_rank(runs.take(largest), guess[largest], size[largest]),
        "in_fit": bool(size[largest].min() <= fit.ranges.get("N", (0.0, 0.0))[1] * 1.0001),
    }


def validate(fit: Fit, runs: TrainingRuns) -> Fit:
    """The fit with `heldout` filled; see `validation`."""
    return outcome(validation(fit, runs))


def validation(fit: Fit, runs: TrainingRuns) -> Steps[Fit]:
    """Steps: leave every shape out once, the largest size once, and what lies beyond several cuts.

    Returns the fit, judged. `left_out` holds every prediction of a run left out. `heldout` sums them
    up as relative errors, in fractions.
    Over left-out shapes: 'shape_rms' ('shape_rms_low' and 'shape_rms_high': its 95 % interval),
    'shape_median' and 'shape_worst'. Over the largest size, predicted from the rest: 'largest_rms',
    'largest_worst', 'largest_bias' (mean, signed), and 'extrapolation_per_log', the error per unit of
    ln N beyond the rest.
    'rank' and 'largest_rank' are mean rank correlations at one size and budget. 'pairs' of equal size
    were compared, and the share 'pairs_right' of them was put in the right order. Both are of
    left-out predictions, and are there only where the table has shapes to rank. One size is what the
    law's own error cannot tell apart (`size_factor`), and 22 % among the largest.
    'aic' and 'bic' are of log residuals. They treat rows as independent, and so favour laws with
    many parameters. `lack_of_fit` is the test against repeats, where there are any.
    """
    if not fit.theta:
        return fit
    yield Progress(0, 1, "leaving out shapes, sizes and tokens")
    found = left_out(fit, runs)
    kept = runs.take(found.rows)
    heldout = _shapes(found, kept, size_factor(fit, kept))
    heldout |= _largest(found, kept) | _information(fit, kept)
    yield Progress(1, 1, "judged")
    return replace(fit, heldout=heldout, left_out=found, lack_of_fit=_lack_of_fit(fit, kept))


def _shapes(found: LeftOut, runs: TrainingRuns, one_size: float) -> dict[str, float]:
    if found.by_shape is None:
        return {}
    error = found.by_shape.error
    low, high = _spread(error, found.shapes)
    answer = {
        "shape_rms_low": low,
        "shape_rms_high": high,
        "shapes": float(found.shapes.max() + 1),
        "shape_rms": found.by_shape.rms,
        "shape_median": float(np.median(np.abs(error))),
        "shape_worst": float(np.abs(error).max()),
    }
    return answer | _ranks("", runs, found.by_shape.predicted, found.size, one_size)


def _spread(error: Floats, groups: Indices, count: int = 2000) -> tuple[float, float]:
    """95 % interval of the root mean square error, by resampling the shapes left out."""
    sums = np.bincount(groups, error**2)
    rows = np.bincount(groups).astype(np.float64)
    drawn = np.random.default_rng(0).multinomial(
        sums.size, np.full(sums.size, 1.0 / sums.size), size=count
    )
    low, high = np.percentile(np.sqrt((drawn @ sums) / (drawn @ rows)), [2.5, 97.5])
    return float(low), float(high)


def _largest(found: LeftOut, runs: TrainingRuns) -> dict[str, float]:
    if found.largest is None:
        return {}
    out, guesses = found.largest.places, found.largest.guesses
    factor, missed = found.largest.factor, guesses.rms
    answer = {
        "largest_runs": float(out.size),
        "largest_rms": missed,
        "largest_worst": float(np.abs(guesses.error).max()),
        "largest_bias": guesses.bias,
        "largest_factor": factor,
        "extrapolation_per_log": missed / max(float(np.log(factor)), 0.2),
    }
    ranks = _ranks("largest_", runs.take(out), guesses.predicted, found.size[out], SAME_SIZE)
    return answer | ranks


def _lack_of_fit(fit: Fit, runs: TrainingRuns) -> LackOfFit | None:
    guess = predicted(fit, runs)
    if not (guess > 0).all():
        return None
    left = np.log(runs.columns["loss"] / guess)
    return lack_of_fit(left, conditions_of(runs), len(fit.theta))


def _ranks(
    prefix: str, runs: TrainingRuns, guess: Floats, size: Floats, one_size: float
) -> dict[str, float]:
    loss = runs.columns["loss"]
    right = pairs = 0
    sets = contests(runs, size, one_size)
    for here in sets:
        r, p = pairs_right(loss[here], guess[here])
        right, pairs = right + r, pairs + p
    found = {}
    if pairs:
        found[f"{prefix}pairs"] = float(pairs)
        found[f"{prefix}pairs_right"] = right / pairs
    rank = _mean_rho([here for here in sets if here.size >= 3], loss, guess)
    if rank is not None:
        found[f"{prefix}rank"] = rank
    return found


def _mean_rank(runs: TrainingRuns, guess: Floats, size: Floats) -> float | None:
    """Mean rank correlation over the sets of shapes of one size and budget; None without one."""
    return _mean_rho(contests(runs, size), runs.columns["loss"], guess)


def _mean_rho(sets: list[Indices], loss: Floats, guess: Floats) -> float | None:
    every = [rank_correlation(loss[here], guess[here]) for here in sets]
    known = [rho for rho in every if rho is not None]
    return float(np.mean(known)) if known else None


def _information(fit: Fit, runs: TrainingRuns) -> dict[str, float]:
    """Akaike's and the Bayesian criterion of normal log residuals, whose scale is one more parameter."""
    guess = predicted(fit, runs)
    if not (guess > 0).all():
        return {}
    square = float((np.log(guess / runs.columns["loss"]) ** 2).mean())
    if square <= 0:
        return {}
    count, spent = len(runs), len(fit.theta) + 1
    likely = -0.5 * count * (np.log(2 * np.pi * square) + 1.0)
    return {
        "aic": float(2 * spent - 2 * likely),
        "bic": float(spent * np.log(count) - 2 * likely),
    }


def judged_as_it_is(fit: Fit, runs: TrainingRuns) -> Fit:
    """A fit made elsewhere, judged on these runs without fitting it again.

    `heldout` holds relative errors as fractions over every run it can predict: 'runs_rms',
    'runs_worst' and 'runs_bias' (mean, signed). 'rank', 'pairs_right' and 'pairs' are as in
    `validation`. It is empty where no run can be predicted. Raises Unusable where a column is missing.
    """
    guess, loss = predicted(fit, runs), runs.columns["loss"]
    size = runs.columns[params_column(fit.params)]
    known = np.isfinite(guess) & (loss > 0) & (size > 0)
    if not known.any():
        return replace(fit, heldout={})
    error = guess[known] / loss[known] - 1.0
    heldout = {
        "runs": float(known.sum()),
        "runs_rms": float(np.sqrt(np.mean(error**2))),
        "runs_worst": float(np.abs(error).max()),
        "runs_bias": float(error.mean()),
    }
    seen = runs.take(known)
    ranks = _ranks("", seen, guess[known], size[known], size_factor(fit, seen))
    return replace(fit, heldout=heldout | ranks)


def trust(fit: Fit) -> tuple[str, bool]:
    """What to rely on, the number that matters most first, and whether to warn."""
    if not fit.theta:
        return f"There is no fit: {fit.message}.", True
    if fit.withheld:
        return f"Predictions withheld: {fit.withheld}.", True
    held = fit.heldout
    if fit.n == 0:
        text = "Published constants, not fitted here; trust them only for runs like theirs"
        if "runs_rms" in held:
            text += (
                f" (off by {100 * held['runs_rms']:.1f} % on these runs,"
                f" {100 * held['runs_bias']:+.1f} % on the mean)"
            )
        return text + ".", True
    if "shape_rms" not in held:
        return "Not yet tested on runs left out of the fit.", True
    # a table without widths and depths has sizes, not shapes
    unseen = "shapes" if "R" in fit.ranges else "sizes"
    known = plus_minus(held["shape_rms"], "")
    text = f"Predicts {unseen} it has not seen to {known}"
    if not known:
        text = f"Does not predict {unseen} it has not seen: it misses by more than the value"
    warn = held["shape_rms"] > 0.02
    if "pairs_right" in held:
        share = held["pairs_right"]
        text += f"; ranks shapes of equal size right {round(20 * share)} times in 20"
        warn = warn or share < 0.75
    if "largest_rms" in held:
        text += (
            f"; misses a size {held['largest_factor']:.1f} times larger by"
            f" {100 * held['largest_rms']:.1f} %"
        )
        warn = warn or held["largest_rms"] > 0.03
    beaten, badly = no_better_than(fit.left_out, unseen)
    lack = fit.lack_of_fit
    if lack is not None and lack.wrong:
        beaten += f"; {lack.text}"
    told, warn = text + beaten + ".", warn or badly or not fit.converged
    for more, poor in (coverage_words(held, unseen), outdone_words(fit)):
        if more:
            told += f" {more[0].upper()}{more[1:]}."
        warn = warn or poor
    return told, warn


def no_better_than(left: LeftOut | None, unseen: str) -> tuple[str, bool]:
    """Where predictions without a law are as good, as part of a sentence, and whether to warn."""
    text, warn = "", False
    if left is not None and left.by_shape is not None:
        name, error = min(left.by_shape.naive_rms.items(), key=lambda item: item[1])
        if error <= left.by_shape.rms:
            text, warn = f"; on such {unseen} the {name} does as well ({plus_minus(error)})", True
    cuts = left.cuts if left is not None else ()
    lost = sum(min(c.guesses.naive_rms.values()) <= c.guesses.rms for c in cuts)
    if lost:
        text += f"; beyond {lost} of {len(cuts)} cuts by size or tokens it does no better than without a law"
        warn = warn or 2 * lost >= len(cuts)
    return text, warn
