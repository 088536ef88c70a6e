"""Values with intervals, and nothing that the samples do not carry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Timing
from core.records.serial import measurement_from_dict, measurement_to_dict
from core.samples.statistics import (
    Estimate,
    corrected,
    dependence,
    estimate,
    median_interval,
    metric_blocks,
    ordered_interval,
    scatter,
    student_t,
    summarise,
)

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


def weather(rng, blocks, agreement, scatter=0.03):
    """Block medians whose neighbours correlate, as on a machine that is slow for some seconds."""
    steps = rng.standard_normal(blocks)
    for i in range(1, blocks):
        steps[i] = agreement * steps[i - 1] + (1 - agreement**2) ** 0.5 * steps[i]
    return 1 + scatter * steps


def holds(interval, draws, truth=1.0):
    found = [interval(draw) for draw in draws]
    return np.mean([low <= truth <= high for low, high in found])


@pytest.mark.parametrize(("agreement", "least"), [(0.0, 0.94), (0.3, 0.91), (0.6, 0.87)])
def test_intervals_hold_the_truth_though_neighbouring_blocks_agree(agreement, least):
    rng = np.random.default_rng(3)
    draws = [weather(rng, 24, agreement) for _ in range(600)]
    assert holds(ordered_interval, draws) >= least
    # what it would be if blocks were taken for independent
    if agreement >= 0.3:
        assert holds(median_interval, draws) < holds(ordered_interval, draws) - 0.02
    widths = [np.diff(ordered_interval(d))[0] / np.diff(median_interval(d))[0] for d in draws]
    assert np.median(widths) < 1.15 if agreement == 0 else np.median(widths) > 1.2


@pytest.mark.parametrize("agreement", [0.0, 0.3])
def test_stopping_as_soon_as_the_interval_is_narrow_costs_little_of_its_honesty(agreement):
    rng = np.random.default_rng(4)

    def stopped(blocks):
        for n in range(6, len(blocks) + 1):
            low, high = ordered_interval(blocks[:n])
            if (high - low) / 2 <= 0.02:
                break
        return low, high

    draws = [weather(rng, 40, agreement) for _ in range(300)]
    assert holds(stopped, draws) >= (0.92 if agreement == 0 else 0.87)


@pytest.mark.parametrize("blocks", [2, 3, 5, 6, 12])
def test_the_interval_of_a_percentile_holds_it_from_few_blocks_on(blocks):
    """Three repetitions are the rule: resampling three blocks alone would hold the truth 2 times in 3."""

    def draw(rng, count):
        return [
            level * (1 + 0.05 * rng.gamma(2, 1, 60))
            for level in np.exp(0.02 * rng.standard_normal(count))
        ]

    truth = np.quantile(np.concatenate(draw(np.random.default_rng(0), 6000)), 0.95)
    rng = np.random.default_rng(5)

    def interval(parts):
        found = summarise(parts, "p95")
        return found.low, found.high

    assert holds(interval, [draw(rng, blocks) for _ in range(150)], truth) >= 0.89


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=40))
@settings(max_examples=60, deadline=None)
def test_an_interval_is_around_its_value_and_never_negative(values):
    for sign in (1, -1):
        for statistic in ("p50", "mean", "p90"):
            e = summarise([np.full(20, sign * v) for v in values], statistic)
            assert e.low <= e.value * (1 + sign * 1e-12) and e.value <= e.high + 1e-12
            assert e.low >= 0 if sign > 0 else e.high <= 0


def test_students_t_is_that_of_the_usual_table():
    from scipy.special import stdtrit

    for n in range(2, 400):
        assert student_t(n) == pytest.approx(float(stdtrit(n - 1, 0.975)), rel=0.001)


def test_what_was_worked_out_is_kept_and_is_no_part_of_the_record():
    m, again = measurement(steady()), measurement(steady())
    before = measurement_to_dict(m)
    assert estimate(m, "tpot") is estimate(m, "tpot")
    assert m == again and measurement_to_dict(m) == before
    assert measurement_from_dict(before) == m
    # other samples are other statistics
    slower = replace(m, samples=steady(tpot=0.03))
    assert estimate(slower, "tpot").value == pytest.approx(0.03)


# --- numbers that can be worked out by hand


def singles(*values):
    """Blocks of one sample each."""
    return [np.array([float(v)]) for v in values]


def test_half_width_is_half_the_interval_over_the_value():
    assert Estimate(4.0, 3.0, 7.0, 9).half_width == 0.5
    assert Estimate(0.0, -1.0, 1.0, 9).half_width == float("inf")


def test_few_values_have_students_interval():
    # 4.303 x 1 / sqrt(3)
    assert median_interval(np.array([11.0, 12.0, 13.0])) == pytest.approx(
        (12 - 2.4843, 12 + 2.4843), abs=1e-4
    )
    # the mean of all samples, with the interval of the blocks'
    e = summarise([np.full(4, 11.0), np.array([12.0]), np.array([13.0])], "mean")
    assert e.value == pytest.approx(69 / 6)
    assert (e.low, e.high) == pytest.approx((69 / 6 - 2.4843, 69 / 6 + 2.4843), abs=1e-4)
    # five: 2.776 on a deviation of 1.5811 / sqrt(5)
    assert median_interval(np.arange(10.0, 15.0)) == pytest.approx(
        (12 - 1.963, 12 + 1.963), abs=1e-3
    )
    # one value says nothing
    assert median_interval(np.array([2.0])) == (0.0, float("inf"))
    assert median_interval(np.array([-2.0])) == (float("-inf"), 0.0)
    # a time is not negative, nor is a negated speed positive
    assert median_interval(np.array([1.0, 9.0]))[0] == 0.0
    assert median_interval(np.array([-1.0, -9.0]))[1] == 0.0


@pytest.mark.parametrize("n", [*range(6, 30), 60, 100, 199, 200, 201, 203, 400, 1001])
def test_the_interval_of_a_median_is_the_narrowest_pair_of_order_statistics_that_suffices(n):
    from scipy.stats import binom

    low, high = median_interval(np.arange(float(n))[::-1])
    assert low + high == n - 1
    covers = 1 - 2 * binom.cdf(low, n, 0.5)
    narrower = 1 - 2 * binom.cdf(low + 1, n, 0.5)
    assert covers >= 0.95 > (narrower if n <= 200 else 1 - 2 * binom.cdf(low + 2, n, 0.5))


def test_how_far_neighbours_agree():
    pairs = 2.0 + np.tile([-1.0, -1.0, 1.0, 1.0], 8)
    # 16 pairs agree and 15 do not: r = 1/32, and (1 + 4/32) / 32 more
    r = 1 / 32 + (1 + 4 / 32) / 32
    assert dependence(pairs) == pytest.approx(((1 + r) / (1 - r)) ** 0.5)
    # capped at 0.7
    assert dependence(np.repeat([1.0, 3.0], 10)) == pytest.approx((1.7 / 0.3) ** 0.5)
    # neighbours that disagree, no scatter, too few
    assert dependence(np.tile([1.0, 3.0], 10)) == dependence(np.ones(9)) == 1.0
    assert dependence(np.repeat([1.0, 3.0], 2)) == dependence(np.array([1.0, 1, 1, 3, 3])) == 1.0
    assert dependence(np.array([1.0, 1, 1, 3, 3, 3])) > 1


def test_agreeing_neighbours_widen_each_side_of_an_interval():
    # 1 to 20 in a row: the 6th and 15th value, twice 1.7 / 0.3 under the root further from 10.5
    factor = (1.7 / 0.3) ** 0.5
    assert ordered_interval(np.arange(101.0, 121.0)) == pytest.approx(
        (110.5 - 4.5 * factor, 110.5 + 4.5 * factor)
    )
    # held at zero on the side of the sign
    assert ordered_interval(np.arange(1.0, 21.0)) == (0.0, pytest.approx(10.5 + 4.5 * factor))
    assert ordered_interval(-np.arange(1.0, 21.0)) == (pytest.approx(-10.5 - 4.5 * factor), 0.0)


def test_the_interval_of_a_percentile_of_three_blocks_is_students():
    blocks = [np.arange(11.0) + level for level in (10, 11, 12)]
    e = summarise(blocks, "p90")
    # the blocks' own are 19, 20 and 21
    assert e.value == pytest.approx(np.quantile(np.concatenate(blocks), 0.9)) and e.n == 33
    assert (e.low, e.high) == pytest.approx((e.value - 2.4843, e.value + 2.4843), abs=1e-4)


def test_the_interval_of_a_percentile_of_eight_blocks_is_expanded():
    """Student's t of eight, stretched by sqrt(8 / 7), leaves 0.6 % in each tail and not 2.5 %."""
    one, two = np.full(10, 1.0), np.full(10, 2.0)
    # a resample has none of three slow blocks with 2.3 %: its 90th percentile is then 1
    e = summarise([two, one, two, one, one, two, one, one], "p90")
    assert e.value == e.high == 2
    # blocks apart by 0, 1, 0, ... from their median: r = 1/8, which widens a distance of one
    assert e.low == pytest.approx(2 - (1.125 / 0.875) ** 0.5)
    # none of five slow blocks with 0.04 %
    assert summarise([two, one, two, one, two, two, one, two], "p90").low == 2


