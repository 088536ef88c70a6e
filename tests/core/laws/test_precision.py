import numpy as np
import pytest

from core.laws.precision import PRECISION, Part


def best_bits(parts, low=1.0):
    """The one precision of everything that loses least at a fixed cost (6/16) N D P.

    With one exponent for N and D that is where (kept fractions) / P is largest.
    """
    bits = np.linspace(low, 32, 200_001)
    kept = np.ones_like(bits)
    for part in parts:
        fraction, cut = part.retention(bits)
        kept *= np.where(cut, 0.0, fraction)
    return float(bits[np.argmax(kept / bits)])


PARTS = (PRECISION.weights, PRECISION.activations, PRECISION.cache)


def test_the_sign_of_the_bias_is_the_one_that_gives_the_published_seven_bits():
    """As often quoted, without n, it would be 3.5 bits; with the other sign there is no optimum."""
    assert best_bits(PARTS) == pytest.approx(7.00, abs=0.005)
    assert best_bits([Part(p.gamma, 0.0) for p in PARTS]) == pytest.approx(3.47, abs=0.005)
    assert best_bits([Part(p.gamma, -p.n) for p in PARTS], low=0.05) == pytest.approx(0.05)


@pytest.mark.parametrize(("bits", "kept"), [(8, (0.932, 0.891, 0.997)), (4, (0.696, 0.331, 0.828))])
def test_kept_fractions(bits, kept):
    for part, value in zip(PARTS, kept, strict=True):
        fraction, cut = part.retention(bits)
        assert fraction == pytest.approx(value, abs=6e-4) and not cut


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


def test_the_best_precision_is_the_same_at_every_cost():
    # minimise over N, D and P directly at two costs
    bits = np.linspace(4, 12, 161)
    for cost in (1e19, 1e21):
        n = np.geomspace(1e6, 1e13, 4000)[:, None]
        d = cost / (6 / 16 * n * bits)
        losses = PRECISION.loss(n, d, bits, bits, bits).min(axis=0)
        assert bits[np.argmin(losses)] == pytest.approx(7.0, abs=0.1)
