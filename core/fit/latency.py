"""Latency laws fitted to measurements: prices of the costs in `core.laws.latency`, and their errors.

One law for each device, runtime and metric; unlike ones are never mixed. Every error reported is
held out by shape: all workloads of one shape are left out together and predicted from the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Bools, Floats
from core.errors import Unusable
from core.fit.latency_terms import (
    METRICS,
    MIN_SHAPES,
    Points,
    best_physics,
    physics_grid,
    points_of,
    price_covariance,
    robust,
    square_root,
)
from core.laws.latency import TERMS, Physics
from core.laws.latency import predicted_memory_bytes as predicted_memory_bytes
from core.model.architecture import Counts, Shapes
from core.model.workload import Runtime
from core.records.measurement import Measurement
from core.samples.repetitions import together

SCHEMA_VERSION = 1
SHARP = 0.25  # half of a point's 95 % interval over its value, up to which the point is sharp
ROWS_AT_ONCE = 32768  # columns of one chunk stay in the processor's cache

# what an extrapolation is judged by: outside the measured range of one of these, intervals widen
RANGED = (
    "n_layers",
    "d_model",
    "d_q",
    "d_kv",
    "d_ff",
    "vocab_size",
    "params_read_per_step",
    "batch",
    "prompt_tokens",
    "context",
)


@dataclass(frozen=True, slots=True, eq=False)
class LatencyFit:
    """A latency law of one runtime on one device, with how well it predicts shapes it did not see.

    `terms` maps each term of `core.laws.latency.TERMS` to its price (seconds a unit; 0 where the
    data ask for none). `heldout_error` is the mean absolute relative error over left-out shapes;
    `heldout` has 'bias' (mean relative error), 'p90' (90th percentile of the absolute one),
    'spearman' (rank correlation), 'coverage' (share of left-out points in their 95 % interval), and
    'sharp' (the error over the points whose own interval is within +-25 %, a share 'sharp_share').
    `resamples` holds the prices fitted without each shape in turn. A fit that is not `ok` says in
    `message` what is missing and predicts nothing.
    """

    metric: str
    runtime: Runtime
    device_key: str
    terms: Mapping[str, float]
    physics: Physics
    n: int
    n_shapes: int
    heldout_error: float | None = None
    heldout: Mapping[str, float] = field(default_factory=dict)
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    scatter: float = 0.0  # relative standard deviation of left-out shapes around the law
    degrees_of_freedom: int = 0
    covariance: tuple[tuple[float, ...], ...] = ()  # of the prices, unit scatter, in relative terms
    resamples: tuple[tuple[float, ...], ...] = ()
    ok: bool = True
    message: str = ""
    measured_on: str = ""

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

        Student's t around the law on the relative scale, with the scatter of left-out shapes and the
        uncertainty of the prices; its width grows by the log-distance outside the measured ranges.
        """
        from scipy.special import stdtrit

        middle, sd = self._chunked(shapes, batch, prompt_tokens, output_tokens, level)
        with np.errstate(over="ignore"):
            ratio = np.exp(stdtrit(max(self.degrees_of_freedom, 1), 0.5 + level / 2) * sd)
        return middle / ratio, middle * ratio

    def factors(
        self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
    ) -> tuple[Floats, Floats]:
        """How the errors of several predictions hang together: `shared` (n, K) and `own` (n,).

        The error of row i on the log scale is scatter * (shared[i] @ z + own[i] * e[i]), with z (K,)
        and all e independent and of unit variance: z is the error of the K prices, one for all rows,
        e what each shape has of its own. With C the prices' covariance, r the row's terms over its
        prediction and f its log-distance outside the measured ranges, shared = (1 + f) r C^(1/2) and
        own = 1 + f; so a row alone has the variance that `interval` gives it.
        """
        self._require()
        asked = (shapes, batch, prompt_tokens, output_tokens)
        amounts = METRICS[self.metric](*asked, self.runtime, self.physics)
        middle = np.atleast_1d(sum(p * amounts[k] for k, p in self.terms.items() if p > 0))
        columns = [np.broadcast_to(amounts[k], middle.shape) / middle for k in self.terms]
        own = np.broadcast_to(1.0 + self._distance(*asked), middle.shape)
        shared = np.stack(columns, axis=-1) @ square_root(np.array(self.covariance))
        return shared * own[:, None], own

    def spread(self, level: float = 0.95) -> float:
        """Half-width of the central interval of an error of unit variance in `factors`, log scale."""
        from scipy.special import stdtrit

        return self.scatter * float(stdtrit(max(self.degrees_of_freedom, 1), 0.5 + level / 2))

    def outside(self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any) -> Bools:
        """True where a shape or workload lies more than 5 % outside what was measured."""
        self._require()
        far = self._distance(shapes, batch, prompt_tokens, output_tokens)
        return np.asarray(far > np.log(1.05))

    def shares(
        self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
    ) -> dict[str, Floats]:
        """Seconds of the prediction by term, the terms without a price left out."""
        self._require()
        amounts = METRICS[self.metric](
            shapes, batch, prompt_tokens, output_tokens, self.runtime, self.physics
        )
        return {k: np.asarray(p * amounts[k]) for k, p in self.terms.items() if p > 0}

    def to_json(self) -> str:
        """One JSON object that `from_json` reads back; prices to full precision."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> LatencyFit:
        """The fit that `to_json` wrote. Raises Unusable, naming the key, for anything else."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise Unusable(f"a stored latency law is not JSON: {error}") from None
        if not isinstance(values, dict) or values.pop("schema_version", None) != SCHEMA_VERSION:
            raise Unusable(
                f"a stored latency law has another schema_version than {SCHEMA_VERSION}; refit it"
            )
        known = {f.name for f in fields(LatencyFit)}
        for key in values.keys() ^ known:
            raise Unusable(
                f"a stored latency law has an unexpected or missing key '{key}'; refit it"
            )
        values["runtime"] = Runtime(**values["runtime"])
        values["physics"] = Physics(**values["physics"])
        values["ranges"] = {k: (low, high) for k, (low, high) in values["ranges"].items()}
        for key in ("covariance", "resamples"):
            values[key] = tuple(tuple(row) for row in values[key])
        return LatencyFit(**values)

    def _require(self) -> None:
        if not self.ok:
            raise Unusable(self.message)

    def _chunked(
        self, shapes: Counts, batch: Any, prompt: Any, output: Any, level: float | None
    ) -> tuple[Floats, Floats]:
        """Prediction, and its relative standard deviation where a level is asked for."""
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
        amounts = METRICS[self.metric](shapes, batch, prompt, output, self.runtime, self.physics)
        middle = np.asarray(sum(p * amounts[k] for k, p in self.terms.items() if p > 0))
        if not wants_sd:
            return middle, np.empty(0)
        # relative terms, so that the leverage of a small and of a large model compare
        columns = np.stack([np.broadcast_to(amounts[k], middle.shape) for k in self.terms])
        columns /= middle
        spread = np.array(self.covariance)
        leverage = np.einsum("k...,k...->...", columns, np.tensordot(spread, columns, 1))
        far = self._distance(shapes, batch, prompt, output)
        return middle, self.scatter * np.sqrt(1.0 + np.maximum(leverage, 0.0)) * (1.0 + far)

    def _distance(self, shapes: Counts, batch: Any, prompt: Any, output: Any) -> Floats:
        """Largest log-distance outside the measured ranges; 0 inside all of them."""
        far: Any = 0.0
        for name, value in _ranged(shapes, batch, prompt, output).items():
            low, high = self.ranges[name]
            beyond = np.maximum(value / high, low / value)
            far = np.maximum(far, beyond)
        return np.asarray(np.log(np.maximum(far, 1.0)))


