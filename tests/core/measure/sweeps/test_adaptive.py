"""Choosing what to measure: the next point teaches most, the loop stops when it may, nothing repeats."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import Unusable
from core.fit.latency import fit_latency
from core.laws.latency import Machine, tpot_amounts, ttft_amounts
from core.measure.sweeps.adaptive import ErrorAt, adaptive, choose_batch
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress

CPU = Device("cpu", "a processor", 16 * 2**30)
PRICES = {"step": 2e-4, "kernels": 4e-6, "weight_bytes": 3e-11, "matmul_flops": 9e-12}


def grid(runtime: Runtime = Runtime()) -> list[Point]:  # noqa: B008 (a frozen value)
    """A regular grid: depth x width x batch x prompt."""
    return [
        Point(Architecture(n, 64 * h, h, h, 64, 128 * h, 4096), Workload(b, p, 16), runtime)
        for n in (2, 4, 8, 16, 32)
        for h in (2, 4, 8, 16)
        for b in (1, 4, 16)
        for p in (16, 256)
    ]


def measure(point: Point, noise: float = 0.01, seed: int = 0) -> Measurement:
    """What a machine with PRICES would say, with noise of its own for each point."""
    a, w = point.architecture, point.workload
    rng = np.random.default_rng([seed, abs(hash((a, w))) % 2**32])
    samples = {}
    for metric, amounts in (("tpot", tpot_amounts), ("ttft", ttft_amounts)):
        columns = amounts(a, w.batch, w.prompt_tokens, w.output_tokens, point.runtime, Machine())
        seconds = sum(PRICES[k] * float(columns[k]) for k in PRICES)
        blocks = seconds * (1 + noise * rng.standard_normal((6, 8)))
        samples[metric] = tuple(map(tuple, blocks.tolist()))
    return Measurement(a, w, point.runtime, CPU, samples)


def sweep(points):
    """A sweep as the real one: asks for one point at a time and yields progress between."""
    for number, point in enumerate(points):
        yield Progress(number, 0, "measuring")
        yield measure(point)


def finish(steps):
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as stop:
            return seen, stop.value


def test_a_start_without_a_law_fills_the_space():
    points = grid()
    chosen = choose_batch(points, [], (), 8)
    assert len(set(chosen)) == 8
    depths = {points[i].architecture.n_layers for i in chosen}
    widths = {points[i].architecture.d_model for i in chosen}
    assert min(depths) <= 4 and max(depths) >= 16
    assert min(widths) <= 256 and max(widths) == 1024
    assert {points[i].workload.prompt_tokens for i in chosen} == {16, 256}


def test_the_next_point_is_where_the_law_knows_least():
    """All of batch 1 at short prompts is known: what is chosen differs in batch or in prompt."""
    points = grid()
    known = [measure(p) for p in points if p.workload == Workload(1, 16, 16)]
    chosen = points[choose_batch(points, known, fit_latency(known), 1)[0]]
    assert chosen.workload != Workload(1, 16, 16)


def test_nothing_is_chosen_twice_and_failures_are_not_asked_for_again():
    points = grid()[:30]
    known: list[Measurement] = []
    for number in range(30):
        law = fit_latency(known) if number == 20 else ()
        point = points[choose_batch(points, known, law, 1)[0]]
        result = measure(point)
        known.append(replace(result, samples={}, flags=("oom",)) if number % 3 == 0 else result)
    assert len({(m.architecture, m.workload) for m in known}) == 30
    assert choose_batch(points, known, (), 1) == []


def test_the_sweep_stops_at_the_target_and_shows_its_curve():
    points = grid()
    seen, end = finish(adaptive(points, sweep, target_error=0.03, budget_s=1e9))
    curve = [s for s in seen if isinstance(s, ErrorAt)]
    assert end.reason == "target" and tuple(curve) == end.curve
    assert end.measured == len([s for s in seen if isinstance(s, Measurement)]) < len(points) / 3
    assert all(e.error <= 0.03 for e in curve[-2:])
    assert {name for name, _ in curve[-1].by_law} == {"eager, fp32 tpot", "eager, fp32 ttft"}
    # the law is as good on all it has not seen as it says of itself
    law = next(f for f in end.laws if f.metric == "tpot")
    truth = [np.median(measure(p, noise=0).samples["tpot"]) for p in points]
    said = [
        float(law.predict(p.architecture, p.workload.batch, p.workload.prompt_tokens, 16))
        for p in points
    ]
    assert np.mean(np.abs(np.array(said) / truth - 1)) < 0.03


def test_the_budget_ends_it_and_closing_it_closes_the_sweep():
    points, now, closed = grid(), [0.0], []

    def slow(some):
        try:
            for step in sweep(some):
                now[0] += 5.0
                yield step
        finally:
            closed.append(True)

    _, end = finish(adaptive(points, slow, target_error=0, budget_s=100, clock=lambda: now[0]))
    assert end.reason == "budget" and now[0] <= 110 and closed == [True]
    steps = adaptive(points, slow)
    next(steps)
    steps.close()
    assert closed == [True, True]


def test_everything_measured_is_the_end_and_earlier_results_are_used():
    points = grid()[:20]
    known = [measure(p) for p in points[:14]]
    seen, end = finish(adaptive(points, sweep, measured=known, target_error=0.0))
    assert end.reason == "exhausted" and end.measured == 20
    assert len([s for s in seen if isinstance(s, Measurement)]) == 6
    with pytest.raises(Unusable, match="no candidates"):
        finish(adaptive([], sweep))


def test_each_runtime_is_explored():
    points = grid() + grid(Runtime("compile"))
    chosen = [points[i] for i in choose_batch(points, [], (), 12)]
    counts = [sum(p.runtime.execution == e for p in chosen) for e in ("eager", "compile")]
    assert min(counts) >= 4
