"""From loss to benchmark scores: Gadre's error law, OLMo's two steps, and over-training constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Floats
from core.errors import Unusable

# floats, or arrays of them that broadcast
Values = Any

RANDOM_ERROR = {"46 tasks": 0.75, "17 tasks": 0.8088}  # error of guessing, arXiv 2403.08540
GADRE = "Gadre et al. 2024, arXiv 2403.08540; official code of mlfoundations/scaling a003c491 rerun"
LADDER = "Bhagia et al. 2024, arXiv 2412.04403; allenai/OLMo-ladder 67a3f44"


# --- loss to error (Gadre)


@dataclass(frozen=True, slots=True)
class ErrorLaw:
    """Err(L) = eps - k exp(-gamma L): mean top-1 error over a task set; L in nats/token.

    `eps` is the error that no falling loss has yet reduced (near guessing), `k` in error, `gamma`
    in 1/nats. Holds for one validation set and one task set only.
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

    def loss(self, error: Values) -> Values:
        """The loss at which a mean error is reached; infinite from `eps` upwards."""
        room = (self.eps - np.asarray(error, dtype=np.float64)) / self.k
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(room > 0, -np.log(np.where(room > 0, room, 1.0)) / self.gamma, np.inf)


# unrounded: the optimum on the six runs the paper fits, from the bundled table; published within 1e-4
ERROR_LAWS: tuple[ErrorLaw, ...] = (
    ErrorLaw(1.28844312, 0.972142189, 0.758949992, "46 tasks", "C4"),
    ErrorLaw(2.0788772, 0.756114335, 0.84974322, "17 tasks", "C4"),
    ErrorLaw(1.32295647, 0.89072632, 0.760848723, "46 tasks", "RedPajama"),
    ErrorLaw(2.20648937, 0.714589732, 0.856992323, "17 tasks", "RedPajama"),
    ErrorLaw(1.12800805, 0.821498433, 0.767680499, "46 tasks", "RefinedWeb"),
    ErrorLaw(2.21480179, 0.707045775, 0.865280228, "17 tasks", "RefinedWeb"),
)


def fit_error_law(loss: Floats, error: Floats, tasks: str = "", data: str = "") -> ErrorLaw:
    """The least-squares error law through runs; Unusable below 4 runs or without a falling error.

    `eps` and `k` follow exactly from `gamma`, so one number is searched (variable projection); the
    optimum is that of the paper's Levenberg-Marquardt fit, from no starting point.
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


# --- over-training (Gadre): constants and conversions; the law itself is laws.loss.over_training


@dataclass(frozen=True, slots=True)
class OverTraining:
    """L = E + (a M^eta + b M^-eta) C^-eta, C = 6 N D FLOPs, M = D/N, N total parameters; nats/token."""

    a: float
    b: float
    eta: float
    E: float
    data: str = ""
    source: str = GADRE

    def loss(self, params: Values, tokens: Values) -> Values:
        """The loss of a model with N total parameters after D tokens."""
        n, d = np.asarray(params, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
        return self.loss_of_compute(6.0 * n * d, d / n)

    def loss_of_compute(self, flops: Values, tokens_per_parameter: Values) -> Values:
        """The loss after C training FLOPs spent at M tokens per parameter."""
        c = np.asarray(flops, dtype=np.float64)
        m = np.asarray(tokens_per_parameter, dtype=np.float64)
        return self.E + (self.a * m**self.eta + self.b * m**-self.eta) * c**-self.eta

    def chinchilla(self) -> dict[str, float]:
        """The same function as E + A/N^alpha + B/D^beta with alpha = beta = 2 eta."""
        six = 6.0**-self.eta
        exponent = 2.0 * self.eta
        return {
            "A": self.a * six, "B": self.b * six, "E": self.E, "alpha": exponent, "beta": exponent
        }  # fmt: skip

    @staticmethod
    def from_code(alpha: float, beta: float, q: float, E: float) -> OverTraining:
        """From the official code's form alpha N^q + beta 6^(q/2) (M N)^q + E with q < 0."""
        eta = -q / 2.0
        return OverTraining(alpha * 6.0**eta, beta, eta, E)


# unrounded: the optimum on the five runs the paper fits, from the bundled table; published within 1e-4
OVER_TRAINING: tuple[OverTraining, ...] = (
    OverTraining(141.277246, 189.515507, 0.121236117, 1.5082605, "C4"),
    OverTraining(212.23611, 366.687174, 0.136425351, 1.83664838, "RedPajama"),
    OverTraining(157.116284, 246.206687, 0.127197422, 1.73446209, "RefinedWeb"),
)


