"""How each column of the table is made: exactly, from a law, or from measurements.

Every function returns one `Estimates` over all candidates; a measurement takes precedence over a law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.fit.latency_fit import LatencyFit
from core.fit.memory import PEAKS, MemoryFit
from core.fit.reach import Reach
from core.laws.columns import design_columns
from core.model.workload import Runtime
from core.records.measurement import Measurement
from core.records.metric import Columns, Metric
from core.samples.statistics import estimate, median_of
from core.space.candidates import Candidates
from core.table.published_precision import PublishedPrecision


class LossFit(Protocol):
    """What the table needs of a fitted (or published) loss law."""

    @property
    def ok(self) -> bool:
        """Whether it can predict at all."""
        ...

    def predict(self, columns: Mapping[str, Floats]) -> Floats:
        """Loss of every row."""
        ...

    def prediction(
        self, columns: Mapping[str, Floats], level: float = 0.95
    ) -> tuple[Floats, Floats]:
        """Lower and upper end of the prediction interval for every row."""
        ...

    def predictive_draws(
        self,
        columns: Mapping[str, Floats],
        shape: Indices,
        model: Indices,
        count: int,
        seed: int = 0,
    ) -> Floats:
        """Losses (count, n) of the models that one would train; see `Fit.predictive_draws`."""
        ...

    def reach(self, columns: Mapping[str, Floats]) -> Reach:
        """Where rows lie outside what the law's runs had, by column."""
        ...


# the column in which an illustrated loss lies outside the runs
PRECISION = "precision"


@dataclass(frozen=True, slots=True)
class Estimates:
    """A column with its interval, and where each row is measured or outside the fitted range."""

    value: Floats
    low: Floats
    high: Floats
    measured: Bools
    outside: Bools


def loss_estimates(
    c: Candidates,
    metric: Metric,
    law: LossFit | None,
    measured_rows: Mapping[int, Measurement],
    names: Mapping[int, str],
    precision: PublishedPrecision,
) -> tuple[Estimates, Reach]:
    """Loss by the law; for the named rows, which are real models, as measured or unknown. With it,
    where candidates lie outside what the law's runs had; nowhere without a law.

    The runs say nothing about weights or a cache below 16 bits. Such rows are unknown, or the published
    illustration where that is asked for, without an interval; it lies outside in precision.
    """
    rows = len(c)
    value, low, high = np.full((3, rows), np.nan)
    reach = Reach()
    if law is not None and law.ok:
        added = precision.penalty(c)
        trained = has_loss(c, precision)
        columns = {k: v[trained] for k, v in loss_columns(c).items()}
        value[trained] = law.predict(columns) + added[trained]
        low[trained], high[trained] = law.prediction(columns)
        few = c.below_16_bits
        low[few] = high[few] = np.nan
        reach = law.reach(columns).spread(trained)
        if (drawn := few & trained).any():
            reach = replace(reach, outside={**reach.outside, PRECISION: drawn})
    outside = reach.anywhere(rows)
    measured = np.zeros(rows, np.bool_)
    for row in names:
        # a real model has its measured loss, or none
        found = metric.read(measured_rows[row], median_of(measured_rows[row]))
        value[row], low[row], high[row] = found or (np.nan, np.nan, np.nan)
        measured[row] = found is not None
        outside[row] = False
    return frozen(value, low, high, measured, outside), reach


def has_loss(c: Candidates, precision: PublishedPrecision) -> Bools:
    """True where a law may predict the loss: training tokens are stated, which a measured shape has
    none of, and nothing is below 16 bits, unless that is illustrated."""
    return np.isfinite(c.train_tokens) & np.isfinite(precision.penalty(c))


