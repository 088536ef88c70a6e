"""Ticks are round, few and in range."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ticks import linear_ticks, log_ticks

RANGES = st.tuples(st.floats(-9, 13), st.floats(0.01, 8)).map(
    lambda t: (10 ** t[0], 10 ** (t[0] + t[1]))
)


@given(ends=RANGES, most=st.integers(2, 25))
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("make", [linear_ticks, log_ticks])
def test_ticks_lie_in_range_and_are_few(make, ends, most):
    low, high = ends
    ticks = make(low, high, most)
    assert len(ticks) <= most and ticks == sorted(set(ticks))
    assert all(low * (1 - 1e-6) <= t <= high * (1 + 1e-6) for t in ticks)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.9e-4, 1.1e-2, [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]),
        (1e-3, 1.1e-3, [1e-3, 1.02e-3, 1.04e-3, 1.06e-3, 1.08e-3, 1.1e-3]),
        (1.0, 1e12, [1.0, 1e3, 1e6, 1e9, 1e12]),
    ],
)
def test_log_ticks_by_example(low, high, expected):
    assert log_ticks(low, high, 6) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "among"),
    [
        (1.0, 100.0, {1, 2, 5, 10, 20, 50, 100}),
        (2.0, 8.0, {2, 3, 5}),
        (1.0, 1.12, {1}),
        (1e-9, 1e9, {1e-9}),
    ],
)
def test_log_ticks_say_enough(low, high, among):
    ticks = log_ticks(low, high, 9)
    assert 3 <= len(ticks) <= 9
    assert among <= {float(f"{t:.6g}") for t in ticks}


def test_linear_ticks_by_example():
    assert linear_ticks(2.6, 4.1, 8) == pytest.approx([2.6, 2.8, 3.0, 3.2, 3.4, 3.6, 3.8, 4.0])
    assert linear_ticks(-1.0, 1.0, 8) == pytest.approx([-1, -0.5, 0, 0.5, 1])
