"""The points a latency law is fitted to, and the solution for its coefficients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Floats, Ints
from core.laws.latency import MIB, TERMS, Machine, tpot_amounts, ttft_amounts
from core.model.architecture import Architecture, Shapes
from core.model.workload import Runtime
from core.records.measurement import Measurement
from core.samples.statistics import estimate

MIN_SHAPES = 6
# flags of a timing that may be off by more than its interval says
DISTURBED = frozenset({"busy", "throttled", "drift", "late-compile", "unstable-warmup"})
DISTURBED_NOISE = 0.1
# a law's relative error below this is no reason to prefer another law: no timing is this exact
NEGLIGIBLE_ERROR = 1e-3
LATENCY_AMOUNTS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "tpot": tpot_amounts,
    "ttft": ttft_amounts,
}


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What one law is fitted to: shapes, workloads, seconds and their relative standard errors."""

    shapes: Shapes
    batch: Floats
    prompt_tokens: Floats
    output_tokens: Floats
    seconds: Floats
    noise: Floats
    group: Ints  # index of the shape; rows of one shape are held out together

    def __len__(self) -> int:
        return len(self.seconds)

    def take(self, keep: NDArray[Any]) -> Points:
        """The points at the given indices or under the given mask."""
        rest = (getattr(self, f.name)[keep] for f in fields(Points)[1:])
        return Points(self.shapes.take(keep), *rest)

    def columns(self, metric: str, runtime: Runtime, machine: Machine) -> Floats:
        """Amounts of every term over the measured seconds, one row per point: times the coefficients,
        a row sums to about 1."""
        amounts = LATENCY_AMOUNTS[metric](
            self.shapes, self.batch, self.prompt_tokens, self.output_tokens, runtime, machine
        )
        rows = [np.broadcast_to(amounts[k], self.seconds.shape) for k in TERMS]
        return np.stack(rows, axis=1) / self.seconds[:, None]


def points_of(measurements: Sequence[Measurement], metric: str) -> Points:
    """Medians of one metric with their standard errors, one row per measurement."""
    index: dict[Architecture, int] = {}
    group = [index.setdefault(m.architecture, len(index)) for m in measurements]
    medians = [value_and_noise(m, metric) for m in measurements]
    work = [m.workload for m in measurements]
    return Points(
        Shapes.of(m.architecture for m in measurements),
        np.array([w.batch for w in work], np.float64),
        np.array([w.prompt_tokens for w in work], np.float64),
        np.array([w.output_tokens for w in work], np.float64),
        np.array([value for value, _ in medians]),
        np.array([noise for _, noise in medians]),
        np.array(group, np.int64),
    )


def value_and_noise(measurement: Measurement, metric: str) -> tuple[float, float]:
    """Median in seconds and its relative standard error, from the interval of the samples.

    Blocks do not show a disturbance that all of them share, so a disturbed timing gets an error of at
    least 10 %. A single block, whose scatter is unknown, gets 10 %.
    """
    found = estimate(measurement, metric)
    if found is None:
        raise ValueError(f"a measurement without '{metric}' cannot be fitted")
    noise = found.half_width / 1.96
    if not np.isfinite(noise):
        return found.value, DISTURBED_NOISE
    if DISTURBED.intersection(measurement.flags):
        noise = max(noise, DISTURBED_NOISE)
    return found.value, noise


def solve(columns: Floats, weights: Floats) -> Floats:
    """Non-negative coefficients that minimise the weighted squared relative error.

    A cost that several terms explain equally well goes to the first of them, the simplest.
    """
    from scipy.optimize import nnls

    scale = np.abs(columns).max(axis=0)
    scale[scale == 0] = 1.0
    # the solver starts with the steepest column; without this, rounding would order equal ones
    scale *= 1.0 + 1e-9 * np.arange(len(scale))
    root = np.sqrt(weights)
    coefficients = nnls(columns / scale * root[:, None], root)[0]
    return np.asarray(coefficients / scale, np.float64)


