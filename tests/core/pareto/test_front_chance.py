"""Chances and bands recover what can be worked out by hand."""

import numpy as np
import pytest

from core.pareto.front import nondominated
from core.pareto.front_chance import (
    band_along_front,
    chance_on_front,
    draws_from_intervals,
    ever_on_front,
    front_band,
    front_chance,
)


def test_exact_values_are_certain():
    random = np.random.default_rng(0)
    x, y = random.random((2, 500))
    chance = front_chance(x, y)
    assert (chance == nondominated(np.column_stack([x, y]))).all()


def test_two_equal_rivals_share_the_chance():
    # same x; the one with the lower y wins, and each is as likely to be it
    x = np.array([1.0, 1.0, 2.0])
    y = np.array([5.0, 5.0, 9.0])
    chance = front_chance(x, y, y_interval=(y - 1, y + 1), draws=4000, seed=1)
    assert chance[:2] == pytest.approx(0.5, abs=0.03)
    assert chance[2] == 0.0


def test_chance_by_the_normal_law():
    # gap of 1 between two independent values of sd 1: P(second lower) = Phi(-1/sqrt 2) = 0.2398
    half = 1.6448536269514722
    y = np.array([0.0, 1.0])
    x = np.zeros(2)
    chance = front_chance(x, y, y_interval=(y - half, y + half), draws=20_000, seed=2)
    assert chance[1] == pytest.approx(0.2398, abs=0.012)
    assert chance.sum() == pytest.approx(1.0)


def test_same_seed_same_chances_and_infeasible_none():
    random = np.random.default_rng(1)
    x, y = random.random((2, 200))
    spread = (y - 0.1, y + 0.1)
    feasible = random.random(200) < 0.5
    first = front_chance(x, y, y_interval=spread, feasible=feasible, seed=7)
    again = front_chance(x, y, y_interval=spread, feasible=feasible, seed=7)
    other = front_chance(x, y, y_interval=spread, feasible=feasible, seed=8)
    assert (first == again).all() and (first != other).any()
    assert (first[~feasible] == 0).all() and first.max() > 0


def test_preselection_loses_no_one():
    random = np.random.default_rng(2)
    x_draws = random.random((1, 300)) + random.normal(0, 0.05, (60, 300))
    y_draws = random.random((1, 300)) + random.normal(0, 0.05, (60, 300))
    whole = np.mean(
        [nondominated(np.column_stack(d)) for d in zip(x_draws, y_draws, strict=True)], axis=0
    )
    assert chance_on_front(x_draws, y_draws) == pytest.approx(whole)
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


def test_band_of_intervals_surrounds_the_front():
    x = np.linspace(1, 2, 50)
    y = 3 - x
    at = np.linspace(1.1, 2, 20)
    low, high = front_band(x, y, at, y_interval=(y - 0.1, y + 0.1))
    middle = [y[x <= a].min() for a in at]
    assert (low < middle).all() and (low <= high).all() and (high < np.array(middle) + 0.1).all()
    tight, tight_high = front_band(x, y, at)
    assert tight == pytest.approx(middle) and tight_high == pytest.approx(middle)


def test_draws_must_match():
    with pytest.raises(ValueError, match="draws"):
        chance_on_front(np.zeros((2, 3)), np.zeros((3, 2)))
