import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.laws.speculative import (
    best_lookahead,
    expected_tokens,
    goodput,
    goodput_lookahead,
    iteration_s,
    required_tar,
    speedup,
    tokens_gained,
    tokens_per_s,
)

# --- closed form


@pytest.mark.parametrize(
    ("alpha", "k", "tokens"),
    [
        (0.6, 2, 1.960),
        (0.7, 3, 2.533),
        (0.8, 2, 2.440),
        (0.8, 5, 3.689),
        (0.9, 2, 2.710),
        (0.9, 10, 6.862),
    ],
)
def test_table_of_leviathan(alpha, k, tokens):
    assert expected_tokens(alpha, k) == pytest.approx(tokens, abs=5e-4)


def test_speedups():
    assert speedup(0.8, 4, 0.1) == pytest.approx(2.401, abs=5e-4)
    assert speedup(0.9, 5, 0.05) == pytest.approx(3.748, abs=5e-4)
    assert speedup(0.8, 5, 0.05) == pytest.approx(2.951, abs=5e-4)


@pytest.mark.parametrize(
    ("alpha", "cost", "k", "gain"),
    [
        (0.5, 0.05, 3, 1.63),
        (0.6, 0.05, 4, 1.92),
        (0.7, 0.05, 6, 2.35),
        (0.8, 0.05, 8, 3.09),
        (0.9, 0.05, 13, 4.67),
        (0.8, 0.1, 6, 2.47),
        (0.9, 0.1, 10, 3.43),
    ],
)
def test_best_lookahead(alpha, cost, k, gain):
    found, speed = best_lookahead(alpha, cost)
    assert found == k and speed == pytest.approx(gain, abs=5e-3)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_some_lookahead_helps_exactly_when_acceptance_exceeds_cost(alpha, cost):
    k, gain = best_lookahead(alpha, cost)
    if alpha > cost:
        assert gain >= (1 + alpha) / (1 + cost) * (1 - 1e-12)
    elif alpha < cost * (1 - 1e-9):
        assert (k, gain) == (0, 1.0)


@given(st.floats(0, 1), st.integers(0, 60))
def test_expected_tokens_is_the_sum_of_powers(alpha, k):
    assert expected_tokens(alpha, k) == pytest.approx(sum(alpha**i for i in range(k + 1)), rel=1e-9)


def test_acceptance_of_one_gains_every_token_and_columns_work():
    assert expected_tokens(1.0, 7) == 8.0
    np.testing.assert_allclose(expected_tokens(np.array([0.0, 1.0]), 4), [1.0, 5.0])
    with pytest.raises(Unusable, match="between 0 and 1"):
        expected_tokens(1.2, 3)


def test_a_step_in_the_verify_cost_does_not_end_the_search():
    # up to 7 draft tokens the pass costs more than it should, from 8 on a larger tile pays off
    def verify(k):
        return 3.0 if k < 8 else 1.2

    k, gain = best_lookahead(0.9, 0.02, verify)
    assert k >= 8 and gain > float(speedup(0.9, 7, 0.02, 3.0))


# --- measured form: two drafts of Decoding Speculative Decoding (arXiv 2402.01528), LLaMA-65B

# TAR, seconds of a draft step, published tokens per second; the two rows imply k = 8 and 59.95 ms
DEEP, WIDE = (3.81, 13.13e-3, 23.10), (3.70, 6.69e-3, 32.59)
VERIFY_S = 59.95e-3


@pytest.mark.parametrize(("tar", "draft_step_s", "published"), [DEEP, WIDE])
def test_both_published_speeds_follow(tar, draft_step_s, published):
    assert tokens_per_s(tar, 8, draft_step_s, VERIFY_S) == pytest.approx(published, rel=1e-3)
    assert iteration_s(8, draft_step_s, VERIFY_S) == pytest.approx(tar / published, rel=1e-3)


def test_a_faster_draft_ties_at_a_lower_tar():
    tar = required_tar(WIDE[0], 8, 4e-3, WIDE[1], VERIFY_S)
    assert tar == pytest.approx(2.998, abs=5e-4)
    same = tokens_per_s(tar, 8, 4e-3, VERIFY_S)
    assert same == pytest.approx(tokens_per_s(WIDE[0], 8, WIDE[1], VERIFY_S))


def test_tar_counts_the_bonus_token():
    assert tokens_gained([[True, True, False, True]]) == 3
    assert tokens_gained([[False], [True]]) == 1.5
    assert tokens_gained([[True] * 7]) == 8
    with pytest.raises(Unusable, match="at least one"):
        tokens_gained([])


# --- goodput


@pytest.mark.parametrize(
    ("batch", "k", "tokens"),
    [(1, 4, 98.09), (8, 4, 735.6), (32, 3, 2465.2), (128, 2, 6302.2), (512, 1, 11488.9)],
)
def test_goodput_of_the_synthetic_machine(batch, k, tokens):
    found = goodput_lookahead(0.7, batch, lambda b: 2e-3 + 5e-6 * b, lambda n: 20e-3 + 50e-6 * n)
    assert found[0] == k and found[1] == pytest.approx(tokens, rel=5e-5)


def test_drafting_that_does_not_pay_is_left():
    k, best = goodput_lookahead(0.3, 1, lambda b: 30e-3, lambda n: 20e-3)
    assert k == 0 and best == goodput(0.3, 0, 1, lambda b: 30e-3, lambda n: 20e-3)
