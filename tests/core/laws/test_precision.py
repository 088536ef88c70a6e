from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.laws.precision import (
    CHANNEL_LOG2_BLOCK,
    FLOAT_TRAINING,
    FORMATS,
    PARSCALE,
    PRECISION,
    Part,
)

# --- floating-point training


@pytest.mark.parametrize(
    ("name", "tokens"), [("bf16", 1.730e15), ("fp8-e4m3", 2.733e13), ("fp4-e2m1", 3.928e11)]
)
def test_tokens_beyond_which_more_data_hurts(name, tokens):
    assert FLOAT_TRAINING.critical_tokens(1e9, *FORMATS[name]) == pytest.approx(tokens, rel=5e-4)


@pytest.mark.parametrize(
    ("params", "name", "block", "loss"),
    [
        (1.2e9, "bf16", 128, 2.54101),
        (1.2e9, "fp8-e4m3", 128, 2.54142),
        (1.2e9, "fp4-e2m1", 128, 2.57475),
        (679e6, "fp6-e3m2", 128, 2.614684),
        (679e6, "fp8-e4m3", 128, 2.612251),
        (679e6, "fp4-e2m1", 512, 2.661422),
    ],
)
def test_losses_of_formats(params, name, block, loss):
    found = FLOAT_TRAINING.loss(params, 1e11, *FORMATS[name], np.log2(block))
    assert found == pytest.approx(loss, abs=6e-6 if params == 1.2e9 else 1e-6)


def test_best_formats_are_the_ones_hardware_has():
    assert FLOAT_TRAINING.best_format(4) == FORMATS["fp4-e2m1"]
    assert FLOAT_TRAINING.best_format(8) == FORMATS["fp8-e4m3"]
    assert FLOAT_TRAINING.best_format(16) == FORMATS["bf16"]
    with pytest.raises(Unusable, match="no room"):
        FLOAT_TRAINING.best_format(2)


@given(st.floats(1e8, 1e10), st.sampled_from(sorted(FORMATS)))
def test_loss_is_lowest_at_the_critical_tokens(params, name):
    tokens = FLOAT_TRAINING.critical_tokens(params, *FORMATS[name])
    here = FLOAT_TRAINING.loss(params, tokens, *FORMATS[name])
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert FLOAT_TRAINING.loss(params, tokens * factor, *FORMATS[name]) > here


def test_scaling_by_channel_costs_more_than_by_block():
    by_block = FLOAT_TRAINING.penalty(1e9, 1e11, 2, 1, 7.0)
    by_channel = FLOAT_TRAINING.penalty(1e9, 1e11, 2, 1, CHANNEL_LOG2_BLOCK)
    assert by_channel / by_block == pytest.approx(13.1567 / 7)


def test_the_best_float_width_at_a_cost_is_four_to_eight_bits():
    bits = [FLOAT_TRAINING.best_training_bits(10.0**e) for e in (21, 26, 31)]
    assert bits == sorted(bits)
    assert 4 <= bits[0] < 5 and 7 < bits[-1] <= 8


# --- integer precision


def test_best_training_precision_is_seven_bits():
    assert PRECISION.best_training_bits() == pytest.approx(7.00, abs=0.005)


def test_dropping_the_bias_gives_three_and_a_half_bits():
    assert PRECISION.without_bias().best_training_bits() == pytest.approx(3.47, abs=0.005)


def test_the_other_sign_of_the_bias_has_no_optimum():
    flipped = replace(
        PRECISION,
        **{
            k: Part(getattr(PRECISION, k).gamma, -getattr(PRECISION, k).n)
            for k in ("weights", "activations", "cache")
        },
    )
    # the kept fraction no longer vanishes at few bits, so fewer bits are favoured without end
    with pytest.raises(Unusable, match="fewer bits"):
        flipped.best_training_bits(low=0.05)


