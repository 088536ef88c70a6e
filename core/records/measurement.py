"""Devices, points to measure, measurements and their flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload

# flags of a measurement, each with its meaning for a reader
FLAGS = {
    "noisy": "samples scatter by more than 10 % of the median",
    "throttled": "the clock fell by more than 10 % while timing",
    "busy": "another process used the device or the machine was loaded",
    "oom": "it does not fit in memory",
    "late-compile": "compilation happened while timing",
    "drift": "the anchor shape changed by more than 5 % since the sweep began;"
    " interleaving takes such changes out",
    "clock": "the clock disagreed with itself; the timing was discarded",
    "crashed": "the measuring process died",
    "hung": "no answer in time; the measuring process was stopped",
    "unstable-warmup": "warm-up did not settle in the time allowed",
    "budget": "stopped by the time budget before the interval was narrow enough",
    "unsupported": "this execution or precision does not work on this device",
}
# with one of these flags there is no latency to use
FAILED_FLAGS = frozenset({"oom", "crashed", "hung", "clock", "unsupported"})

# in `environment`: why there is no energy although it was asked for
ENERGY_UNKNOWN = "energy_unknown"


@dataclass(frozen=True, slots=True)
class Device:
    """The device of a measurement. `key` is stable across sessions: kind, name and memory."""

    kind: str  # 'cpu' or 'cuda'
    name: str  # e.g. 'AMD EPYC 9B45 (2 cores)' or 'NVIDIA H200'
    memory_bytes: int
    index: int = 0
    host: str = ""
    bandwidth_bytes_per_s: float | None = None  # measured read bandwidth, None: not measured
    peak_flops_per_s: Mapping[str, float] = field(default_factory=dict)  # measured, by dtype

    @property
    def key(self) -> str:
        """Identity used to group measurements."""
        return f"{self.kind}:{self.name}:{round(self.memory_bytes / 2**30)}GiB"


@dataclass(frozen=True, slots=True)
class Point:
    """An architecture under a workload and a runtime; `folder` names a real model's folder, or ''."""

    architecture: Architecture
    workload: Workload = Workload()  # noqa: RUF009 - frozen
    runtime: Runtime = Runtime()  # noqa: RUF009 - frozen
    folder: str = ""

    @property
    def model(self) -> str:
        """Name of the real model, or '' for a design with random weights."""
        return Path(self.folder).name if self.folder else ""

    @property
    def label(self) -> str:
        """E.g. '24x768, eager, fp32, batch 1, 128 in, 256 out'."""
        name = self.model or self.architecture.label
        return f"{name}, {self.runtime.label}, {self.workload.label}"

    def key(self, device: Device) -> tuple[Any, ...]:
        """The key its measurement on a device will have."""
        return (self.model, self.architecture, self.workload, self.runtime, device.key)


@dataclass(frozen=True, slots=True)
class Timing:
    """How samples were taken, as far as it affects the numbers computed from them."""

    # by phase one factor per block, above 1 while the machine was slower than usual; samples are divided
    # by it (`core.samples.drift_correction`), and are stored as the clock gave them
    drift_factors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    interleaved_with: int = 0  # other points that were timed in turns with this one
    repetitions: int = 1  # how often the point was measured, minutes and processes apart
    ended_early: bool = False  # the points timed in turns did not come to their end
    anchor_s: float | None = None  # time per token of the anchor shape beside it
    kernel_s_per_token: float | None = None  # in which a kernel ran; None: not counted


@dataclass(frozen=True, slots=True)
class Measurement:
    """Architecture (or model folder) x Workload x Runtime x Device, with every raw sample kept.

    `samples` maps a phase to its blocks of raw seconds: 'ttft' (one sample per request), 'tpot' (one
    per generated token after the first), 'e2e' (one per request), and the same names with '_device'
    for device time where the device has its own clock. `memory_bytes` holds 'weights', 'cache',
    'peak_allocated', 'peak_reserved', 'process' where known. `energy` holds 'joules_per_token' and
    'idle_watts' where known. A failed measurement has no samples, a flag of FAILED_FLAGS and a
    message. `environment` is reported but affects no number, except that its software and threads
    decide which repetitions belong together (`core.samples.repetitions`), and that 'text_sha256' is the
    text that `quality` was measured on, which alone its losses compare on.
    """

    architecture: Architecture
    workload: Workload
    runtime: Runtime
    device: Device
    samples: Mapping[str, tuple[tuple[float, ...], ...]]
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    energy: Mapping[str, float] = field(default_factory=dict)
    quality: Mapping[str, float] = field(
        default_factory=dict
    )  # 'loss', 'loss_low', 'loss_high', ...
    flags: tuple[str, ...] = ()
    message: str = ""
    timing: Timing = Timing()
    environment: Mapping[str, Any] = field(default_factory=dict)
    started_at: str = ""  # ISO 8601, UTC
    model: str = ""  # name of a real model; empty for a design with random weights
    source: str = "measured"  # nothing else is written; stored records have it
    id: int = 0  # row in the project; 0: not stored
    # statistics of the samples that were worked out already (`core.samples.statistics.estimate`)
    estimated: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for phase, factors in self.timing.drift_factors.items():
            blocks = len(self.samples.get(phase, ()))
            if self.samples and len(factors) != blocks:
                raise ValueError(
                    f"the timing has {len(factors)} drift factors for the {blocks} blocks of '{phase}'"
                )

    @property
    def failed(self) -> bool:
        """True when there is no latency to use."""
        return bool(FAILED_FLAGS.intersection(self.flags)) or not self.samples

    @property
    def scored_as_it_runs(self) -> bool:
        """Whether `quality` holds for how it runs: scored in the precision of its weights, or both in 16
        bits and more. A text is scored without a cache, so never for a cache below 16 bits."""
        run = self.runtime
        if not run.below_16_bits:
            return True
        return run.cache_bytes >= 2 and self.environment.get("scored_in") == run.weights

    @property
    def key(self) -> tuple[Any, ...]:
        """Identity of what was measured; measurements with equal keys are repetitions."""
        return (self.model, self.architecture, self.workload, self.runtime, self.device.key)
