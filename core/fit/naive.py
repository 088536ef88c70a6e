"""Predictions that need no law: what any law must beat on the same runs left out."""

from __future__ import annotations

import numpy as np

from core.arrays import Bools, Floats, Indices


def nearest_run(size: Floats, tokens: Floats, loss: Floats, kept: Bools, wanted: Indices) -> Floats:
    """The loss of the nearest of the runs kept, by distance in (ln N, ln D), for each wanted run."""
    from scipy.spatial import cKDTree

    points = np.log(np.stack([size, tokens], axis=1))
    _, found = cKDTree(points[kept]).query(points[wanted])
    nearest: Floats = loss[kept][found]
    return nearest


def power_law(size: Floats, tokens: Floats, loss: Floats, kept: Bools, wanted: Indices) -> Floats:
    """The loss of each wanted run by ln L = a + b ln N + c ln D, least squares over the runs kept."""
    basis = np.stack([np.ones_like(size), np.log(size), np.log(tokens)], axis=1)
    solution = np.linalg.lstsq(basis[kept], np.log(loss[kept]), rcond=None)[0]
    return np.asarray(np.exp(basis[wanted] @ solution))
