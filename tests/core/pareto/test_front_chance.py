"""Draws, bands and the choice of who may be on a front recover what can be worked out by hand."""

import numpy as np
import pytest

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
