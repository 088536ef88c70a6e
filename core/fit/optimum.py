"""What a loss law recommends: the best size and tokens for a compute budget."""

from __future__ import annotations

import numpy as np

from core.errors import Unusable
from core.fit.fit import Fit
from core.records import Floats


def compute_optimal(fit: Fit, train_flops: float) -> tuple[float, float]:
    """N and D that minimise the loss at C = 6 N D FLOPs (Hoffmann et al. 2022, closed form).

    For laws whose size and data terms are those of Chinchilla; a multiplicative shape term does not
    move the optimum. Raises Unusable for others, or where A or B is not positive.
    """
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
    if fit.law not in ("chinchilla", "inference-aware", "u-shaped"):
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
