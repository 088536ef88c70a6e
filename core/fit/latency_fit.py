"""A latency law as a value: its predictions, their intervals, and its errors on shapes left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.arrays import Bools, Floats, Ints
from core.errors import Unusable
from core.fit.groups import rank_correlation
from core.fit.latency_range import EDGES, PRIOR_GROWTH, doublings, quantities
from core.fit.latency_terms import LATENCY_AMOUNTS, square_root
from core.laws.latency import Machine
from core.model.architecture import Counts, Shapes
from core.model.workload import Runtime
from core.records.measurement import Measurement

ROWS_AT_ONCE = 32768  # columns of one chunk stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """What a law predicts for each of its measurements when their shape is left out of the fit.

    Columns of one length, one row per measurement: `rows` are the measurements, `seconds` their
    medians, `ratio` the prediction over the measured value, `leverage` the standard deviation of
    that prediction in units of the law's scatter, `group` the number of the shape.
    """

    rows: tuple[Measurement, ...]
    seconds: Floats
    ratio: Floats
    leverage: Floats
    group: Ints

    @property
    def predicted(self) -> Floats:
        """Seconds that the law predicts without the row's shape."""
        return self.ratio * self.seconds

    @property
    def error(self) -> Floats:
        """Relative error of each prediction; above zero: predicted too slow."""
        return self.ratio - 1.0

    @property
    def scatter(self) -> float:
        """Root mean square of the errors on the log scale."""
        return float(np.sqrt(np.mean(self._logs**2)))

    @property
    def rank(self) -> float | None:
        """Spearman's correlation of predicted and measured seconds; None where one does not vary."""
        return rank_correlation(self.seconds, self.predicted)

    def interval(self, degrees_of_freedom: int) -> tuple[Floats, Floats]:
        """Low and high end, in seconds, of each 95 % interval, from the other shapes' errors."""
        from scipy.special import stdtrit

        logs, half = self._logs, np.empty(len(self.rows))
        wide = float(stdtrit(max(degrees_of_freedom, 1), 0.975))
        for g in np.unique(self.group):
            out = self.group == g
            half[out] = wide * np.sqrt(np.mean(logs[~out] ** 2)) * self.leverage[out]
        factor = np.exp(half)
        return self.predicted / factor, self.predicted * factor

    def inside(self, degrees_of_freedom: int) -> Bools:
        """True where the measurement lies in the interval made without its shape."""
        low, high = self.interval(degrees_of_freedom)
        return (low <= self.seconds) & (self.seconds <= high)

    @property
    def _logs(self) -> Floats:
        return np.log(np.maximum(self.ratio, 1e-300))


