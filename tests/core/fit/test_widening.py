"""Rates of widening on a grid of sizes and tokens, where every distance is known."""

from dataclasses import replace

import numpy as np
import pytest

from core.fit import widening
from core.fit.minimise import Minima
from core.fit.solve import fit
from core.fit.widening import PRIOR_AWAY, PRIOR_CUTS, PRIOR_RATE, rates
from core.paper.published import published
from core.records.training_runs import TrainingRuns

SIZES, TOKENS = 2.0, 3.0  # factors between neighbours


@pytest.fixture(scope="module")
def grid():
    """Twelve sizes, each trained on twelve numbers of tokens, with the losses of a known law."""
    n, d = np.meshgrid(1e7 * SIZES ** np.arange(12), 1e8 * TOKENS ** np.arange(12))
    columns = {"params_total": n.ravel(), "tokens": d.ravel()}
    columns["params_non_embedding"] = columns["params_total"]
    loss = published("hoffmann").predict(columns)
    names = tuple(f"r{i}" for i in range(n.size))
    runs = TrainingRuns("grid", names, columns | {"loss": loss}, loss_meaning="validation")
    return fit(runs, "chinchilla", tied="free"), runs


def away_squared(step):
    """Cuts after 6, 8 and 10 of twelve values leave distances of 1 to 6, 1 to 4 and 1 to 2 steps, from
    below and from above alike."""
    return 2 * (91 / 6 + 30 / 4 + 5 / 2) * np.log(step) ** 2


def test_a_law_that_extrapolates_exactly_shrinks_its_rates(grid):
    found = rates(*grid, 0.0)
    assert set(found) == {"N", "D"}
    assert PRIOR_CUTS == 2 and PRIOR_RATE == 0.01 and pytest.approx(np.log(2)) == PRIOR_AWAY
    prior = 2 * np.log(2) ** 2
    for name, step in (("N", SIZES), ("D", TOKENS)):
        expected = (prior * 0.01**2 / (prior + away_squared(step))) ** 0.5
        # a refit ends a little off
        assert found[name] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("known", "more"), [(0.0, 0.01), (0.06, 0.0064), (0.2, 0.0)])
def test_errors_beyond_the_known_widen(grid, monkeypatch, known, more):
    """Every refit is the law itself and every loss a tenth higher: six cuts with an error of 0.1 each."""
    law, runs = grid
    loss = runs.columns["loss"] * np.exp(0.1)
    monkeypatch.setattr(
        widening,
        "refit",
        lambda problem, weights, starts: Minima(
            np.tile(law.vector(), (len(weights), 1)),
            np.zeros(len(weights)),
            np.ones(len(weights), bool),
        ),
    )
    found = rates(law, replace(runs, columns=runs.columns | {"loss": loss}), known)
    prior = 2 * np.log(2) ** 2
    for name, step in (("N", SIZES), ("D", TOKENS)):
        expected = ((prior * 1e-4 + 6 * more) / (prior + away_squared(step))) ** 0.5
        assert found[name] == pytest.approx(expected, rel=1e-3)


def test_cuts_lie_at_a_half_two_thirds_and_five_sixths_of_the_distinct_values():
    values = np.repeat(np.arange(12.0), 2)
    assert [side.sum() for side in widening._sides(values)] == [12, 16, 20]
    assert all(side[0] and not side[-1] for side in widening._sides(values))
    assert [side.sum() for side in widening._sides(-values)] == [12, 16, 20]
    # 3.5, 4.67 and 5.83 are rounded up
    assert [side.sum() for side in widening._sides(np.arange(7.0))] == [4, 5, 6]
    # equal cuts are one, and one that leaves nothing beyond is none
    assert [side.sum() for side in widening._sides(np.arange(2.0))] == [1]
    assert widening._sides(np.ones(5)) == []


def test_too_few_shapes_to_cut_leave_the_prior(grid):
    law, runs = grid
    few = runs.take(np.flatnonzero(runs.columns["params_total"] < 1e7 * SIZES**2.5))
    # three sizes: no side of any cut has four shapes
    assert rates(law, few, 0.0) == pytest.approx({"N": 0.01, "D": 0.01})
