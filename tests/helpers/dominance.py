"""Dominance by its definition, to hold faster ways against."""

from __future__ import annotations

from core.arrays import Bools, Floats


def dominates(x: Floats, y: Floats, i: int) -> Bools:
    """Mask (n,) of the points that point i dominates, both columns minimised."""
    mask: Bools = (x >= x[i]) & (y >= y[i]) & ((x > x[i]) | (y > y[i]))
    return mask
