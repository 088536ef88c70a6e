"""Fewer measurements: measure next what makes the latency law surest everywhere, stop when it is.

The criterion is I-optimality (the mean prediction variance over all candidates) of a Gaussian model
with two parts: the law's own terms with unknown coefficients, and a smooth misfit that neighbouring points
share, so that what the law does not know is explored as well as what it does. Before there is a law
the terms have the coefficients of an ordinary machine and the misfit is large, which spreads the points.

Sources: Atkinson, Donev and Tobias, Optimum Experimental Designs (2007); universal kriging (Cressie,
Statistics for Spatial Data, 1993).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.arrays import Floats, Indices
from core.errors import Unusable
from core.fit.latency import fit_latency
from core.fit.latency_fit import LatencyFit
from core.fit.latency_terms import LATENCY_AMOUNTS, MIN_SHAPES
from core.laws.latency import TERMS, Machine
from core.model.architecture import Shapes
from core.records.measurement import Measurement, Point
from core.records.progress import Progress, Steps

REACH = 1.0  # natural logs of a feature over which two points still share their misfit
MISFIT = 0.05  # expected size of the misfit, relative
FIRST_MISFIT = 0.25  # and before there is a law
# what is assumed before there is a law: only the balance of the terms matters
ORDINARY = {"kernels": 5e-6, "weight_bytes": 1 / 40e9, "cache_bytes": 1 / 40e9} | {
    "matmul_flops": 1 / 300e9,
    "attention_flops": 1 / 100e9,
}
NOISE = 0.02  # of one measurement, relative
BATCH = 4  # points chosen between two fits of the law
MOST_CANDIDATES = 1500  # the variance of more than these is estimated on an even sample of them


@dataclass(frozen=True, slots=True)
class ErrorAt:
    """One point of the curve: the laws' held-out errors after so many measurements.

    `error` is the largest over the laws (each runtime, TPOT and TTFT), None while one of them cannot
    be fitted; `by_law` names them all.
    """

    measurements: int
    error: float | None
    by_law: tuple[tuple[str, float | None], ...]
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Adapted:
    """How an adaptive sweep ended: why ('target', 'budget' or 'exhausted'), its curve, its laws."""

    reason: str
    curve: tuple[ErrorAt, ...]
    laws: tuple[LatencyFit, ...]
    measured: int
    candidates: int


def choose_batch(
    candidates: Sequence[Point],
    measured: Sequence[Measurement],
    law: Sequence[LatencyFit],
    count: int,
) -> list[int]:
    """Up to `count` candidates to measure before the law is fitted again, best first.

    How much a measurement teaches does not depend on its result, so a batch is chosen greedily:
    each choice counts as measured for those after it.
    """
    done = {_what(m) for m in measured}
    open_ = [i for i, p in enumerate(candidates) if _what(p) not in done]
    if len(open_) > MOST_CANDIDATES:
        sample = np.linspace(0, len(open_) - 1, MOST_CANDIDATES).astype(int)
        open_ = [open_[i] for i in sample]
    if not open_ or count < 1:
        return []
    taught = list({_what(m): Point(*_what(m)[1:]) for m in measured if not m.failed}.values())
    points = [*(candidates[i] for i in open_), *taught]
    # candidates already measured still count in the mean variance, at little cost
    fields = []
    for runtime in dict.fromkeys(p.runtime for p in points):
        rows = np.array([i for i, p in enumerate(points) if p.runtime == runtime])
        some = [points[i] for i in rows]
        laws = {f.metric: f for f in law if f.ok and f.runtime == runtime}
        # without a law of this runtime both metrics are guessed at
        fields += [_Field(rows, _prior(some, m, laws.get(m))) for m in laws or LATENCY_AMOUNTS]
    for i in range(len(open_), len(points)):
        for each in fields:
            each.observe(i)
    chosen: list[int] = []
    free = np.ones(len(open_), bool)
    for _ in range(min(count, len(open_))):
        score = np.zeros(len(points))
        for each in fields:
            score[each.rows] += each.gain()
        best = int(np.argmax(np.where(free, score[: len(open_)], -np.inf)))
        free[best] = False
        chosen.append(open_[best])
        for each in fields:
            each.observe(best)
    return chosen


class _Field:
    """Covariance of the relative errors of one law over the points of its runtime."""

    def __init__(self, rows: Indices, covariance: Floats) -> None:
        self.rows = rows
        self._covariance = covariance

    def observe(self, point: int) -> None:
        """Condition on a measurement of one point; nothing when it is of another runtime."""
        at = np.flatnonzero(self.rows == point)
        if len(at):
            column = self._covariance[:, at[0]]
            self._covariance = self._covariance - np.outer(column, column) / (
                column[at[0]] + NOISE**2
            )

    def gain(self) -> Floats:
        """For each point: by how much the mean variance falls, relative, when it is measured."""
        variance = np.maximum(np.diag(self._covariance), 0.0)
        drop = np.square(self._covariance).sum(0) / (variance + NOISE**2)
        return np.asarray(drop / max(float(variance.sum()), 1e-300))


def _prior(points: Sequence[Point], metric: str, law: LatencyFit | None) -> Floats:
    """Covariance before anything is measured: neighbours share their misfit, all share the coefficients."""
    features = _features(points)
    squares = np.square(features).sum(1)
    apart = np.maximum(squares[:, None] + squares[None] - 2 * features @ features.T, 0.0)
    misfit = (MISFIT if law else FIRST_MISFIT) ** 2 * np.exp(-0.5 * apart / REACH**2)
    shapes = Shapes.of(p.architecture for p in points)
    batch, prompt, output = (
        np.array([getattr(p.workload, k) for p in points], np.float64)
        for k in ("batch", "prompt_tokens", "output_tokens")
    )
    machine = law.machine if law else Machine()
    amounts = LATENCY_AMOUNTS[metric](shapes, batch, prompt, output, points[0].runtime, machine)
    if law is None:
        seconds = sum(c * amounts[k] for k, c in ORDINARY.items())
    else:
        seconds = law.predict(shapes, batch, prompt, output)
    columns = np.stack(
        [np.broadcast_to(amounts[k], seconds.shape) / seconds for k in TERMS], axis=1
    )
    # a coefficient may be anything up to explaining the whole time where its term is largest
    columns = columns / np.maximum(np.abs(columns).max(0), 1e-300)
    return np.asarray(columns @ columns.T + misfit)


def _features(points: Sequence[Point]) -> Floats:
    """Logs of what a latency depends on, one row a point."""
    return np.log(
        [
            [
                *(p.architecture.n_layers, p.architecture.d_model, p.architecture.d_ff),
                *(p.architecture.d_kv, p.architecture.vocab_size, p.workload.batch),
                # a few tokens more or less are nothing beside the first
                p.workload.prompt_tokens + p.workload.output_tokens / 2 + 16,
            ]
            for p in points
        ]
    )


def _what(thing: Point | Measurement) -> tuple[Any, ...]:
    return (thing.model, thing.architecture, thing.workload, thing.runtime)


def adaptive(
    candidates: Sequence[Point],
    sweep: Callable[[Iterable[Point]], Iterator[Any]],
    *,
    measured: Sequence[Measurement] = (),
    target_error: float = 0.05,
    budget_s: float = 600.0,
    batch: int = BATCH,
    clock: Callable[[], float] = time.monotonic,
) -> Steps[Adapted]:
    """Steps: measure the candidates that teach most, until the held-out error is below the target.

    `sweep` is given an iterator that decides on each next point only when it is asked for one (as
    `core.measure.sweeps.sweep.sweep` asks); what it yields is passed on, and an `ErrorAt` after each fit. A
    law must be below the target twice in a row, since once can be luck. `measured` are earlier
    results of this device: used, and not repeated. Raises Unusable without candidates.
    """
    if not candidates:
        raise Unusable("there is nothing to measure: the space has no candidates")
    known = list(measured)
    state = _State(candidates, known, fit_latency(known), batch)
    begun = clock()
    curve: list[ErrorAt] = []
    below = 0
    reason = "exhausted"
    steps = sweep(state.points())
    try:
        for step in steps:
            if not isinstance(step, Measurement):
                yield step
                continue
            known.append(step)
            yield step
            state.waiting -= 1
            if state.waiting <= 0:
                state.laws = fit_latency(known)
                curve.append(_error_at(state.laws, len(known), clock() - begun))
                yield curve[-1]
                error = curve[-1].error
                below = below + 1 if error is not None and error <= target_error else 0
            if below >= 2:
                reason = "target"
                break
            if clock() - begun >= budget_s:
                reason = "budget"
                break
    finally:
        close = getattr(steps, "close", None)
        if close is not None:
            close()
    if not curve or curve[-1].measurements < len(known):
        state.laws = fit_latency(known)
        curve.append(_error_at(state.laws, len(known), clock() - begun))
        yield curve[-1]
    final = Progress(len(known), len(candidates), f"ended: {reason}", 0.0)
    yield final
    return Adapted(reason, tuple(curve), state.laws, len(known), len(candidates))


class _State:
    """What the choosing iterator and the loop that learns share."""

    def __init__(
        self,
        candidates: Sequence[Point],
        known: list[Measurement],
        laws: tuple[LatencyFit, ...],
        batch: int,
    ) -> None:
        self.laws = laws
        self.waiting = 0  # chosen points still to be measured before the next fit
        self._candidates = candidates
        self._known = known
        self._batch = batch

    def points(self) -> Iterator[Point]:
        """The next point, chosen when it is asked for; ends when every candidate is measured."""
        asked: set[tuple[Any, ...]] = set()
        while True:
            chosen = choose_batch(self._candidates, self._known, self.laws, self._size())
            # a point that the sweep skipped must not be offered for ever
            chosen = [i for i in chosen if _what(self._candidates[i]) not in asked]
            if not chosen:
                return
            self.waiting = len(chosen)
            for i in chosen:
                asked.add(_what(self._candidates[i]))
                yield self._candidates[i]

    def _size(self) -> int:
        """Enough points for a first law at once, then a few at a time."""
        shapes = len({m.architecture for m in self._known if not m.failed})
        runtimes = len({p.runtime for p in self._candidates})
        return max(self._batch, (MIN_SHAPES - shapes) * runtimes)


def _error_at(laws: Sequence[LatencyFit], measurements: int, elapsed_s: float) -> ErrorAt:
    errors = tuple((f"{f.runtime.label} {f.metric}", f.heldout_error) for f in laws)
    known = [e for _, e in errors if e is not None]
    whole = bool(laws) and len(known) == len(laws)
    return ErrorAt(measurements, max(known) if whole else None, errors, elapsed_s)