def timed_estimates(
    c: Candidates,
    metric: Metric,
    latency: Mapping[tuple[Runtime, str], LatencyFit],
    measured_rows: Mapping[int, Measurement],
) -> Estimates:
    """A latency, s, by the law of each row's runtime or as it was measured."""
    rows = len(c)
    value, low, high = np.full((3, rows), np.nan)
    outside = np.zeros(rows, np.bool_)
    for index, runtime in enumerate(c.runtimes):
        fit = latency.get((runtime, metric.law))
        mask = c.runtime == index
        if fit is None or not mask.any():
            continue
        whole = bool(mask.all())
        part = c if whole else c.take(mask)
        work = (part.shapes, part.batch, part.prompt_tokens, part.output_tokens)
        value[mask] = fit.predict(*work)
        low[mask], high[mask] = fit.interval(*work)
        outside[mask] = fit.outside(*work)
    measured = np.zeros(rows, np.bool_)
    for row, m in measured_rows.items():
        known = estimate(m, metric.phase, "p50")
        if known is not None:
            value[row], low[row], high[row] = known.value, known.low, known.high
            measured[row] = True
            outside[row] = False
    return frozen(value, low, high, measured, outside)


def made_estimates(
    metric: Metric,
    columns: Columns,
    parts: Sequence[Estimates],
    estimated: Sequence[Estimates],
    measured_rows: Mapping[int, Measurement],
) -> Estimates:
    """A metric composed of others, or as its own phase was measured in `measured_rows`.

    `parts` are its `made_of`, and `estimated` those of them that are not exact. The result counts as
    measured where all of these are, unless the metric has a phase of its own.
    """
    # an interval of time that reaches down to zero has no upper end as a speed
    with np.errstate(divide="ignore"):
        value, one, other = (
            np.asarray(metric.make(columns, *(getattr(part, end) for part in parts)), np.float64)
            for end in ("value", "low", "high")
        )
    low, high = np.minimum(one, other), np.maximum(one, other)
    outside = np.logical_or.reduce([part.outside for part in parts])
    if not metric.phase:
        measured = np.logical_and.reduce([part.measured for part in estimated or parts])
        return frozen(value, low, high, measured, outside)
    measured = np.zeros(len(value), np.bool_)
    for row, m in measured_rows.items():
        known = estimate(m, metric.phase, "p50")
        if known is not None:
            value[row], low[row], high[row] = known.value, known.low, known.high
            measured[row] = True
    return frozen(value, low, high, measured, outside)


def memory_estimates(
    c: Candidates,
    memory: Mapping[Runtime, MemoryFit],
    measured_rows: Mapping[int, Measurement],
    device_key: str,
) -> Estimates:
    """Peak memory in bytes, by arithmetic corrected on measured peaks, or as measured."""
    value, low, high = np.full((3, len(c)), np.nan)
    for index, runtime in enumerate(c.runtimes):
        mask = c.runtime == index
        if mask.any():
            part = c.take(mask)
            fit = memory.get(runtime, MemoryFit(runtime, device_key))
            work = (part.shapes, part.batch, part.prompt_tokens, part.output_tokens)
            value[mask] = fit.predict(*work)
            low[mask], high[mask] = fit.interval(*work)
    measured = np.zeros(len(c), np.bool_)
    for row, m in measured_rows.items():
        peak = next((m.memory_bytes[k] for k in PEAKS if m.memory_bytes.get(k)), None)
        if peak:
            value[row] = low[row] = high[row] = peak
            measured[row] = True
    return frozen(value, low, high, measured, np.zeros(len(c), np.bool_))


def only_measured(rows: int, metric: Metric, measured_rows: Mapping[int, Measurement]) -> Estimates:
    """A metric that no law predicts: known only where it was measured."""
    value, low, high = np.full((3, rows), np.nan)
    measured = np.zeros(rows, np.bool_)
    for row, m in measured_rows.items():
        found = metric.read(m, median_of(m))
        if found is not None:
            value[row], low[row], high[row] = found
            measured[row] = True
    return frozen(value, low, high, measured, np.zeros(rows, np.bool_))


def loss_columns(candidates: Candidates) -> dict[str, Floats]:
    """The columns that loss laws read and hold against their runs."""
    return {**design_columns(candidates.shapes), "tokens": candidates.train_tokens}


def certain(value: Floats) -> Estimates:
    """A column that is counted, not estimated."""
    no = np.zeros(len(value), np.bool_)
    return frozen(value, value, value, no, no)


def frozen(value: Floats, low: Floats, high: Floats, measured: Bools, outside: Bools) -> Estimates:
    """These columns, made read-only."""
    for column in (value, low, high, measured, outside):
        column.flags.writeable = False
    return Estimates(value, low, high, measured, outside)
