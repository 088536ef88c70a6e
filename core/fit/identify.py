"""What a table of runs can and cannot tell apart, question by question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.fit.fit import Fit
from core.fit.groups import groups_of, shapes_known
from core.fit.minimise import Minima, Problem
from core.fit.reach import DESIGN_COLUMNS
from core.fit.terms import Answer, term_answers
from core.laws.columns import params_column
from core.records.training_runs import TrainingRuns
from core.units import format_quantity

# condition number of the parameters' correlations above which single parameters mean little
LARGEST_CONDITION = 1e4


def warnings_of(fit: Fit, problem: Problem, best: Minima) -> list[str]:
    """Reasons to doubt the parameters that the runs determine: bounds reached, wrong signs."""
    found = []
    low, high = problem.low, problem.high
    for i, p in enumerate(problem.law.free(problem.tying)):
        if p.name in fit.undetermined:
            continue
        at = best.theta[0, i]
        if np.isfinite(low[i]) and at <= low[i] + 1e-12:
            found.append(f"{p.name} is at its lower bound, {low[i]:g}")
        elif np.isfinite(high[i]) and at >= high[i] - 1e-9:
            found.append(f"{p.name} is at its upper bound, {high[i]:g}")
    for name in ("A", "B", "E"):
        if fit.theta.get(name, 1.0) < 0 and name not in fit.undetermined:
            found.append(f"{name} is negative: more parameters or data would raise the loss")
    return found


# --- question by question -------------------------------------------------------------------------


def can_answer(fit: Fit, runs: TrainingRuns) -> tuple[Answer, ...]:
    """What the runs that this law was fitted to can answer, the most basic question first."""
    columns = runs.columns
    size = columns.get(params_column(fit.params), np.full(len(runs), np.nan))
    known = (size > 0) & (columns["tokens"] > 0) & (columns["loss"] > 0)
    kept = runs.take(known)
    if len(kept) < 3:
        why = f"{len(kept)} runs have parameters, tokens and a loss"
        return (Answer("Is there enough to fit a law to?", "no", why),)
    found = [_enough(fit, kept), *term_answers(fit, runs), *_sign(fit)]
    found += [*_bounds(fit), *_pinned(fit), *_reach(fit)]
    return tuple(found)


def _enough(fit: Fit, runs: TrainingRuns) -> Answer:
    shapes = int(groups_of(runs, "shape").max()) + 1
    what = "shape" if shapes_known(runs).any() else "size"
    wanted = max(len(fit.theta), 1)
    why = f"{len(runs)} runs of {shapes} {what}{'s' if shapes > 1 else ''} for {wanted} parameters"
    verdict = "no" if len(runs) < wanted else "yes" if shapes >= 2 * wanted else "barely"
    if verdict == "barely" and fit.definition.has_shape_term:
        why += "; shapes, not runs, are what a shape term learns from"
    return Answer("Are there enough runs for the law's parameters?", verdict, why)


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
    if fit.undetermined:
        held.insert(0, f"{', '.join(fit.undetermined)} not determined by these runs")
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
    had = [
        f"{column.label} {column.between(*fit.ranges[column.key])}"
        for column in DESIGN_COLUMNS
        if column.key in fit.ranges
    ]
    beyond = "beyond that every prediction is marked and its interval widens"
    held = f"; the runs had {', '.join(had)}, and what differs is marked" if had else ""
    return (
        Answer(
            "How far do its predictions reach?", "barely", f"{', '.join(fitted)}; {beyond}{held}"
        ),
    )


def _quantity(key: str, value: float) -> str:
    return format_quantity(value, "" if key == "R" else "count", 3)