def test_percentiles_of_speeds_are_those_of_their_slow_side():
    times = np.arange(1.0, 7.0)
    m = measurement({"e2e": tuple((t,) * 10 for t in times)})
    speeds = np.repeat(10 / times, 10)
    for statistic, part in (("p90", 0.1), ("p95", 0.05)):
        e = estimate(m, "tokens_per_s", statistic)
        assert e.value == pytest.approx(np.quantile(speeds, part))
        assert e.low <= e.value <= e.high and e.n == 60
    assert estimate(m, "tokens_per_s", "mean").value == pytest.approx(speeds.mean())
    assert estimate(m, "tokens_per_s").value == pytest.approx(np.median(10 / times))


def test_gaps_that_fill_no_requests_stand_for_themselves():
    # two gaps a block, four a request; and a request of one token has no gap
    m = measurement({"tpot": ((0.1, 0.3),) * 6})
    assert estimate(m, "tpot", "mean").value == pytest.approx(0.2) and estimate(m, "tpot").n == 12
    m = measurement({"tpot": ((0.1, 0.3),) * 6}, output=1)
    assert estimate(m, "tpot").n == 12
    # one gap a request: each is a request's
    assert estimate(measurement({"tpot": ((0.1, 0.3),) * 6}, output=2), "tpot").n == 12


