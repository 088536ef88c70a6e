"""Points measured interleaved: corrected for drift, each as if it had been alone."""

from dataclasses import replace

import numpy as np
import pytest

from core.measure.backends.backend import BenchContext
from core.measure.process.interleaved import drift_factors_by_phase, measure_interleaved, standing
from core.measure.timing.devices import cpu_device
from core.measure.timing.protocol import Outcome, Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Point, Timing
from core.samples.repetitions import together
from core.samples.statistics import corrected, estimate, metric_blocks
from core.table.table import measured_text

# blocks end it, not the budget, of which a busy machine uses more
QUICK = Settings(max_blocks=6, min_blocks=6, warm_s=0.1, budget_s=100, retries=0, block_s=0.02)
SHAPES = [Architecture(n, 64, 4, 2, 16, 128, 257) for n in (2, 3, 4)]


def laboratory():
    return BenchContext(cpu_device(), QUICK, threads=1)


@pytest.fixture(scope="module")
def interleaved():
    points = [Point(a, Workload(b, 8, 6)) for a in SHAPES for b in (1, 2)]
    return points, measure_interleaved(points, laboratory())


def test_each_point_has_its_measurement_in_order(interleaved):
    points, found = interleaved
    assert [(m.architecture, m.workload) for m in found] == [
        (p.architecture, p.workload) for p in points
    ]
    for m in found:
        assert not m.failed and m.timing.interleaved_with == len(points) - 1
        blocks = m.samples["tpot"]
        assert len(blocks) == len(m.timing.drift_factors["tpot"]) == 6
        assert all(len(block) % 5 == 0 for block in blocks)
        assert m.memory_bytes["weights"] > 0 and m.memory_bytes["cache"] > 0


def test_the_drift_is_divided_out_and_the_clock_kept(interleaved):
    _, found = interleaved
    m = found[0]
    factors = m.timing.drift_factors["tpot"]
    raw, flat = m.samples["tpot"], corrected(m)["tpot"]
    for block, factor, shown in zip(raw, factors, flat, strict=True):
        assert np.allclose(np.array(block) / factor, shown)
    assert estimate(m, "tpot").value == pytest.approx(
        np.median([np.median(b) for b in metric_blocks(m, "tpot")])
    )
    (pooled,) = together([m, m])
    # taken together they are on the level already, and it is not taken out twice
    assert estimate(pooled, "tpot").value == pytest.approx(estimate(m, "tpot").value)


def test_what_cannot_run_says_so_and_the_rest_goes_on():
    points = [Point(SHAPES[0]), Point(SHAPES[1], runtime=Runtime("eager", "fp8", "bf16"))]
    points = [*points, Point(SHAPES[2], Workload(1, 8, 6))]
    first, second, third = measure_interleaved(points, laboratory())
    assert not first.failed and not third.failed
    assert second.flags == ("unsupported",) and "fp8" in second.message


def test_what_does_not_fit_beside_the_others_is_measured_alone(monkeypatch):
    room = iter([10**9] + [0] * 1000)
    monkeypatch.setattr("core.measure.process.interleaved.available_bytes", lambda _: next(room))
    found = measure_interleaved([Point(a, Workload(1, 8, 6)) for a in SHAPES], laboratory())
    assert all(not m.failed and not m.timing.interleaved_with for m in found)


