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

from core.architecture import Architecture, Counts, Shapes
from core.errors import Unusable
from core.laws.latency import MIB, TERMS, Physics, tpot_amounts, ttft_amounts
from core.laws.latency import predicted_memory_bytes as predicted_memory_bytes
from core.records import Measurement
from core.workload import Runtime

Floats = NDArray[np.float64]

SCHEMA_VERSION = 1
METRICS = {"tpot": tpot_amounts, "ttft": ttft_amounts}
MIN_SHAPES = 6
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
    'spearman' (rank correlation) and 'coverage' (share of left-out points in their 95 % interval).
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
        from scipy.stats import t as student

        middle, sd = self._chunked(shapes, batch, prompt_tokens, output_tokens, level)
        with np.errstate(over="ignore"):
            ratio = np.exp(student.ppf(0.5 + level / 2, max(self.degrees_of_freedom, 1)) * sd)
        return middle / ratio, middle * ratio

    def outside(
        self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
    ) -> NDArray[np.bool_]:
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
        columns = np.stack(
            [np.broadcast_to(amounts[k], middle.shape) / middle for k in self.terms], axis=-1
        )
        # relative terms, so that the leverage of a small and of a large model compare
        leverage = np.einsum("...i,ij,...j->...", columns, np.array(self.covariance), columns)
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

    Measurements that failed are left out, and so are served models (a queue is not a shape) and
    imported ones of unknown shape. Too few shapes give a fit that is not ok and says how many are
    missing.
    """
    groups: dict[tuple[str, Runtime, str], list[Measurement]] = {}
    for m in measurements:
        if m.failed or m.runtime.execution == "served":
            continue
        for metric in METRICS:
            if m.samples.get(metric):
                groups.setdefault((m.device.key, m.runtime, metric), []).append(m)
    return tuple(
        _fit(points_of(rows, metric), metric, runtime, device, _measured_on(rows))
        for (device, runtime, metric), rows in groups.items()
    )


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What one law is fitted to: shapes, workloads, seconds and their relative standard errors."""

    shapes: Shapes
    batch: Floats
    prompt_tokens: Floats
    output_tokens: Floats
    seconds: Floats
    noise: Floats
    group: NDArray[np.int64]  # index of the shape; rows of one shape are held out together

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, keep: NDArray[Any]) -> Points:
        """The points at the given indices or under the given mask."""
        rest = (getattr(self, f.name)[keep] for f in fields(Points)[1:])
        return Points(self.shapes.take(keep), *rest)

    def columns(self, metric: str, runtime: Runtime, physics: Physics) -> Floats:
        """Amounts of every term over the measured seconds: one row a point, each row sums to ~1."""
        amounts = METRICS[metric](
            self.shapes, self.batch, self.prompt_tokens, self.output_tokens, runtime, physics
        )
        rows = [np.broadcast_to(amounts.get(k, 0.0), self.seconds.shape) for k in TERMS]
        return np.stack(rows, axis=1) / self.seconds[:, None]


def points_of(measurements: Sequence[Measurement], metric: str) -> Points:
    """Medians of one metric with their standard errors; repeats of one point stay separate rows."""
    index: dict[Architecture, int] = {}
    group = [index.setdefault(m.architecture, len(index)) for m in measurements]
    medians = [median_and_error(m.samples[metric]) for m in measurements]
    seconds = np.array([value for value, _ in medians])
    work = [m.workload for m in measurements]
    return Points(
        Shapes.of(m.architecture for m in measurements),
        np.array([w.batch for w in work], np.float64),
        np.array([w.prompt_tokens for w in work], np.float64),
        np.array([w.output_tokens for w in work], np.float64),
        seconds,
        np.array([error for _, error in medians]) / seconds,
        np.array(group, np.int64),
    )


