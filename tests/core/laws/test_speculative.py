import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.laws.speculative import (
    DEEP_DRAFT,
    SMARTSPEC_BONUS,
    WIDE_DRAFT,
    acceptance_prior,
    best_lookahead,
    draft_share,
    draft_size_prior,
    expected_tokens,
    goodput,
    goodput_lookahead,
    improves,
    operations_factor,
    required_tar,
    solve_iteration,
    speedup,
    tokens_gained,
    tokens_per_s,
    updated_acceptance,
    wide_draft,
)

# --- closed form


@pytest.mark.parametrize(
    ("alpha", "k", "tokens", "operations"),
    [
        (0.6, 2, 1.960, 1.531),
        (0.7, 3, 2.533, 1.579),
        (0.8, 2, 2.440, 1.230),
        (0.8, 5, 3.689, 1.626),
        (0.9, 2, 2.710, 1.107),
        (0.9, 10, 6.862, 1.603),
    ],
)
def test_table_of_leviathan(alpha, k, tokens, operations):
    assert expected_tokens(alpha, k) == pytest.approx(tokens, abs=5e-4)
    assert operations_factor(alpha, k) == pytest.approx(operations, abs=5e-4)


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
    if improves(alpha, cost):
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


# --- measured form: two rows of Decoding Speculative Decoding


def test_two_rows_imply_eight_tokens_and_sixty_milliseconds():
    k, verify_s = solve_iteration(DEEP_DRAFT, WIDE_DRAFT)
    assert k == pytest.approx(7.98, abs=0.005)
    assert verify_s == pytest.approx(60.1e-3, abs=0.1e-3)


def test_the_fixture_gives_both_published_speeds():
    deep = tokens_per_s(DEEP_DRAFT.tar, 8, DEEP_DRAFT.draft_step_s, 59.95e-3)
    wide = tokens_per_s(WIDE_DRAFT.tar, 8, WIDE_DRAFT.draft_step_s, 59.95e-3)
    assert deep == pytest.approx(23.09, abs=0.005) and deep == pytest.approx(23.10, abs=0.02)
    assert wide == pytest.approx(32.61, abs=0.005) and wide == pytest.approx(32.59, abs=0.03)


def test_the_default_lookahead_of_seven_does_not_fit_both_rows():
    verify = [r.tar / r.tokens_per_s - 7 * r.draft_step_s for r in (DEEP_DRAFT, WIDE_DRAFT)]
    assert verify[0] == pytest.approx(73.0e-3, abs=0.05e-3)
    assert verify[1] == pytest.approx(66.7e-3, abs=0.05e-3)


def test_a_faster_draft_ties_at_a_lower_tar():
    tar = required_tar(WIDE_DRAFT.tar, 8, 4e-3, WIDE_DRAFT.draft_step_s, 59.95e-3)
    assert tar == pytest.approx(2.998, abs=5e-4)
    same = tokens_per_s(tar, 8, 4e-3, 59.95e-3)
    assert same == pytest.approx(tokens_per_s(WIDE_DRAFT.tar, 8, WIDE_DRAFT.draft_step_s, 59.95e-3))


def test_the_deep_draft_takes_most_of_its_iteration():
    assert draft_share(8, DEEP_DRAFT.draft_step_s, 59.95e-3) == pytest.approx(0.637, abs=1e-3)
    with pytest.raises(Unusable, match="same step time"):
        solve_iteration(DEEP_DRAFT, DEEP_DRAFT)


def test_tar_counts_the_bonus_token():
    assert tokens_gained([[True, True, False, True]]) == 3
    assert tokens_gained([[False], [True]]) == 1.5
    assert tokens_gained([[True] * 7]) == 8
    with pytest.raises(Unusable, match="at least one"):
        tokens_gained([])


def test_cache_of_the_wide_draft_is_smaller():
    mib = 2**20
    assert DEEP_DRAFT.architecture.cache_bytes_per_token(2) * 1024 / mib == 192.0
    assert WIDE_DRAFT.architecture.cache_bytes_per_token(2) * 1024 / mib == 120.0


def weights_only(shape):
    # the quoted sizes leave the gains of the norms out
    return (shape.params_total - shape.params_norm) / 1e6


def test_sizes_of_the_drafts():
    assert DEEP_DRAFT.architecture.params_total / 1e6 == pytest.approx(1345.3, abs=0.15)
    assert WIDE_DRAFT.architecture.params_total / 1e6 == pytest.approx(1333.7, abs=0.15)
    for layers, millions in ((5, 796.26), (3, 543.29), (1, 290.32)):
        assert weights_only(wide_draft(layers)) == pytest.approx(millions, abs=0.006)


def test_a_width_of_4096_does_not_give_the_published_draft_size():
    from core.model.architecture import Architecture

    quoted = Architecture(5, 4096, 32, 32, 128, 11008, 32000)
    assert quoted.params_total / 1e6 == pytest.approx(1274, abs=1)


# --- goodput


@pytest.mark.parametrize(
    ("batch", "k", "tokens"),
    [(1, 4, 98.09), (8, 4, 735.6), (32, 3, 2465.2), (128, 2, 6302.2), (512, 1, 11488.9)],
)
def test_goodput_of_the_synthetic_machine(batch, k, tokens):
    found = goodput_lookahead(0.7, batch, lambda b: 2e-3 + 5e-6 * b, lambda n: 20e-3 + 50e-6 * n)
    assert found[0] == k and found[1] == pytest.approx(tokens, rel=5e-5)


def test_the_bonus_keeps_from_speculating_for_small_gains():
    times = (lambda b: 2e-3 + 5e-6 * b, lambda n: 20e-3 + 50e-6 * n)
    plain = goodput(0.7, 0, 1024, *times)
    k, best = goodput_lookahead(0.7, 1024, *times)
    if k:
        assert best > plain
    careful, tokens = goodput_lookahead(0.7, 1024, *times, bonus=SMARTSPEC_BONUS)
    assert (careful, tokens) == ((k, best) if best > SMARTSPEC_BONUS * plain else (0, plain))
    # at acceptance 0.15 and a draft nearly free, speculating wins by less than a tenth
    near = (lambda b: 1e-3, lambda n: 20e-3)
    assert goodput_lookahead(0.15, 1, *near)[0] == 1
    assert goodput_lookahead(0.15, 1, *near, bonus=SMARTSPEC_BONUS)[0] == 0


def test_running_acceptance_and_priors():
    assert updated_acceptance(0.7, 0.9) == pytest.approx(0.73)
    published = ((13e9, 122e6), (30e9, 168e6), (70e9, 277e6), (110e9, 385e6))
    for target, line in published:
        assert draft_size_prior(target) == pytest.approx(line, rel=0.01)
    assert acceptance_prior(20, 10) == pytest.approx(0.6377)
    assert acceptance_prior(1000, 10) == 0.0
