"""MINPACK's lmdif for many small problems at once: the paper's own solver, to reproduce its results.

scipy's `curve_fit` without bounds is this routine (Moré, Garbow, Hillstrom 1980) with forward
differences, and its result depends on its start. Problems are the last axis of every array, so that
one numpy call handles all of them. The program's own fits come from `core.fit.solve`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.fit.minimise import Minima, Problem

EPSILON = float(np.finfo(np.float64).eps)
DWARF = float(np.finfo(np.float64).tiny)
TOLERANCE = 1.49012e-8  # curve_fit's ftol and xtol
FACTOR = 100.0  # of the first trust region


@dataclass(slots=True, eq=False)
class State:
    """The state of every live problem; arrays end with the problems' axis K."""

    which: Indices
    x: Floats  # (P,K)
    f: Floats  # (n,K)
    norm: Floats
    par: Floats
    delta: Floats
    scale: Floats  # (P,K)
    x_norm: Floats
    first: Bools

    def keep(self, mask: Bools) -> None:
        """Drop the problems outside the mask."""
        for name in ("which", "x", "f", "norm", "par", "delta", "scale", "x_norm", "first"):
            setattr(self, name, np.ascontiguousarray(getattr(self, name)[..., mask]))


def minpack(
    problem: Problem, start: Floats, steps: int = 5000, enough: float = 0.0
) -> Generator[int, None, Minima]:
    """Steps: where lmdif ends from `start` (P,) for every subset of the problem, in its units.

    Yields how many problems are still running. Least squares only. A problem whose sum of squares
    falls to `enough` is returned unconverged: it has found its valley, and any descent finishes it
    faster.
    """
    count = problem.size
    every = np.arange(count)
    x = np.repeat(np.asarray(start, dtype=np.float64)[:, None], count, axis=1)
    f = residuals(problem, x)
    state = State(
        every,
        x,
        f,
        np.sqrt((f * f).sum(axis=0)),
        np.zeros(count),
        np.zeros(count),
        np.ones_like(x),
        np.zeros(count),
        np.ones(count, dtype=bool),
    )
    theta, objective = np.empty((count, x.shape[0])), np.empty(count)
    converged = np.zeros(count, dtype=bool)
    part = problem
    with np.errstate(all="ignore"):
        for step in range(steps):
            if step % 32 == 0:
                yield int(state.which.size)
            ended = _step(part, state, step == 0)
            # finished problems are dropped only now and then, since that copies every array
            found = state.norm**2 <= enough if step % 16 == 15 else np.zeros_like(ended)
            gone = ended | found
            if gone.any():
                theta[state.which[gone]] = state.x[:, gone].T
                objective[state.which[gone]] = state.norm[gone] ** 2
                converged[state.which[gone]] = ended[gone]
                state.keep(~gone)
                if not state.which.size:
                    break
                part = problem.rows(state.which)
    theta[state.which], objective[state.which] = state.x.T, state.norm**2
    return Minima(theta, objective, converged)


def residuals(problem: Problem, x: Floats) -> Floats:
    """L' - L as (n,K) for parameters (P,K)."""
    return np.ascontiguousarray((problem.value(x.T) - problem.loss).T)


def _step(part: Problem, s: State, beginning: bool) -> Bools:
    """One trial step of every problem; True where its stopping rule is met."""
    columns = _differences(part, s)
    norms = [np.sqrt((c * c).sum(axis=0)) for c in columns]
    size = len(columns)
    if beginning:
        for j in range(size):
            s.scale[j] = np.where(norms[j] > 0, norms[j], 1.0)
        s.x_norm = np.sqrt(((s.scale * s.x) ** 2).sum(axis=0))
        s.delta = np.where(s.x_norm > 0, FACTOR * s.x_norm, FACTOR)
    for j in range(size):
        s.scale[j] = np.maximum(s.scale[j], norms[j])
    scaled = [columns[j] / s.scale[j] for j in range(size)]
    upper, right = _orthogonal(scaled, s.f)
    gradient = [(scaled[j] * s.f).sum(axis=0) for j in range(size)]
    s.par, q = _damping(upper, right, gradient, s.delta, s.par)
    p = np.stack([-q[j] / s.scale[j] for j in range(size)])
    p_norm = np.sqrt((q * q).sum(axis=0))
    s.delta = np.where(s.first, np.minimum(s.delta, p_norm), s.delta)
    trial = s.x + p
    f = residuals(part, trial)
    norm = np.sqrt((f * f).sum(axis=0))
    finite = 0.1 * norm < s.norm
    actual = np.where(finite, 1.0 - (norm / s.norm) ** 2, -1.0)
    moved = sum((columns[j] * p[j] for j in range(1, size)), columns[0] * p[0])
    straight = (moved * moved).sum(axis=0) / s.norm**2
    damped = s.par * p_norm**2 / s.norm**2
    predicted = straight + 2.0 * damped
    downhill = -(straight + damped)
    ratio = np.where(predicted != 0, actual / np.where(predicted != 0, predicted, 1.0), 0.0)
    # the trust region shrinks after a poor step and grows after a good one
    poor = ~(ratio > 0.25)
    shrink = np.where(actual >= 0, 0.5, 0.5 * downhill / (downhill + 0.5 * actual))
    shrink = np.where(~finite | ~(shrink >= 0.1), 0.1, shrink)
    good = ~poor & ((s.par == 0) | (ratio >= 0.75))
    s.delta = np.where(
        poor, shrink * np.minimum(s.delta, p_norm / 0.1), np.where(good, p_norm / 0.5, s.delta)
    )
    s.par = np.where(poor, s.par / shrink, np.where(good, 0.5 * s.par, s.par))
    taken = ratio >= 1e-4
    s.x = np.where(taken, trial, s.x)
    s.f = np.where(taken, f, s.f)
    s.norm = np.where(taken, norm, s.norm)
    s.x_norm = np.where(taken, np.sqrt(((s.scale * s.x) ** 2).sum(axis=0)), s.x_norm)
    s.first = s.first & ~taken
    little = (np.abs(actual) <= TOLERANCE) & (predicted <= TOLERANCE) & (0.5 * ratio <= 1.0)
    return np.asarray(little | (s.delta <= TOLERANCE * s.x_norm) | (s.norm == 0))


