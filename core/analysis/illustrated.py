"""Rows with a published illustration for a loss, and those of them that are worth showing beside a front."""

from __future__ import annotations

import numpy as np

from core.analysis.frame import Frame, minimised
from core.arrays import Bools, Indices
from core.pareto.front import front_indices
from core.table.table import Table


def illustrated(table: Table, x: str, y: str) -> Bools:
    """True where a value on these axes is a published illustration, (n,)."""
    if "loss" not in (x, y):
        return np.zeros(len(table), np.bool_)
    return table.illustrated


def beside_the_front(table: Table, frame: Frame) -> Indices:
    """The illustrated rows that would be on the front if low precision were not outside the loss law's
    runs, and that are not on it."""
    drawn = illustrated(table, frame.x, frame.y)
    if not drawn.any():
        return np.empty(0, np.intp)
    fair = frame.counted | frame.feasible & table.worth_illustrating
    rows = front_indices(minimised(table, frame.x), minimised(table, frame.y), fair)
    return np.setdiff1d(rows[drawn[rows]], frame.front)
