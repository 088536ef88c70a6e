"""Loss laws against published check values, and their slopes against complex steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unusable
from core.fit.optimum import compute_optimal
from core.laws.columns import log_columns
from core.laws.loss import (
    LAWS,
    aspect_power,
    aspect_valley,
    best_aspect,
    best_ratios,
    log_valley,
    times,
)
from core.paper.published import PUBLISHED, published


def columns(**given):
    return {k: np.atleast_1d(np.asarray(v, dtype=float)) for k, v in given.items()}


# laws.md 1.5: L(N, D) for three sets of constants
@pytest.mark.parametrize(
    ("n", "d", "losses"),
    [
        (70e9, 1.4e12, (1.93665, 1.92085, 1.97388)),
        (280e9, 300e9, (1.99326, 1.96724, 1.99961)),
        (1e9, 20e9, (2.58005, 2.53067, 2.53005)),
    ],
)
def test_chinchilla_check_values(n, d, losses):
    for name, loss in zip(("hoffmann-rounded", "hoffmann", "besiroglu"), losses, strict=True):
        got = published(name).predict(columns(params_total=n, tokens=d))[0]
        assert got == pytest.approx(loss, abs=6e-6)


def test_best_size_at_gopher_compute():
    wanted = {
        "hoffmann-rounded": (3.219e10, 92.647),
        "hoffmann": (4.036e10, 58.932),
        "besiroglu": (7.225e10, 18.391),
    }
    for name, (size, ratio) in wanted.items():
        n, d = compute_optimal(published(name), 5.76e23)
        assert n == pytest.approx(size, rel=3e-4)
        assert d / n == pytest.approx(ratio, rel=3e-5)


def test_besiroglu_headline_is_not_its_minimum():
    assert published("besiroglu").theta != published("besiroglu-minimum").theta
    assert "not the global" in published("besiroglu").message


def test_over_training_form_is_tied_chinchilla():
    found = published("over-training-redpajama")
    n, d = np.array([10569312.0, 411616256.0, 1439795200.0]), np.array([2.1e8, 8.2e9, 9.2e11])
    c, m = 6 * n * d, d / n
    t = found.theta
    by_hand = t["E"] + (t["a"] * m ** t["eta"] + t["b"] * m ** -t["eta"]) * c ** -t["eta"]
    assert found.predict({"params_total": n, "tokens": d}) == pytest.approx(by_hand, rel=1e-12)


def test_over_training_refit_from_five_runs():
    """laws.md 3.4: the five RedPajama runs give a = 212.46, b = 367.13, eta = .13646, E = 1.8372."""
    from core.fit.solve import fit
    from core.records.training_runs import TrainingRuns

    n = np.array([10569312, 78914048, 153677376, 411616256, 10569312], dtype=float)
    m = np.array([20, 20, 20, 20, 320.0])
    loss = np.array([5.387, 3.8999, 3.5311, 3.1498, 4.5723])
    runs = TrainingRuns("five", tuple("abcde"), columns(params_total=n, tokens=n * m, loss=loss))
    theta = fit(runs, "over-training").theta
    assert theta["a"] == pytest.approx(212.46, rel=2e-3)
    assert theta["b"] == pytest.approx(367.13, rel=2e-3)
    assert theta["eta"] == pytest.approx(0.13646, rel=1e-3)
    assert theta["E"] == pytest.approx(1.8372, rel=1e-3)
    # the published predictions of two runs left out
    big = columns(params_total=[1439795200, 6889410560], tokens=[640 * 1439795200, 20 * 6889410560])
    assert fit(runs, "over-training").predict(big) == pytest.approx([2.5198, 2.4427], abs=1e-3)


def test_gemstones_check_values():
    """Rounded constants give 2.5092 (laws.md 9); full precision gives 2.50909."""
    row = columns(d_model=2048, n_layers=27, params_total=2e9, tokens=3.5e11)
    assert published("gemstones").predict(row)[0] == pytest.approx(2.5092, abs=6e-5)
    assert published("gemstones-100b").predict(row)[0] == pytest.approx(2.53916, abs=2e-4)


def test_conditional_check_values():
    """laws.md 10.2: multipliers of four shapes and the best d/sqrt(N) and r."""
    from core.fit.fit import derived

    found = published("conditional")
    best = derived(found)
    assert best["x_star"] == pytest.approx(0.0801, abs=5e-5)
    assert best["r_star"] == pytest.approx(1.0317, abs=5e-5)
    x = np.array([best["x_star"], 0.066, 0.082, 0.082])
    r = np.array([best["r_star"], 4.8, 1.07, 3.6])
    rows = columns(d_model=1e4 * x, params_non_embedding=np.full(4, 1e8), tokens=np.full(4, 1e10))
    rows["ffn_to_attention"] = r
    assert found.predict(rows) == pytest.approx([1.00282, 1.01568, 1.00285, 1.01145], abs=6e-6)
    assert derived(published("conditional-1b"))["r_star"] == pytest.approx(1.216, abs=5e-4)


def test_shape_factor_of_the_headline_fit():
    """inference-aware-law.md 1: +0.67 % at R 17.5 to +4.44 % at R 384; losses of 1B_v1."""
    found = published("inference-aware")
    ratio = np.array([17.5, 64, 96, 160, 256, 384])
    flat = published("inference-aware").theta | {"epsilon": 0.0}
    rows = columns(
        d_model=ratio * 10, n_layers=np.full(6, 10.0), params_total=np.full(6, 1e9),
        tokens=np.full(6, 2e10),
    )  # fmt: skip
    from dataclasses import replace

    factor = found.predict(rows) / replace(found, theta=flat).predict(rows) - 1
    assert 100 * factor == pytest.approx([0.67, 1.48, 1.89, 2.59, 3.46, 4.44], abs=0.006)
    one = columns(d_model=2048, n_layers=24, params_total=1439795200, tokens=28991029248)
    assert found.predict(one)[0] == pytest.approx(2.9161, abs=1e-4)
    other = published("inference-aware-own-exponent")
    assert other.predict(one)[0] == pytest.approx(2.9140, abs=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_slopes_are_the_derivatives(seed):
    rng = np.random.default_rng(seed)
    for law in LAWS.values():
        theta = {p.name: np.array([[rng.uniform(0.2, 1.5)]]) for p in law.parameters}
        logs = {name: rng.normal(0, 1, 7) for name in law.needs}
        value, slopes = law.function(theta, logs, True)
        assert set(slopes) == set(law.names)
        for name in law.names:
            # a complex step has no rounding error to speak of
            moved = theta | {name: theta[name] + 1e-30j}
            step = law.function(moved, logs, False)[0].imag / 1e-30
            assert slopes[name] == pytest.approx(step, rel=1e-9, abs=1e-11)
        assert law.function(theta, logs, False)[0] == pytest.approx(value)


@settings(max_examples=25, deadline=None)
@given(st.floats(1e7, 1e11), st.floats(1e9, 1e13), st.floats(1.01, 50))
def test_more_of_anything_good_lowers_the_loss(n, d, factor):
    found = published("hoffmann")
    here = found.predict(columns(params_total=n, tokens=d))[0]
    assert found.predict(columns(params_total=n * factor, tokens=d))[0] < here
    assert found.predict(columns(params_total=n, tokens=d * factor))[0] < here


def test_every_law_says_its_convention_source_and_tyings():
    for name, law in LAWS.items():
        assert law.name == name and law.source and law.formula and law.n_note and law.tyings
        for p in law.parameters:
            # whatever is not solved for exactly needs somewhere to start
            assert p.linear or p.starts
            assert all(p.low <= s <= p.high for s in p.starts)
        for tying in law.tyings:
            assert set(tying.same) | set(tying.same.values()) <= set(law.names)
    for name in PUBLISHED:
        found = published(name)
        assert found.n == 0 and found.source and found.ok
        free = [p.name for p in found.definition.free(found.tying)]
        assert list(found.theta) == free


def test_columns_name_what_is_missing():
    with pytest.raises(Unusable, match="params_non_embedding"):
        log_columns(columns(params_total=1e9), ("N",), "non-embedding")
    with pytest.raises(Unusable, match="total, non-embedding"):
        log_columns(columns(params_total=1e9), ("N",), "both")
    with pytest.raises(Unusable, match="hoffmann"):
        published("nobody")


# each law at N = 4, D = 9, d = 16, l = 4 with exponents of 1/2 and 1: powers that can be done in the head
BY_HAND = {
    # 1 + 6/2 + 12/3
    "chinchilla": ({"A": 6, "B": 12, "E": 1, "alpha": 0.5, "beta": 0.5}, 8.0),
    # times 1 + 0.1 x sqrt(4)
    "inference-aware": (
        {"A": 6, "B": 12, "E": 1, "alpha": 0.5, "beta": 0.5, "epsilon": 0.1, "gamma": 0.5},
        8.0 * 1.2,
    ),
    # times 1 + 0.1 x 2^2, since ln R lies 2 above ln R*
    "u-shaped": (
        {"A": 6, "B": 12, "E": 1, "alpha": 0.5, "beta": 0.5, "c": 0.1, "ln_R_star": np.log(4) - 2},
        8.0 * 1.4,
    ),
    # and 8/4 and 8/4 more
    "width-depth": (
        {
            "A": 6, "B": 12, "E": 1, "alpha": 0.5, "beta": 0.5,
            "F": 8, "G": 8, "f": 0.5, "g": 1,
        },
        12.0,
    ),
    # d/sqrt(N) = 8 is 100 times 0.08: 1 + 0.1 ln 100 + 0.2 (0.01 - 1); r = 2: 1 + 0.3 ln 2 - 0.4/2
    "conditional": (
        {
            "A": 6, "B": 12, "E": 1, "alpha": 0.5, "beta": 0.5,
            "a1": 0.1, "a2": 0.2, "b1": 0.3, "b2": 0.4,
        },
        8.0 * (1 + 0.1 * np.log(100) - 0.198) * (1 + 0.3 * np.log(2) - 0.2),
    ),
    # 1 + (6 M^1/2 + 12 M^-1/2) / sqrt(6 N D) with M = 9/4: (9 + 8) / sqrt(216)
    "over-training": ({"a": 6, "b": 12, "E": 1, "eta": 0.5}, 1 + 17 / 216**0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_losses_by_hand(name):
    theta, loss = BY_HAND[name]
    law = LAWS[name]
    assert set(theta) == set(law.names)
    rows = columns(params_total=4, params_non_embedding=4, tokens=9, d_model=16, n_layers=4)
    rows["ffn_to_attention"] = np.array([2.0])
    logs = log_columns(rows, law.needs, "total")
    arrays = {key: np.array([[float(value)]]) for key, value in theta.items()}
    found, slopes = law.function(arrays, logs, False)
    assert float(found[0, 0]) == pytest.approx(loss) and slopes == {}
    # no slopes unless asked for
    assert law.function(arrays, logs)[1] == {}


@pytest.mark.parametrize("name", LAWS)
def test_centring_moves_a_parameter_so_that_the_loss_stays(name):
    """Columns measured from their geometric means, and parameters moved as their rows say."""
    law = LAWS[name]
    rng = np.random.default_rng(3)
    logs = {key: rng.normal(2.0, 1.0, 7) for key in law.needs}
    if name in ("u-shaped", "inference-aware"):
        moved = {"N": 0.7, "D": 0.3, "R": 0.4}
    else:
        moved = {"N": 0.7, "D": 0.3, "d": 0.4, "l": 0.2}
    moved = {key: by for key, by in moved.items() if key in law.needs}
    theta = {p.name: rng.uniform(0.2, 1.0) for p in law.parameters}
    centred = dict(theta)
    for p in law.parameters:
        if p.centring is None or p.centring[1] not in moved:
            continue
        kind, column, exponent, sign = p.centring
        if kind == "shift":
            centred[p.name] -= moved[column]
        else:
            # what a fit finds for the centred columns is brought back by c^(sign x exponent)
            centred[p.name] /= np.exp(moved[column]) ** (sign * theta[exponent])
    shifted = {key: value - moved.get(key, 0.0) for key, value in logs.items()}
    here = law.function({k: np.array([[v]]) for k, v in theta.items()}, logs, False)[0]
    there = law.function({k: np.array([[v]]) for k, v in centred.items()}, shifted, False)[0]
    assert there == pytest.approx(here)


def test_amounts_and_exponents_are_never_negative_and_shape_may_go_either_way():
    for law in LAWS.values():
        for p in law.parameters:
            amount = p.name in ("A", "B", "E", "F", "G", "a", "b")
            falls = p.name in ("alpha", "beta", "eta", "f", "g")
            assert p.low == (0.0 if amount or falls else -3.0 if p.name == "gamma" else -np.inf)
            assert p.linear == amount
            assert p.high == (3.0 if p.name == "gamma" else np.inf)
            # a shape parameter is tried on both sides of no effect, an exponent over a factor of three
            if p.name in ("epsilon", "c", "a1", "a2", "gamma", "ln_R_star"):
                assert min(p.starts) < 0 < max(p.starts)
            if falls:
                assert max(p.starts) >= 3 * min(p.starts) > 0


def test_what_parameters_imply():
    assert best_aspect({"c": 0.1, "ln_R_star": np.log(40.0)}) == {"R_star": pytest.approx(40)}
    assert (
        best_aspect({"c": 0.0, "ln_R_star": 1.0})
        == best_aspect({"c": -1.0, "ln_R_star": 1.0})
        == {}
    )
    assert np.isfinite(best_aspect({"c": 1.0, "ln_R_star": 1e6})["R_star"])
    assert best_ratios({"a1": 2.0, "a2": 3.0, "b1": 4.0, "b2": 6.0}) == {
        "x_star": pytest.approx(0.12),
        "r_star": pytest.approx(1.5),
    }
    # a turning point that is a maximum counts; no turning point does not
    assert set(best_ratios({"a1": -2.0, "a2": -3.0, "b1": 1.0, "b2": -1.0})) == {"x_star"}
    assert best_ratios({"a1": 0.0, "a2": 3.0, "b1": 0.0, "b2": 0.0}) == {}
    assert best_ratios({"a1": -1.0, "a2": 3.0}) == {}


def test_a_table_without_ffn_widths_leaves_that_factor_out():
    theta = {key: np.array([[float(v)]]) for key, v in BY_HAND["conditional"][0].items()}
    logs = {"N": np.log([4.0]), "D": np.log([9.0]), "x": np.log([8.0])}
    found, slopes = LAWS["conditional"].function(theta, logs, True)
    assert float(found[0, 0]) == pytest.approx(8.0 * (1 + 0.1 * np.log(100) - 0.198))
    assert "b1" not in slopes


def test_searches_start_in_order_and_where_a_factor_of_shape_is_positive():
    for law in LAWS.values():
        for p in law.parameters:
            assert list(p.starts) == sorted(p.starts)
    # from a half to five times the reference
    log = np.log(0.08 * np.array([0.5, 1.0, 5.0]))
    first, second = (
        next(p for p in LAWS["conditional"].parameters if p.name == n) for n in ("a1", "a2")
    )
    for a in first.starts:
        for b in second.starts:
            factor, slopes = log_valley({"a": a, "b": b}, {"x": log}, ("x", "a", "b", 0.08))
            assert (factor > 0.5).all() and slopes == {}


def test_terms_and_their_slopes_multiply():
    value, slopes = times((2.0, {"a": 3.0}), (5.0, {"b": 7.0}))
    assert value == 10.0 and slopes == {"a": 15.0, "b": 14.0}
    here = {"R": np.log([4.0])}
    assert aspect_power({"epsilon": 0.1, "gamma": 0.5}, here)[1] == {}
    assert aspect_valley({"c": 0.1, "ln_R_star": 0.0}, here)[1] == {}
