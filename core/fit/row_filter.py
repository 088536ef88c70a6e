"""Keeping some rows of a table of runs: conditions written COLUMN=VALUE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from core.arrays import Bools
from core.errors import Unusable
from core.records.training_runs import TrainingRuns
from core.units import plain_number


def mask(runs: TrainingRuns, where: Sequence[str] | Mapping[str, str]) -> Bools:
    """True for runs whose columns have the wanted values; several conditions must all hold.

    Values are compared as numbers where the column holds numbers; text may hold '*'. Raises Unusable for a
    condition without '=' or a column that is not there.
    """
    keep = np.ones(len(runs), dtype=bool)
    for column, wanted in _conditions(where):
        if column in runs.labels:
            keep &= np.array([fnmatchcase(t, wanted) for t in runs.labels[column]], dtype=bool)
        elif column in runs.columns:
            value = plain_number(wanted)
            if value is None:
                raise Unusable(f"{column} holds numbers; '{wanted}' is not one")
            cells = runs.columns[column]
            keep &= np.isnan(cells) if math.isnan(value) else cells == value
        elif column == "name":
            keep &= np.array([fnmatchcase(t, wanted) for t in runs.names], dtype=bool)
        else:
            known = ", ".join(("name", *runs.labels, *runs.columns))
            raise Unusable(f"no column '{column}' to select by; there are {known}")
    return keep


def _conditions(where: Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    if isinstance(where, Mapping):
        return [(c.strip(), str(v).strip()) for c, v in where.items()]
    pairs = []
    for text in [where] if isinstance(where, str) else where:
        column, equals, value = text.partition("=")
        if not equals or not column.strip():
            raise Unusable(f"'{text}' is not a condition; write COLUMN=VALUE")
        pairs.append((column.strip(), value.strip()))
    return pairs


def nothing_matches(runs: TrainingRuns, where: Sequence[str] | Mapping[str, str]) -> str:
    """The message that no row meets the conditions, with values that rows do have."""
    unmet = []
    for column, wanted in _conditions(where):
        values: Sequence[Any] = runs.labels.get(column, runs.names)
        if column in runs.columns:
            values = sorted({f"{v:.12g}" for v in runs.columns[column]})
        there = list(dict.fromkeys(str(v) or "(empty)" for v in values))
        more = f" and {len(there) - 8} more" if len(there) > 8 else ""
        unmet.append(f"{column}={wanted} (there are: {', '.join(there[:8])}{more})")
    return f"no row has {' and '.join(unmet)}"


def kept(runs: TrainingRuns, where: Sequence[str] | Mapping[str, str]) -> TrainingRuns:
    """The runs that match every condition, all runs without a condition; Unusable if none does."""
    if not where:
        return runs
    found = mask(runs, where)
    if not found.any():
        raise Unusable(nothing_matches(runs, where))
    return runs.take(found)
