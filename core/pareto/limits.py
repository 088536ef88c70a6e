"""Limits: one-sided bounds on metrics, their text form, and the rows that each of them hides."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Bools, Floats
from core.errors import Unusable
from core.records.metric import Metric
from core.records.metrics import metric
from core.units import SCALES, scale_for

STATISTICS = ("p50", "mean", "p90", "p95", "p99", "high")
GRAMMAR = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?::\s*(\w+)\s*)?(<=|>=|<|>|=)\s*(.+?)\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """One one-sided bound. 'high' as statistic means the upper end of the 95 % interval."""

    metric: str
    side: str  # '<=' or '>='
    value: float
    statistic: str = "p50"

    @property
    def key(self) -> tuple[str, str, str]:
        """Metric, statistic and side; a project holds one limit per key."""
        return (self.metric, self.statistic, self.side)

    @property
    def text(self) -> str:
        """The limit as it can be typed, e.g. 'tpot:p50<=8ms'; reading it back gives this limit."""
        row = metric(self.metric)
        suffix, factor = scale_for(self.value, row.unit)
        shown = f"{self.value / factor:.12g}{suffix if row.unit in SCALES else ''}"
        if row.parse(shown) != self.value:
            shown = repr(self.value)
        return f"{row.short}:{self.statistic}{self.side}{shown}"

    @property
    def label(self) -> str:
        """The limit for reading, e.g. 'Time per output token <= 8.00 ms'."""
        row = metric(self.metric)
        statistic = "" if self.statistic == "p50" else f" ({self.statistic})"
        sign = "≤" if self.side == "<=" else "≥"
        return f"{row.label}{statistic} {sign} {row.format(self.value)}"

    def allows(self, values: Floats) -> Bools:
        """True where a value keeps the limit; an unknown value (NaN) does not."""
        return values <= self.value if self.side == "<=" else values >= self.value


def parse_limit(text: str) -> Limit:
    """The limit written as 'metric[:statistic]<=value[unit]'; Unusable shows the form."""
    match = GRAMMAR.fullmatch(text)
    if match is None:
        raise Unusable(f"'{text}' is not a limit; write e.g. 'tpot<=8ms' or 'memory<=24GB'")
    name, statistic, side, value = match.groups()
    row: Metric = metric(name)
    statistic = (statistic or "p50").lower()
    if statistic not in STATISTICS:
        raise Unusable(f"'{statistic}' in '{text}' is not one of {', '.join(STATISTICS)}")
    if side == "=":
        raise Unusable(f"'{text}': a limit is one-sided; write <= or >=")
    return Limit(row.key, side[0] + "=", row.parse(value), statistic)


Column = Callable[[str, str], Floats]  # (metric key, statistic) -> values


def feasible(column: Column, limits: Sequence[Limit], rows: int) -> Bools:
    """True for the rows that keep every limit."""
    mask = np.ones(rows, np.bool_)
    for limit in limits:
        mask &= limit.allows(column(limit.metric, limit.statistic))
    return mask


def hidden_by(column: Column, limits: Sequence[Limit], rows: int) -> tuple[int, ...]:
    """For each limit, how many rows would come back if only it were removed."""
    masks = [limit.allows(column(limit.metric, limit.statistic)) for limit in limits]
    broken = np.zeros(rows, np.int16)
    for mask in masks:
        broken += ~mask
    return tuple(int(np.count_nonzero(~mask & (broken == 1))) for mask in masks)


def reachable(
    column: Column, limits: Sequence[Limit], rows: int, name: str
) -> tuple[float, float] | None:
    """Smallest and largest value of a metric among rows that keep every limit on other metrics."""
    others = [limit for limit in limits if limit.metric != name]
    values = column(name, "p50")[feasible(column, others, rows)]
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    return float(values.min()), float(values.max())


def with_limit(limits: Sequence[Limit], new: Limit) -> tuple[Limit, ...]:
    """The limits with this one in place of an earlier one on the same metric, statistic and side."""
    if any(old.key == new.key for old in limits):
        return tuple(new if old.key == new.key else old for old in limits)
    return (*limits, new)


def without_limit(limits: Sequence[Limit], key: tuple[Any, ...]) -> tuple[Limit, ...]:
    """The limits without the one of this key."""
    return tuple(limit for limit in limits if limit.key != key)
