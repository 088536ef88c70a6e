"""Values with intervals, and nothing that the samples do not carry."""

import numpy as np
import pytest

from core.architecture import Architecture
from core.measure.statistics import estimate, scatter
from core.records import Device, Measurement
from core.workload import Runtime, Workload

SHAPE = Architecture(2, 32, 4, 2, 8, 64, 97)
CPU = Device("cpu", "test", 2**30)


def measurement(samples, output=5, batch=2, flags=()):
    work = Workload(batch, 8, output)
    return Measurement(SHAPE, work, Runtime(), CPU, samples, flags=flags)


def steady(blocks=6, requests=2, ttft=0.1, tpot=0.02, output=5):
    return {
        "ttft": ((ttft,) * requests,) * blocks,
        "tpot": ((tpot,) * (requests * (output - 1)),) * blocks,
        "e2e": ((ttft + (output - 1) * tpot,) * requests,) * blocks,
    }


def test_steady_samples_give_exact_values_and_closed_intervals():
    m = measurement(steady())
    for metric, value in (("ttft", 0.1), ("tpot", 0.02), ("itl", 0.02), ("e2e", 0.18)):
        for statistic in ("p50", "mean"):
            e = estimate(m, metric, statistic)
            assert e.value == pytest.approx(value)
            assert e.low == pytest.approx(value) and e.high == pytest.approx(value)
    speed = estimate(m, "tokens_per_s")
    assert speed.value == pytest.approx(2 * 5 / 0.18)
    assert estimate(m, "tpot").n == 12 and estimate(m, "itl").n == 48


def test_tpot_counts_requests_and_itl_counts_tokens():
    # one slow token in every request: the mean of a request sees it, the median gap does not
    gaps = (0.01, 0.01, 0.01, 0.05)
    m = measurement({"ttft": ((0.1,),) * 6, "tpot": (gaps,) * 6, "e2e": ((0.18,),) * 6})
    assert estimate(m, "tpot").value == pytest.approx(0.02)
    assert estimate(m, "tpot").value == pytest.approx((0.18 - 0.1) / (5 - 1))
    assert estimate(m, "itl").value == pytest.approx(0.01)
    assert estimate(m, "itl", "mean").value == pytest.approx(0.02)


def test_percentiles_only_where_three_samples_lie_beyond():
    def of(n):
        rng = np.random.default_rng(0)
        return measurement({"ttft": tuple(tuple(rng.uniform(1, 2, n // 10)) for _ in range(10))})

    assert estimate(of(20), "ttft", "p90") is None
    assert estimate(of(30), "ttft", "p90") is not None
    assert estimate(of(60), "ttft", "p95") is not None
    assert estimate(of(60), "ttft", "p99") is None
    e = estimate(of(300), "ttft", "p99")
    assert e.low <= e.value <= e.high and 1.95 < e.value <= 2


def test_blocks_are_the_unit_of_the_interval():
    rng = np.random.default_rng(1)
    # samples within a block agree; blocks do not: many samples must not feign certainty
    levels = rng.normal(1, 0.1, 8)
    few = measurement({"ttft": tuple((x,) * 3 for x in levels)})
    many = measurement({"ttft": tuple((x,) * 300 for x in levels)})
    a, b = estimate(few, "ttft"), estimate(many, "ttft")
    assert (a.low, a.high) == (b.low, b.high)
    assert b.half_width > 0.03


def test_the_slow_tail_of_a_speed_is_its_low_side():
    rng = np.random.default_rng(2)
    m = measurement({"e2e": tuple(tuple(rng.uniform(1, 2, 20)) for _ in range(6))})
    p50, p95 = estimate(m, "tokens_per_s"), estimate(m, "tokens_per_s", "p95")
    assert p95.value < p50.value and p95.low <= p95.value <= p95.high


def test_failed_or_unsampled_measurements_say_nothing():
    assert estimate(measurement({}, flags=("oom",)), "tpot") is None
    assert estimate(measurement(steady(), flags=("clock",)), "tpot") is None
    assert estimate(measurement({"ttft": ((0.1,),)}), "tpot") is None
    alone = estimate(measurement({"ttft": ((0.1,),)}), "ttft")
    assert alone.value == 0.1 and alone.high == float("inf")
    with pytest.raises(ValueError, match="watts"):
        estimate(measurement(steady()), "watts")


def test_device_time_is_kept_apart():
    samples = {**steady(), "tpot_device": ((0.015,) * 8,) * 6}
    assert estimate(measurement(samples), "tpot", device_time=True).value == pytest.approx(0.015)
    assert estimate(measurement(samples), "ttft", device_time=True) is None


def test_scatter_takes_the_trend_of_a_request_out():
    request = np.linspace(1, 2, 40)
    assert scatter([request] * 6, 40) == pytest.approx(0)
    assert scatter([request] * 6) > 0.3
    noisy = [request * f for f in (1, 1.2, 0.8, 1.3, 0.7, 1.1)]
    assert scatter(noisy, 40) > 0.1


def test_throughput_of_requests_that_queued_is_that_of_the_round():
    m = measurement({"e2e": ((0.5, 1.0),) * 3, "round": ((1.0,),) * 3})
    work = m.workload
    assert estimate(m, "tokens_per_s").value == pytest.approx(work.batch * work.output_tokens)
