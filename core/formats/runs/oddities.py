"""Runs that are kept but reported as odd: repeated sizes and tokens, losses far from the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.fit.repeats import checkpoints_of, sweep_of
from core.formats.runs.columns import WHOLE
from core.formats.runs.report import SHOWN
from core.formats.runs.tables import RawTable
from core.records.training_runs import TrainingRuns

SIZES = ("params_total", "params_non_embedding")


@dataclass(frozen=True, slots=True)
class Odd:
    """What is odd about the rows that were kept.

    `whole` is about all of them: a sweep of settings, checkpoints of one run. `repeats` and `outliers`
    name rows. `runs` are the runs with one name for all checkpoints of a run, where no column names them.
    """

    runs: TrainingRuns
    whole: tuple[str, ...]
    repeats: tuple[str, ...]
    outliers: tuple[str, ...]

    @property
    def repeats_in_short(self) -> tuple[str, ...]:
        """The repeats, or their number where there are many."""
        if len(self.repeats) <= SHOWN:
            return self.repeats
        many = f"{len(self.repeats)} rows have the size and tokens of another row"
        return (f"{many}, kept as other runs: {self.repeats[0]}; ...",)


def odd_rows(runs: TrainingRuns, rows: NDArray[Any], table: RawTable, run_column: str) -> Odd:
    """What is odd about runs that stand in these rows, whose names come from `run_column` ('': none)."""
    sweep, stages = sweep_of(runs), checkpoints_of(runs, run_column)
    if stages is not None and not run_column:
        first = np.unique(stages.run, return_index=True)[1]
        names = tuple(f"run of row {rows[first[number]]}" for number in stages.run)
        runs = replace(runs, names=names)
    whole = tuple(found.text for found in (sweep, stages) if found is not None)
    # a sweep says already why its rows repeat
    again = repeats(runs, rows, table) if sweep is None else []
    return Odd(runs, whole, tuple(again), tuple(outliers(runs, rows, table)))


def repeats(runs: TrainingRuns, rows: NDArray[Any], table: RawTable) -> list[str]:
    """One message per row whose size, shape, tokens and labels another row has: the same run twice, or
    another seed."""
    shape = ("params_total", "params_non_embedding", "n_layers", "d_model", "tokens")
    known = [runs.columns[f] for f in (*shape, *WHOLE[2:]) if f in runs.columns]
    # nan does not equal itself
    keys = [np.nan_to_num(column, nan=-1.0).tolist() for column in known]
    labels = tuple(runs.labels.values())
    first: dict[tuple[Any, ...], int] = {}
    found = []
    for index, row in enumerate(rows):
        key = (*(k[index] for k in keys), *(v[index] for v in labels))
        if key in first:
            here, there = table.where(int(row)), first[key]
            found.append(f"{here}: the same size and tokens as row {there}, kept as another run")
        else:
            first[key] = int(row)
    return found


def outliers(runs: TrainingRuns, rows: NDArray[Any], table: RawTable) -> list[str]:
    """Losses far from a smooth surface through the others: quadratic in ln N and ln D, robust.

    Far is more than 6 robust standard deviations and 10 %. Fewer than 12 runs are compared with a
    plane, fewer than 7 give no message.
    """
    size = next((runs.columns[f] for f in SIZES if f in runs.columns), None)
    if size is None:
        return []
    known = np.isfinite(size) & np.isfinite(runs.columns["tokens"])
    if known.sum() < 7:
        return []
    n, d = np.log(size[known]), np.log(runs.columns["tokens"][known])
    observed = np.log(runs.columns["loss"][known])
    n, d = n - n.mean(), d - d.mean()
    terms = [np.ones_like(n), n, d, n * n, n * d, d * d]
    basis = np.stack(terms if n.size >= 12 else terms[:3], axis=1)
    weights = np.ones_like(n)
    residual = observed - observed.mean()
    for _ in range(20):
        root = np.sqrt(weights)[:, None]
        solution, *_ = np.linalg.lstsq(basis * root, observed * root[:, 0], rcond=None)
        residual = observed - basis @ solution
        scale = max(1.4826 * float(np.median(np.abs(residual))), 1e-3)
        # Tukey's biweight: points far away have no weight
        weights = np.clip(1 - (residual / (4.685 * scale)) ** 2, 0, None) ** 2 + 1e-12
    far = np.abs(residual) > max(6 * scale, math.log(1.1))
    losses = runs.columns["loss"][known]
    return [
        f"{table.where(int(rows[known][i]))}: loss {losses[i]:.4g} lies far from the other runs "
        f"(about {math.exp(observed[i] - residual[i]):.4g} at this size and these tokens); kept"
        for i in np.flatnonzero(far)
    ]
