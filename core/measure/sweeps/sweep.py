"""A sweep: point after point in a measuring process, each stored before the next starts.

It may repeat its points several times, each repetition shuffled anew and in a process of its own, so
that what changes between processes and within minutes shows in the intervals (`core.samples.repetitions`).
A crash, a hang or a lack of memory is a flagged result, after which the sweep goes on in a fresh
process. Closing the generator ends the process at once. However it ends, what was measured is stored:
points timed in turns are stored every few seconds as far as they are, and once more at the end.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.measure.process.session import Session, device_name, ended_early
from core.measure.sweeps.device_lock import free_device
from core.measure.timing.protocol import Settings, prepares
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress, Steps

# what is written beside a point whose rounds are stored while they go on
UNDER_WAY = "the program was killed, or is still at it"
OUT_OF_TIME = "the sweep's time was up"
# by which preparing a point may exceed the budget of a sweep, which is stopped then
LATE_S = 5.0


@dataclass(frozen=True, slots=True)
class Swept:
    """How a sweep ended: repetitions made, skipped as known, and left for lack of time."""

    measured: int
    skipped: int
    left: int
    device: Device | None
    seconds: float


def anchor_point(device: str) -> Point:
    """The configuration measured again beside every point: larger than caches, quick to run."""
    shape = Architecture(4, 768, 12, 12, 64, 2048, 8192)
    precision = "fp32" if device == "cpu" else "bf16"
    return Point(shape, Workload(1, 16, 21), Runtime(weights=precision, cache=precision))


def sweep(
    points: Iterable[Point],
    *,
    device: str | Device,
    budget_s: float | None,
    store: Callable[[Measurement], Measurement],
    already: Collection[Any] | Mapping[Any, int] = frozenset(),
    python: str | Path | None = None,
    pause: threading.Event | None = None,
    repetitions: int = 1,
    interleave: int = 1,
    seed: int = 0,
    settings: Settings | None = None,
    threads: int = 0,
    anchor: Point | bool | None = True,
    energy_s: float = 0.0,
    hang_s: float | None = None,
    probe: bool = True,
    command: Sequence[str] | None = None,
) -> Steps[Swept]:
    """Measure points on 'cpu' or 'cuda:N'; yields Progress and each stored Measurement.

    Every result goes through `store` before the next point starts, and what `store` returns is
    yielded. Points timed in turns go through it now and then, marked as ended early; later more of
    them comes with the `id` that `store` gave them, to take their place. A sequence of points is measured in shuffled order, `repetitions` times over, the
    repetitions of a point sharing its budget of time; one that failed is not measured again. `already`
    holds the keys of what was measured before, or how often each was: that is how a sweep resumes. Any
    other iterable is asked for one point at a time, so that it may choose the next from what was
    stored, and each is measured once. Up to `interleave` points are timed interleaved where that is
    possible (`core.measure.process.interleaved`), and are stored together. While `pause` is set nothing new starts.
    `anchor` is True for the usual one, False or None for none. `threads` is the default for
    runtimes that name none. It waits, with a Notice, while another program measures on the device
    (`core.measure.sweeps.device_lock`). Raises Unusable when measuring cannot start at all.
    """
    target = device if isinstance(device, str) else device_name(device)
    chosen = settings or Settings(seed=seed)
    listed = points if isinstance(points, Sequence) else None
    if listed is not None and repetitions > 1:
        chosen = replace(chosen, budget_s=chosen.budget_s / repetitions)
    fixed = anchor if isinstance(anchor, Point) else anchor_point(target) if anchor else None
    session = Session(device, chosen, python, threads, fixed, energy_s, hang_s, probe, command)
    made = Counter(already)
    size = max(1, interleave)
    queue: Iterator[tuple[int, tuple[Point, ...]]]
    lock = yield from free_device(target)
    try:
        found = yield from session.open()
        # starting the process and measuring the device are not the user's budget
        tally = _Tally(found, budget_s, listed is not None, made)
        if listed is None:
            queue = ((0, group) for group in batched(points, size))
        else:
            before = [made[p.key(found)] for p in listed]
            groups = _groups(listed, before, repetitions, seed, size)
            tally.left = sum(len(group) for _, group in groups)
            tally.skipped = repetitions * len(listed) - tally.left
            queue = iter(groups)
        current = 0
        while True:
            yield from _paused(pause, tally)
            spent_s = tally.spent_s()
            if budget_s is not None and spent_s >= budget_s:
                break
            number, group = next(queue, (0, ()))
            if not group:
                break
            group = tally.due(group)
            if not group:
                continue
            if number != current:
                # a repetition has a process of its own: memory lies elsewhere, nothing is left warm
                session.close()
                current = number
            # all of them are stored before one is yielded: whoever gets it may leave
            kept = yield from _timed(session, group, tally, spent_s, store)
            for number_in_group, result in kept.items():
                tally.count(group[number_in_group], result)
                yield result
        yield tally.progress("done" if not tally.left else "out of time", 0.0)
        return Swept(
            tally.measured, tally.skipped, tally.left, found, time.monotonic() - tally.begun
        )
    finally:
        session.close()
        lock.release()


def _paused(pause: threading.Event | None, tally: _Tally) -> Steps[None]:
    """Wait while `pause` is set; that time is not taken from the budget."""
    since = time.monotonic()
    while pause is not None and pause.is_set():
        yield tally.progress("paused")
        time.sleep(0.1)
    tally.waited_s += time.monotonic() - since


def _timed(
    session: Session,
    group: Sequence[Point],
    tally: _Tally,
    spent_s: float,
    store: Callable[[Measurement], Measurement],
) -> Steps[dict[int, Measurement]]:
    """Measure one point alone, or several interleaved; their measurements as they were stored, by number.

    What is still loading or compiling when the budget is spent is left, and has none. Whatever ends it in the middle, what the interleaved run had measured by then is stored.
    """
    started = time.monotonic()
    alone = len(group) == 1
    allowed_s = tally.allowed_s(len(group), spent_s)
    inner: Steps[Any] = (
        session.measure(group[0], allowed_s)
        if alone
        else session.measure_interleaved(group, allowed_s)
    )
    name = group[0].label if alone else f"{len(group)} points"
    stored = _Stored(store)
    found: Mapping[int, Measurement] = {}
    lacking = ""
    try:
        while True:
            try:
                step = next(inner)
            except StopIteration as end:
                found = dict(enumerate([end.value] if alone else end.value))
                break
            if not alone and session.so_far is not found:
                found, lacking = session.so_far, ""
                try:
                    stored.put(found, UNDER_WAY)
                except Unusable as error:
                    # there may be room again until the end, where it counts
                    lacking = f" (not stored yet: {error})"
            if tally.late() and prepares(step.text):
                session.close()
                break
            text = step.text + lacking
            yield Progress(
                tally.measured + len(group) * min(0.99, step.done),
                tally.measured + tally.ahead,
                f"{name}: {text}" if text else name,
                tally.seconds_left(time.monotonic() - started),
            )
        stored.put(found, OUT_OF_TIME)
    except BaseException as end:
        stored.put(found, _why(end))
        raise
    finally:
        inner.close()
    tally.pace.learn(time.monotonic() - started, len(group))
    return stored.rows


def _why(end: BaseException) -> str:
    """Why a run was left, in a few words."""
    lines = str(end).strip().splitlines()
    return lines[0] if isinstance(end, Exception) and lines else "it was stopped"


class _Stored:
    """What is stored of a group that is measured: each point in one row, by its number."""

    def __init__(self, store: Callable[[Measurement], Measurement]) -> None:
        self.rows: dict[int, Measurement] = {}
        self._store = store
        self._given: dict[int, tuple[Measurement, str]] = {}

    def put(self, found: Mapping[int, Measurement], why: str = "") -> None:
        """Store what is new; `why` those under way ended early.

        All are tried before the error of the first that could not be stored is raised: a smaller one
        may find room.
        """
        errors = []
        for number, m in found.items():
            last = self._given.get(number)
            if last is not None and last[0] is m and (last[1] == why or not m.timing.ended_early):
                continue
            row = self.rows[number].id if number in self.rows else 0
            try:
                self.rows[number] = self._store(replace(ended_early(m, why), id=row))
                self._given[number] = m, why
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]


def batched(points: Iterable[Point], size: int) -> Iterator[tuple[Point, ...]]:
    """Tuples of up to so many points, each asked for only when its turn comes."""
    queue = iter(points)
    while group := tuple(itertools.islice(queue, size)):
        yield group


def _groups(
    points: Sequence[Point], made: Sequence[int], repetitions: int, seed: int, interleave: int
) -> list[tuple[int, tuple[Point, ...]]]:
    """What is still to measure, repetition by repetition, each in an order and in groups of its own."""
    found: list[tuple[int, tuple[Point, ...]]] = []
    for number in range(repetitions):
        due = [p for p, count in zip(points, made, strict=True) if count <= number]
        random.Random(f"{seed} {number}").shuffle(due)
        # groups of like size: in a last one of two no drift could be estimated
        count = -(-len(due) // interleave)
        found += [(number, tuple(due[i::count])) for i in range(count)]
    return found


def _share(remaining_s: float, points_left: int) -> float:
    """Seconds a point may use: twice its even share, since many need less than theirs."""
    return remaining_s if points_left <= 1 else min(remaining_s, 2 * remaining_s / points_left)


class _Pace:
    """Time left, from what points took so far: the protocol makes them take alike."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._points = 0

    def learn(self, seconds: float, points: int = 1) -> None:
        """Note how long a point, or several, took."""
        self._seconds += seconds
        self._points += points

    def seconds_left(
        self, points_left: int, current_s: float, budget_left_s: float | None
    ) -> float | None:
        """Seconds until the points are done, the first having run for a while; None at the start."""
        if not self._points:
            return None
        each = self._seconds / self._points
        left = max(0.0, each - current_s) + each * (points_left - 1)
        return left if budget_left_s is None else max(0.0, min(left, budget_left_s))


