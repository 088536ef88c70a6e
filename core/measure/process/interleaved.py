"""Points measured interleaved: all in memory at once, timed in turns, corrected for drift.

A shared machine is slower for some seconds and faster for the next. Taking turns spreads every point's
blocks over the whole time and exposes all of them to the same background load, which can then be
estimated (`core.samples.drift_correction`). Points of one shape share their weights. This is for a
processor: a GPU is not shared within milliseconds, and its memory is for one model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import Unsupported, Unusable
from core.measure.backends.backend import BenchContext, Runner
from core.measure.backends.registry import backend_of, needed_bytes, start_runner
from core.measure.process.record import failed, now_utc, record_of
from core.measure.process.run_point import after, compilations, measure, warm_libraries
from core.measure.timing import protocol
from core.measure.timing.environment import Watch, snapshot
from core.measure.timing.memory import (
    PeakMemory,
    available_bytes,
    is_out_of_memory,
    release,
)
from core.measure.timing.protocol import Outcome, Settings
from core.model.workload import Workload
from core.records.measurement import Measurement, Point, Timing
from core.samples.drift_correction import drift_factors
from core.samples.statistics import scatter

# what stays free for activations, and for everyone else
SPARE = 0.25
CORRECTED = ("ttft", "tpot", "e2e")
# a turn is short beside the seconds in which the load of a machine changes
TURN_S = 0.2
# what is measured so far is sent that often, and stored before the next turn ...
KEEP_S = 4.0
# ... or less often, where that takes more than this share of the time
KEEP_SHARE = 0.04


@dataclass(slots=True)
class _Loaded:
    """One point in memory: what runs it, and what it took to load."""

    number: int
    point: Point
    runner: Runner
    memory_bytes: dict[str, int]


class _Turn:
    """A loaded point that reports, before it runs, that it is its turn."""

    def __init__(self, one: _Loaded, turn: Callable[[int], None]) -> None:
        self._number, self._runner, self._turn = one.number, one.runner, turn

    def warm(self) -> float:
        """A short run."""
        self._turn(self._number)
        return self._runner.warm()

    def request(self) -> protocol.Samples:
        """A whole request."""
        self._turn(self._number)
        return self._runner.request()

    def first(self) -> protocol.Samples:
        """A prompt and its first token."""
        self._turn(self._number)
        return self._runner.first()


def unkept(_so_far: Mapping[int, Measurement]) -> None:
    """Keep nothing before the end."""


def unreported(_number: int) -> None:
    """Report to nobody whose turn it is."""


def measure_interleaved(
    points: Sequence[Point],
    context: BenchContext,
    report: Callable[[str, float], None] = protocol.nothing,
    keep: Callable[[Mapping[int, Measurement]], None] = unkept,
    turn: Callable[[int], None] = unreported,
) -> list[Measurement]:
    """Measure points interleaved, one measurement each in their order; never raises for a point's sake.

    The settings' budget is that of one point. What does not fit beside the others, and what is not a
    design on a processor, is measured alone afterwards. `keep` is given, now
    and then between two rounds, the measurements as they would be if it ended there, by number of the
    point: whoever keeps those loses some seconds when this process dies. `turn` is given the number of
    whichever point is loaded or run next, outside of all timing: should the process die, it was that one.
    """
    import torch

    found: dict[int, Measurement] = {}
    loaded: list[_Loaded] = []
    given, begun = context.settings, time.monotonic()
    with torch.inference_mode():
        try:
            loaded = _load(points, context, found, report, turn)
            if len(loaded) > 1:
                if given.total_s is not None:
                    # that of all of them, for those that have been loaded
                    whole = replace(given, total_s=given.total_s * len(points))
                    each = (after(whole, begun).total_s or 0.0) / len(loaded)
                    context.settings = replace(given, total_s=each)
                found |= _timed(loaded, context, report, keep, turn)
                keep(found)
        finally:
            for one in loaded:
                one.runner.close()
            loaded.clear()
            release(context.target)
    for number, point in enumerate(points):
        if number not in found:
            turn(number)
            context.settings = given
            found[number] = measure(point, context, report)
            # what is measured alone may end this process as well
            keep(found)
    return [found[number] for number in range(len(points))]


def _load(
    points: Sequence[Point],
    context: BenchContext,
    found: dict[int, Measurement],
    report: Callable[[str, float], None],
    turn: Callable[[int], None],
) -> list[_Loaded]:
    """Load what can be interleaved while there is room; what cannot run at all is found at once."""
    shared_weights: dict[Any, Any] = {}
    loaded: list[_Loaded] = []
    room = available_bytes(context.target)
    floor = SPARE * room if room is not None else 0.0
    begun, most_s = time.monotonic(), context.settings.total_s
    # heaviest first: what is left alone is then small and quick
    for number in sorted(range(len(points)), key=lambda i: -needed_bytes(points[i])["total"]):
        point = points[number]
        if loaded and most_s is not None and time.monotonic() - begun > most_s * len(points) / 2:
            # half of the time at least is for timing what there is
            break
        if context.device.kind != "cpu" or point.folder or not backend_of(point).interleaves:
            continue
        if context.energy_s > 0:
            # interleaved points share the meter: their joules cannot be separated
            continue
        key = (point.architecture, point.runtime)
        need = needed_bytes(point)
        missing = need["total"] - (need["weights"] if key in shared_weights else 0)
        room = available_bytes(context.target)
        if room is not None and room - missing < floor:
            continue
        if loaded and point.runtime.threads != loaded[0].point.runtime.threads:
            # one number of threads holds for all that take turns
            continue
        report(f"{protocol.LOADING} {point.label}", len(loaded) / len(points) / 10)
        turn(number)
        context.use_threads(point.runtime.threads)
        try:
            warm_libraries(point.runtime, context)
            peak = PeakMemory(context.target)
            held = 0
            if key in shared_weights:
                held = need["weights"]
            elif (share := backend_of(point).shared) is not None:
                shared_weights[key] = share(point, context)
            runner = start_runner(point, context, shared_weights.get(key))
            peak.loaded()
            runner.warm()
        except (Unsupported, Unusable) as error:
            found[number] = failed(point, context.device, "unsupported", str(error))
            continue
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
                found[number] = failed(point, context.device, "crashed", reason)
            # there may be room for it alone
            continue
        own = peak.read().get("peak_allocated", 0) + held
        sizes = {"needed": need["total"], **runner.memory()}
        if own > held:
            sizes["peak_allocated"] = own
        loaded.append(_Loaded(number, point, runner, sizes))
    return loaded


def _timed(
    loaded: Sequence[_Loaded],
    context: BenchContext,
    report: Callable[[str, float], None],
    keep: Callable[[Mapping[int, Measurement]], None],
    turn: Callable[[int], None],
) -> dict[int, Measurement]:
    """The protocol on all of them together, and the record of each by its number."""
    threads = context.use_threads(loaded[0].point.runtime.threads)
    environment = snapshot(context.device, threads)
    started = now_utc()
    watch = Watch(context.device)
    keep_at = time.monotonic() + KEEP_S

    def so_far(outcomes: Mapping[str, Outcome]) -> None:
        nonlocal keep_at
        begun = time.monotonic()
        if begun >= keep_at:
            keep(_records(loaded, outcomes, context, environment, [], started, ended_early=True))
            ended = time.monotonic()
            keep_at = ended + max(KEEP_S, (ended - begun) / KEEP_SHARE if KEEP_S else 0.0)

    outcomes = protocol.run(
        {str(one.number): _Turn(one, turn) for one in loaded},
        shared(context.settings, len(loaded)),
        context.clock,
        lambda text, fraction: report(
            f"{len(loaded)} points interleaved, {text}", 0.1 + 0.9 * fraction
        ),
        {str(one.number): max(1, one.point.workload.output_tokens - 1) for one in loaded},
        frozenset(),
        compilations,
        so_far,
    )
    raised, seen = watch.done()
    return _records(loaded, outcomes, context, {**environment, **seen}, raised, started)


def _records(
    loaded: Sequence[_Loaded],
    outcomes: Mapping[str, Outcome],
    context: BenchContext,
    environment: Mapping[str, Any],
    raised: Sequence[str],
    started: str,
    ended_early: bool = False,
) -> dict[int, Measurement]:
    """One measurement for each loaded point, with the drift that all of them show together."""
    factors_of = drift_factors_by_phase([outcomes[str(one.number)] for one in loaded])
    found = {}
    for one, factors in zip(loaded, factors_of, strict=True):
        outcome = outcomes[str(one.number)]
        flags = [*standing(outcome, factors, context.settings, one.point.workload), *raised]
        found[one.number] = record_of(
            one.point,
            outcome,
            one.runner,
            context,
            flags=flags,
            memory_bytes=one.memory_bytes,
            environment=environment,
            timing=Timing(
                drift_factors={phase: tuple(each) for phase, each in factors.items()},
                interleaved_with=len(loaded) - 1,
                ended_early=ended_early,
            ),
            started_at=started,
        )
    return found


def shared(settings: Settings, count: int) -> Settings:
    """The settings of one point for so many interleaved: their time together, no second attempts.

    Noise that another attempt might escape is what the correction is for.
    """
    return replace(
        settings,
        budget_s=settings.budget_s * count,
        total_s=None if settings.total_s is None else settings.total_s * count,
        block_s=min(settings.block_s, TURN_S),
        warm_s=min(settings.warm_s, settings.budget_s / 5),
        retries=0,
    )


def standing(
    outcome: Outcome, factors: Mapping[str, Sequence[float]], settings: Settings, work: Workload
) -> list[str]:
    """The flags that stand once the drift is taken out.

    A warm-up that seemed unstable was drift, or is one block among many; noise and width are judged
    on what is left.
    """
    flags = [f for f in outcome.flags if f not in ("unstable-warmup", "noisy", "budget")]
    if not outcome.blocks:
        return flags
    still = Outcome()
    for phase, blocks in outcome.blocks.items():
        each = factors.get(phase, [1.0] * len(blocks))
        still.blocks[phase] = [tuple(x / f for x in b) for b, f in zip(blocks, each, strict=True)]
    noise = max(
        scatter(still.blocks.get("tpot", ()), max(1, work.output_tokens - 1)),
        scatter(still.blocks.get("ttft", ())),
    )
    if noise > settings.noisy:
        flags.append("noisy")
    # what has not come to its end yet ran out of time as well, for whoever has only that
    unsure = "budget" in outcome.flags or not outcome.stopped_by
    if unsure and not still.half_width() <= settings.interval:
        flags.append("budget")
    return flags


def drift_factors_by_phase(outcomes: Sequence[Outcome]) -> list[dict[str, list[float]]]:
    """For each outcome and phase one factor per block: how slow the machine was while it ran."""
    found: list[dict[str, list[float]]] = [{} for _ in outcomes]
    for phase in CORRECTED:
        who, times, values = [], [], []
        for i, outcome in enumerate(outcomes):
            blocks = outcome.blocks.get(phase, [])
            who += [i] * len(blocks)
            times += outcome.times[: len(blocks)]
            values += [float(np.median(b)) for b in blocks]
        factors = drift_factors(who, times, values)
        for i, factor in zip(who, factors, strict=True):
            found[i].setdefault(phase, []).append(round(float(factor), 5))
    return found
