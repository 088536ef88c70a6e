"""Which runs share a shape, a size or a budget, and how well two rankings agree."""

from __future__ import annotations

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.records.training_runs import TrainingRuns

# sizes within this factor count as one size where no law says better
SAME_SIZE = 1.22
# training tokens within this factor count as one budget
SAME_BUDGET = 1.03
SHAPE_COLUMNS = ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")


def groups_of(runs: TrainingRuns, unit: str) -> Indices:
    """Group number of every run: 'shape' (all runs of one architecture) or 'run'.

    Rows with one name are checkpoints of one run and stay in one group, unless they are of different
    suites. Where no shape is known, runs are grouped by size instead.
    """
    if unit == "run":
        suites = runs.labels.get("suite", ("",) * len(runs))
        each = np.array([f"{s}/{name}" for s, name in zip(suites, runs.names, strict=True)])
        return np.asarray(np.unique(each, return_inverse=True)[1])
    names = [c for c in SHAPE_COLUMNS if c in runs.columns]
    if "n_layers" not in names or "d_model" not in names:
        names = [c for c in ("params_total", "params_non_embedding") if c in runs.columns]
    table = np.stack([np.nan_to_num(runs.columns[c], nan=-1.0) for c in names], axis=1)
    return np.asarray(np.unique(table, axis=0, return_inverse=True)[1]).reshape(-1)


def shapes_known(runs: TrainingRuns) -> Bools:
    """True for runs whose width and depth are both known."""
    width, depth = (
        runs.columns.get(name, np.full(len(runs), np.nan)) for name in ("d_model", "n_layers")
    )
    return np.asarray(np.isfinite(width) & np.isfinite(depth) & (width > 0) & (depth > 0))


def levels_of(values: Floats, factor: float) -> Indices:
    """Level of every positive value, smallest first: no level is wider than the factor.

    Complete linkage: of two neighbouring levels, those that together are narrowest are joined first,
    as long as the largest value over the smallest stays within the factor. A chain of close values
    is therefore never one level.
    """
    distinct, place = np.unique(np.log(values), return_inverse=True)
    low, high = distinct.copy(), distinct.copy()
    # the last digit of a logarithm must not keep a value from a level that it closes
    limit = np.log(factor) + 1e-9
    while low.size > 1:
        widths = high[1:] - low[:-1]
        narrowest = int(np.argmin(widths))
        if widths[narrowest] > limit:
            break
        low, high = np.delete(low, narrowest + 1), np.delete(high, narrowest)
    return np.asarray(np.searchsorted(high, distinct)[place.reshape(-1)])


def sizes_of(params: Floats, factor: float = SAME_SIZE) -> Indices:
    """Size class of every run, smallest first: the sizes of one class lie within the factor."""
    return levels_of(params, factor)


def contests(runs: TrainingRuns, params: Floats, factor: float = SAME_SIZE) -> list[Indices]:
    """Sets of runs that a law should rank: one size, one budget (within 3 %), one training set.

    `factor` is how far apart two sizes may lie and still count as one. Every set holds at least two
    shapes; a shape trained twice is represented by its first run. Runs without a known shape are in
    no set.
    """
    tokens = runs.columns["tokens"]
    shapes = groups_of(runs, "shape")
    known = shapes_known(runs)
    data = np.array(runs.labels.get("train_dataset", ("",) * len(runs)), dtype=object)
    sizes = sizes_of(params, factor)
    found = []
    for size in np.unique(sizes):
        for name in np.unique(data):
            here = np.flatnonzero((sizes == size) & (data == name) & known)
            budgets = levels_of(tokens[here], SAME_BUDGET)
            for budget in np.unique(budgets):
                part = here[budgets == budget]
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
