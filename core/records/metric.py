"""The form of a row in the table of metrics, and the columns that its formulas may use."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from core.arrays import Floats
from core.model.architecture import Architecture, Counts, Shapes
from core.model.workload import Workload
from core.records.measurement import Measurement
from core.units import SCALES, digits, format_quantity, parse_quantity, scale_for


class Columns(Protocol):
    """The columns that exact metrics are computed from: one row per candidate, NaN where unknown."""

    @property
    def shapes(self) -> Counts:
        """Sizes and switches of the decoder."""
        ...

    @property
    def batch(self) -> Any:
        """Sequences decoded together."""
        ...

    @property
    def prompt_tokens(self) -> Any:
        """Tokens of the prompt."""
        ...

    @property
    def output_tokens(self) -> Any:
        """Tokens of the answer."""
        ...

    @property
    def train_tokens(self) -> Any:
        """Tokens it would be trained on."""
        ...

    @property
    def bytes_per_weight(self) -> Any:
        """Bytes of one stored weight."""
        ...

    @property
    def bytes_per_cache_entry(self) -> Any:
        """Bytes of one element of the cache."""
        ...

    @property
    def served_tokens(self) -> float:
        """Tokens served over a model's life; 0 where no number is assumed."""
        ...

    @property
    def floor_s(self) -> Any:
        """Seconds in which the device could read all that a decode step must read."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class OneModel:
    """`Columns` of a single model: numbers, NaN where not stated."""

    shapes: Counts
    batch: float = math.nan
    prompt_tokens: float = math.nan
    output_tokens: float = math.nan
    train_tokens: float = math.nan
    bytes_per_weight: float = math.nan
    bytes_per_cache_entry: float = math.nan
    served_tokens: float = math.nan
    floor_s: float = math.nan


class Reading(NamedTuple):
    """A measured value with its 95 % interval; both ends are the value where none is known."""

    value: float
    low: float
    high: float


UNKNOWN_SHAPE = Shapes(*[np.array(math.nan)] * len(fields(Shapes)))
# median of a measured phase in seconds, None where it was not sampled
Median = Callable[[str], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One quantity of a candidate. `better` is 'lower', 'higher' or '' (a description, no goal).

    Its values come from one of these, in this order: `exact` computes it from the columns. `made_of`
    names the metrics (rows above this one) that `made` combines. `law` names what predicts it ('loss',
    'memory', 'ttft' or 'tpot'), and `phase` the timed phase it is read from. `measured` reads it from a
    measurement. A metric that is `made_of` others and has a `phase` is read from that phase where it
    was timed.
    """

    key: str
    short: str  # how a limit writes it
    label: str
    unit: str = ""
    better: str = ""
    log: bool = True  # the scale that suits it by default
    formula: str
    group: str
    significant: int = 3
    exact: Callable[[Columns], Any] | None = None
    made_of: tuple[str, ...] = ()
    # columns, then a column for each of `made_of`; it rises with all of them or falls with all
    made: Callable[..., Floats] | None = None
    law: str = ""
    phase: str = ""
    measured: Callable[[Measurement, Median], Reading | None] | None = None
    # {runtime} and {loss_law} stand for how the row runs and for what is known of the loss law
    unknown_because: str = "not measured, and no law predicts it"
    model_unknown_because: str = ""  # the same of a real model, where another reason holds
    without_draft: bool = False  # of the model by itself, whatever drafts before it
    needs_served_tokens: bool = False  # means something only once tokens served are stated
    on_text: bool = False  # of real models it compares only on one text
    compared: bool = False  # whether Compare shows it
    plain: str = ""  # what a model with a better value does, without jargon

    def format(self, value: float) -> str:
        """The value with a fitting unit."""
        return format_quantity(value, self.unit, self.significant)

    def format_change(self, amount: float) -> str:
        """A difference of two values, with fewer digits than the values themselves may have."""
        return format_quantity(amount, self.unit, min(self.significant, 3))

    def format_range(self, value: float, low: float, high: float) -> str:
        """An interval in the unit of its value, which stands beside it."""
        if self.unit not in SCALES or self.unit == "count":
            return f"{self.format(low)} – {self.format(high)}".replace(f" {self.unit}", "")
        _, factor = scale_for(value, self.unit)
        return " – ".join(digits(end / factor, self.significant) for end in (low, high))

    def parse(self, text: str) -> float:
        """The SI value of a typed text."""
        return parse_quantity(text, self.unit)

    def make(self, columns: Columns, *parts: Floats) -> Floats:
        """The metric from a column for each of `made_of`; TypeError where it is made of nothing."""
        if self.made is None:
            raise TypeError(f"{self.key} is not made of other metrics")
        return self.made(columns, *parts)

    def read(self, measurement: Measurement, median: Median) -> Reading | None:
        """Its value in a measurement; None where there is none."""
        return None if self.measured is None else self.measured(measurement, median)

    @property
    def natural_side(self) -> str:
        """The side a limit on this metric is usually set on."""
        return ">=" if self.better == "higher" else "<="


def counted(
    metric: Metric,
    architecture: Architecture | None = None,
    workload: Workload | None = None,
    train_tokens: float | None = None,
) -> float | None:
    """An exact metric of one model; None where one of its inputs is not stated."""
    if metric.exact is None:
        return None
    shapes: Counts = architecture if architecture is not None else UNKNOWN_SHAPE
    one = OneModel(shapes, train_tokens=math.nan if train_tokens is None else train_tokens)
    if workload is not None:
        one = replace(
            one,
            batch=workload.batch,
            prompt_tokens=workload.prompt_tokens,
            output_tokens=workload.output_tokens,
        )
    value = float(metric.exact(one))
    return value if math.isfinite(value) else None


def one_value(value: float | None) -> Reading | None:
    """A reading without an interval; None where there is no value."""
    return None if value is None else Reading(value, value, value)


def of_quality(name: str) -> Callable[[Measurement, Median], Reading | None]:
    """A function that reads a name of `Measurement.quality`, with its interval where it has one.

    None where the model was scored in another precision than it runs in, below 16 bits.
    """

    def read(m: Measurement, median: Median) -> Reading | None:
        value = m.quality.get(name)
        if value is None or not m.scored_as_it_runs:
            return None
        return Reading(
            value, m.quality.get(f"{name}_low", value), m.quality.get(f"{name}_high", value)
        )

    return read