@pytest.mark.parametrize(("bits", "kept"), [(8, (0.932, 0.891, 0.997)), (4, (0.696, 0.331, 0.828))])
def test_kept_fractions(bits, kept):
    parts = (PRECISION.weights, PRECISION.activations, PRECISION.cache)
    for part, value in zip(parts, kept, strict=True):
        fraction, cut = part.retention(bits)
        assert fraction == pytest.approx(value, abs=6e-4) and not cut


def test_kept_fractions_without_bias_differ():
    plain = PRECISION.without_bias()
    for part, value in zip(
        (plain.weights, plain.activations, plain.cache), (0.776, 0.836, 0.985), strict=True
    ):
        assert part.retention(4)[0] == pytest.approx(value, abs=6e-4)


def test_three_bit_activations_are_cut_and_flagged():
    fraction, cut = PRECISION.activations.retention(3)
    assert cut and 0 < fraction < 0.01
    kept, invalid = PRECISION.effective_params(1e9, 16, np.array([3.0, 8.0]), 16)
    assert invalid.tolist() == [True, False] and np.all(kept > 0)


@pytest.mark.parametrize(
    ("params", "bits", "plain", "biased"),
    [
        (30e6, 3, 0.18966, 0.58576),
        (30e6, 4, 0.03489, 0.10777),
        (30e6, 5, 0.00642, 0.01983),
        (220e6, 4, 0.01759, 0.05432),
    ],
)
def test_loss_of_quantising_after_training(params, bits, plain, biased):
    assert PRECISION.quantisation_loss(params, 26e9, bits) == pytest.approx(plain, abs=6e-6)
    assert PRECISION.quantisation_loss(params, 26e9, bits, biased=True) == pytest.approx(
        biased, abs=2e-5
    )


def test_the_quantised_model_is_best_at_the_critical_tokens():
    tokens = PRECISION.critical_tokens(30e6, 4)

    def total(d):
        return PRECISION.loss(30e6, d) + PRECISION.quantisation_loss(30e6, d, 4)

    assert all(total(tokens * f) > total(tokens) for f in (0.5, 0.9, 1.1, 2.0))


def test_the_best_precision_is_the_same_at_every_cost():
    # minimise over N, D and P directly at two costs
    bits = np.linspace(4, 12, 161)
    for cost in (1e19, 1e21):
        n = np.geomspace(1e6, 1e13, 4000)[:, None]
        d = cost / (6 / 16 * n * bits)
        losses = PRECISION.loss(n, d, bits, bits, bits).min(axis=0)
        assert bits[np.argmin(losses)] == pytest.approx(7.0, abs=0.1)


# --- ParScale


@pytest.mark.parametrize(
    ("data", "params", "streams", "loss", "observed"),
    [
        ("stack-v2-python", 535813376, 1, 1.172824, 1.1722),
        ("stack-v2-python", 4414502408, 8, 0.979685, 0.9794),
        ("stack-v2-python", 1583571460, 4, 1.052438, 1.0490),
        ("pile", 535813376, 1, 2.110699, 2.1113),
        ("pile", 4414502408, 8, 1.778548, 1.7772),
    ],
)
def test_losses_of_parallel_streams(data, params, streams, loss, observed):
    found = PARSCALE[data].loss(params, streams)
    assert found == pytest.approx(loss, abs=1e-6)
    assert found == pytest.approx(observed, abs=4e-3)


def test_streams_use_the_natural_logarithm():
    law = PARSCALE["pile"]
    with_log10 = (law.A / (4414502408 * (law.k * np.log10(8) + 1))) ** law.alpha + law.E
    assert abs(with_log10 - 1.778548) > 0.01


def test_streams_and_equivalent_sizes_invert():
    law = PARSCALE["pile"]
    assert law.streams_for(1e9, law.equivalent_params(1e9, 4)) == pytest.approx(4)
    assert law.loss(1e9, 4) == pytest.approx(law.loss(law.equivalent_params(1e9, 4)))
    assert law.streams_for(1e9, 5e8) == 1.0
    with pytest.raises(Unusable, match="at least one stream"):
        law.loss(1e9, 0)