@dataclass(slots=True)
class _Tally:
    """Where a sweep stands: what it measured, skipped and has left, and the time it used."""

    device: Device
    budget_s: float | None
    listed: bool  # the points were known from the start
    made: Counter[Any]  # measurements by key
    left: int = 0  # of a list
    measured: int = 0
    skipped: int = 0
    failures: set[Any] = field(default_factory=set)  # keys
    pace: _Pace = field(default_factory=_Pace)
    begun: float = field(default_factory=time.monotonic)
    waited_s: float = 0.0

    @property
    def ahead(self) -> int:
        """Points that are known to come, the one now measured among them."""
        return self.left if self.listed else 1

    def spent_s(self) -> float:
        """Seconds of the budget that are used: those of a pause are not."""
        return time.monotonic() - self.begun - self.waited_s

    def late(self) -> bool:
        """Whether the budget is exceeded by more than what ends in a moment."""
        return self.budget_s is not None and self.spent_s() > self.budget_s + LATE_S

    def due(self, group: Sequence[Point]) -> tuple[Point, ...]:
        """Those that did not fail before and, unless they were listed, were not measured; the others
        are skipped."""
        keys = [p.key(self.device) for p in group]
        found = tuple(
            p
            for p, key in zip(group, keys, strict=True)
            if key not in self.failures and (self.listed or not self.made[key])
        )
        self.skipped += len(group) - len(found)
        self.left = max(0, self.left - (len(group) - len(found)))
        return found

    def allowed_s(self, points: int, spent_s: float) -> float | None:
        """Seconds that each point of a group may use; None without a budget."""
        if self.budget_s is None:
            return None
        remaining = self.budget_s - spent_s
        # of a queue that goes on, one group may use a quarter of what is left
        most = remaining if self.listed or points == 1 else remaining / 4
        return min(_share(remaining, self.ahead), most / points)

    def count(self, point: Point, result: Measurement) -> None:
        """Note that a point was measured, or failed and is not to be tried again."""
        key = point.key(self.device)
        self.made[key] += 1
        if result.failed:
            self.failures.add(key)
        self.measured, self.left = self.measured + 1, max(0, self.left - 1)

    def seconds_left(self, current_s: float) -> float | None:
        """Seconds until the sweep is done, the group now measured having run for a while."""
        budget_left_s = None if self.budget_s is None else self.budget_s - self.spent_s()
        return self.pace.seconds_left(self.ahead, current_s, budget_left_s)

    def progress(self, text: str, seconds_left: float | None = None) -> Progress:
        """Between two groups."""
        return Progress(self.measured, self.measured + self.left, text, seconds_left)