def median_and_error(blocks: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Median over block medians, and its standard error in the same unit.

    Blocks are the unit because samples within one are autocorrelated. The error is 1.2533 sd/sqrt(n)
    with the sd from the median absolute deviation; from fewer than three blocks, their half-range.
    """
    middles = np.array([np.median(b) for b in blocks if len(b)])
    value = float(np.median(middles))
    if len(middles) < 3:
        samples = np.concatenate([np.asarray(b, np.float64) for b in blocks])
        low, high = np.quantile(samples, [0.25, 0.75])
        return value, float(high - low) / 1.349 * 1.2533 / np.sqrt(len(samples))
    spread = 1.4826 * float(np.median(np.abs(middles - value)))
    return value, 1.2533 * spread / float(np.sqrt(len(middles)))


def _measured_on(rows: Sequence[Measurement]) -> str:
    days = sorted({m.started_at[:10] for m in rows if m.started_at})
    when = "" if not days else f", {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    return f"{rows[0].device.name}, {rows[0].runtime.label}{when}"


# --- solving ---------------------------------------------------------------------------------


def _solve(columns: Floats, weights: Floats) -> Floats:
    """Non-negative prices that minimise the weighted squared relative error."""
    from scipy.optimize import nnls

    scale = np.abs(columns).max(axis=0)
    scale[scale == 0] = 1.0
    root = np.sqrt(weights)
    prices = nnls(columns / scale * root[:, None], root)[0]
    return np.asarray(prices / scale, np.float64)


def _robust(columns: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Prices and final weights: noise and misfit share the variance, and outliers count linearly.

    The misfit is the law's own relative scatter, so a sharply measured point cannot pull the law
    harder than the law can follow (Huber's k = 1.5 on the standardised residual).
    """
    weights = np.ones(len(columns))
    prices = _solve(columns, weights)
    for _ in range(4):
        residual = columns @ prices - 1.0
        misfit = max(1.4826 * float(np.median(np.abs(residual))), 0.003)
        sd = np.sqrt(misfit**2 + noise**2)
        weights = (misfit / sd) ** 2 * np.minimum(
            1.0, 1.5 * sd / np.maximum(np.abs(residual), 1e-12)
        )
        prices = _solve(columns, weights)
    return prices, weights


def _physics_grid(metric: str, device: str) -> list[Physics]:
    """The machines that are tried; a CPU keeps weights in its cache, a GPU rounds to large tiles."""
    caches = (0.0, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB)
    ridges = (1.0, 4.0, 16.0, 64.0, 256.0)
    tiles = (1, 64, 128) if device.startswith("cuda") else (1, 4, 16)
    return [Physics(c, r, t) for c in caches for r in ridges for t in tiles]


def _best_physics(
    points: Points, metric: str, runtime: Runtime, grid: Sequence[Physics]
) -> Physics:
    """The machine under which the law leaves the least squared relative error on these points."""
    weights = 1.0 / (0.03**2 + points.noise**2)

    def misfit(physics: Physics) -> float:
        columns = points.columns(metric, runtime, physics)
        residual = columns @ _solve(columns, weights) - 1.0
        return float(np.sum(weights * residual**2))

    return min(grid, key=misfit)


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
    grid = _physics_grid(metric, device)
    physics = _best_physics(points, metric, runtime, grid)
    columns = points.columns(metric, runtime, physics)
    prices, weights = _robust(columns, points.noise)
    held, sds, resamples = _left_out(points, metric, runtime, grid)
    error = held - 1.0
    scatter = float(np.sqrt(np.mean(np.log(held) ** 2)))
    used = np.nonzero(columns.any(axis=0))[0]
    covariance = np.zeros((len(TERMS), len(TERMS)))
    covariance[np.ix_(used, used)] = _covariance(columns[:, used], prices[used], weights)
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
        },
        {k: (float(np.min(v)), float(np.max(v))) for k, v in ranged.items()},
        scatter,
        freedom,
        tuple(map(tuple, covariance[np.ix_(used, used)].tolist())),
        tuple(map(tuple, resamples[:, used].tolist())),
        measured_on=measured_on,
    )


def _covariance(columns: Floats, prices: Floats, weights: Floats) -> Floats:
    """Covariance of the prices for unit scatter; prices held at zero by the bound count as free.

    A price the data cannot tell from zero is still uncertain where its cost is large, so the bound
    must not hide it; a weak prior (each term at most about the whole time) keeps it finite.
    """
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-300)
    scaled = columns / scale
    information = (scaled * weights[:, None]).T @ scaled + np.eye(scaled.shape[1])
    inverse: Floats = np.linalg.inv(information) / np.outer(scale, scale)
    return inverse


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
        physics = _best_physics(rest, metric, runtime, grid)
        columns = rest.columns(metric, runtime, physics)
        prices, weights = _robust(columns, rest.noise)
        ahead = left.columns(metric, runtime, physics)
        ratio[out] = ahead @ prices
        relative = ahead / ratio[out][:, None]
        used = columns.any(axis=0)
        covariance = _covariance(columns[:, used], prices[used], weights)
        near = relative[:, used]
        leverage[out] = np.sqrt(1.0 + np.einsum("ni,ij,nj->n", near, covariance, near))
        resamples.append(prices)
    return ratio, leverage, np.array(resamples)


def _coverage(residual: Floats, leverage: Floats, group: NDArray[Any], freedom: int) -> float:
    """Share of left-out points inside the 95 % interval made from the other shapes' residuals."""
    from scipy.stats import t as student

    inside = np.empty(len(residual), bool)
    for g in np.unique(group):
        out = group == g
        scatter = np.sqrt(np.mean(residual[~out] ** 2))
        half = student.ppf(0.975, freedom) * scatter * leverage[out]
        inside[out] = np.abs(residual[out]) <= half
    return float(np.mean(inside))


def _spearman(a: Floats, b: Floats) -> float:
    ranks = [np.argsort(np.argsort(v)).astype(float) for v in (a, b)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
