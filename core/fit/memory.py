"""Peak memory calibrated on measured peaks: arithmetic first, corrected only where it was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.architecture import Counts
from core.laws.latency import memory_amounts
from core.records import Measurement
from core.workload import Runtime

Floats = NDArray[np.float64]
PARTS = ("weights", "cache", "activations")
# the first of these that a measurement has is its peak: a GPU's allocator, else the whole process
PEAKS = ("peak_allocated", "process")


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """Peak memory of one runtime on one device: a fixed part, and factors on weights, cache and rest.

    Weights and cache keep a factor of at least 1, since they must all be held. `error` is the mean
    absolute relative error on the measured peaks, None where nothing was measured (all factors 1).
    """

    runtime: Runtime
    device_key: str
    fixed_bytes: float = 0.0
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)
    n: int = 0
    error: float | None = None

    def predict(self, shapes: Counts, batch: Any, prompt_tokens: Any, output_tokens: Any) -> Floats:
        """Peak bytes; broadcasts over columns, never below what arithmetic alone gives for weights."""
        parts = memory_amounts(shapes, batch, prompt_tokens, output_tokens, self.runtime)
        scaled = (f * parts[k] for f, k in zip(self.factors, PARTS, strict=True))
        return np.asarray(self.fixed_bytes + sum(scaled), np.float64)


def fit_memory(measurements: Sequence[Measurement]) -> tuple[MemoryFit, ...]:
    """One calibration per device and runtime; a group without measured peaks stays at arithmetic."""
    groups: dict[tuple[str, Runtime], list[Measurement]] = {}
    for m in measurements:
        if not m.failed and m.runtime.execution != "served":
            groups.setdefault((m.device.key, m.runtime), []).append(m)
    return tuple(_calibrated(runtime, device, rows) for (device, runtime), rows in groups.items())


def _calibrated(runtime: Runtime, device: str, rows: Sequence[Measurement]) -> MemoryFit:
    from scipy.optimize import lsq_linear

    peaks, parts = [], []
    for m in rows:
        peak = next((m.memory_bytes[k] for k in PEAKS if m.memory_bytes.get(k)), None)
        if peak:
            w = m.workload
            amounts = memory_amounts(
                m.architecture, w.batch, w.prompt_tokens, w.output_tokens, runtime
            )
            peaks.append(float(peak))
            parts.append([1.0, *(float(amounts[k]) for k in PARTS)])
    if len(peaks) < 2 * (len(PARTS) + 1):
        return MemoryFit(runtime, device)
    measured, columns = np.array(peaks), np.array(parts)
    # relative errors count, and each column is brought to the size of one for the solver
    relative = columns / measured[:, None]
    scale = np.maximum(relative.max(axis=0), 1e-300)
    low = np.array([0.0, 1.0, 1.0, 0.0]) * scale
    prices = lsq_linear(relative / scale, np.ones(len(measured)), (low, np.inf)).x / scale
    error = float(np.mean(np.abs(relative @ prices - 1.0)))
    factors = (float(prices[1]), float(prices[2]), float(prices[3]))
    return MemoryFit(runtime, device, float(prices[0]), factors, len(measured), error)
