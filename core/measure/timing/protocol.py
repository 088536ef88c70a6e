"""The timing protocol: warm up until stable, shuffled interleaved blocks, stop when sure, flag the rest.

Pure: it is given things that can be run and time themselves with a clock, and decides only what to
run next and what the samples deserve to be called. No torch, no processes; tests drive it with a
fake clock.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from core.measure.timing.clock import Clock, ClockError
from core.samples.statistics import ordered_interval, scatter
from core.units import plus_minus

Samples = Mapping[str, Sequence[float]]


class Runnable(Protocol):
    """Something that can be timed."""

    def warm(self) -> float:
        """A short run of the very shapes that will be timed; returns its typical seconds."""
        ...

    def request(self) -> Samples:
        """One whole request; seconds by phase ('ttft', 'tpot', 'e2e', ...)."""
        ...

    def first(self) -> Samples:
        """Only the part up to the first token, for more samples of it; may be empty."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how surely to measure. The defaults are the laboratory protocol."""

    min_blocks: int = 6
    max_blocks: int = 40
    block_events: int = 20
    block_s: float = 1.0
    interval: float = 0.02
    warm_agree: float = 0.02
    warm_count: int = 5
    warm_s: float = 3.0
    budget_s: float = 30.0
    noisy: float = 0.10
    retries: int = 2
    seed: int = 0
    total_s: float | None = (
        None  # for loading, warming up and timing together, where that is bounded
    )


@dataclass(slots=True)
class Outcome:
    """Samples of one runner by phase and block, and what became of the timing."""

    blocks: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)  # seconds of the clock, middle of each block
    flags: list[str] = field(default_factory=list)
    message: str = ""
    attempts: int = 1
    warmups: int = 0
    stopped_by: str = ""
    seconds: float = 0.0

    def add(self, block: Mapping[str, list[float]], time_s: float) -> None:
        """Append one block, measured around a time."""
        self.times.append(time_s)
        for phase, values in block.items():
            if values:
                self.blocks.setdefault(phase, []).append(tuple(values))

    def flag(self, name: str) -> None:
        """Raise a flag once."""
        if name not in self.flags:
            self.flags.append(name)

    def half_width(self) -> float:
        """Widest 95 % half-width over the median among the phases; inf while it is unknown."""
        widths = []
        for phase in ("ttft", "tpot"):
            medians = np.array([np.median(b) for b in self.blocks.get(phase, ())])
            if len(medians) == 0:
                continue
            if len(medians) < 2:
                return float("inf")
            low, high = ordered_interval(medians)
            centre = float(np.median(medians))
            widths.append((high - low) / 2 / centre if centre > 0 else float("inf"))
        return max(widths, default=float("inf"))


# what a report begins with, or ends in, before anything is timed
LOADING, WARMING = "loading", "warming up"


def prepares(text: str) -> bool:
    """Whether a report of progress tells of loading, compiling or warming up."""
    return not text or text.startswith(LOADING) or WARMING in text


def nothing(_text: str, _fraction: float) -> None:
    """Report progress to nobody."""


def unheard(_outcomes: Mapping[str, Outcome]) -> None:
    """Report a round to nobody."""


def warm_up(runner: Runnable, settings: Settings, clock: Clock, outcome: Outcome) -> None:
    """Run until the last few medians agree, or the time is up; flags a warm-up still falling."""
    values: list[float] = []
    start = clock.now()
    faults = 0
    while True:
        try:
            mark = clock.mark()
            value = runner.warm()
            clock.check(mark)
            if not value > 0:
                raise ClockError("a warm-up run took no time at all")
        except ClockError as error:
            faults += 1
            if faults >= 3:
                outcome.message = str(error)
                outcome.flag("clock")
                return
            continue
        values.append(value)
        last = values[-settings.warm_count :]
        if len(last) == settings.warm_count:
            spread = (max(last) - min(last)) / float(np.median(last))
            if spread <= settings.warm_agree:
                break
        # a fifth of a short budget is all that warming may take
        if (clock.now() - start) / 1e9 >= min(settings.warm_s, settings.budget_s / 5) and len(
            values
        ) >= 2:
            half = len(values) // 2
            early, late = np.median(values[:half]), np.median(values[half:])
            # scatter is the interval's to report; a trend means it is not warm yet
            if late < (1 - 2.5 * settings.warm_agree) * early:
                outcome.flag("unstable-warmup")
            break
    outcome.warmups = len(values)


