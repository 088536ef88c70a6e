"""Which runs share a shape, a size or a budget, and how well two rankings agree."""

from __future__ import annotations

import numpy as np

from core.arrays import Floats, Indices
from core.records.training_runs import TrainingRuns

# sizes closer than this factor count as one size
SAME_SIZE = 1.22
SHAPE_COLUMNS = ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")


def groups_of(runs: TrainingRuns, unit: str) -> Indices:
    """Group number of every run: 'shape' (all runs of one architecture) or 'run'.

    Rows with one name are checkpoints of one run and stay in one group. Where no shape is known,
    runs are grouped by size instead.
    """
    if unit == "run":
        return np.asarray(np.unique(np.array(runs.names, dtype=object), return_inverse=True)[1])
    names = [c for c in SHAPE_COLUMNS if c in runs.columns]
    if "n_layers" not in names or "d_model" not in names:
        names = [c for c in ("params_total", "params_non_embedding") if c in runs.columns]
    table = np.stack([np.nan_to_num(runs.columns[c], nan=-1.0) for c in names], axis=1)
    return np.asarray(np.unique(table, axis=0, return_inverse=True)[1]).reshape(-1)


def sizes_of(params: Floats) -> Indices:
    """Size class of every run, smallest first: a new class starts where N jumps by 22 % or more."""
    order = np.argsort(params, kind="stable")
    jumps = np.diff(np.log(params[order])) > np.log(SAME_SIZE)
    classes = np.empty(params.size, dtype=np.intp)
    classes[order] = np.concatenate([[0], np.cumsum(jumps)])
    return classes


def contests(runs: TrainingRuns, params: Floats) -> list[Indices]:
    """Sets of runs that a law should rank: one size, one budget (within 3 %), one training set.

    Every set holds at least two shapes; a shape trained twice is represented by its first run.
    """
    tokens = runs.columns["tokens"]
    shapes = groups_of(runs, "shape")
    data = np.array(runs.labels.get("train_dataset", ("",) * len(runs)), dtype=object)
    sizes = sizes_of(params)
    found = []
    for size in np.unique(sizes):
        for name in np.unique(data):
            here = np.flatnonzero((sizes == size) & (data == name))
            order = here[np.argsort(tokens[here], kind="stable")]
            breaks = np.flatnonzero(np.diff(np.log(tokens[order])) > np.log(1.03)) + 1
            for part in np.split(order, breaks):
                first = np.unique(shapes[part], return_index=True)[1]
                if first.size >= 2:
                    found.append(part[np.sort(first)])
    return found


def rank_correlation(first: Floats, second: Floats) -> float | None:
    """Spearman's rho with ties at their mean rank; None where one side does not vary."""
    a, b = _ranks(first), _ranks(second)
    if a.size < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: Floats = (ends - (counts - 1) / 2.0)[inverse]
    return mean


def pairs_right(truth: Floats, guess: Floats) -> tuple[int, int]:
    """Number of pairs in the right order, and of pairs that differ at all; a tied guess is wrong."""
    i, j = np.triu_indices(truth.size, 1)
    real, guessed = np.sign(truth[i] - truth[j]), np.sign(guess[i] - guess[j])
    differ = real != 0
    return int((real == guessed)[differ].sum()), int(differ.sum())
