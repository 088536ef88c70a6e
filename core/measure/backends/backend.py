"""What a backend is: one way of running a model so that it can be timed, described in one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.measure.timing import protocol
from core.measure.timing.clock import Clock
from core.measure.timing.devices import default_threads
from core.measure.timing.memory import decoder_bytes
from core.measure.timing.protocol import Settings
from core.model.workload import BYTES_PER_ELEMENT, Runtime
from core.records.measurement import Device, Point


class Pulse:
    """A counter that the timed code raises at every token, to tell a hang from slowness."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Runner(protocol.Runnable, Protocol):
    """One point loaded and ready to be timed, with what it holds in memory."""

    def memory(self) -> dict[str, int]:
        """Bytes by part."""
        ...

    def describe(self) -> dict[str, Any]:
        """What runs, for the record, in values JSON can hold.

        'software' maps each library it needs besides torch to its version: timings of different
        versions are not combined.
        """
        ...

    def close(self) -> None:
        """Drop everything it holds."""
        ...


@dataclass(slots=True)
class BenchContext:
    """What stays the same from point to point in one measuring process."""

    device: Device
    settings: Settings = field(default_factory=Settings)
    threads: int = 0
    anchor: Point | None = None
    energy_s: float = 0.0
    clock: Clock = field(default_factory=Clock)
    pulse: Pulse = field(default_factory=Pulse)
    anchored: Runner | None = None  # the anchor, once it is loaded
    warmed: set[Runtime] = field(default_factory=set)

    @property
    def target(self) -> str:
        """The device as torch names it."""
        return "cpu" if self.device.kind == "cpu" else f"cuda:{self.device.index}"

    def use_threads(self, asked: int) -> int:
        """Set torch's threads to those asked for, or to the default; returns the number."""
        import torch

        threads = asked or self.threads or default_threads()
        if self.device.kind == "cpu":
            torch.set_num_threads(threads)
        return threads


# a point, the context, and what its shape shares with others (None: nothing); raises Unsupported
Start = Callable[[Point, BenchContext, Any], Runner]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One row: everything that the rest of the program asks of a way of running a model.

    `start` loads a point in the measuring process; None where a sweep cannot start it. `shared` makes
    what points of one shape and runtime can share (their weights), given to `start` as its third
    argument. `interleaves` is True where several loaded points may take turns on a processor. `quick`
    is True where a toy runs within a moment, so that libraries can take their memory before a point is
    charged with its own. `patience_s` is the silence that can still be work, beside loading and one
    prompt. `memory` predicts bytes by part, with their 'total'.
    """

    name: str  # in space files, in projects and on the command line
    label: str  # in the window and in messages
    devices: tuple[str, ...]  # kinds: 'cpu', 'cuda'
    start: Start | None
    weights: tuple[str, ...] = tuple(BYTES_PER_ELEMENT)
    caches: tuple[str, ...] = tuple(BYTES_PER_ELEMENT)
    needs: tuple[str, ...] = ()  # modules
    extra: str = ""  # of this program's package, that brings them
    folders: str = ""  # which model folders it runs: 'any', 'llama' (laid out as Llama is), or none
    shared: Callable[[Point, BenchContext], Any] | None = None
    interleaves: bool = False
    quick: bool = False
    patience_s: float = 0.0
    memory: Callable[[Point], dict[str, int]] = decoder_bytes