def one_block(runner: Runnable, settings: Settings, clock: Clock) -> dict[str, list[float]]:
    """Requests until the block has enough events or lasted long enough, with extra first tokens."""
    block: dict[str, list[float]] = {}
    start = clock.now()
    mark = clock.mark()

    def take(samples: Samples) -> None:
        for phase, values in samples.items():
            block.setdefault(phase, []).extend(values)

    def elapsed() -> float:
        return (clock.now() - start) / 1e9

    while True:
        take(runner.request())
        events = max(len(block.get("tpot", ())), len(block.get("ttft", ())))
        if events >= settings.block_events or elapsed() >= settings.block_s:
            break
    # the first token has one sample a request: spend up to a fifth of the block on more of them
    allowed = 0.2 * elapsed()
    extra = clock.now()
    while len(block.get("ttft", ())) < settings.block_events:
        cost = float(np.median(block["ttft"])) if block.get("ttft") else float("inf")
        if (clock.now() - extra) / 1e9 + cost > allowed:
            break
        more = runner.first()
        if not more:
            break
        take(more)
    clock.check(mark)
    if any(v < 0 or not np.isfinite(v) for values in block.values() for v in values):
        raise ClockError("a duration came out negative")
    return block


def run(
    runners: Mapping[str, Runnable],
    settings: Settings,
    clock: Clock | None = None,
    report: Callable[[str, float], None] = nothing,
    periods: Mapping[str, int] | None = None,
    companions: frozenset[str] = frozenset(),
    compilations: Callable[[], int] = lambda: 0,
    so_far: Callable[[Mapping[str, Outcome]], None] = unheard,
) -> dict[str, Outcome]:
    """Time runners together, their blocks interleaved in shuffled order.

    `companions` (anchors) are run in every round but never decide when to stop. `periods` gives the
    number of 'tpot' samples of one request, to tell growth with context from noise. A runner whose
    clock misbehaves three times in a row is flagged 'clock' and keeps no samples. `compilations`
    counts what was compiled so far: when it moves after the warm-up, all are flagged 'late-compile'.
    `so_far` is given the outcomes after each round in which there are enough blocks to keep.
    """
    clock = clock or Clock()
    rng = random.Random(settings.seed)
    periods = periods or {}
    companions = companions & runners.keys()
    outcomes = {name: Outcome() for name in runners}
    begun = clock.now()
    for name, runner in runners.items():
        report(f"{WARMING} {name}", 0.0)
        warm_up(runner, settings, clock, outcomes[name])
    timing, compiled = clock.now(), compilations()
    results = outcomes
    kept: dict[str, Outcome] = {}
    for attempt in range(settings.retries + 1):
        left = settings.budget_s - (clock.now() - timing) / 1e9
        if settings.total_s is not None:
            left = min(left, settings.total_s - (clock.now() - begun) / 1e9)
        _rounds(
            runners,
            results,
            replace(settings, budget_s=left),
            clock,
            rng,
            report,
            companions,
            so_far,
        )
        again = []
        for name, outcome in results.items():
            _judge(outcome, settings, periods.get(name, 1))
            outcome.attempts = attempt + 1
            best = kept.get(name)
            if best is None or _noise(outcome) < _noise(best):
                kept[name] = outcome
            kept[name].attempts = attempt + 1
            if name not in companions and {"noisy", "clock"} & set(kept[name].flags):
                again.append(name)
        used = (clock.now() - timing) / 1e9
        if not again or attempt == settings.retries or used > settings.budget_s / 2:
            break
        results = {
            name: Outcome(warmups=outcomes[name].warmups, flags=_lasting(outcomes[name]))
            for name in [*again, *companions]
        }
    late = compilations() > compiled
    for outcome in kept.values():
        if late:
            outcome.flag("late-compile")
        outcome.seconds = (clock.now() - begun) / 1e9
    return kept


