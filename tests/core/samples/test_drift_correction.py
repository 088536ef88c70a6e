"""The drift of a machine: recovered from interleaved points, and left alone where there is none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.samples.drift_correction import _medians, _neighbours, drift_factors


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
    who, times, values, _ = turns(5, 30, slow, 0.01)
    assert np.all(drift_factors(who, times, values) == 1)
    who, times, values, _ = turns(6, 30, slow, 0.01)
    assert np.std(np.log(drift_factors(who, times, values))) > 0.1
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


def alternating(half, subjects=6, blocks=8):
    """Turns of the same order, of which all are slower by exp(half), then all faster, for a while."""
    who = np.tile(np.arange(subjects), blocks)
    turn = np.arange(len(who)) // subjects
    true = np.where(turn < blocks // 2, half, -half)
    return who, np.arange(len(who), dtype=float), 2.0 * (1.0 + who) * np.exp(true), true


def test_a_step_is_divided_out_to_the_full():
    """Neighbours predict a block exactly but at the step itself: the slope is nearly one, and not more."""
    who, times, values, true = alternating(0.1)
    found = np.log(drift_factors(who, times, values))
    middle = slice(20, 28)
    away = np.delete(found - true, np.arange(48)[middle])
    assert np.abs(away).max() < 0.012
    assert np.abs(found).max() <= 0.1 + 1e-9


def test_the_drift_is_shrunk_by_how_well_neighbours_predict():
    """Drift of variance d beside scatter of variance s: eight neighbours' median has an error of
    pi / 16 s, so the best slope is d / (d + pi s / 16), and that much of the drift is taken out."""
    shares = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        who = np.concatenate([rng.permutation(24) for _ in range(60)])
        times = np.arange(len(who)) * 0.25
        # slow beside the eight neighbours, of standard deviation 0.05
        true = 0.05 * 2**0.5 * np.sin(times / 9.0)
        values = np.exp(true + 0.15 * rng.standard_normal(len(who)))
        found = np.log(drift_factors(who, times, values))
        shares.append(found @ true / (true @ true))
    expected = 0.05**2 / (0.05**2 + np.pi / 16 * 0.15**2)
    assert 0.3 < expected < 0.4
    assert np.mean(shares) == pytest.approx(expected, abs=0.06)


def test_neighbours_that_go_the_other_way_are_not_believed():
    """Pairs of points take turns; while one of a pair is slow, the other is fast. A slope below zero
    would add to what it should divide out."""
    who, logs = [], []
    for pair in range(3):
        for sign in (0.1, -0.1):
            who += [2 * pair, 2 * pair + 1] * 5
            logs += [sign, -sign] * 5
    found = drift_factors(who, np.arange(60.0), np.exp(logs))
    assert found.tolist() == [1.0] * 60


def test_a_point_timed_only_while_all_are_slow_comes_out_as_the_others():
    """Its own usual level looks undisturbed at first; the others' levels tell in a few rounds."""
    who = np.concatenate([np.arange(12 if turn < 10 else 18) for turn in range(20)])
    slower = np.repeat([-0.1] * 10 + [0.1] * 10, [12] * 10 + [18] * 10)
    found = np.log(drift_factors(who, np.arange(len(who), dtype=float), np.exp(slower)))
    away = np.delete(found - slower, slice(112, 130))
    # after one round half of the difference is left, a tenth after twelve
    assert np.ptp(away) < 0.025


def test_points_that_never_vary_have_no_drift():
    who = np.tile(np.arange(7), 5)
    assert drift_factors(who, np.arange(35.0), 1.0 + who).tolist() == [1.0] * 35


def test_a_block_does_not_enter_its_own_factor():
    who, times, values, _ = turns(12, 12, slow, 0.02)
    wild = values.copy()
    wild[70] *= 1.5
    mine = drift_factors(who, times, wild)[70] / drift_factors(who, times, values)[70]
    assert mine == pytest.approx(1.0, abs=0.004)


def test_neighbours_in_time_are_four_on_each_side_of_other_points():
    found = _neighbours(np.array([0, 1, 2, 0, 1, 2, 3, 4, 5, 6]))
    assert found.shape == (10, 8)
    assert found[0].tolist() == [-1, -1, -1, -1, 1, 2, -1, 4]
    assert found[1].tolist() == [-1, -1, -1, 0, 2, 3, -1, 5]
    assert found[8].tolist() == [4, 5, 6, 7, 9, -1, -1, -1]
    assert found[5].tolist() == [1, -1, 3, 4, 6, 7, 8, 9]
    assert found[9].tolist() == [5, 6, 7, 8, -1, -1, -1, -1]


def test_medians_of_groups_are_those_of_numpy():
    rng = np.random.default_rng(0)
    who = np.array([3, 0, 0, 1, 3, 3, 3, 0, 1, 1, 1, 5])
    values = rng.normal(size=12)
    found = _medians(values, who)
    for group in (0, 1, 3, 5):
        assert found[group] == pytest.approx(np.median(values[who == group]))


def test_the_first_block_is_a_neighbour_too():
    # of the five neighbours of the second block two are slow and two fast: the first one decides
    def second(first):
        logs = np.tile([0.0] * 7, 12)
        logs[:6] = [first, 0.0, 0.1, 0.1, -0.1, -0.1]
        logs[28:56], logs[56:] = 0.1, -0.1
        return drift_factors(np.tile(np.arange(7), 12), np.arange(84.0), np.exp(logs))[1]

    assert second(0.1) > 1.05 and second(-0.1) < 0.95


def test_weather_too_quick_for_the_neighbours_is_not_blown_up():
    who, times, values, _ = turns(20, 30, lambda t: np.exp(0.1 * np.sin(t / 0.55)), 0.0)
    found = np.log(drift_factors(who, times, values))
    # neighbours see less of it than there is; a slope above one would make more of it
    assert 0.05 < np.abs(found).max() < 0.1
