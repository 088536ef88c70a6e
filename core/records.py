"""Frozen values that the engine passes around: devices, measurements, training runs, progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.architecture import Architecture
from core.workload import Runtime, Workload

Floats = NDArray[np.float64]

# flags a measurement can carry, with what each means to a reader
FLAGS = {
    "noisy": "samples scatter by more than 10 % of the median",
    "throttled": "the clock fell by more than 10 % while timing",
    "busy": "another process used the device or the machine was loaded",
    "oom": "it does not fit in memory",
    "late-compile": "compilation happened while timing",
    "drift": "the anchor shape changed by more than 5 % since the sweep began;"
    " measuring in turns takes such changes out",
    "clock": "the clock disagreed with itself; the timing was discarded",
    "crashed": "the measuring process died",
    "hung": "no answer in time; the measuring process was stopped",
    "unstable-warmup": "warm-up did not settle in the time allowed",
    "budget": "stopped by the time budget before the interval was narrow enough",
    "unsupported": "this execution or precision does not work on this device",
}
# with one of these there is no latency to use
FAILED_FLAGS = frozenset({"oom", "crashed", "hung", "clock", "unsupported"})


@dataclass(frozen=True, slots=True)
class Device:
    """What a measurement ran on. `key` is stable across sessions: kind, name and memory."""

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
class Measurement:
    """Architecture (or model folder) x Workload x Runtime x Device, with every raw sample kept.

    `samples` maps a phase to its blocks of raw seconds: 'ttft' (one sample a request), 'tpot' (one
    sample a generated token after the first), 'e2e' (one sample a request), and the same names with
    '_device' for device time where the device has its own clock. `memory_bytes` holds 'weights',
    'cache', 'peak_allocated', 'peak_reserved', 'process' where known. `energy` holds
    'joules_per_token' and 'idle_watts' where known. A measurement that failed has no samples, a
    flag of FAILED_FLAGS and a message.
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
    environment: Mapping[str, Any] = field(default_factory=dict)
    started_at: str = ""  # ISO 8601, UTC
    model: str = ""  # name of a real model; empty for a design with random weights
    source: str = "measured"  # or the name of the file it was imported from
    id: int = 0  # row in the project; 0: not stored

    @property
    def failed(self) -> bool:
        """True when there is no latency to use."""
        return bool(FAILED_FLAGS.intersection(self.flags)) or not self.samples

    @property
    def key(self) -> tuple[Any, ...]:
        """What was measured; two measurements with one key repeat each other."""
        return (self.model, self.architecture, self.workload, self.runtime, self.device.key)


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRuns:
    """A suite of runs as columns: shapes trained on some tokens to some loss.

    `columns` holds float64 columns of one length, at least 'tokens' and 'loss', and what is known of
    'n_layers', 'd_model', 'n_heads', 'd_ff', 'vocab_size', 'params_total', 'params_non_embedding';
    any further numeric column is kept (e.g. 'error_17_tasks'). NaN where a row does not say.
    `labels` holds text columns. `loss_meaning` is 'train average', 'validation' or 'unknown';
    suites of unlike meaning or unit are never fitted together.
    """

    suite: str
    names: tuple[str, ...]
    columns: Mapping[str, Floats]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loss_meaning: str = "unknown"
    loss_unit: str = "nats/token"
    source: str = ""
    licence: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: NDArray[Any]) -> TrainingRuns:
        """The runs at the given indices or under the given mask."""
        keep = np.arange(len(self.names))[indices]
        return TrainingRuns(
            self.suite,
            tuple(self.names[i] for i in keep),
            {k: v[keep] for k, v in self.columns.items()},
            {k: tuple(v[i] for i in keep) for k, v in self.labels.items()},
            self.loss_meaning,
            self.loss_unit,
            self.source,
            self.licence,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of long work: how far, of how much, with what is being done and the time left."""

    done: float
    total: float
    text: str = ""
    seconds_left: float | None = None