def _rounds(
    runners: Mapping[str, Runnable],
    outcomes: dict[str, Outcome],
    settings: Settings,
    clock: Clock,
    rng: random.Random,
    report: Callable[[str, float], None],
    companions: frozenset[str],
    so_far: Callable[[Mapping[str, Outcome]], None],
) -> None:
    """Rounds of one block a runner until every runner is sure, or out of blocks or budget."""
    start = clock.now()
    open_names = [n for n in outcomes if n not in companions and "clock" not in outcomes[n].flags]
    if not open_names:
        return
    failures = dict.fromkeys(outcomes, 0)
    widths: dict[str, float] = {}
    for number in range(settings.max_blocks):
        order = [*open_names, *(n for n in outcomes if n in companions)]
        order = [n for n in order if "clock" not in outcomes[n].flags]
        rng.shuffle(order)
        for name in order:
            outcome = outcomes[name]
            try:
                began = clock.now()
                block = one_block(runners[name], settings, clock)
                outcome.add(block, (began + clock.now()) / 2e9)
                failures[name] = 0
            except ClockError as error:
                failures[name] += 1
                outcome.message = str(error)
                if failures[name] >= 3:
                    outcome.flag("clock")
                    outcome.blocks.clear()
                    outcome.times.clear()
                    if name in open_names:
                        open_names.remove(name)
        used = (clock.now() - start) / 1e9
        out_of_time = used >= settings.budget_s
        for name in list(open_names):
            outcome = outcomes[name]
            width = widths[name] = outcome.half_width()
            enough = number + 1 >= settings.min_blocks
            if enough and width <= settings.interval:
                outcome.stopped_by = "interval"
                open_names.remove(name)
            elif out_of_time or number + 1 == settings.max_blocks:
                outcome.stopped_by = "budget"
                if not width <= settings.interval:
                    outcome.flag("budget")
                open_names.remove(name)
        done = max((number + 1) / settings.max_blocks, used / max(1e-9, settings.budget_s))
        report(round_text(number + 1, widths, settings.interval), max(0.0, min(1.0, done)))
        if not open_names:
            return
        if number + 1 >= settings.min_blocks:
            so_far(outcomes)


def round_text(number: int, widths: Mapping[str, float], enough: float) -> str:
    """How far the rounds are and how sure they have made what is timed (half-widths by name)."""
    known = [w for w in widths.values() if w < float("inf")]
    if not known:
        return f"round {number}"
    widest = plus_minus(max(known))
    text = f"round {number}, {'widest ' if len(widths) > 1 else ''}{widest}"
    sure = sum(w <= enough for w in widths.values())
    return f"{text}, {sure} sure to ± {100 * enough:g} %" if len(widths) > 1 else text


def _judge(outcome: Outcome, settings: Settings, period: int) -> None:
    if outcome.blocks and "clock" not in outcome.flags:
        noise = max(
            scatter(outcome.blocks.get("tpot", ()), period), scatter(outcome.blocks.get("ttft", ()))
        )
        if noise > settings.noisy:
            outcome.flag("noisy")


def _noise(outcome: Outcome) -> float:
    """For choosing between attempts: failed ones last, then the widest interval."""
    return float("inf") if not outcome.blocks else outcome.half_width()


def _lasting(outcome: Outcome) -> list[str]:
    return [f for f in outcome.flags if f == "unstable-warmup"]