def _differences(part: Problem, s: State) -> list[Floats]:
    """Forward differences of the residuals, as lmdif takes them: P arrays (n,K)."""
    columns = []
    for j in range(len(s.x)):
        h = np.sqrt(EPSILON) * np.abs(s.x[j])
        h = np.where(h == 0, np.sqrt(EPSILON), h)
        moved = s.x.copy()
        moved[j] += h
        columns.append((residuals(part, moved) - s.f) / h)
    return columns


def _orthogonal(columns: list[Floats], f: Floats) -> tuple[list[list[Floats]], list[Floats]]:
    """R (rows of the upper triangle) and Q'f by modified Gram-Schmidt, f carried as a column."""
    work = [c.copy() for c in columns]
    rest = f.copy()
    upper: list[list[Floats]] = []
    right = []
    for j in range(len(work)):
        norm = np.sqrt((work[j] * work[j]).sum(axis=0))
        unit = work[j] / np.where(norm > 0, norm, 1.0)
        row = [norm]
        for k in range(j + 1, len(work)):
            along = (unit * work[k]).sum(axis=0)
            work[k] -= along * unit
            row.append(along)
        along = (unit * rest).sum(axis=0)
        rest -= along * unit
        upper.append(row)
        right.append(along)
    return upper, right


def _back(upper: list[list[Floats]], right: list[Floats]) -> Floats:
    """Solve R q = right (P,K); a coefficient whose pivot is zero is zero."""
    size = len(right)
    q = np.zeros((size, right[0].size))
    for j in reversed(range(size)):
        total = right[j].copy()
        for k in range(j + 1, size):
            total -= upper[j][k - j] * q[k]
        pivot = upper[j][0]
        q[j] = np.where(pivot > 0, total / np.where(pivot > 0, pivot, 1.0), 0.0)
    return q


def _forward_norm(upper: list[list[Floats]], q: Floats) -> Floats:
    """Norm of R'^-1 q (K,)."""
    size = len(q)
    y = np.zeros_like(q)
    for j in range(size):
        total = q[j].copy()
        for k in range(j):
            total -= upper[k][j - k] * y[k]
        pivot = upper[j][0]
        y[j] = total / np.where(pivot > 0, pivot, 1.0)
    norm: Floats = np.sqrt((y * y).sum(axis=0))
    return norm


def _damping(
    upper: list[list[Floats]],
    right: list[Floats],
    gradient: list[Floats],
    delta: Floats,
    par: Floats,
) -> tuple[Floats, Floats]:
    """MINPACK's lmpar: the damping whose step has the trust region's length within 10 %, and the step."""
    q = _back(upper, right)
    length = np.sqrt((q * q).sum(axis=0))
    over = length - delta
    answer = np.zeros_like(par)
    todo = np.flatnonzero(over > 0.1 * delta)
    if not todo.size:
        return answer, q
    u = [[r[todo] for r in row] for row in upper]
    b = [r[todo] for r in right]
    d, gap, own = delta[todo], over[todo], par[todo]
    step = q[:, todo]
    whole = np.all([row[0] > 0 for row in u], axis=0)
    slope = _forward_norm(u, step / length[todo])
    low = np.where(whole, gap / d / slope / slope, 0.0)
    pull = np.sqrt(sum(g[todo] ** 2 for g in gradient))
    high = pull / d
    high = np.where(high == 0, DWARF / np.minimum(d, 0.1), high)
    own = np.minimum(np.maximum(own, low), high)
    own = np.where(own == 0, pull / length[todo], own)
    live = np.arange(todo.size)
    for turn in range(10):
        own[live] = np.where(own[live] == 0, np.maximum(DWARF, 0.001 * high[live]), own[live])
        root = np.sqrt(own[live])
        part, at = _damped([[r[live] for r in row] for row in u], [r[live] for r in b], root)
        new = _back(part, at)
        step[:, live] = new
        size = np.sqrt((new * new).sum(axis=0))
        before, now = gap[live], size - d[live]
        gap[live] = now
        done = np.abs(now) <= 0.1 * d[live]
        done |= (low[live] == 0) & (now <= before) & (before < 0)
        if turn == 9 or done.all():
            break
        more = ~done
        go = live[more]
        slope = _forward_norm([[r[more] for r in row] for row in part], new[:, more] / size[more])
        change = now[more] / d[go] / slope / slope
        low[go] = np.where(now[more] > 0, np.maximum(low[go], own[go]), low[go])
        high[go] = np.where(now[more] < 0, np.minimum(high[go], own[go]), high[go])
        own[go] = np.maximum(low[go], own[go] + change)
        live = go
    answer[todo] = own
    q[:, todo] = step
    return answer, q


def _damped(
    upper: list[list[Floats]], right: list[Floats], root: Floats
) -> tuple[list[list[Floats]], list[Floats]]:
    """R and right side of the problem with `root` times the identity under it."""
    size = len(right)
    columns = []
    for j in range(size):
        column = np.zeros((2 * size, root.size))
        for k in range(j + 1):
            column[k] = upper[k][j - k]
        column[size + j] = root
        columns.append(column)
    f = np.zeros((2 * size, root.size))
    for j in range(size):
        f[j] = right[j]
    return _orthogonal(columns, f)
