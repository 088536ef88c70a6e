"""Many small nonlinear fits at once: damped Newton steps on every start of every weighting.

The state is one array of parameter vectors; each step evaluates the law and its slopes for all of
them, so that a thousand resamples cost a few dozen numpy calls. Bounds are kept by projection.
Coefficients in which a law is linear are solved for exactly, also where they must not be negative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.laws.law import Law, Tying

HUBER_DELTA = 1e-3
# a robust descent goes in rounds: some reweighted steps, then Newton steps
ROUND = 24
REWEIGHTED = 4
# a Newton step that crosses kinks is tried at these parts of its length too
SHORTER = (0.5, 0.2, 0.05)
# numbers in one block of slopes
STACKED = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is minimised. `logs`, `loss` and `weights` have shape (B or 1, n): B weightings of n rows.

    `method` 'least-squares' is sum w (L' - L)^2, unbounded as in arXiv 2501.18107; 'huber' is
    sum w Huber(ln L' - ln L), bounded by the law's parameters.
    """

    law: Law
    tying: Tying
    method: str
    logs: dict[str, Floats]
    loss: Floats
    weights: Floats
    delta: float = HUBER_DELTA

    @property
    def size(self) -> int:
        """How many weightings or subsets are fitted."""
        return max(len(self.loss), len(self.weights))

    @property
    def low(self) -> Floats:
        """Lower bounds of the free parameters."""
        return self._bounds()[0]

    @property
    def high(self) -> Floats:
        """Upper bounds of the free parameters."""
        return self._bounds()[1]

    def _bounds(self) -> tuple[Floats, Floats]:
        free = self.law.free(self.tying)
        if self.method == "least-squares":
            return np.full(len(free), -np.inf), np.full(len(free), np.inf)
        # a parameter that others follow is held by their bounds too
        groups = [
            [p, *(q for q in self.law.parameters if self.tying.same.get(q.name) == p.name)]
            for p in free
        ]
        low = np.array([max(p.low for p in group) for group in groups])
        return low, np.array([min(p.high for p in group) for group in groups])

    def rows(self, which: Indices) -> Problem:
        """The same problem for the weightings at the given indices, one row each."""

        def pick(values: Floats) -> Floats:
            return values if values.shape[0] == 1 else values[which]

        return replace(
            self,
            logs={k: pick(v) for k, v in self.logs.items()},
            loss=pick(self.loss),
            weights=pick(self.weights),
        )

    def named(self, theta: Floats) -> dict[str, Floats]:
        """Every parameter of the law, as (K,1) columns, from the free ones (K,P)."""
        free = [p.name for p in self.law.free(self.tying)]
        values = {name: theta[:, i : i + 1] for i, name in enumerate(free)}
        for name, value in self.tying.fixed.items():
            values[name] = np.full((len(theta), 1), value)
        for name, leader in self.tying.same.items():
            values[name] = values[leader]
        return values

    def value(self, theta: Floats) -> Floats:
        """Predicted loss (K,n)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.law.function(self.named(theta), self.logs, False)[0]

    def slopes(self, theta: Floats) -> tuple[Floats, Floats]:
        """Predicted loss (K,n) and its slopes by the free parameters (K,P,n)."""
        free = [p.name for p in self.law.free(self.tying)]
        index = {name: i for i, name in enumerate(free)}
        with np.errstate(over="ignore", invalid="ignore"):
            value, parts = self.law.function(self.named(theta), self.logs, True)
        jacobian = np.zeros((theta.shape[0], len(free), value.shape[1]))
        for name, slope in parts.items():
            leader = self.tying.same.get(name, name)
            if leader in index:
                jacobian[:, index[leader]] += slope
        return value, jacobian

    def residuals(self, value: Floats) -> Floats:
        """L' - L, or ln L' - ln L; infinite where a logarithm does not exist."""
        if self.method == "least-squares":
            return value - self.loss
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(value > 0, np.log(value), np.inf) - np.log(self.loss)

    def objective(self, residuals: Floats) -> Floats:
        """The sum that is minimised (K,); infinite where the law breaks down."""
        with np.errstate(invalid="ignore", over="ignore"):
            if self.method == "least-squares":
                each = residuals * residuals
            else:
                size = np.abs(residuals)
                each = np.where(
                    size <= self.delta,
                    0.5 * size * size,
                    self.delta * (size - 0.5 * self.delta),
                )
            total: Floats = (self.weights * each).sum(axis=1)
        return np.where(np.isfinite(total), total, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Minima:
    """Where the descents ended: theta (K,P) in the problem's own units, objective, converged (K,)."""

    theta: Floats
    objective: Floats
    converged: Bools


