"""Can this data answer? What the runs cannot tell apart, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Floats
from core.fit.minimise import Minima, Problem
from core.laws.law import Law

if TYPE_CHECKING:
    from core.fit.fit import Fit

# below this share of ln D that ln N leaves free, tokens cannot be told from parameters
LEAST_FREE_TOKENS = 0.02
# slopes this close to dependent make single constants meaningless, though not predictions
WORST_CONDITION = 1e4
# below this share of ln R that ln N leaves free, shape cannot be told from size
LEAST_FREE_SHAPE = 1 / 3
# and below this standard deviation of the free part of ln R there is nothing to learn from
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

    Shape is R = d_model/n_layers where the runs say both, else the width over the root of the size.
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
            f"d_model/n_layers differs by {100 * np.expm1(spread):.0f} % only; add shapes of "
            "equal size and unlike width"
        )
    if share < LEAST_FREE_SHAPE:
        return (
            f"these runs cannot tell shape from size: {100 * share:.0f} % of ln R is free over "
            f"{shapes} shapes (at least {100 * LEAST_FREE_SHAPE:.0f} % is wanted); add shapes of "
            "equal size and unlike width"
        )
    return ""


def shape_share(shape: Floats, size: Floats) -> tuple[float, int]:
    """Share of the variance of ln R that ln N leaves free, each shape counted once, and how many.

    A shape trained on many budgets is still one shape.
    """
    pairs: Floats = np.unique(np.stack([shape, size], axis=1).round(9), axis=0)
    return free_share(pairs[:, 0], pairs[:, 1]), len(pairs)


def warnings_of(fit: Fit, problem: Problem, best: Minima) -> list[str]:
    """What to know before believing the parameters."""
    told = []
    logs = {k: v[0] for k, v in problem.logs.items()}
    share = free_share(logs["D"], logs["N"])
    if share < LEAST_FREE_TOKENS:
        told.append(
            f"tokens and parameters move together ({100 * share:.1f} % of ln D is free of ln N): "
            "A and B cannot be told apart; add runs with more tokens per parameter"
        )
    low, high = problem.low, problem.high
    for i, p in enumerate(problem.law.free(problem.tying)):
        at = best.theta[0, i]
        if np.isfinite(low[i]) and at <= low[i] + 1e-12:
            told.append(f"{p.name} is at its lower bound, {low[i]:g}")
        elif np.isfinite(high[i]) and at >= high[i] - 1e-9:
            told.append(f"{p.name} is at its upper bound, {high[i]:g}")
    for name in ("A", "B", "E"):
        if fit.theta.get(name, 1.0) < 0:
            told.append(f"{name} is negative: more of something good would raise the loss")
    return told
