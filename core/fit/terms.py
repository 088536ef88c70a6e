"""Which terms of a law a run table can determine, and which parameters it leaves open.

This is the one place that decides: a fit withholds its predictions for these reasons, and the same
answers are shown as questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats
from core.fit.fit import Fit
from core.fit.one_size import size_factor
from core.fit.varied import LEAST_COVER, Contrasts, Levels, contrasts, free_tokens, levels
from core.laws.columns import fit_columns, log_columns, params_column
from core.laws.law import Law, Tying
from core.records.training_runs import TrainingRuns
from core.units import format_quantity

# E + A/N^alpha has three unknowns, so fewer sizes fix none of them; likewise tokens
LEAST_LEVELS = 3
# the largest size (or number of tokens) over the smallest, below which there is no trend to see
LEAST_SPAN = 3.0
# from here on the trend is seen well
WELL_LEVELS, WELL_SPAN = 4, 8.0
# below this standard deviation of what ln N leaves of ln D, tokens move with parameters
LEAST_FREE = 0.1
# below this share of the variance of ln D that ln N leaves free, likewise
LEAST_FREE_SHARE = 0.02
# from here on tokens and parameters can be told apart well
WELL_FREE_SHARE = 0.15
# a function of R alone has at most two free parameters, which three R fix
MOST_RATIOS = 3

SIZES = "Do the sizes span enough to see a trend?"
BUDGETS = "Do the training lengths span enough to see a trend?"
APART = "Can it tell more parameters from more tokens?"
SHAPE = "Can it tell shape from size?"
MORE_SHAPES = "add shapes of equal size and different width"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A column whose levels a term needs, and the words for it."""

    column: str
    question: str
    level: str
    levels: str
    unit: str
    other: str


OF_SIZE = _Kind("N", SIZES, "size", "sizes", "parameters", "tokens do")
OF_TOKENS = _Kind("D", BUDGETS, "length", "lengths", "training tokens", "size does")


@dataclass(frozen=True, slots=True)
class Answer:
    """A question in plain words, the verdict ('yes', 'barely' or 'no') and the reason.

    `undetermined` names the parameters that the runs cannot determine for this reason.
    """

    question: str
    verdict: str
    why: str
    undetermined: tuple[str, ...] = ()


def term_answers(fit: Fit, runs: TrainingRuns) -> tuple[Answer, ...]:
    """Whether the runs determine the terms of size, of tokens, and of shape where shapes are known.

    Of the runs, those that the law can use are looked at; without any there is no answer. A term
    that the runs do not determine is answered 'no', with the law's parameters that stay open.
    """
    kept = runs.take(_usable(fit, runs))
    if not len(kept):
        return ()
    columns = fit_columns(kept)
    size, tokens = columns[params_column(fit.params)], columns["tokens"]
    law, tying = fit.definition, fit.tying
    sizes, budgets = levels(size), levels(tokens)
    found = [
        _of_levels(OF_SIZE, sizes, _few(budgets), law, tying),
        _of_levels(OF_TOKENS, budgets, _few(sizes), law, tying),
    ]
    # one size or one number of tokens is the reason by itself
    if not _few(sizes) and not _few(budgets):
        found.append(_apart(size, tokens, law, tying))
    ratio = _log_ratio(columns, size)
    known = np.isfinite(ratio)
    if known.any():
        one_size = size_factor(fit, kept)
        found.append(_shape(contrasts(ratio[known], size[known], one_size), law, tying))
    return tuple(found)


def undetermined(answers: tuple[Answer, ...]) -> dict[str, str]:
    """Every parameter that the runs leave open, with the reason."""
    return {name: a.why for a in answers for name in a.undetermined}


def refusal(answers: tuple[Answer, ...]) -> str:
    """Why predictions are withheld; empty where every term of the law is determined."""
    return "; ".join(a.why for a in answers if a.undetermined)


def term_parameters(law: Law, tying: Tying, column: str) -> tuple[str, ...]:
    """The free parameters of a column's term: its coefficients, and exponents of no other column."""
    own, others, names = set(), set(), []
    for p in law.parameters:
        if p.centring is None or p.centring[0] != "times" or p.name in tying.fixed:
            continue
        _, centred_on, exponent, _ = p.centring
        leader = tying.same.get(exponent, exponent)
        if centred_on == column:
            names.append(p.name)
            own.add(leader)
        else:
            others.add(leader)
    free = [p.name for p in law.free(tying)]
    return tuple(n for n in free if n in names or n in own - others)


def _constant(law: Law, tying: Tying) -> tuple[str, ...]:
    """The loss that no size and no tokens lower."""
    return tuple(p.name for p in law.free(tying) if p.linear and p.centring is None)


