"""What a table of runs can and cannot tell apart, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import Floats
from core.fit.fit import Fit
from core.fit.groups import groups_of, sizes_of
from core.fit.minimise import Minima, Problem
from core.laws.columns import params_column
from core.laws.law import Law
from core.records.training_runs import TrainingRuns
from core.units import format_quantity

# below this share of ln D that ln N leaves free, tokens cannot be why from parameters
LEAST_FREE_TOKENS = 0.02
# from here on tokens and parameters can be why apart well
WELL_FREE_TOKENS = 0.15
# condition number of the parameters' correlations above which single parameters mean little
LARGEST_CONDITION = 1e4
# below this share of ln R that ln N leaves free, shape cannot be why from size
LEAST_FREE_SHAPE = 1 / 3
# below this standard deviation of the free part of ln R, shapes are too alike to learn from
LEAST_SPREAD = 0.1


def free_share(of: Floats, given: Floats) -> float:
    """Share of the variance of one column that a straight line in another does not explain."""
    total = float(np.var(of))
    if total <= 1e-18:
        return 0.0
    if float(np.var(given)) <= 1e-18:
        return 1.0
    correlation = float(np.corrcoef(of, given)[0, 1])
    return 1.0 - correlation * correlation


def shape_refusal(law: Law, columns: Mapping[str, Floats], logs: Mapping[str, Floats]) -> str:
    """Why the shape term is refused on these runs; empty when it is not.

    Shape is R = d_model/n_layers where the runs have both, else the width over the root of the size.
    """
    if not law.has_shape_term:
        return ""
    if "d_model" in columns and "n_layers" in columns:
        ratio = np.log(columns["d_model"] / columns["n_layers"])
    else:
        ratio = logs["x"]
    share, shapes = shape_share(ratio, logs["N"])
    spread = float(np.std(ratio)) * np.sqrt(share)
    if spread < LEAST_SPREAD:
        return (
            "these runs cannot tell what shape does: among shapes of one size R = "
            f"d_model/n_layers differs by only {100 * np.expm1(spread):.0f} %; add shapes of "
            "equal size and different width"
        )
    if share < LEAST_FREE_SHAPE:
        return (
            f"these runs cannot tell shape from size: {100 * share:.0f} % of ln R is free over "
            f"{shapes} shapes (at least {100 * LEAST_FREE_SHAPE:.0f} % is needed); add shapes of "
            "equal size and different width"
        )
    return ""


def shape_share(shape: Floats, size: Floats) -> tuple[float, int]:
    """Share of the variance of ln R that ln N leaves free, each shape counted once, and how many.

    A shape trained on many budgets is still one shape.
    """
    pairs: Floats = np.unique(np.stack([shape, size], axis=1).round(9), axis=0)
    return free_share(pairs[:, 0], pairs[:, 1]), len(pairs)


def warnings_of(fit: Fit, problem: Problem, best: Minima) -> list[str]:
    """Reasons to doubt the parameters: tokens tied to size, bounds reached, wrong signs."""
    found = []
    logs = {k: v[0] for k, v in problem.logs.items()}
    share = free_share(logs["D"], logs["N"])
    if share < LEAST_FREE_TOKENS:
        found.append(
            f"tokens and parameters move together ({100 * share:.1f} % of ln D is free of ln N): "
            "A and B cannot be why apart; add runs with more tokens per parameter"
        )
    low, high = problem.low, problem.high
    for i, p in enumerate(problem.law.free(problem.tying)):
        at = best.theta[0, i]
        if np.isfinite(low[i]) and at <= low[i] + 1e-12:
            found.append(f"{p.name} is at its lower bound, {low[i]:g}")
        elif np.isfinite(high[i]) and at >= high[i] - 1e-9:
            found.append(f"{p.name} is at its upper bound, {high[i]:g}")
    for name in ("A", "B", "E"):
        if fit.theta.get(name, 1.0) < 0:
            found.append(f"{name} is negative: more parameters or data would raise the loss")
    return found


# --- question by question -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A question in plain words, the verdict ('yes', 'barely' or 'no') and the reason."""

    question: str
    verdict: str
    why: str


def can_answer(fit: Fit, runs: TrainingRuns) -> tuple[Answer, ...]:
    """What the runs that this law was fitted to can answer, the most basic question first."""
    columns = runs.columns
    size = columns.get(params_column(fit.params), np.full(len(runs), np.nan))
    known = (size > 0) & (columns["tokens"] > 0) & (columns["loss"] > 0)
    kept = runs.take(known)
    if len(kept) < 3:
        why = f"{len(kept)} runs have parameters, tokens and a loss"
        return (Answer("Is there enough to fit a law to?", "no", why),)
    n, d = np.log(size[known]), np.log(kept.columns["tokens"])
    found = [_enough(fit, kept), _size_and_tokens(n, d), _sizes(n)]
    if {"d_model", "n_layers"} <= set(columns):
        found.append(_shape(n, kept))
        found += _sign(fit)
    found += [*_bounds(fit), *_pinned(fit), *_reach(fit)]
    return tuple(found)


