"""Draws, bands and the choice of who may be on a front recover what can be worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.pareto.front import nondominated
from core.pareto.front_chance import (
    band_along_front,
    draws_from_intervals,
    ever_on_front,
)


def test_preselection_loses_no_one():
    random = np.random.default_rng(2)
    x_draws = random.random((1, 300)) + random.normal(0, 0.05, (60, 300))
    y_draws = random.random((1, 300)) + random.normal(0, 0.05, (60, 300))
    whole = np.mean(
        [nondominated(np.column_stack(d)) for d in zip(x_draws, y_draws, strict=True)], axis=0
    )
    few = ever_on_front(x_draws.min(0), x_draws.max(0), y_draws.min(0), y_draws.max(0))
    assert set(np.flatnonzero(whole)) <= set(few) and len(few) < 300


def test_draws_fill_the_interval_at_its_level():
    drawn = draws_from_intervals(
        np.array([10.0]), np.array([8.0]), np.array([13.0]), 40_000, 3, level=0.8
    )[:, 0]
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx([8.0, 10.0, 13.0], abs=0.06)
    exact = draws_from_intervals(np.array([1.0]), np.array([np.nan]), np.array([np.nan]), 5, 0)
    assert (exact == 1.0).all()


def test_band_holds_the_staircase_of_every_exact_draw():
    x = np.array([[1.0, 2.0, 3.0]] * 11)
    y = np.array([[3.0, 2.0, 1.0]]) + np.arange(11)[:, None] * 0.01
    low, high = band_along_front(x, y, np.array([0.5, 1.0, 2.9, 3.0]), coverage=1.0)
    assert np.isinf(low[0]) and np.isinf(high[0])
    assert low[1:] == pytest.approx([3.0, 2.0, 1.0])
    assert high[1:] == pytest.approx([3.1, 2.1, 1.1])


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), min_size=1, max_size=20
    )
)
def test_points_without_error_that_could_be_on_the_front_are_on_it(points):
    x, y, inside = (np.array(column) for column in zip(*points, strict=True))
    x, y = x.astype(float), y.astype(float)
    on_front = np.flatnonzero(nondominated(np.column_stack([x, y]), inside))
    assert ever_on_front(x, x, y, y, inside).tolist() == on_front.tolist()


def test_a_best_corner_is_held_against_worst_corners():
    #   excludes, touches it, worse y, worse x, quicker, unknown
    x_best = np.array([1.0, 2.0, 2.0, 2.1, 1.9, np.nan])
    x_worst = np.array([2.0, 3.0, 3.0, 3.0, 3.0, 9.0])
    y_best = np.array([1.0, 2.0, 2.1, 2.0, 5.0, 0.0])
    y_worst = np.array([2.0, 3.0, 3.0, 3.0, 9.0, 9.0])
    assert ever_on_front(x_best, x_worst, y_best, y_worst).tolist() == [0, 1, 4]
    # what does not count in every draw excludes nobody
    some = np.arange(6) > 0
    assert ever_on_front(x_best, x_worst, y_best, y_worst, None, some).tolist() == [0, 1, 2, 3, 4]
    assert ever_on_front(x_best, x_worst, y_best, y_worst, some).tolist() == [1, 2, 3, 4]
    assert ever_on_front(x_best, x_worst, y_best, y_worst, some & ~some).tolist() == []
    # nobody counts in every draw
    assert ever_on_front(x_best, x_worst, y_best, y_worst, some, some & ~some).tolist() == [
        1, 2, 3, 4
    ]  # fmt: skip


def test_draws_end_one_and_a_half_half_widths_away():
    drawn = draws_from_intervals(
        np.array([10.0, 10.0]), np.array([8.0, 9.0]), np.array([13.0, 10.5]), 40_000, 3
    )
    assert drawn.min(axis=0) == pytest.approx([7.0, 8.5])
    assert drawn.max(axis=0) == pytest.approx([14.5, 10.75])
    # nine in ten by default; errors are independent
    assert np.mean((drawn[:, 0] >= 8) & (drawn[:, 0] <= 13)) == pytest.approx(0.9, abs=0.006)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02


def test_band_leaves_out_the_outermost_draws():
    x = np.array([[2.0, 1.0]] * 11)
    y = 5 + np.arange(11.0)[:, None] + np.array([[-1.0, 0.0]])
    low, high = band_along_front(x, y, np.array([1.0, 2.5]), coverage=0.7)
    # 15 % of eleven draws on each side are one and a half of them: one is left out
    assert (low.tolist(), high.tolist()) == ([6.0, 5.0], [14.0, 13.0])
    low, high = band_along_front(x, y, np.array([1.0]), coverage=0.0)
    assert low.tolist() == high.tolist() == [10.0]


def test_a_draw_that_attains_nothing_yet_makes_one_end_infinite():
    x = np.array([[1.0], [3.0]])
    low, high = band_along_front(x, np.array([[7.0], [8.0]]), np.array([2.0]))
    assert low[0] == 7.0 and np.isinf(high[0])


def test_draws_of_a_middle_fall_to_either_side_by_that_sides_width():
    # the upper side has no width: no draw lies above, half lie below by a known share of the width
    drawn = draws_from_intervals(
        np.array([0.0]), np.array([-1.0]), np.array([0.0]), 40_000, 1, level=0.5
    )[:, 0]
    assert drawn.max() == 0
    # the quartile of a normal is 0.6745: a lower quarter lies beyond the end
    assert np.mean(drawn < -1.0) == pytest.approx(0.25, abs=0.008)
    assert np.mean(drawn < 0) == pytest.approx(0.5, abs=0.01)
