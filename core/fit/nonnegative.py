"""Exact least squares for a handful of columns, many problems at once, with coefficients >= 0."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from core.arrays import Bools, Floats


def linear_solve(gram: Floats, right: Floats, nonnegative: Bools) -> Floats:
    """Coefficients c minimising c'Gc - 2c'h for every problem: gram (K,P,P), right (K,P) -> (K,P).

    Those marked in `nonnegative` (P,) are kept at or above zero, exactly: where the free solution
    has a negative one, every set of zeroed columns is tried and the best admissible kept.
    """
    solution = _solve(gram, right)
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
                trial[:, kept] = _solve(g[:, kept[:, None], kept], h[:, kept])
            value = np.einsum("kp,kpq,kq->k", trial, g, trial) - 2.0 * (trial * h).sum(axis=1)
            value[(trial[:, nonnegative] < 0).any(axis=1)] = np.inf
            better = value < best_value
            best[better], best_value[better] = trial[better], value[better]
    solution[wrong] = best
    return solution


def _solve(gram: Floats, right: Floats) -> Floats:
    """Solve after scaling to a unit diagonal; a column that is all zero gets coefficient zero."""
    diagonal = np.einsum("kpp->kp", gram)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = gram * scale[:, :, None] * scale[:, None, :]
    # a whisper of ridge keeps columns that are one and the same from stopping every problem
    index = np.arange(gram.shape[1])
    scaled[:, index, index] = 1.0 + 1e-13
    found: Floats = np.linalg.solve(scaled, (right * scale)[:, :, None])[:, :, 0] * scale
    return found
