"""How certain the difference of two candidates is: errors that both share do not count.

Errors of a law's parameters affect two of its predictions alike. So the interval of their ratio is
that of the difference of the errors, not the two intervals combined:

    ln(a / b) +- t s sqrt(|F_a - F_b|^2 + o_a^2 + o_b^2)          a latency law
    quantiles of ln(L_a / L_b) over draws (`core.fit.doubt`)      a loss law

F and o are `LatencyFit.factors`: the error of the coefficients, common to all rows, and the error of a
shape by itself. s is the scatter of left-out shapes and t Student's quantile. Two predictions of one
point (a shape under one workload) have the same error. For an end-to-end time, TTFT + steps x TPOT,
each law's factors are weighted by its share of the time, and the two half-widths are added, as in its
own interval. In a draw of losses two rows share the law, its parameters and the error beyond one edge of
the runs; the effect of each shape and the scatter of single runs are their own. In all other comparisons
(a measurement on either side, two runtimes, a draft model) errors are independent: half-widths are added
in quadrature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from core.arrays import Floats, Indices
from core.fit.latency_fit import LatencyFit
from core.records.metric import Metric
from core.records.metrics import METRICS, timed_parts
from core.table.estimates import Estimates

if TYPE_CHECKING:
    from core.table.table import Table

# relative step of the finite differences that give a part's share
STEP = 1e-4
# of two losses: their 2.5 and 97.5 percentiles are then known to about 5 % of the interval
DRAWS = 4000
Z = NormalDist().inv_cdf(0.975)
TOGETHER = "both predicted by one law: the errors they share cancel"
APART = "the two intervals taken as independent"


@dataclass(frozen=True, slots=True)
class LogRatio:
    """95 % interval of ln(value / other value), NaN where unknown, and how it was obtained."""

    low: float
    high: float
    how: str = ""

    @property
    def half_width(self) -> float:
        """Half of the interval, on the log scale."""
        return (self.high - self.low) / 2


def log_ratio(table: Table, key: str, row: int, other: int) -> LogRatio:
    """The interval of the ratio of two rows' values; both values must be positive.

    Unknown where one is a published illustration, whose error nobody knows.
    """
    estimates = table.estimates(key)
    if key == "loss" and (table.illustrated[row] or table.illustrated[other]):
        return LogRatio(math.nan, math.nan)
    if not (estimates.measured[row] or estimates.measured[other]):
        found = None
        if key == "loss":
            found = _of_loss(table, estimates, row, other)
        elif timed_parts(key):
            found = _of_latency(table, key, estimates, row, other)
        if found is not None:
            return found
    return _independent(estimates, row, other)


def _of_loss(table: Table, estimates: Estimates, row: int, other: int) -> LogRatio | None:
    draws = table.loss_draws(np.array([row, other]), DRAWS)
    if len(draws) < 2:
        return None
    middle = math.log(estimates.value[row] / estimates.value[other])
    low, high = np.nanpercentile(np.log(draws[:, 0] / draws[:, 1]), [2.5, 97.5])
    return LogRatio(min(middle, float(low)), max(middle, float(high)), TOGETHER)


def _of_latency(
    table: Table, key: str, estimates: Estimates, row: int, other: int
) -> LogRatio | None:
    if table.drafted[row] or table.drafted[other]:
        return None
    if table.runtime_of(row) != table.runtime_of(other):
        return None
    middle = math.log(estimates.value[row] / estimates.value[other])
    if table.point(row) == table.point(other):
        return LogRatio(middle, middle, TOGETHER)
    half = 0.0
    for part in timed_parts(key):
        law = table.latency_law(part.law, row)
        # a part of the time that was measured errs by itself
        measured = table.estimates(part.key).measured
        if law is None or measured[row] or measured[other]:
            return None
        share = _share(table, METRICS[key], part, np.array([row, other]))
        half += _half_width(table, law, share, row, other)
    return LogRatio(middle - half, middle + half, TOGETHER)


def _half_width(table: Table, law: LatencyFit, share: Floats, row: int, other: int) -> float:
    c = table.candidates.take(np.array([row, other]))
    shared, own = law.factors(c.shapes, c.batch, c.prompt_tokens, c.output_tokens)
    shared, own = shared * share[:, None], own * share
    return law.spread() * float(np.sqrt(np.sum((shared[0] - shared[1]) ** 2) + np.sum(own**2)))


def _share(table: Table, metric: Metric, part: Metric, rows: Indices) -> Floats:
    """Percent by which a metric of some rows changes when a part of it changes by 1 %, (rows,)."""
    if metric is part:
        return np.ones(len(rows))
    columns = table.columns.take(rows)
    values = [table.estimates(key).value[rows] for key in metric.made_of]
    share = np.zeros(len(rows))
    for at, key in enumerate(metric.made_of):
        if part not in timed_parts(key):
            continue
        more, less = (
            metric.make(columns, *values[:at], values[at] * factor, *values[at + 1 :])
            for factor in (1 + STEP, 1 - STEP)
        )
        of_this = (more - less) / (2 * STEP * metric.make(columns, *values))
        share += of_this * _share(table, METRICS[key], part, rows)
    return share


def _independent(estimates: Estimates, row: int, other: int) -> LogRatio:
    """Half-widths in quadrature on the log scale."""
    ends = [
        (float(estimates.low[i]), float(estimates.value[i]), float(estimates.high[i]))
        for i in (row, other)
    ]
    if any(not math.isfinite(e) for three in ends for e in three) or any(t[0] <= 0 for t in ends):
        return LogRatio(math.nan, math.nan)
    (a_low, a, a_high), (b_low, b, b_high) = ends
    middle = math.log(a / b)
    up = math.hypot(math.log(a_high / a), math.log(b / b_low))
    down = math.hypot(math.log(a / a_low), math.log(b_high / b))
    return LogRatio(middle - down, middle + up, APART if up or down else "")
