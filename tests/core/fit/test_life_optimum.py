"""The cheapest model over its life: published rows, first-order condition, every law, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import Unusable
from core.fit.fit import Fit
from core.fit.life_optimum import life_optimum
from core.fit.optimum import compute_optimal
from core.fit.solve import fit
from core.formats.runs.suites import suite


def chinchilla(A, B, E, alpha, beta):
    theta = {"A": A, "B": B, "E": E, "alpha": alpha, "beta": beta}
    return Fit("chinchilla", "total", "free", "published", theta=theta, converged=True)


# constants that reproduce the rows of arXiv 2401.00448, and those of arXiv 2404.10102
SARDANA = chinchilla(406.4, 410.7, 1.69, 0.336, 0.283)
BESIROGLU = chinchilla(482.01, 2085.43, 1.8172, 0.3478, 0.3658)


def compute_optimal_design(law, params):
    """N with the D at which it is compute-optimal: alpha A/N^alpha = beta B/D^beta."""
    t = law.theta
    pull = t["alpha"] * t["A"] / params ** t["alpha"]
    return {"params_total": params, "tokens": (t["beta"] * t["B"] / pull) ** (1 / t["beta"])}


# Chinchilla size, served tokens, baseline D, new N, new D, saved (three published rows, one more)
@pytest.mark.parametrize(
    ("size", "served", "base_tokens", "params", "tokens", "saved"),
    [
        (13e9, 2e12, 5.765e11, 6.97e9, 1.248e12, 0.174),
        (30e9, 5e12, 1.556e12, 16.41e9, 3.265e12, 0.163),
        (70e9, 10e12, 4.255e12, 41.55e9, 7.923e12, 0.119),
        (30e9, 10e12, 1.556e12, 13.61e9, 4.426e12, 0.280),
    ],
)
def test_published_rows(size, served, base_tokens, params, tokens, saved):
    design = compute_optimal_design(SARDANA, size)
    assert design["tokens"] == pytest.approx(base_tokens, rel=5e-4)
    best = life_optimum(SARDANA, design, served)
    assert best.params == pytest.approx(params, rel=2e-3)
    assert best.tokens == pytest.approx(tokens, rel=1e-3)
    # nothing served: the compute-optimal size itself
    assert best.trained_params == pytest.approx(size, rel=1e-3)
    cost = best.params * (6 * best.tokens + 2 * served)
    assert 1 - cost / (size * (6 * base_tokens + 2 * served)) == pytest.approx(saved, abs=1e-3)


def test_another_fit_gives_another_answer():
    best = life_optimum(BESIROGLU, compute_optimal_design(BESIROGLU, 13e9), 2e12)
    assert best.params == pytest.approx(6.10e9, rel=2e-3)
    assert best.tokens == pytest.approx(7.37e11, rel=2e-3)


def test_first_order_condition_of_the_paper_holds_for_any_design():
    served = 5e12
    best = life_optimum(SARDANA, {"params_total": 4e9, "tokens": 9e12}, served)
    t = SARDANA.theta
    pull = t["alpha"] * t["A"] / best.params ** t["alpha"]
    push = t["beta"] * t["B"] / best.tokens ** t["beta"]
    assert pull / push == pytest.approx(1 + served / (3 * best.tokens), rel=1e-3)
    columns = {
        "params_total": np.array([4e9, best.params]),
        "tokens": np.array([9e12, best.tokens]),
    }
    loss = SARDANA.predict(columns)
    assert loss[1] == pytest.approx(loss[0], rel=1e-6)


@pytest.mark.parametrize(
    "law",
    ["chinchilla", "inference-aware", "u-shaped", "width-depth", "conditional", "over-training"],
)
def test_no_other_size_is_cheaper_under_any_law(law):
    found = fit(suite("morph"), law, tied="tied", method="huber")
    design = {
        "params_total": 2e8,
        "params_non_embedding": 1e8,
        "tokens": 1e10,
        "d_model": 1024.0,
        "n_layers": 8.0,
        "ffn_to_attention": 2.0,
    }
    served = 3e11
    best = life_optimum(found, design, served)
    wanted = found.predict({k: np.array([v]) for k, v in design.items()})[0]
    lowest = best.params * (6 * best.tokens + 2 * served)
    for factor in (0.7, 0.95, 1.0, 1.05, 1.4):
        n = best.params * factor
        grown = n / design["params_total"]
        d = np.geomspace(best.tokens / 1e3, best.tokens * 1e3, 200_001)
        row = {k: np.full(len(d), v) for k, v in design.items()} | {"tokens": d}
        row |= {k: row[k] * grown for k in ("params_total", "params_non_embedding")}
        row |= {k: row[k] * grown ** (1 / 3) for k in ("d_model", "n_layers")}
        reached = np.flatnonzero(found.predict(row) <= wanted)
        if len(reached):
            assert n * (6 * d[reached[0]] + 2 * served) >= lowest * (1 - 1e-3)
        if factor == 1.0:
            assert d[reached[0]] == pytest.approx(best.tokens, rel=1e-3)


def test_nothing_served_is_what_a_budget_buys():
    found = fit(suite("morph"), "chinchilla")
    n, d = compute_optimal(found, 1e20)
    best = life_optimum(found, {"params_total": n, "tokens": d}, 0.0)
    assert best.params == best.trained_params == pytest.approx(n, rel=1e-3)
    assert best.tokens == pytest.approx(d, rel=1e-3)
    assert best.params_interval is None


def test_intervals_come_from_the_resamples_and_only_when_asked_for():
    t = SARDANA.theta
    drawn = [{**t, "B": t["B"] * k} for k in (0.9, 1.0, 1.1)]
    law = replace(SARDANA, resamples=np.array([list(d.values()) for d in drawn]))
    design = compute_optimal_design(law, 13e9)
    each = [life_optimum(replace(SARDANA, theta=d), design, 2e12).params for d in drawn]
    low, high = life_optimum(law, design, 2e12).params_interval
    assert min(each) <= low < each[1] < high <= max(each)
    assert life_optimum(law, design, 2e12, intervals=False).params_interval is None


def test_what_has_no_cheapest_size_is_refused():
    design = {"params_total": 1e9, "tokens": 2e10}
    with pytest.raises(Unusable, match="no cheapest size"):
        # data that never helps
        life_optimum(chinchilla(400.0, 0.0, 1.7, 0.3, 0.3), design, 1e12)
    with pytest.raises(Unusable, match="no cheapest size"):
        # size that never helps: ever smaller is ever cheaper
        life_optimum(chinchilla(0.0, 400.0, 1.7, 0.3, 0.3), design, 1e12)
    with pytest.raises(Unusable):
        life_optimum(Fit("chinchilla", "total", "free", "huber").failed("no runs"), design, 1e12)


def test_beyond_the_fitted_range_is_marked():
    known = replace(SARDANA, ranges={"N": (1e9, 2e10), "D": (1e10, 1e13)})
    design = compute_optimal_design(known, 13e9)
    assert not life_optimum(known, design, 2e12).outside
    assert life_optimum(
        replace(known, ranges={"N": (1e10, 2e10), "D": (1e10, 1e13)}), design, 2e12
    ).outside