def _enough(fit: Fit, runs: TrainingRuns) -> Answer:
    shapes = int(groups_of(runs, "shape").max()) + 1
    wanted = max(len(fit.theta), 1)
    why = f"{len(runs)} runs of {shapes} shapes for {wanted} parameters"
    verdict = "no" if len(runs) < wanted else "yes" if shapes >= 2 * wanted else "barely"
    if verdict == "barely":
        why += "; shapes, not runs, are what a shape term learns from"
    return Answer("Are there enough runs for the law's parameters?", verdict, why)


def _size_and_tokens(n: Floats, d: Floats) -> Answer:
    question = "Can it tell more parameters from more tokens?"
    share = free_share(d, n)
    why = f"{100 * share:.0f} % of the variance of ln D is free of ln N"
    if share < LEAST_FREE_TOKENS:
        return Answer(
            question,
            "no",
            f"{why}: tokens grew in step with parameters; add runs with more tokens per parameter",
        )
    return Answer(question, "yes" if share >= WELL_FREE_TOKENS else "barely", why)


def _sizes(n: Floats) -> Answer:
    question = "Do the sizes span enough to see a trend?"
    factor = float(np.exp(np.ptp(n)))
    classes = int(sizes_of(np.exp(n)).max()) + 1
    why = f"{classes} sizes over a factor of {factor:.3g}"
    verdict = "yes" if factor >= 8 and classes >= 4 else "barely" if factor >= 3 else "no"
    return Answer(question, verdict, why)


def _shape(n: Floats, runs: TrainingRuns) -> Answer:
    question = "Can it tell shape from size?"
    ratio = np.log(runs.columns["d_model"] / runs.columns["n_layers"])
    known = np.isfinite(ratio)
    share, shapes = shape_share(ratio[known], n[known])
    why = f"{100 * share:.0f} % of the variance of ln R is free of ln N over {shapes} shapes"
    if share < LEAST_FREE_SHAPE:
        needed = f"at least {100 * LEAST_FREE_SHAPE:.0f} % is needed"
        return Answer(
            question, "no", f"{why} ({needed}); add shapes of equal size and different width"
        )
    return Answer(question, "yes", why)


def _sign(fit: Fit) -> Sequence[Answer]:
    question = "Is it sure which way shape works?"
    if fit.resamples is None or not len(fit.resamples):
        return ()
    for i, name in enumerate(fit.theta):
        if name in fit.definition.signed:
            share = float(np.mean(fit.resamples[:, i] > 0))
            why = (
                f"{100 * max(share, 1 - share):.0f} % of the resamples agree on the sign of {name}"
            )
            verdict = "yes" if max(share, 1 - share) >= 0.975 else "no"
            return (Answer(question, verdict, why),)
    return ()


def _bounds(fit: Fit) -> Sequence[Answer]:
    held = [w for w in fit.warnings if "bound" in w or "negative:" in w]
    if not fit.theta:
        return ()
    question = "Do the parameters keep a meaning?"
    if not held:
        return (Answer(question, "yes", "none is at a bound, none has the wrong sign"),)
    return (Answer(question, "no", "; ".join(held)),)


def _pinned(fit: Fit) -> Sequence[Answer]:
    if fit.resamples is None or len(fit.resamples) < 30 or len(fit.theta) < 2:
        return ()
    drawn = fit.resamples[np.isfinite(fit.resamples).all(axis=1)]
    spread = drawn.std(axis=0)
    if not (spread > 0).all():
        return ()
    condition = float(np.linalg.cond(np.corrcoef(drawn.T)))
    why = f"condition number {condition:.1e} of the parameters' correlations over resamples"
    if condition > LARGEST_CONDITION:
        return (
            Answer(
                "Do single parameters mean something by themselves?",
                "no",
                f"{why}: they trade off; trust predictions, not constants",
            ),
        )
    return (Answer("Do single parameters mean something by themselves?", "yes", why),)


def _reach(fit: Fit) -> Sequence[Answer]:
    if not fit.ranges:
        return ()
    words = {"N": "parameters", "D": "tokens", "R": "width over depth"}
    fitted = [
        f"{words[key]} {_quantity(key, low)} to {_quantity(key, high)}"
        for key, (low, high) in fit.ranges.items()
        if key in words
    ]
    return (
        Answer(
            "How far do its predictions reach?",
            "barely",
            f"{', '.join(fitted)}; beyond that every prediction is marked and its interval widens",
        ),
    )


def _quantity(key: str, value: float) -> str:
    return format_quantity(value, "" if key == "R" else "count", 3)