@dataclass(frozen=True, slots=True, eq=False)
class LatencyFit:
    """A latency law of one runtime on one device, with its errors on shapes left out of the fit.

    `terms` maps each term of `core.laws.latency.TERMS` to its coefficient (seconds per unit; 0 for a
    term that the data do not need). `heldout_error` is the mean absolute relative error over left-out
    shapes. `heldout` has 'bias' (mean relative error), 'p90' (90th percentile of the absolute error),
    'spearman' (rank correlation), 'coverage' (share of left-out points in their 95 % interval), and
    'sharp' (mean absolute error over the points whose own interval is within +-25 %; their share is
    'sharp_share'). `left_out` holds the left-out predictions. A fit that is not `ok` predicts
    nothing; its `message` says what is missing.
    """

    metric: str
    runtime: Runtime
    device_key: str
    terms: Mapping[str, float]
    machine: Machine
    n: int
    n_shapes: int
    heldout_error: float | None = None
    heldout: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scatter: float = 0.0  # relative standard deviation of left-out shapes around the law
    degrees_of_freedom: int = 0
    covariance: tuple[
        tuple[float, ...], ...
    ] = ()  # of the coefficients, unit scatter, in relative terms
    growth: tuple[float, ...] = PRIOR_GROWTH  # of the variance per doubling beyond each of EDGES
    ok: bool = True
    message: str = ""
    measured_on: str = ""
    left_out: LeftOut | None = None  # None where the fit is not ok

    def predict(self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any) -> Floats:
        """Seconds: per step for 'tpot', to the first token for 'ttft'; broadcasts over columns."""
        return self._chunked(shapes, batch, prompt_tokens, output_tokens, None)[0]

    def interval(
        self,
        shapes: Counts,
        batch: Any,
        prompt_tokens: Any,
        output_tokens: Any,
        level: float = 0.95,
    ) -> tuple[Floats, Floats]:
        """Prediction interval in seconds (low, high) for one new shape.

        Student's t around the law on the log scale, from the scatter of left-out shapes and the
        uncertainty of the coefficients. Outside the measured ranges the variance grows with every
        doubling, as `core.fit.latency_range` estimates it.
        """
        from scipy.special import stdtrit

        middle, sd = self._chunked(shapes, batch, prompt_tokens, output_tokens, level)
        with np.errstate(over="ignore"):
            ratio = np.exp(stdtrit(max(self.degrees_of_freedom, 1), 0.5 + level / 2) * sd)
        return middle / ratio, middle * ratio

    def factors(
        self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
    ) -> tuple[Floats, Floats]:
        """The parts of the errors that predictions share and do not share: `shared` (n, K), `own` (n,).

        The error of row i on the log scale is scatter * (shared[i] @ z + own[i] * e[i]). z (K,) is the
        same for all rows; e[i] belongs to one shape. All of them are independent and of unit variance.
        First come the errors of the coefficients: with C their covariance and r the row's terms over
        its prediction, r C^(1/2). Then one error for each of EDGES, common to the rows beyond it. Half
        of the variance that grows there is that common error, the other half the shape's own: on the
        two recorded sweeps the larger shapes missed in one direction about as far as they differed.
        So the variance of one row is that of `interval`.
        """
        self._require()
        work = (shapes, batch, prompt_tokens, output_tokens)
        amounts = LATENCY_AMOUNTS[self.metric](*work, self.runtime, self.machine, self.terms)
        middle = np.atleast_1d(sum(c * amounts[k] for k, c in self.terms.items() if c > 0))
        columns = [np.broadcast_to(amounts[k], middle.shape) / middle for k in self.terms]
        beyond = [np.broadcast_to(v / 2, middle.shape) for v in self._beyond(*work)]
        coefficients = np.stack(columns, axis=-1) @ square_root(np.array(self.covariance))
        shared = np.column_stack([coefficients, *map(np.sqrt, beyond)])
        return shared, np.sqrt(1.0 + sum(beyond))

    def spread(self, level: float = 0.95) -> float:
        """Half-width, on the log scale, of the central interval of an error of unit variance."""
        from scipy.special import stdtrit

        return self.scatter * float(stdtrit(max(self.degrees_of_freedom, 1), 0.5 + level / 2))

    def outside(self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any) -> Bools:
        """True where a shape or workload lies more than 5 % outside what was measured."""
        self._require()
        values = quantities(shapes, batch, prompt_tokens, output_tokens)
        far = [doublings(self.ranges, values, edge) for edge in EDGES]
        return np.asarray(np.maximum.reduce(np.broadcast_arrays(*far)) > np.log2(1.05))

    def shares(
        self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
    ) -> dict[str, Floats]:
        """Seconds of the prediction by term, terms with a zero coefficient left out."""
        self._require()
        used = {k: c for k, c in self.terms.items() if c > 0}
        amounts = LATENCY_AMOUNTS[self.metric](
            shapes, batch, prompt_tokens, output_tokens, self.runtime, self.machine, used
        )
        return {k: np.asarray(c * amounts[k]) for k, c in used.items()}

    def _require(self) -> None:
        if not self.ok:
            raise Unusable(self.message)

    def _chunked(
        self, shapes: Counts, batch: Any, prompt: Any, output: Any, level: float | None
    ) -> tuple[Floats, Floats]:
        """Prediction, and its relative standard deviation where a level is given."""
        self._require()
        size = np.broadcast(np.asarray(shapes.n_layers), batch, prompt, output).shape
        if len(size) != 1 or size[0] <= ROWS_AT_ONCE:
            return self._rows(shapes, batch, prompt, output, level is not None)
        middle, sd = np.empty(size), np.empty(size if level is not None else 0)
        columns = [np.broadcast_to(v, size) for v in (batch, prompt, output)]
        for start in range(0, size[0], ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            some = shapes.take(part) if isinstance(shapes, Shapes) else shapes  # type: ignore[arg-type]
            b, p, o = (c[part] for c in columns)
            rows = self._rows(some, b, p, o, level is not None)
            middle[part] = rows[0]
            if level is not None:
                sd[part] = rows[1]
        return middle, sd

    def _rows(
        self, shapes: Counts, batch: Any, prompt: Any, output: Any, wants_sd: bool
    ) -> tuple[Floats, Floats]:
        used = {k: c for k, c in self.terms.items() if c > 0}
        # an interval needs the terms without a coefficient too: they are uncertain all the same
        amounts = LATENCY_AMOUNTS[self.metric](
            *(shapes, batch, prompt, output, self.runtime, self.machine),
            self.terms if wants_sd else used,
        )
        middle = np.asarray(sum(c * amounts[k] for k, c in used.items()))
        if not wants_sd:
            return middle, np.empty(0)
        # relative terms, so that the leverages of small and large models are comparable
        columns = np.stack([np.broadcast_to(amounts[k], middle.shape) for k in self.terms])
        columns /= middle
        spread = np.array(self.covariance)
        leverage = np.einsum("k...,k...->...", columns, np.tensordot(spread, columns, 1))
        beyond = sum(self._beyond(shapes, batch, prompt, output))
        return middle, self.scatter * np.sqrt(1.0 + np.maximum(leverage, 0.0) + beyond)

    def _beyond(self, shapes: Counts, batch: Any, prompt: Any, output: Any) -> list[Floats]:
        """Variance in units of the scatter's that comes with being beyond each of EDGES."""
        values = quantities(shapes, batch, prompt, output)
        return [
            g * doublings(self.ranges, values, edge)
            for g, edge in zip(self.growth, EDGES, strict=True)
        ]