def robust(columns: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Coefficients and final weights of a robust fit.

    The variance of a point is its noise plus the law's own relative scatter, so that a precisely
    measured point does not dominate a law that cannot follow it. Outliers count linearly (Huber's
    k = 1.5 on the standardised residual).
    """
    weights = np.ones(len(columns))
    coefficients = solve(columns, weights)
    for _ in range(4):
        residual = columns @ coefficients - 1.0
        misfit = max(1.4826 * float(np.median(np.abs(residual))), 0.003)
        sd = np.sqrt(misfit**2 + noise**2)
        weights = (misfit / sd) ** 2 * np.minimum(
            1.0, 1.5 * sd / np.maximum(np.abs(residual), 1e-12)
        )
        coefficients = solve(columns, weights)
    return coefficients, weights


def machine_grid(device: str) -> list[Machine]:
    """The machines to try, simplest first: no cache, the highest ridge, no tiles.

    A CPU keeps weights in its cache; a GPU rounds to large tiles.
    """
    caches = (0.0, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB)
    ridges = (256.0, 64.0, 16.0, 4.0, 1.0)
    tiles = (1, 64, 128) if device.startswith("cuda") else (1, 4, 16)
    return [Machine(c, r, t) for c in caches for r in ridges for t in tiles]


def best_machine(points: Points, metric: str, runtime: Runtime, grid: Sequence[Machine]) -> Machine:
    """The machine that explains these points best, a simpler one unless the data speak against it.

    The relative error left by the law is judged by Akaike's criterion corrected for small samples
    (Hurvich and Tsai 1989). Parameters are the coefficients above zero, a cache and a tile. A cache
    without evidence would make shapes smaller than the measured ones too cheap. On a tie the
    earlier machine of the grid is taken.
    """
    weights = 1.0 / (0.03**2 + points.noise**2)
    negligible = float(np.sum(weights)) * NEGLIGIBLE_ERROR**2

    count = len(points)

    def score(machine: Machine) -> float:
        columns = points.columns(metric, runtime, machine)
        coefficients = solve(columns, weights)
        misfit = float(np.sum(weights * (columns @ coefficients - 1.0) ** 2)) + negligible
        parameters = int(np.sum(coefficients > 0)) + (machine.cache_bytes > 0) + (machine.tile > 1)
        parameters = min(parameters, count - 2)
        penalty = 2.0 * parameters * count / (count - parameters - 1)
        # rounded, so that the last digits of the solver decide nothing
        return round(count * float(np.log(misfit)) + penalty, 6)

    return min(grid, key=score)


def coefficient_covariance(columns: Floats, weights: Floats) -> Floats:
    """Covariance of the coefficients for unit scatter; one held at zero by the bound counts as free.

    A coefficient that the data cannot tell from zero is still uncertain where its amount is large, so
    the bound must not hide it. A weak prior (each term at most about the whole time) keeps the
    covariance finite.
    """
    scale = np.maximum(np.abs(columns).max(axis=0), 1e-300)
    scaled = columns / scale
    information = (scaled * weights[:, None]).T @ scaled + np.eye(scaled.shape[1])
    inverse: Floats = np.linalg.inv(information) / np.outer(scale, scale)
    return inverse


def predict_others(
    known: Points, others: Points, metric: str, runtime: Runtime, grid: Sequence[Machine]
) -> tuple[Floats, Floats]:
    """Predictions over measured values of some points by the law of others, and their leverage.

    The machine is chosen from the known points alone, so that nothing of the others leaks into their
    prediction. The leverage is the standard deviation of a prediction in units of the law's scatter.
    """
    machine = best_machine(known, metric, runtime, grid)
    columns = known.columns(metric, runtime, machine)
    coefficients, weights = robust(columns, known.noise)
    ahead = others.columns(metric, runtime, machine)
    ratio = ahead @ coefficients
    used = columns.any(axis=0)
    spread = coefficient_covariance(columns[:, used], weights)
    near = (ahead / np.maximum(ratio, 1e-300)[:, None])[:, used]
    return ratio, np.sqrt(1.0 + np.einsum("ni,ij,nj->n", near, spread, near))


def square_root(covariance: Floats) -> Floats:
    """A matrix R with R R' = covariance.

    Computed from the correlations, since the coefficients differ by many powers of ten.
    """
    sd = np.sqrt(np.diag(covariance))
    size, axes = np.linalg.eigh(covariance / np.outer(sd, sd))
    root: Floats = sd[:, None] * axes * np.sqrt(np.maximum(size, 0.0))
    return root