def _ranged(shapes: Counts, batch: Any, prompt: Any, output: Any) -> dict[str, Any]:
    values = {
        name: np.asarray(getattr(shapes, name), np.float64)
        for name in RANGED
        if hasattr(shapes, name)
    }
    prompt = np.asarray(prompt, np.float64)
    values |= {"batch": np.asarray(batch, np.float64), "prompt_tokens": prompt}
    values["context"] = prompt + np.asarray(output, np.float64) / 2
    return values


def predicted_e2e(
    ttft: LatencyFit, tpot: LatencyFit, shapes: Counts, batch: Any, prompt: Any, output: Any
) -> Floats:
    """End-to-end seconds of a request: TTFT + (output_tokens - 1) TPOT."""
    steps = np.asarray(output, np.float64) - 1.0
    first = ttft.predict(shapes, batch, prompt, output)
    return np.asarray(first + steps * tpot.predict(shapes, batch, prompt, output))


def fit_latency(measurements: Sequence[Measurement]) -> tuple[LatencyFit, ...]:
    """One law per device, runtime and metric that was measured, in order of first appearance.

    Visits of one point count together. Measurements that failed are left out, and so are served models (a queue is not a shape) and
    imported ones of unknown shape. Too few shapes give a fit that is not ok and says how many are
    missing.
    """
    groups: dict[tuple[str, Runtime, str], list[Measurement]] = {}
    for m in together(measurements):
        if m.failed or m.runtime.execution == "served":
            continue
        for metric in METRICS:
            if m.samples.get(metric):
                groups.setdefault((m.device.key, m.runtime, metric), []).append(m)
    return tuple(
        _fit(points_of(rows, metric), metric, runtime, device, _measured_on(rows))
        for (device, runtime, metric), rows in groups.items()
    )


