"""From loss to benchmark scores: Gadre's error law, and the second step of OLMo's ladder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Floats
from core.errors import Unusable

# floats, or arrays of them that broadcast
Values = Any

GADRE = "Gadre et al. 2024, arXiv 2403.08540; official code of mlfoundations/scaling a003c491 rerun"


# --- loss to error (Gadre)


@dataclass(frozen=True, slots=True)
class ErrorLaw:
    """Err(L) = eps - k exp(-gamma L): mean top-1 error over a task set; L in nats/token.

    `eps` is the error at high loss (near guessing), `k` is in units of error, `gamma` in 1/nats. The
    law holds for one validation set and one task set only.
    """

    k: float
    gamma: float
    eps: float
    tasks: str = ""
    data: str = ""
    source: str = GADRE

    def error(self, loss: Values) -> Values:
        """The mean error at a loss."""
        return self.eps - self.k * np.exp(-self.gamma * np.asarray(loss, dtype=np.float64))


# unrounded optima on the six runs of the paper, in the bundled table; within 1e-4 of the published ones
ERROR_LAWS: tuple[ErrorLaw, ...] = (
    ErrorLaw(1.28844312, 0.972142189, 0.758949992, "46 tasks", "C4"),
    ErrorLaw(2.0788772, 0.756114335, 0.84974322, "17 tasks", "C4"),
    ErrorLaw(1.32295647, 0.89072632, 0.760848723, "46 tasks", "RedPajama"),
    ErrorLaw(2.20648937, 0.714589732, 0.856992323, "17 tasks", "RedPajama"),
    ErrorLaw(1.12800805, 0.821498433, 0.767680499, "46 tasks", "RefinedWeb"),
    ErrorLaw(2.21480179, 0.707045775, 0.865280228, "17 tasks", "RefinedWeb"),
)


def fit_error_law(loss: Floats, error: Floats, tasks: str = "", data: str = "") -> ErrorLaw:
    """The least-squares error law through runs; Unusable below 4 runs or where errors do not fall.

    `eps` and `k` follow exactly from `gamma`, so one number is searched for (variable projection).
    The optimum is that of the paper's Levenberg-Marquardt fit, but needs no starting point.
    """
    x, y = _columns(4, loss, error)
    # over the whole range exp(-gamma L) changes by between 1 % and a factor of e^20
    span = float(np.ptp(x)) or 1.0

    def basis(gamma: float) -> Floats:
        # measured from the lowest loss, so that k stays of the errors' size
        return np.stack([np.ones_like(x), -np.exp(-gamma * (x - x.min()))], axis=1)

    gamma = _projected_minimum(basis, y, 0.01 / span, 20.0 / span)
    (eps, k), _ = _solve(basis(gamma), y)
    if k <= 0:
        raise Unusable(
            "the error does not fall with the loss in these runs: no error law fits them"
        )
    return ErrorLaw(float(k * np.exp(gamma * x.min())), gamma, float(eps), tasks, data, "fitted")


# --- bits per byte to accuracy (OLMo ladder)


def sigmoid_accuracy(bpb: Values, a: float, x0: float, k: float, b: float) -> Values:
    """a / (1 + exp(-k (bpb - x0))) + b, a < 0: from b at no loss down to a + b (guessing).

    `bpb` is in bits per byte of the correct answer, so a training loss in nats per token does not fit
    (Bhagia et al. 2024, arXiv 2412.04403; allenai/OLMo-ladder 67a3f44).
    """
    away = k * (np.asarray(bpb, dtype=np.float64) - x0)
    # tanh never overflows
    return a * 0.5 * (1.0 + np.tanh(0.5 * away)) + b


def fit_sigmoid(bpb: Floats, accuracy: Floats) -> dict[str, float]:
    """a, x0, k and b by the ladder's own fit; Unusable below 4 points or when nothing converges.

    scipy's bounded curve_fit from [min(acc) - 1, 0.9, 3, max(acc)], with the ladder's extra point
    (no loss, best accuracy).
    """
    from scipy.optimize import curve_fit

    x, y = _columns(4, bpb, accuracy)
    if y.min() < 0 or y.max() > 1:
        raise Unusable("accuracies must lie between 0 and 1; divide percentages by 100")
    start = [min(max(y.min() - 1.0, -0.999), -1e-3), 0.9, 3.0, float(y.max())]
    bounds = ([-1.0, 0.0, 0.0, 0.0], [0.0, np.inf, np.inf, 1.0])
    x, y = np.append(x, 0.0), np.append(y, y.max())
    try:
        found, _ = curve_fit(sigmoid_accuracy, x, y, p0=start, bounds=bounds, maxfev=20000)
    except RuntimeError as error:
        raise Unusable(f"no sigmoid fits these accuracies: {error}") from None
    return dict(zip(("a", "x0", "k", "b"), map(float, found), strict=True))


# --- fitting: one searched number, the rest exact


def _columns(least: int, *columns: Floats) -> tuple[Floats, ...]:
    """The columns as float64, without rows that lack a value."""
    arrays = np.stack([np.asarray(c, dtype=np.float64) for c in columns])
    arrays = arrays[:, np.all(np.isfinite(arrays), axis=0)]
    if arrays.shape[1] < least:
        raise Unusable(f"{arrays.shape[1]} complete runs; this law needs at least {least}")
    return tuple(arrays)


def _solve(basis: Floats, y: Floats) -> tuple[Floats, int]:
    solution, _, rank, _ = np.linalg.lstsq(basis, y, rcond=1e-9)
    return np.asarray(solution, dtype=np.float64), int(rank)


def _projected_minimum(
    basis: Callable[[float], Floats], y: Floats, low: float, high: float
) -> float:
    """The number between low and high at which the best linear combination misses y least."""
    from scipy.optimize import minimize_scalar

    def missed(log: float) -> float:
        matrix = basis(float(np.exp(log)))
        return float(np.sum((y - matrix @ _solve(matrix, y)[0]) ** 2))

    # a scan first: the remaining sum of squares may have more than one valley
    grid = np.linspace(np.log(low), np.log(high), 200)
    values = [missed(g) for g in grid]
    best = int(np.argmin(values))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        missed, bounds=(left, right), method="bounded", options={"xatol": 1e-12}
    )
    return float(np.exp(found.x))
