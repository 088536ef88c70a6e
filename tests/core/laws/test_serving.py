import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.laws.serving import CHINCHILLA, FLOPS, Prices, serving_optimum, serving_optimum_like

SARDANA = CHINCHILLA["sardana"]


# Chinchilla size, served tokens, baseline D, new N, new D, saved (three published rows, one more)
@pytest.mark.parametrize(
    ("size", "served", "base_tokens", "params", "tokens", "saved"),
    [
        (13e9, 2e12, 5.765e11, 6.97e9, 1.248e12, 0.174),
        (30e9, 5e12, 1.556e12, 16.41e9, 3.265e12, 0.163),
        (70e9, 10e12, 4.255e12, 41.55e9, 7.923e12, 0.119),
        (30e9, 10e12, 1.556e12, 13.61e9, 4.426e12, 0.280),
        (7e9, 10e12, None, 2.05e9, 2.018e12, 0.566),
    ],
)
def test_published_rows(size, served, base_tokens, params, tokens, saved):
    best = serving_optimum_like(SARDANA, size, served)
    assert best.baseline_params == pytest.approx(size, rel=1e-9)
    if base_tokens:
        assert best.baseline_tokens == pytest.approx(base_tokens, rel=5e-4)
    assert best.params == pytest.approx(params, rel=2e-3)
    assert best.tokens == pytest.approx(tokens, rel=5e-4)
    assert best.saved == pytest.approx(saved, abs=6e-4)


def test_the_13b_row_in_full():
    best = serving_optimum_like(SARDANA, 13e9, 2e12)
    assert best.loss == pytest.approx(2.0453, abs=5e-5)
    assert best.baseline_cost == pytest.approx(9.697e22, rel=5e-4)
    assert best.baseline_cost - best.cost == pytest.approx(1.69e22, rel=3e-3)


def test_another_fit_gives_another_answer():
    best = serving_optimum_like(CHINCHILLA["besiroglu"], 13e9, 2e12)
    assert best.baseline_tokens == pytest.approx(2.60e11, rel=2e-3)
    assert best.params == pytest.approx(6.10e9, rel=2e-3)
    assert best.tokens == pytest.approx(7.37e11, rel=2e-3)
    assert best.saved == pytest.approx(0.29, abs=5e-3)


@pytest.mark.parametrize(
    ("fit", "losses", "optimum"),
    [
        ("hoffmann", (1.93665, 1.99326, 2.58005), (3.219e10, 92.647)),
        ("hoffmann-tex", (1.92085, 1.96724, 2.53067), (4.036e10, 58.932)),
        ("besiroglu", (1.97388, 1.99961, 2.53005), (7.225e10, 18.391)),
    ],
)
def test_constants_rounded_and_not(fit, losses, optimum):
    law = CHINCHILLA[fit]
    points = ((70e9, 1.4e12), (280e9, 300e9), (1e9, 20e9))
    for point, loss in zip(points, losses, strict=True):
        assert law.loss(*point) == pytest.approx(loss, abs=5e-6)
    params, tokens = law.compute_optimal(5.76e23)
    assert params == pytest.approx(optimum[0], rel=2e-4)
    assert tokens / params == pytest.approx(optimum[1], abs=5e-4)
    assert tokens == pytest.approx(law.balanced_tokens(params), rel=1e-9)


@given(
    st.floats(2.0, 3.0),
    st.floats(0, 1e14),
    st.floats(0, 1e14),
    st.floats(0.005, 1),
    st.floats(0.005, 1),
)
def test_no_other_size_is_cheaper(loss, prompt, output, mfu_prompt, mfu_output):
    prices = Prices(2.0, 3.0, 0.5, mfu_prompt, mfu_output)
    best = serving_optimum(SARDANA, loss, prompt, output, prices)
    assert SARDANA.loss(best.params, best.tokens) == pytest.approx(loss, rel=1e-9)
    for factor in (0.8, 0.99, 1.01, 1.3):
        params = best.params * factor
        tokens = SARDANA.tokens_for(params, loss)
        if np.isfinite(tokens):
            cost = prices.train(params, tokens) + prices.serve(params, prompt, output)
            assert cost >= best.cost * (1 - 1e-9)
    assert best.saved >= -1e-9
    assert best.params <= best.baseline_params * (1 + 1e-9)


def test_first_order_condition_of_the_paper_holds():
    served = 5e12
    best = serving_optimum_like(SARDANA, 30e9, served)
    pull = SARDANA.alpha * SARDANA.A / best.params**SARDANA.alpha
    push = SARDANA.beta * SARDANA.B / best.tokens**SARDANA.beta
    assert pull / push == pytest.approx(1 + served / (3 * best.tokens), rel=1e-9)


def test_slow_decoding_asks_for_smaller_models():
    plain = serving_optimum_like(SARDANA, 30e9, 1e12, 1e12, Prices())
    slow = serving_optimum_like(SARDANA, 30e9, 1e12, 1e12, Prices(1, 1, 0.5, 0.5, 0.01))
    assert slow.params < plain.params
    swapped = serving_optimum_like(SARDANA, 30e9, 2e12, 0)
    assert swapped.params == pytest.approx(plain.params, rel=1e-12)


def test_extreme_ratios_carry_a_caution():
    assert "tokens per parameter" in serving_optimum_like(SARDANA, 7e9, 1e14).caution
    assert serving_optimum_like(CHINCHILLA["besiroglu"], 13e9, 0).caution == ""


def test_nothing_served_is_compute_optimal():
    best = serving_optimum_like(SARDANA, 13e9, 0)
    assert best.params == pytest.approx(13e9, rel=1e-9) and best.saved == pytest.approx(
        0, abs=1e-12
    )


def test_unreachable_losses_and_prices_are_refused():
    with pytest.raises(Unusable, match=r"floor is 1\.69"):
        serving_optimum(SARDANA, 1.6, 1e12)
    with pytest.raises(Unusable, match="mfu_output"):
        Prices(mfu_output=0)
    with pytest.raises(Unusable, match="negative"):
        serving_optimum(SARDANA, 2.1, -1, prices=FLOPS)
