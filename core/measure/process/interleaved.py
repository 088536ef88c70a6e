"""Points measured in company: all in memory at once, timed in turns, on one level.

A shared machine is slower for some seconds and faster for the next. Taking turns spreads every
point's blocks over the whole time, lets all of them see the same weather, and tells how it was
(`core.samples.drift_correction`). Points of one shape share their weights. For a processor: a GPU is not shared
within milliseconds, and its memory is for one model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import Unusable
from core.measure.backends.decoder import Weights
from core.measure.backends.linear_kernels import Unsupported
from core.measure.process.run_point import (
    Bench,
    Laboratory,
    compilations,
    failed,
    measure,
    now_utc,
    subject_for,
    wake,
)
from core.measure.timing import protocol
from core.measure.timing.environment import Watch, snapshot
from core.measure.timing.memory import (
    PeakMemory,
    available_bytes,
    is_out_of_memory,
    needed_bytes,
    release,
)
from core.measure.timing.protocol import Outcome, Settings
from core.model.workload import Workload
from core.records.measurement import Measurement, Point
from core.samples.drift_correction import levels
from core.samples.statistics import scatter

# executions of our own decoder, whose weights can be shared
SHARING = frozenset({"eager", "compile"})
# what can take turns. ONNX Runtime cannot: threads of its own spin on after a run, and six of it in one
# process took up to twice as long as beside others
SEATED = SHARING | {"transformers"}
# what stays free for activations, and for everyone else
SPARE = 0.25
LEVELLED = ("ttft", "tpot", "e2e")
# a turn is short beside the seconds in which the weather changes
TURN_S = 0.2
# what is measured so far is told that often: a message of megabytes costs a turn
KEEP_S = 30.0


@dataclass(slots=True)
class _Guest:
    """One point in the company: what runs, and what it took to load."""

    number: int
    point: Point
    subject: Bench
    memory_bytes: dict[str, int]


class _Turn:
    """A guest that says, before it runs, that it is its turn."""

    def __init__(self, guest: _Guest, turn: Callable[[int], None]) -> None:
        self._number, self._subject, self._turn = guest.number, guest.subject, turn

    def warm(self) -> float:
        """A short run."""
        self._turn(self._number)
        return self._subject.warm()

    def request(self) -> protocol.Samples:
        """A whole request."""
        self._turn(self._number)
        return self._subject.request()

    def first(self) -> protocol.Samples:
        """A prompt and its first token."""
        self._turn(self._number)
        return self._subject.first()


def unkept(_so_far: Mapping[int, Measurement]) -> None:
    """Keep nothing before the end."""


def untold(_number: int) -> None:
    """Tell nobody whose turn it is."""


def measure_together(
    points: Sequence[Point],
    lab: Laboratory,
    report: Callable[[str, float], None] = protocol.nothing,
    keep: Callable[[Mapping[int, Measurement]], None] = unkept,
    turn: Callable[[int], None] = untold,
) -> list[Measurement]:
    """Measure points in turns, one measurement each in their order; never raises for a point's sake.

    The settings' budget is that of one point. What does not fit beside the others, and what is not a
    design on a processor, is measured alone afterwards. `keep` is given, now
    and then between two rounds, what the company would come to if it ended there, by number of the
    point: whoever keeps that loses half a minute when this process dies. `turn` is given the number of
    whichever point is loaded or run next, outside of all timing: should the process die, it was that one.
    """
    import torch

    found: dict[int, Measurement] = {}
    guests: list[_Guest] = []
    with torch.inference_mode():
        try:
            guests = _seat(points, lab, found, report, turn)
            if len(guests) > 1:
                found |= _timed(guests, lab, report, keep, turn)
                keep(found)
        finally:
            for guest in guests:
                guest.subject.close()
            guests.clear()
            release(lab.target)
    for number, point in enumerate(points):
        if number not in found:
            turn(number)
            found[number] = measure(point, lab, report)
            # what is measured alone may end this process as well
            keep(found)
    return [found[number] for number in range(len(points))]


def _seat(
    points: Sequence[Point],
    lab: Laboratory,
    found: dict[int, Measurement],
    report: Callable[[str, float], None],
    turn: Callable[[int], None],
) -> list[_Guest]:
    """Load what can be in company while there is room; what cannot run at all is found at once."""
    shelf: dict[Any, Weights] = {}
    guests: list[_Guest] = []
    room = available_bytes(lab.target)
    floor = SPARE * room if room is not None else 0.0
    # heaviest first: what is left alone is then small and quick
    for number in sorted(range(len(points)), key=lambda i: -needed_bytes(points[i])["total"]):
        point = points[number]
        if lab.device.kind != "cpu" or point.folder or point.runtime.execution not in SEATED:
            continue
        if lab.energy_s > 0:
            # joules cannot be told apart in company
            continue
        key = (point.architecture, point.runtime)
        need = needed_bytes(point)
        missing = need["total"] - (need["weights"] if key in shelf else 0)
        room = available_bytes(lab.target)
        if room is not None and room - missing < floor:
            continue
        if guests and point.runtime.threads != guests[0].point.runtime.threads:
            # one number of threads holds for all that take turns
            continue
        report(f"loading {point.label}", len(guests) / len(points) / 10)
        turn(number)
        lab.use_threads(point.runtime.threads)
        try:
            wake(point.runtime, lab)
            peak = PeakMemory(lab.target)
            held = 0
            if key in shelf:
                held = need["weights"]
            elif point.runtime.execution in SHARING:
                shelf[key] = Weights(point.architecture, point.runtime, lab.target)
            subject = subject_for(point, lab, shelf.get(key))
            peak.loaded()
            subject.warm()
        except (Unsupported, Unusable) as error:
            found[number] = failed(point, lab.device, "unsupported", str(error))
            continue
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
                found[number] = failed(point, lab.device, "crashed", reason)
            # there may be room for it alone
            continue
        own = peak.read().get("peak_allocated", 0) + held
        sizes = {"needed": need["total"], **subject.memory()}
        if own > held:
            sizes["peak_allocated"] = own
        guests.append(_Guest(number, point, subject, sizes))
    return guests


def _timed(
    guests: Sequence[_Guest],
    lab: Laboratory,
    report: Callable[[str, float], None],
    keep: Callable[[Mapping[int, Measurement]], None],
    turn: Callable[[int], None],
) -> dict[int, Measurement]:
    """The protocol on all of them together, and the record of each by its number."""
    threads = lab.use_threads(guests[0].point.runtime.threads)
    environment = snapshot(lab.device, threads)
    started = now_utc()
    watch = Watch(lab.device)
    kept_at = time.monotonic()

    def so_far(outcomes: Mapping[str, Outcome]) -> None:
        nonlocal kept_at
        if time.monotonic() - kept_at >= KEEP_S:
            note = {**environment, "ended_early": True}
            keep(_records(guests, outcomes, lab, note, [], started))
            kept_at = time.monotonic()

    outcomes = protocol.run(
        {str(guest.number): _Turn(guest, turn) for guest in guests},
        shared(lab.settings, len(guests)),
        lab.clock,
        lambda text, fraction: report(
            f"{len(guests)} points in turns, {text}", 0.1 + 0.9 * fraction
        ),
        {str(guest.number): max(1, guest.point.workload.output_tokens - 1) for guest in guests},
        frozenset(),
        compilations,
        so_far,
    )
    raised, seen = watch.done()
    return _records(guests, outcomes, lab, {**environment, **seen}, raised, started)


def _records(
    guests: Sequence[_Guest],
    outcomes: Mapping[str, Outcome],
    lab: Laboratory,
    environment: Mapping[str, Any],
    raised: Sequence[str],
    started: str,
) -> dict[int, Measurement]:
    """One measurement a guest from what was timed, on the level that all of them tell."""
    told = company_levels([outcomes[str(guest.number)] for guest in guests])
    found = {}
    for guest, factors in zip(guests, told, strict=True):
        outcome = outcomes[str(guest.number)]
        flags = [*standing(outcome, factors, lab.settings, guest.point.workload), *raised]
        found[guest.number] = Measurement(
            architecture=guest.point.architecture,
            workload=guest.point.workload,
            runtime=guest.point.runtime,
            device=lab.device,
            samples={k: tuple(v) for k, v in outcome.blocks.items()},
            memory_bytes=guest.memory_bytes,
            flags=tuple(dict.fromkeys(flags)),
            message=outcome.message if "clock" in outcome.flags else "",
            environment={
                **environment,
                **guest.subject.describe(),
                "attempts": outcome.attempts,
                "warmups": outcome.warmups,
                "stopped_by": outcome.stopped_by,
                "seconds": round(outcome.seconds, 3),
                "seed": lab.settings.seed,
                "company": len(guests),
                "levels": factors,
            },
            started_at=started,
            model=guest.point.model,
        )
    return found


def shared(settings: Settings, count: int) -> Settings:
    """The settings of one point for a company of so many: their time together, no second attempts.

    Noise that another attempt might escape is what the level is for.
    """
    return replace(
        settings,
        budget_s=settings.budget_s * count,
        block_s=min(settings.block_s, TURN_S),
        warm_s=min(settings.warm_s, settings.budget_s / 5),
        retries=0,
    )


def standing(
    outcome: Outcome, factors: Mapping[str, Sequence[float]], settings: Settings, work: Workload
) -> list[str]:
    """The flags that stand once the level is taken out.

    A warm-up that seemed unstable was weather, or is one block among many; noise and width are
    judged on what is left.
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


def company_levels(outcomes: Sequence[Outcome]) -> list[dict[str, list[float]]]:
    """For each outcome and phase one factor a block: how slow the machine was while it ran."""
    found: list[dict[str, list[float]]] = [{} for _ in outcomes]
    for phase in LEVELLED:
        who, times, values = [], [], []
        for i, outcome in enumerate(outcomes):
            blocks = outcome.blocks.get(phase, [])
            who += [i] * len(blocks)
            times += outcome.times[: len(blocks)]
            values += [float(np.median(b)) for b in blocks]
        factors = levels(who, times, values)
        for i, factor in zip(who, factors, strict=True):
            found[i].setdefault(phase, []).append(round(float(factor), 5))
    return found
