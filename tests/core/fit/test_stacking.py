"""Weights of laws whose fixed point can be worked out by hand."""

import numpy as np
import pytest

from core.fit.stacking import stacked


@pytest.mark.parametrize(("shapes", "expected"), [(1, (1 + 17**0.5) / 8), (9, 0.905234)])
def test_a_law_that_errs_half_as_much_is_believed_twice_as_much_by_every_shape(shapes, expected):
    """Constant errors: the densities differ by a factor of two. With S shapes and one of prior belief the
    weight solves w (S + 1) = S 2 w / (1 + w) + 1/2."""
    errors = np.array([[0.01], [0.02]]) * np.ones((1, shapes))
    weights = stacked(errors, np.arange(shapes))
    assert weights == pytest.approx([expected, 1 - expected], abs=2e-6)


def test_runs_of_one_shape_are_one_witness():
    errors = np.array([[0.01], [0.02]])
    once = stacked(np.repeat(errors, 3, axis=1), np.arange(3))
    assert stacked(np.repeat(errors, 30, axis=1), np.repeat(np.arange(3), 10)) == pytest.approx(
        once
    )
    assert once[0] < stacked(np.repeat(errors, 30, axis=1), np.arange(30))[0]


def test_errors_count_by_their_size_not_their_sign():
    rng = np.random.default_rng(0)
    errors = rng.normal(size=(3, 20)) * np.array([[0.01], [0.02], [0.03]])
    assert stacked(-errors, np.arange(20)) == pytest.approx(stacked(errors, np.arange(20)))
    # nor does the unit
    assert stacked(7 * errors, np.arange(20)) == pytest.approx(stacked(errors, np.arange(20)))


def test_a_law_that_misses_by_twenty_times_as_much_is_the_last_that_counts():
    def second(times):
        return stacked(np.array([[0.01], [0.01 * times]]) * np.ones((1, 4)), np.arange(4))[1]

    assert second(19.99) > 0 and second(20.01) == 0
    weights = stacked(np.array([[0.01] * 4, [np.nan] * 4]), np.arange(4))
    assert weights.tolist() == [1.0, 0.0]


def test_a_law_without_any_error_takes_no_infinite_weight():
    weights = stacked(np.array([[0.0] * 4, [0.01] * 4]), np.arange(4))
    assert weights.tolist() == [1.0, 0.0]
    assert stacked(np.zeros((2, 4)), np.arange(4)) == pytest.approx([0.5, 0.5])


def test_each_law_predicts_as_a_normal_as_wide_as_its_errors():
    """One law hits three shapes of four and misses one by two of its widths; the other misses each by one.
    Up to one factor the densities are 1, 1, 1, exp(-2) and exp(-1/2)."""
    errors = 0.01 * np.array([[0.0, 0.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    w, other = stacked(errors, np.arange(4))
    hit, far, near = 1.0, np.exp(-2.0), np.exp(-0.5)
    shares = 3 * w * hit / (w * hit + other * near) + w * far / (w * far + other * near)
    assert 5 * w == pytest.approx(shares + 0.5, abs=1e-5)
    assert w == pytest.approx(0.531, abs=0.001)


def test_a_run_that_no_law_can_explain_leaves_the_others_their_say():
    errors = np.full((2, 3000), 1e-4)
    errors[1] = 2e-4
    errors[:, 7] = (1.0, 2.0)
    weights = stacked(errors, np.arange(3000))
    assert weights.sum() == pytest.approx(1) and weights[0] > weights[1]