def test_drift_factors_are_by_phase():
    weather = np.exp(0.3 * np.sin(np.arange(120) / 9))
    outcomes = [Outcome() for _ in range(12)]
    rng = np.random.default_rng(1)
    for i, factor in enumerate(weather):
        who = outcomes[i % 12]
        who.add(
            {"tpot": [factor * (1 + i % 12)] * 4, "ttft": [1.0 + 0.01 * rng.random()]}, float(i)
        )
    told = drift_factors_by_phase(outcomes)
    tpot = np.array([told[i % 12]["tpot"][i // 12] for i in range(120)])
    ttft = np.array([told[i % 12]["ttft"][i // 12] for i in range(120)])
    assert np.corrcoef(tpot, weather)[0, 1] > 0.95
    assert np.max(np.abs(ttft - 1)) < 0.01


def test_flags_are_judged_on_what_the_level_leaves():
    work = Workload(1, 8, 5)
    outcome = Outcome(flags=["noisy", "budget", "unstable-warmup", "clock"])
    factors = [1.0, 1.5, 0.7, 1.2, 0.8, 1.1, 1.3, 0.9]
    for i, f in enumerate(factors):
        outcome.add({"tpot": [f] * 8, "ttft": [f, f]}, float(i))
    assert standing(outcome, {"tpot": factors, "ttft": factors}, Settings(), work) == ["clock"]
    assert set(standing(outcome, {}, Settings(), work)) == {"clock", "noisy", "budget"}


def test_a_number_shows_that_it_was_interleaved_or_repeated(interleaved):
    _, found = interleaved
    assert "interleaved with 5 others and corrected for drift" in measured_text(found[0], "tpot_s")
    (pooled,) = together([replace(m, timing=Timing()) for m in [found[0]] * 3])
    told = measured_text(pooled, "tpot_s")
    assert "3 repetitions" in told and "interleaved" not in told


def test_other_executions_of_a_shape_take_turns_where_they_can():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    pytest.importorskip("transformers")
    runtimes = [Runtime("eager"), Runtime("onnx"), Runtime("transformers")]
    points = [Point(a, Workload(1, 8, 6), r) for a in SHAPES[:2] for r in runtimes]
    found = measure_interleaved(points, laboratory())
    assert [m.runtime for m in found] == [p.runtime for p in points]
    for m in found:
        assert not m.failed, m.message
        assert m.memory_bytes["weights"] > 0
        # threads that spin on would disturb the others' turns
        alone = m.runtime.execution == "onnx"
        assert m.timing.interleaved_with == (0 if alone else 3)


def test_one_number_of_threads_holds_for_all_that_take_turns():
    points = [Point(a, Workload(1, 8, 6), Runtime(threads=n)) for a in SHAPES for n in (1, 2)]
    found = measure_interleaved(points, laboratory())
    for m in found:
        assert m.environment["threads"] == m.runtime.threads
    together = {m.runtime.threads for m in found if m.timing.interleaved_with == 2}
    assert len(together) == 1


def test_what_an_interleaved_run_has_measured_is_sent_while_it_lasts(monkeypatch):
    monkeypatch.setattr("core.measure.process.interleaved.KEEP_S", 0.0)
    points = [Point(a, Workload(1, 8, 6)) for a in SHAPES]
    lab = laboratory()
    lab.settings = replace(QUICK, min_blocks=3, interval=0.0)
    told = []
    words = []
    found = measure_interleaved(
        points, lab, lambda text, _: words.append(text), lambda kept: told.append(dict(kept))
    )
    # six rounds, told from the third on; and the end
    assert [len(kept[0].samples["tpot"]) for kept in told] == [3, 4, 5, 6]
    *told, end = told
    assert [end[i] for i in range(3)] == found
    for kept in told:
        assert sorted(kept) == [0, 1, 2] and not any(m.failed for m in kept.values())
        assert all(m.timing.ended_early for m in kept.values())
    assert not found[0].timing.ended_early
    # the rounds that were told of are the rounds of the end
    assert told[-1][1].samples["ttft"] == found[1].samples["ttft"][:5]
    # how wide the interval is depends on the machine, and a meaningless width is not told
    assert any("3 points interleaved, round 4, " in text for text in words)


def test_what_is_measured_alone_is_told_of_beside_what_took_turns():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    points = [Point(a, Workload(1, 8, 6)) for a in SHAPES]
    points += [Point(SHAPES[0], Workload(1, 8, n), Runtime("onnx")) for n in (6, 7)]
    told = []
    measure_interleaved(points, laboratory(), keep=lambda kept: told.append(sorted(kept)))
    assert told == [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4]]


def test_loading_leaves_time_for_what_there_is():
    lab = laboratory()
    lab.settings = replace(QUICK, total_s=0.0)
    points = [Point(a, Workload(1, 8, 6)) for a in SHAPES]
    # without time only the first is loaded with the others in mind, and each is timed for a round
    for m in measure_interleaved(points, lab):
        assert not m.failed and not m.timing.interleaved_with and len(m.samples["tpot"]) == 1
    lab.settings = replace(QUICK, total_s=1000.0)
    assert all(m.timing.interleaved_with == 2 for m in measure_interleaved(points, lab))