def descend(
    problem: Problem, theta: Floats, which: Indices, steps: int, exact: bool = True
) -> Minima:
    """Descend from every start theta (K,P), start k on weighting which[k], at most `steps` steps.

    Robust fits take Newton steps with the true curvature once `exact`, reweighted ones before.
    """
    low, high = problem.low, problem.high
    theta = np.clip(theta, low, high)
    part = problem.rows(which)
    objective = part.objective(part.residuals(part.value(theta)))
    converged = np.zeros(len(theta), dtype=bool)
    damping = np.full(len(theta), 1e-3)
    fails = np.zeros(len(theta), dtype=np.intp)
    quiet = np.zeros(len(theta), dtype=np.intp)
    live = np.arange(len(theta))
    for step in range(steps):
        if not live.size:
            break
        part = problem.rows(which[live])
        now = theta[live]
        # reweighted steps see across the kinks of the Huber sum, Newton steps finish between them
        newton = exact and problem.method == "huber" and step % ROUND >= REWEIGHTED
        if step and step % ROUND == 0:
            damping[live] = 1e-3
        move, promised = _step(part, now, damping[live], low, high, newton)
        trial = np.clip(now + move, low, high)
        value = part.objective(part.residuals(part.value(trial)))
        if newton:
            for length in SHORTER:
                shorter = np.clip(now + length * move, low, high)
                at_shorter = part.objective(part.residuals(part.value(shorter)))
                closer = at_shorter < value
                trial[closer], value[closer] = shorter[closer], at_shorter[closer]
        with np.errstate(invalid="ignore"):
            gain = objective[live] - value
        better = gain > 0
        accepted = live[better]
        theta[accepted] = trial[better]
        small = gain <= 1e-13 * np.abs(objective[live])
        objective[accepted] = value[better]
        damping[accepted] = np.maximum(damping[accepted] * 0.2, 1e-14)
        damping[live[~better]] *= 6.0
        fails[accepted] = 0
        fails[live[~better]] += 1
        quiet[live[better & ~small]] = 0
        quiet[live[better & small]] += 1
        # the step promises no further gain, which counts only once it is hardly damped
        spent = (promised <= 1e-14 * np.abs(objective[live])) & ~(better & ~small)
        if problem.method == "huber" and not newton:
            spent[:] = False
        sure = spent & (damping[live] <= 1e-7)
        damping[live[spent & ~sure]] = 1e-8
        # no step of any length helps, or two good steps in a row changed nothing
        still = sure | (fails[live] >= 12) | (quiet[live] >= 2)
        converged[live[still]] = True
        live = live[~still]
    return Minima(theta, objective, converged)