def fit_over_training(params: Floats, tokens: Floats, loss: Floats, data: str = "") -> OverTraining:
    """Plain least squares on the loss, as published; Unusable below 5 runs or at one D/N only.

    Given eta the law is linear in a, b and E, so one number is searched.
    """
    n, d, y = _columns(5, params, tokens, loss)
    if np.ptp(np.log(d / n)) < 0.1 * abs(np.log(d / n).mean()) and np.ptp(np.log(n)) < 0.1:
        raise Unusable("all runs have one size and one tokens-per-parameter ratio: nothing to fit")
    ln_n, ln_d, six = np.log(n), np.log(d), np.log(6.0)

    def basis(eta: float) -> Floats:
        # each column measured from its mean, else one falls below the other's rounding
        return np.stack(
            [
                np.exp(-2 * eta * (ln_n - ln_n.mean())),
                np.exp(-2 * eta * (ln_d - ln_d.mean())),
                np.ones_like(n),
            ],
            axis=1,
        )

    eta = _projected_minimum(basis, y, 0.01, 1.0)
    (a, b, E), rank = _solve(basis(eta), y)
    if rank < 3:
        raise Unusable(
            "sizes and tokens rise together in these runs, so their effects cannot be told apart; "
            "add a run at another tokens-per-parameter ratio"
        )
    a, b = (v * np.exp(eta * (six + 2 * m.mean())) for v, m in ((a, ln_n), (b, ln_d)))
    return OverTraining(float(a), float(b), eta, float(E), data, "fitted")


# --- two steps (OLMo ladder)


@dataclass(frozen=True, slots=True)
class LadderTask:
    """Task loss in bits per byte of the correct answer, then a sigmoid to accuracy.

    bpb(N, D) = A/N^alpha + B/D^beta + E with N non-embedding parameters; acc = a/(1 + exp(-k (bpb -
    x0))) + b with a < 0. Bits per byte are not nats per token: no training loss goes in here.
    """

    A: float
    B: float
    alpha: float
    beta: float
    E: float
    a: float
    x0: float
    k: float
    b: float
    source: str = LADDER

    def bits_per_byte(self, params_non_embedding: Values, tokens: Values) -> Values:
        """The task loss of a model of N non-embedding parameters after D tokens."""
        n = np.asarray(params_non_embedding, dtype=np.float64)
        d = np.asarray(tokens, dtype=np.float64)
        return self.A / n**self.alpha + self.B / d**self.beta + self.E

    def accuracy(self, params_non_embedding: Values, tokens: Values) -> Values:
        """The accuracy that both steps give together."""
        bpb = self.bits_per_byte(params_non_embedding, tokens)
        return sigmoid_accuracy(bpb, self.a, self.x0, self.k, self.b)


# the published table (four decimals); arc_c and arc_e missed the 13B model by about 0.1
LADDER_TASKS: Mapping[str, LadderTask] = {
    "mmlu": LadderTask(
        38.0700, 100.0921, 0.2262, 0.2361, 0.4541, -0.7421, 0.6160, 4.8334, 1.0
    ),
    "hellaswag": LadderTask(
        11.2313, 60.3687, 0.1955, 0.2565, 0.5019, -0.7301, 0.7667, 12.7417, 0.9921
    ),
    "arc_c": LadderTask(
        702974.8, 38.4457, 0.7877, 0.1970, 0.6546, -0.7777, 0.7086, 5.9106, 1.0
    ),
    "arc_e": LadderTask(
        79412.07, 3957.51, 0.6610, 0.4195, 0.5582, -0.6463, 0.7407, 4.1298, 1.0
    ),
    "piqa": LadderTask(
        405.66, 10.1591, 0.3978, 0.1533, 0.7217, -0.4586, 0.9630, 5.0330, 1.0
    ),
    "csqa": LadderTask(
        56.8554, 10.9066, 0.2350, 0.1111, 0.0, -0.8556, 1.1313, 2.2085, 1.0
    ),
    "siqa": LadderTask(
        1200.94, 7897.19, 0.4473, 0.4768, 0.9489, -0.5985, 0.8938, 7.1644, 0.9995
    ),
    "obqa": LadderTask(
        86346.3, 137.35, 0.6865, 0.2607, 1.1981, -0.7906, 1.0813, 4.3097, 1.0
    ),
}  # fmt: skip


def sigmoid_accuracy(bpb: Values, a: float, x0: float, k: float, b: float) -> Values:
    """a / (1 + exp(-k (bpb - x0))) + b, a < 0: from b at no loss down to a + b (guessing)."""
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
    """The columns as float64 with rows that miss a value left out."""
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
