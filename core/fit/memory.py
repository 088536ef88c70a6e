"""Peak memory calibrated on measured peaks: arithmetic, corrected only where peaks were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Floats
from core.laws.memory import memory_amounts
from core.model.architecture import Counts
from core.model.workload import Runtime
from core.records.measurement import Measurement
from core.samples.statistics import student_t

PARTS = ("weights", "cache", "activations")
# the first of these that a measurement has is its peak: a GPU's allocator, else the whole process
PEAKS = ("peak_allocated", "process")
# with fewer measured peaks than this, arithmetic is not corrected
FEWEST = 2 * (len(PARTS) + 1)
# with at least this many errors, their own quantile is used
MANY = 20


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """Peak memory of one runtime on one device: a fixed part, and factors on weights, cache and rest.

    Weights and cache keep a factor of at least 1, since all of them must be held. `error` is the mean
    absolute relative error on shapes left out, and 95 % of those errors stay within `half_width`. Both
    are None where too few peaks were measured to leave any out. With too few to fit, all factors are 1.
    """

    runtime: Runtime
    device_key: str
    fixed_bytes: float = 0.0
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
    n: int = 0
    error: float | None = None
    half_width: float | None = None

    def predict(self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any) -> Floats:
        """Peak bytes; broadcasts over columns, never below what arithmetic alone gives for weights."""
        parts = memory_amounts(shapes, batch, prompt_tokens, output_tokens, self.runtime)
        scaled = (f * parts[k] for f, k in zip(self.factors, PARTS, strict=True))
        return np.asarray(self.fixed_bytes + sum(scaled), np.float64)

    def interval(
        self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any
    ) -> tuple[Floats, Floats]:
        """A 95 % interval of peak bytes, never below weights and cache; where no error is known, both
        ends are the value."""
        value = self.predict(shapes, batch, prompt_tokens, output_tokens)
        if self.half_width is None:
            return value, value
        parts = memory_amounts(shapes, batch, prompt_tokens, output_tokens, self.runtime)
        held = np.asarray(parts["weights"] + parts["cache"], np.float64)
        low = np.maximum(value * (1 - self.half_width), np.minimum(held, value))
        return low, value * (1 + self.half_width)


def fit_memory(measurements: Sequence[Measurement]) -> tuple[MemoryFit, ...]:
    """One calibration per device and runtime; a group without measured peaks stays at arithmetic."""
    groups: dict[tuple[str, Runtime], list[Measurement]] = {}
    for m in measurements:
        if not m.failed and not m.runtime.served:
            groups.setdefault((m.device.key, m.runtime), []).append(m)
    return tuple(_calibrated(runtime, device, rows) for (device, runtime), rows in groups.items())


def _calibrated(runtime: Runtime, device: str, rows: Sequence[Measurement]) -> MemoryFit:
    peaks, parts, shapes = [], [], []
    for m in rows:
        peak = next((m.memory_bytes[k] for k in PEAKS if m.memory_bytes.get(k)), None)
        if peak:
            w = m.workload
            amounts = memory_amounts(
                m.architecture, w.batch, w.prompt_tokens, w.output_tokens, runtime
            )
            peaks.append(float(peak))
            shapes.append(m.architecture)
            parts.append([1.0, *(float(amounts[k]) for k in PARTS)])
    if len(peaks) < FEWEST:
        return MemoryFit(runtime, device)
    measured, columns = np.array(peaks), np.array(parts)
    found = _coefficients(measured, columns)
    names = {shape: number for number, shape in enumerate(dict.fromkeys(shapes))}
    group = np.array([names[shape] for shape in shapes])
    left_out = []
    for number in range(len(names)):
        out = group == number
        if np.sum(~out) >= FEWEST:
            predicted = columns[out] @ _coefficients(measured[~out], columns[~out])
            left_out += list(predicted / measured[out] - 1.0)
    error, half_width = _spread(np.array(left_out))
    factors = (float(found[1]), float(found[2]), float(found[3]))
    return MemoryFit(runtime, device, float(found[0]), factors, len(measured), error, half_width)


def _coefficients(measured: Floats, columns: Floats) -> Floats:
    """Bytes fixed, and the factors of the parts, by least squares of relative errors."""
    from scipy.optimize import lsq_linear

    # relative errors, with each column scaled to at most 1 for the solver
    relative = columns / measured[:, None]
    scale = np.maximum(relative.max(axis=0), 1e-300)
    low = np.array([0.0, 1.0, 1.0, 0.0]) * scale
    found = lsq_linear(relative / scale, np.ones(len(measured)), (low, np.inf)).x / scale
    return np.asarray(found, np.float64)


def _spread(errors: Floats) -> tuple[float | None, float | None]:
    """Mean absolute error, and the bound that 95 % stay within: a quantile, or Student's t for few."""
    n = len(errors)
    if n < 2:
        return None, None
    size = np.abs(errors)
    if n >= MANY:
        # the rank that a next error stays below with 95 % (split conformal prediction)
        half = float(np.sort(size)[min(n - 1, int(np.ceil(0.95 * (n + 1))) - 1)])
    else:
        half = float(student_t(n) * np.sqrt(np.mean(errors**2)))
    return float(np.mean(size)), half