def test_blocks_are_divided_by_their_drift():
    m = measurement({"ttft": ((0.2, 0.4), (0.3,)), "tpot": ((0.1,), (0.1,))})
    m = replace(m, timing=Timing(drift_factors={"ttft": (2.0, 1.5)}))
    found = corrected(m)
    assert [b.tolist() for b in found["ttft"]] == [[0.1, 0.2], [pytest.approx(0.2)]]
    assert [b.tolist() for b in found["tpot"]] == [[0.1], [0.1]]


def test_a_batch_of_no_duration_has_no_speed():
    m = measurement({"e2e": ((0.0, 1.0), (2.0, 4.0))})
    assert [b.tolist() for b in metric_blocks(m, "tokens_per_s")] == [[5.0, 2.5]]


def test_scatter_is_the_middle_half_over_the_median():
    assert scatter([[1, 2], [3, 4, 5], []]) == pytest.approx(2 / 3)
    assert scatter([[1, 2, 3]]) == 0 and scatter([[1, 2, 3, 4]]) == pytest.approx(1.5 / 2.5)
    assert scatter([[-1, -2, -3, -4]]) == float("inf")
    # two requests are too few to know the trend; three are enough
    assert scatter([[1, 2, 1, 2]], 2) == pytest.approx(1 / 1.5)
    assert scatter([[1, 2, 1, 2, 1, 2]], 2) == 0
    # what is left beside the trend: -1, 0 and 1 at both positions, around 2.5
    assert scatter([[1, 2, 2, 3, 3, 4]], 2) == pytest.approx(1.5 / 2.5)
