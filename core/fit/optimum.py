"""What a loss law recommends: the best size and tokens for a budget, and where designs cross."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import Floats
from core.errors import Unusable
from core.fit.fit import Fit
from core.units import format_quantity

# a crossing is looked for up to this factor beyond the fitted tokens, or over this range where
# the fitted tokens are not known
BEYOND = 10.0
ANY_TOKENS = (1e9, 1e14)


def compute_optimal(fit: Fit, train_flops: float) -> tuple[float, float]:
    """N and D that minimise the loss at C = 6 N D FLOPs (Hoffmann et al. 2022, closed form).

    For laws whose size and data terms are those of Chinchilla; a multiplicative shape term does not
    move the optimum. Raises Unusable for others, where A or B is not positive, and where the fit
    withholds its predictions.
    """
    if fit.withheld:
        raise Unusable(f"the best size of the {fit.law} fit is withheld: {fit.withheld}")
    n, d = _optimal(fit, np.array([list(fit.theta.values())]), train_flops)
    if not np.isfinite(n[0]):
        raise Unusable(f"the {fit.law} fit has no best size: A, B, alpha and beta must be positive")
    return float(n[0]), float(d[0])


def optimal_interval(
    fit: Fit, train_flops: float, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Intervals of 'N', 'D' and 'tokens_per_parameter' at a budget, from the resamples."""
    if fit.resamples is None or not len(fit.resamples):
        return {}
    n, d = _optimal(fit, fit.resamples, train_flops)
    good = np.isfinite(n) & np.isfinite(d)
    if not good.any():
        return {}
    tail = 50.0 * (1.0 - level)
    found = {}
    for name, values in (("N", n), ("D", d), ("tokens_per_parameter", d / n)):
        low, high = np.percentile(values[good], [tail, 100.0 - tail])
        found[name] = (float(low), float(high))
    return found


def _optimal(fit: Fit, theta: Floats, train_flops: float) -> tuple[Floats, Floats]:
    """Best N and D of every parameter vector (K,P); NaN where there is none."""
    if not fit.definition.closed_optimum:
        raise Unusable(f"the best size at a budget has no closed form for the {fit.law} law")
    names = list(fit.theta)
    at = {name: theta[:, i] for i, name in enumerate(names)}
    alpha = at["alpha"]
    beta = at.get("beta", alpha)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = alpha * at["A"] / (beta * at["B"])
        scale = np.where(ratio > 0, ratio, np.nan) ** (1.0 / (alpha + beta))
        n = scale * (train_flops / 6.0) ** (beta / (alpha + beta))
        return n, train_flops / 6.0 / n


@dataclass(frozen=True, slots=True)
class Crossing:
    """Training tokens at which two designs have the same loss, with an interval over the resamples.

    `searched` is the range of tokens that was searched; `tokens` is None where the losses do not
    cross in it. `share` is the share of resamples in which they cross, and the interval is over
    those. `better` is the design with the lower loss beyond the crossing (without one, throughout):
    'first', 'second', or 'neither' where the law gives both the same loss. `outside` is True where
    the crossing lies outside the tokens the law was fitted on.
    """

    tokens: float | None
    low: float | None
    high: float | None
    share: float
    better: str
    outside: bool
    searched: tuple[float, float]


def crossing(
    fit: Fit,
    first: Mapping[str, float],
    second: Mapping[str, float],
    tokens: tuple[float, float] | None = None,
    level: float = 0.95,
    points: int = 241,
) -> Crossing:
    """Where the losses of two designs cross as both are trained longer, within a range of tokens.

    A design is its columns as single numbers (params_total, d_model, ...), tokens left out. Unless
    given, the range reaches a factor of ten beyond the fitted tokens at either end. Raises Unusable
    where the fit cannot predict.
    """
    known = fit.ranges.get("D", ANY_TOKENS)
    searched = (known[0] / BEYOND, known[1] * BEYOND) if tokens is None else tokens
    grid = np.geomspace(*searched, points)

    def columns(design: Mapping[str, float]) -> dict[str, Floats]:
        return {k: np.full(points, float(v)) for k, v in design.items()} | {"tokens": grid}

    here, there = columns(first), columns(second)
    apart = fit.predict(here) - fit.predict(there)
    at = float(_zero(grid, apart[None])[0])
    share, low, high = 0.0, None, None
    each = _zero(grid, fit.draws(here) - fit.draws(there))
    crossed = each[np.isfinite(each)]
    if crossed.size:
        share = crossed.size / each.size
        tail = 50.0 * (1.0 - level)
        low, high = (float(v) for v in np.percentile(crossed, [tail, 100.0 - tail]))
    met = bool(np.isfinite(at))
    after = apart[min(int(np.searchsorted(grid, at)), points - 1)] if met else apart[-1]
    outside = met and not known[0] <= at <= known[1]
    better = "first" if after < 0 else "second" if after > 0 else "neither"
    return Crossing(at if met else None, low, high, share, better, outside, searched)


def crossing_text(met: Crossing, first: str, second: str, level: float = 0.95) -> str:
    """One sentence on where two named designs cross, e.g. '16x2048 and 32x1024 have the same loss at
    12B training tokens (95 % interval of the law's mean 9B to 20B, in 93 % of resamples); beyond,
    32x1024 is better'. Single trainings scatter about the mean."""
    better = {"first": first, "second": second}.get(met.better, "neither")

    def tokens(value: float) -> str:
        return format_quantity(value, "count", 3)

    if met.tokens is None and met.better == "neither":
        return f"the law gives {first} and {second} the same loss at any number of training tokens"
    if met.tokens is None:
        between = " and ".join(tokens(end) for end in met.searched)
        text = f"{better} is predicted to have the lower loss anywhere between {between} tokens"
        return text + (f", though not in {100 * met.share:.0f} % of resamples" if met.share else "")
    sure = []
    if met.low is not None and met.high is not None:
        between = f"{tokens(met.low)} to {tokens(met.high)}"
        sure.append(f"{100 * level:g} % interval of the law's mean {between}")
        if met.share < 0.995:
            sure.append(f"in {100 * met.share:.0f} % of resamples")
    if met.outside:
        sure.append("outside the tokens the law was fitted on")
    how = f" ({', '.join(sure)})" if sure else ""
    text = f"{first} and {second} have the same loss at {tokens(met.tokens)} training tokens{how}"
    return f"{text}; beyond, {better} is better"


def _zero(grid: Floats, difference: Floats) -> Floats:
    """First zero of every row of differences (K,G), interpolated in the log of the grid; NaN: none."""
    sign = np.sign(difference)
    turns = (sign[:, :-1] * sign[:, 1:] <= 0) & (sign[:, :-1] != sign[:, 1:])
    rows = np.flatnonzero(turns.any(axis=1))
    at = np.argmax(turns[rows], axis=1)
    left, right = difference[rows, at], difference[rows, at + 1]
    log = np.log(grid)
    found = np.full(len(difference), np.nan)
    found[rows] = np.exp(log[at] + (log[at + 1] - log[at]) * left / (left - right))
    return found