def _step(
    part: Problem, theta: Floats, damping: Floats, low: Floats, high: Floats, newton: bool
) -> tuple[Floats, Floats]:
    """One damped step for every row of theta, and the decrease of the objective it promises.

    Parameters at a bound whose gradient points beyond it are held there.
    """
    value, jacobian = part.slopes(theta)
    residuals = part.residuals(value)
    finite = np.isfinite(residuals)
    residuals = np.where(finite, residuals, 0.0)
    if part.method == "least-squares":
        slope = part.weights * residuals
        curve = np.broadcast_to(part.weights, residuals.shape)
    else:
        jacobian = jacobian / np.where(value > 0, value, 1.0)[:, None, :]
        size = np.abs(residuals)
        inside = size <= part.delta
        slope = part.weights * np.where(inside, residuals, part.delta * np.sign(residuals))
        if newton:
            curve = part.weights * inside
        else:
            curve = part.weights * np.where(inside, 1.0, part.delta / np.maximum(size, part.delta))
    gradient = (jacobian @ slope[:, :, None])[:, :, 0]
    weighted = jacobian * curve[:, None, :]
    hessian = weighted @ jacobian.transpose(0, 2, 1)
    if newton:
        hessian = hessian + _second(part, theta, gradient, slope)
    held = ((theta <= low) & (gradient > 0)) | ((theta >= high) & (gradient < 0))
    index = np.arange(theta.shape[1])
    if held.any():
        free = ~held
        hessian = hessian * (free[:, :, None] & free[:, None, :])
        gradient = np.where(held, 0.0, gradient)
    # the scale of each parameter comes from the reweighted curvature, which is never negative
    if newton:
        gauss = np.einsum(
            "kpn,kpn,kn->kp",
            jacobian,
            jacobian,
            np.broadcast_to(
                part.weights * part.delta / np.maximum(np.abs(residuals), part.delta),
                residuals.shape,
            ),
        )
    else:
        gauss = hessian[:, index, index]
    scale = 1.0 / np.sqrt(np.where(gauss > 1e-300, gauss, 1.0))
    scaled = hessian * scale[:, :, None] * scale[:, None, :]
    scaled[:, index, index] += damping[:, None] + 1e-14
    if held.any():
        scaled[:, index, index] = np.where(held, 1.0, scaled[:, index, index])
    right = -(gradient * scale)
    bad = ~np.isfinite(scaled).all(axis=(1, 2)) | ~np.isfinite(right).all(axis=1)
    if bad.any():
        scaled[bad], right[bad] = np.eye(theta.shape[1]), 0.0
    try:
        solved = np.linalg.solve(scaled, right[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        solved = np.einsum("kpq,kq->kp", np.linalg.pinv(scaled), right)
    # a step uphill comes from negative curvature: follow the gradient instead
    uphill = (solved * right).sum(axis=1) <= 0
    solved[uphill] = right[uphill] / (1.0 + damping[uphill, None])
    step: Floats = solved * scale
    # half of gradient times step: exact where the damping is small (least squares counts double)
    promised: Floats = 0.5 * (solved * right).sum(axis=1)
    return step, promised * (2.0 if part.method == "least-squares" else 1.0)


def _second(part: Problem, theta: Floats, here: Floats, slope: Floats) -> Floats:
    """Sum over rows of slope times the second derivative of the residual, by differences.

    `here` (K,P) is the sum of slope times the first derivative. Only the law is differenced, never
    the kinks of the Huber function, so the result is smooth.
    """
    starts, count = theta.shape
    step = 1e-6 * np.maximum(np.abs(theta), 1e-2)
    second = np.empty((starts, count, count))
    # as many parameters at once as fit in the cache
    width = max(1, STACKED // (starts * count * slope.shape[1]))
    for first in range(0, count, width):
        some = np.arange(first, min(count, first + width))
        moved = np.repeat(theta[None], some.size, axis=0)
        moved[np.arange(some.size), :, some] += step[:, some].T
        many = part.rows(np.tile(np.arange(starts), some.size))
        value, jacobian = many.slopes(moved.reshape(-1, count))
        rate = np.tile(slope, (some.size, 1)) / np.where(value > 0, value, 1.0)
        there = (jacobian @ rate[:, :, None])[:, :, 0].reshape(some.size, starts, count)
        second[:, some, :] = ((there - here) / step[:, some].T[:, :, None]).transpose(1, 0, 2)
    second = 0.5 * (second + second.transpose(0, 2, 1))
    return np.where(np.isfinite(second), second, 0.0)


# --- exact least squares for a handful of columns, many problems at once ----------------------------


def linear_solve(gram: Floats, right: Floats, nonnegative: Bools) -> Floats:
    """Coefficients c minimising c'Gc - 2c'h for every problem: gram (K,P,P), right (K,P) -> (K,P).

    Those marked in `nonnegative` (P,) are kept at or above zero, exactly: where the free solution
    has a negative one, every set of zeroed columns is tried and the best admissible kept.
    """
    solution = _scaled_solve(gram, right)
    if not nonnegative.any():
        return solution
    wrong = np.flatnonzero((solution[:, nonnegative] < 0).any(axis=1))
    if not wrong.size:
        return solution
    g, h = gram[wrong], right[wrong]
    size = right.shape[1]
    may_vanish = np.flatnonzero(nonnegative)
    best = np.zeros((wrong.size, size))
    best_value = np.full(wrong.size, np.inf)
    for count in range(1, may_vanish.size + 1):
        for zeroed in combinations(may_vanish, count):
            kept = np.setdiff1d(np.arange(size), zeroed)
            trial = np.zeros((wrong.size, size))
            if kept.size:
                trial[:, kept] = _scaled_solve(g[:, kept[:, None], kept], h[:, kept])
            value = np.einsum("kp,kpq,kq->k", trial, g, trial) - 2.0 * (trial * h).sum(axis=1)
            value[(trial[:, nonnegative] < 0).any(axis=1)] = np.inf
            better = value < best_value
            best[better], best_value[better] = trial[better], value[better]
    solution[wrong] = best
    return solution


def _scaled_solve(gram: Floats, right: Floats) -> Floats:
    """Solve after scaling to a unit diagonal; a column that is all zero gets coefficient zero."""
    diagonal = np.einsum("kpp->kp", gram)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = gram * scale[:, :, None] * scale[:, None, :]
    # a tiny ridge: two equal columns in one problem would make the solver refuse all of them
    index = np.arange(gram.shape[1])
    scaled[:, index, index] = 1.0 + 1e-13
    found: Floats = np.linalg.solve(scaled, (right * scale)[:, :, None])[:, :, 0] * scale
    return found