def _measured_on(rows: Sequence[Measurement]) -> str:
    days = sorted({m.started_at[:10] for m in rows if m.started_at})
    when = "" if not days else f", {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    return f"{rows[0].device.name}, {rows[0].runtime.label}{when}"


def _fit(
    points: Points, metric: str, runtime: Runtime, device: str, measured_on: str
) -> LatencyFit:
    """The law of one group of points, validated by leaving out each shape in turn."""
    groups = np.unique(points.group)
    if len(groups) < MIN_SHAPES:
        return LatencyFit(
            metric,
            runtime,
            device,
            {},
            Physics(),
            len(points),
            len(groups),
            ok=False,
            message=f"a latency law needs at least {MIN_SHAPES} shapes measured; "
            f"{runtime.label} on this device has {len(groups)}",
            measured_on=measured_on,
        )
    grid = physics_grid(metric, device)
    physics = best_physics(points, metric, runtime, grid)
    columns = points.columns(metric, runtime, physics)
    prices, weights = robust(columns, points.noise)
    held, sds, resamples = _left_out(points, metric, runtime, grid)
    error = held - 1.0
    sharp = points.noise * 1.96 <= SHARP
    scatter = float(np.sqrt(np.mean(np.log(held) ** 2)))
    used = np.nonzero(columns.any(axis=0))[0]
    spread = price_covariance(columns[:, used], weights)
    names = [list(TERMS)[i] for i in used]
    freedom = max(len(groups) - int(np.count_nonzero(prices)), 1)
    ranged = _ranged(points.shapes, points.batch, points.prompt_tokens, points.output_tokens)
    return LatencyFit(
        metric,
        runtime,
        device,
        {name: float(prices[i]) for name, i in zip(names, used, strict=True)},
        physics,
        len(points),
        len(groups),
        float(np.mean(np.abs(error))),
        {
            "bias": float(np.mean(error)),
            "p90": float(np.quantile(np.abs(error), 0.9)),
            "spearman": _spearman(held * points.seconds, points.seconds),
            "coverage": _coverage(np.log(held), sds, points.group, freedom),
            "sharp_share": float(np.mean(sharp)),
            **({"sharp": float(np.mean(np.abs(error[sharp])))} if sharp.any() else {}),
        },
        {k: (float(np.min(v)), float(np.max(v))) for k, v in ranged.items()},
        scatter,
        freedom,
        tuple(map(tuple, spread.tolist())),
        tuple(map(tuple, resamples[:, used].tolist())),
        measured_on=measured_on,
    )


def _left_out(
    points: Points, metric: str, runtime: Runtime, grid: Sequence[Physics]
) -> tuple[Floats, Floats, Floats]:
    """Predicted over measured for each point from the other shapes, its leverage, and all prices.

    The machine is chosen anew without the shape, so nothing of it leaks into its prediction.
    """
    ratio, leverage = np.empty(len(points)), np.empty(len(points))
    resamples = []
    for g in np.unique(points.group):
        out = points.group == g
        rest, left = points.take(~out), points.take(out)
        physics = best_physics(rest, metric, runtime, grid)
        columns = rest.columns(metric, runtime, physics)
        prices, weights = robust(columns, rest.noise)
        ahead = left.columns(metric, runtime, physics)
        ratio[out] = ahead @ prices
        relative = ahead / ratio[out][:, None]
        used = columns.any(axis=0)
        spread = price_covariance(columns[:, used], weights)
        near = relative[:, used]
        leverage[out] = np.sqrt(1.0 + np.einsum("ni,ij,nj->n", near, spread, near))
        resamples.append(prices)
    return ratio, leverage, np.array(resamples)


def _coverage(residual: Floats, leverage: Floats, group: NDArray[Any], freedom: int) -> float:
    """Share of left-out points inside the 95 % interval made from the other shapes' residuals."""
    from scipy.special import stdtrit

    inside = np.empty(len(residual), bool)
    for g in np.unique(group):
        out = group == g
        scatter = np.sqrt(np.mean(residual[~out] ** 2))
        half = stdtrit(freedom, 0.975) * scatter * leverage[out]
        inside[out] = np.abs(residual[out]) <= half
    return float(np.mean(inside))


def _spearman(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: Floats) -> Floats:
    """Ranks of positive values; equal ones (to a millionth) share the mean of theirs."""
    _, which, count = np.unique(
        np.round(np.log(values), 6), return_inverse=True, return_counts=True
    )
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[which], np.float64)