def _usable(fit: Fit, runs: TrainingRuns) -> Bools:
    """The runs with a loss and a positive value in every column that the law reads."""
    needs = [n for n in fit.definition.needs if n != "r" or "b1" not in fit.fixed]
    good = np.isfinite(runs.columns["loss"]) & (runs.columns["loss"] > 0)
    for values in log_columns(fit_columns(runs), needs, fit.params).values():
        good &= np.isfinite(values)
    return good


def _log_ratio(columns: Mapping[str, Floats], size: Floats) -> Floats:
    """ln R of every run, NaN where no shape is known.

    Where only the width is known it is 3 ln(d/sqrt(N)), which moves as ln R does at one size.
    """
    if "d_model" not in columns:
        return np.full(size.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if "n_layers" in columns:
            ratio = np.log(columns["d_model"]) - np.log(columns["n_layers"])
        else:
            ratio = 3.0 * np.log(columns["d_model"]) - 1.5 * np.log(size)
    return np.where(np.isfinite(ratio), ratio, np.nan)


# --- one term each --------------------------------------------------------------------------------


def _few(seen: Levels) -> bool:
    return seen.count < LEAST_LEVELS or seen.span < LEAST_SPAN


def _of_levels(kind: _Kind, seen: Levels, others_few: bool, law: Law, tying: Tying) -> Answer:
    """Whether a column has enough levels for its term; `others_few`: the other column has too few."""
    text = _seen_text(seen, kind.levels, kind.unit)
    if not _few(seen):
        return Answer(kind.question, _seen_well(seen), text)
    names = term_parameters(law, tying, kind.column) + _constant(law, tying)
    there = f"{text}, are too few or too close"
    if seen.count == 1:
        there = f"all runs have one {kind.level}, {_quantity(seen.low)} {kind.unit}"
    why = f"{there}: {', '.join(names)} not determined"
    if not others_few and seen.count == 1:
        why += f", only what {kind.other} at that {kind.level} is"
    least = f"at least {LEAST_LEVELS} {kind.levels} over a factor of {LEAST_SPAN:g}"
    return Answer(kind.question, "no", f"{why}; add runs until there are {least}", names)


def _seen_well(seen: Levels) -> str:
    return "yes" if seen.count >= WELL_LEVELS and seen.span >= WELL_SPAN else "barely"


def _seen_text(seen: Levels, what: str, unit: str) -> str:
    between = f"{_quantity(seen.low)} to {_quantity(seen.high)} {unit}"
    return f"{seen.count} {what} over a factor of {seen.span:.3g}, {between}"


def _apart(size: Floats, tokens: Floats, law: Law, tying: Tying) -> Answer:
    spread, share = free_tokens(size, tokens)
    seen = f"{100 * share:.1f} % of the variance of ln D is free of ln N"
    if spread >= LEAST_FREE and share >= LEAST_FREE_SHARE:
        return Answer(APART, "yes" if share >= WELL_FREE_SHARE else "barely", seen)
    names = term_parameters(law, tying, "N") + term_parameters(law, tying, "D")
    per = float(np.median(tokens / size))
    return Answer(
        APART,
        "no",
        f"tokens and parameters move together ({seen}, about {per:.3g} tokens per parameter): "
        f"{', '.join(names)} not determined; add runs with more or fewer tokens per parameter",
        names,
    )


def _shape(seen: Contrasts, law: Law, tying: Tying) -> Answer:
    names = tuple(p.name for p in law.free(tying) if p.name in law.shape_parameters)
    needed = max(len(names), 1)
    ratios = min(needed + 1, MOST_RATIOS)
    near = f"{100 * (seen.one_size - 1):.0f} %"
    first, last = seen.within
    if seen.count >= needed and seen.levels >= ratios and seen.cover >= LEAST_COVER:
        why = (
            f"shapes of one size (within {near}) can be compared at {seen.sets} sizes, "
            f"{seen.count} comparisons with R = d_model/n_layers from {first:.3g} to {last:.3g}"
        )
        return Answer(SHAPE, "yes" if seen.count >= 2 * needed else "barely", why)
    if not seen.sets:
        told, lack = "shape from size", f"no two of the {seen.shapes} shapes are of one size"
        lack += f" (within {near})"
    elif not seen.count:
        told = "what shape does"
        lack = (
            f"shapes of one size (within {near}) differ in R = d_model/n_layers by less than 20 %"
        )
    elif seen.count < needed or seen.levels < ratios:
        told = "shape from size"
        lack = (
            f"shapes of one size (within {near}) differ {seen.count} times, at {seen.levels} values "
            f"of R = d_model/n_layers; this law needs {needed} and {ratios}"
        )
    else:
        told = "shape from size"
        lack = (
            f"R = d_model/n_layers goes from {first:.3g} to {last:.3g} among shapes of one size "
            f"(within {near}), and from {seen.among[0]:.3g} to {seen.among[1]:.3g} among all"
        )
    return Answer(SHAPE, "no", f"these runs cannot tell {told}: {lack}; {MORE_SHAPES}", names)


def _quantity(value: float) -> str:
    return format_quantity(value, "count", 3)
