"""The drift of a machine: recovered from interleaved points, and left alone where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.samples.drift_correction import FEWEST, drift_factors


def turns(subjects, rounds, weather, noise, seed=0):
    """Blocks in shuffled turns: who, when, what, and the true level of each."""
    rng = np.random.default_rng(seed)
    who = np.concatenate([rng.permutation(subjects) for _ in range(rounds)])
    times = np.arange(len(who)) * 0.25
    true = weather(times)
    values = 1e-3 * (1.0 + who) * true * np.exp(noise * rng.standard_normal(len(who)))
    return who, times, values, true


def spread(who, values):
    """Standard deviation of the logs around each subject's median."""
    logs = np.log(values)
    return np.std(logs - np.array([np.median(logs[who == w]) for w in who]))


def slow(times):
    return np.exp(0.2 * np.sin(times / 7.0))


def test_slow_weather_is_taken_out():
    who, times, values, true = turns(20, 30, slow, 0.03)
    found = drift_factors(who, times, values)
    assert spread(who, values) > 0.12
    assert spread(who, values / found) < 0.045
    assert np.corrcoef(np.log(found), np.log(true))[0, 1] > 0.97


def test_values_of_subjects_come_out_nearer_to_the_truth():
    errors = []
    for seed in range(20):
        who, times, values, _ = turns(20, 10, slow, 0.03, seed)
        found = drift_factors(who, times, values)
        truth = np.log(1e-3 * (1.0 + np.arange(20)))
        for series in (values, values / found):
            medians = np.array([np.median(np.log(series[who == w])) for w in range(20)])
            # one factor for all is the machine's usual level, which is a choice
            errors.append(np.std(medians - truth))
    raw, corrected = np.mean(errors[::2]), np.mean(errors[1::2])
    assert corrected < 0.5 * raw


def test_independent_noise_is_left_alone():
    who, times, values, _ = turns(20, 30, np.ones_like, 0.05)
    found = drift_factors(who, times, values)
    assert np.max(np.abs(found - 1)) < 0.02
    assert spread(who, values / found) == pytest.approx(spread(who, values), rel=0.02)


def test_a_few_subjects_tell_nothing():
    who, times, values, _ = turns(FEWEST - 1, 30, slow, 0.01)
    assert np.all(drift_factors(who, times, values) == 1)
    assert len(drift_factors([], [], [])) == 0


def test_one_outlier_does_not_move_its_neighbours():
    who, times, values, _ = turns(20, 20, np.ones_like, 0.01)
    wild = values.copy()
    wild[200] *= 50
    assert (
        np.max(np.abs(drift_factors(who, times, wild) / drift_factors(who, times, values) - 1))
        < 0.02
    )


@given(st.integers(6, 12), st.integers(3, 10), st.floats(1e-6, 1e6), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_unit_and_the_order_do_not_matter(subjects, rounds, unit, seed):
    who, times, values, _ = turns(subjects, rounds, slow, 0.05, seed)
    found = drift_factors(who, times, values)
    assert np.allclose(drift_factors(who, times, unit * values), found)
    shuffled = np.random.default_rng(seed).permutation(len(who))
    assert np.allclose(
        drift_factors(who[shuffled], times[shuffled], values[shuffled]), found[shuffled]
    )
    assert np.all(np.isfinite(found)) and np.median(found) == pytest.approx(1.0, abs=0.2)


def test_a_subject_that_runs_on_alone_leaves_the_others_their_levels():
    """Subjects leave when they are sure: the last one's blocks have no neighbours but its own."""
    who = [s for _ in range(6) for s in range(6)] + [0] * 10
    times = np.arange(len(who), dtype=float)
    slow = np.where((times > 10) & (times < 24), 1.2, 1.0)
    values = (1.0 + np.array(who)) * slow
    found = drift_factors(who, times, values)
    assert np.all(np.isfinite(found))
    # nothing is known of the tail; before it the factors are what they are without it
    assert np.allclose(found[-5:], 1.0)
    before = drift_factors(who[:36], times[:36], values[:36])
    assert np.corrcoef(np.log(found[:32]), np.log(before[:32]))[0, 1] > 0.9
