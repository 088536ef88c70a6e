"""Resampling by parts: intervals of known resamples, weights as repeated runs, what is told on the way."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import Unusable
from core.fit import resample
from core.fit.resample import (
    bootstrap,
    bootstrap_starts,
    disagreements,
    percentiles,
    refit,
    with_resamples,
)
from core.fit.solve import fit, problem_of
from core.formats.runs.suites import suite
from core.records.progress import Progress


@pytest.fixture(scope="module")
def morph():
    return suite("morph")


@pytest.fixture(scope="module")
def found(morph):
    return fit(morph, "u-shaped", tied=False)


def resampled(found, **columns):
    """The fit with these resamples; parameters not named stay as they are."""
    count = len(next(iter(columns.values())))
    each = [columns.get(name, np.full(count, value)) for name, value in found.theta.items()]
    return replace(found, resamples=np.stack(each, axis=1))


def test_percentiles_are_those_of_each_column(found):
    spread = resampled(found, E=np.arange(101.0), c=np.linspace(1, 2, 101))
    ends = percentiles(spread)
    assert ends["E"] == pytest.approx((2.5, 97.5)) and ends["c"] == pytest.approx((1.025, 1.975))
    assert ends["A"] == pytest.approx((found.theta["A"],) * 2)
    assert percentiles(spread, 0.8)["E"] == pytest.approx((10, 90))
    assert percentiles(replace(found, resamples=None)) == {}
    assert percentiles(replace(found, resamples=np.empty((0, len(found.theta))))) == {}


def test_few_shapes_have_wide_intervals_of_parameters(found):
    spread = resampled(found, E=np.arange(1001.0))
    of_few, of_many = (percentiles(replace(spread, clusters=n))["E"] for n in (6, 10**6))
    assert of_many == pytest.approx((25, 975), abs=0.1)
    # Student's 2.571 times the root of 6/5 is 2.816 standard deviations: 0.24 % on either side
    assert of_few == pytest.approx((2.43, 997.57), abs=0.1)


def test_what_follows_from_parameters_has_its_own_percentiles(found):
    assert found.theta["c"] > 0
    logs = np.linspace(3.0, 5.0, 101)
    ends = percentiles(resampled(found, ln_R_star=logs))
    assert ends["R_star"] == pytest.approx((np.exp(3.05), np.exp(4.95)), rel=1e-3)
    # resamples without a best ratio are left out of it
    c = np.where(np.arange(101) < 50, -1.0, 1.0)
    ends = percentiles(resampled(found, ln_R_star=logs, c=c), 0.0)
    assert ends["R_star"] == pytest.approx((np.exp(4.5),) * 2)
    gone = percentiles(resampled(found, ln_R_star=logs, c=np.full(101, -1.0)))
    assert "R_star" not in gone


@pytest.mark.parametrize(
    ("negative", "told"), [(2, ""), (3, "3 % are negative"), (97, "97 % are negative"), (98, "")]
)
def test_a_sign_is_in_doubt_beyond_the_tails(found, negative, told):
    c = np.where(np.arange(100) < negative, -1.0, 1.0)
    said = disagreements(found, resampled(found, c=c).resamples)
    assert len(said) == (told != "")
    assert not told or said == [f"resamples disagree on the sign of c: {told}"]


def test_a_sign_is_in_doubt_for_signed_parameters_only(found):
    both = np.where(np.arange(100) < 50, -1.0, 1.0)
    assert disagreements(found, resampled(found, E=both).resamples) == []


def test_weights_are_repeated_runs(morph):
    law = fit(morph, "chinchilla", tied=True)
    problem, usable = problem_of(law, morph)
    weights = np.ones((2, len(usable)))
    weights[1, ::3] = 2.0
    theta = refit(problem, weights, bootstrap_starts(law, problem)).theta
    assert theta[0] == pytest.approx(law.vector(), rel=1e-5)
    twice = np.concatenate([np.arange(len(morph)), np.arange(len(morph))[::3]])
    again = fit(morph.take(twice), "chinchilla", tied=True)
    many, _ = problem_of(again, morph.take(twice))
    ours = problem.value(theta[1:])[0]
    assert np.log(ours) == pytest.approx(
        np.log(many.value(again.vector()[None])[0][: len(ours)]), abs=2e-5
    )


def test_refits_start_from_the_fit_and_from_good_points(found, morph):
    problem, _ = problem_of(found, morph)
    starts = bootstrap_starts(found, problem)
    assert starts.shape == (3, len(found.theta))
    assert starts[0] == pytest.approx(found.vector())
    grid = resample.grid_of(problem)
    solved, value = resample.project(problem, grid, np.zeros(len(grid), dtype=np.intp))
    order = np.argsort(value)
    assert starts[1] == pytest.approx(solved[order[0]])
    assert starts[2] == pytest.approx(solved[order[len(grid) // 8]])
    assert len(bootstrap_starts(found, problem, others=4)) == 5


@pytest.fixture
def quick(monkeypatch):
    """Refits that return the weights' problem unsolved: the fit itself for each, with chosen failures."""

    def stand_in(fails=(), seen=None):
        def instead(problem, weights, starts):
            if seen is not None:
                seen.append(weights)
            theta = np.tile(starts[0], (len(weights), 1))
            objective = np.zeros(len(weights))
            objective[list(fails)] = np.inf
            return resample.Minima(theta, objective, np.ones(len(weights), bool))

        monkeypatch.setattr(resample, "refit", instead)

    return stand_in


def test_progress_is_told_every_125(found, morph, quick, monkeypatch):
    seen = []
    quick(seen=seen)
    clock = iter(range(100))
    monkeypatch.setattr(resample, "monotonic", lambda: float(next(clock)))
    steps = bootstrap(found, morph, 300)
    told = [step for step in steps if isinstance(step, Progress)]
    assert [(p.done, p.total) for p in told] == [(125, 300), (250, 300), (300, 300)]
    # one second each: 1 / 125 x 175 left, then 2 / 250 x 50, then none
    assert [p.seconds_left for p in told] == pytest.approx([1.4, 0.4, 0.0])
    assert told[0].text == "resampling 35 shapes"
    weights = np.concatenate(seen)
    assert weights.shape == (300, 76)
    # shapes are drawn whole, as many as there are
    _, first, of = np.unique(
        resample.groups_of(morph, "shape"), return_index=True, return_inverse=True
    )
    assert np.array_equal(weights, weights[:, first][:, of])
    assert (weights[:, first].sum(axis=1) == 35).all()
    assert weights[:, first].mean() == 1 and weights[:, first].var() == pytest.approx(
        34 / 35, rel=0.05
    )


def test_failed_refits_are_left_out_and_counted(found, morph, quick):
    quick(fails=(0, 3))
    got = with_resamples(found, morph, 20)
    assert len(got.resamples) == 18 and got.clusters == 35
    assert "2 of 20 resamples could not be fitted and are left out" in got.warnings
    assert got.resamples[0] == pytest.approx(list(found.theta.values()))
    quick()
    got = with_resamples(found, morph, 1, unit="run")
    assert len(got.resamples) == 1 and got.clusters == 76 and got.warnings == found.warnings


def test_no_resamples_are_refused_and_a_failed_fit_comes_back(found, morph):
    with pytest.raises(Unusable, match="0 resamples"):
        with_resamples(found, morph, 0)
    failed = replace(found, theta={})
    assert with_resamples(failed, morph, 5) is failed
