"""Which laws the runs cannot tell apart: ties, the law proposed, one function under two names."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from core.fit.compare import comparison
from core.fit.fit import Fit, predicted
from core.fit.left_out import Guesses, LeftOut
from core.fit.solve import fit
from core.fit.standing import paired, standings
from core.fit.validate import trust
from core.formats.runs.suites import suite
from core.records.progress import outcome


@pytest.fixture(scope="module")
def morph():
    return suite("morph")


def made(law, errors, shapes, rows=None, tied="tied", parameters=4):
    """A fit that missed the runs left out by these relative errors."""
    errors = np.asarray(errors, float)
    rows = np.arange(errors.size) if rows is None else np.asarray(rows)
    one = np.ones(errors.size)
    theta = {f"p{i}": 1.0 for i in range(parameters)}
    left = LeftOut(rows, np.asarray(shapes), one, one, Guesses(one, 1 + errors, one, one))
    return Fit(law, "total", tied, "huber", theta=theta, converged=True, left_out=left)


def test_the_error_of_a_difference_is_that_of_whole_shapes():
    rng = np.random.default_rng(0)
    shapes = np.repeat(np.arange(8), 5)
    # runs of one shape move together: forty runs say no more than eight shapes
    values = rng.normal(size=8)[shapes]
    mean, error = paired(values, shapes)
    each = values[::5]
    widened = student.ppf(student(1e9).cdf(1.0), 7)
    assert mean == pytest.approx(each.mean())
    assert error == pytest.approx(widened * each.std(ddof=1) / np.sqrt(8), rel=1e-6)
    assert widened > 1.05 and paired(values[:5], shapes[:5])[1] == np.inf


def test_near_errors_tie_and_the_simplest_is_proposed():
    rng = np.random.default_rng(1)
    shapes = np.repeat(np.arange(12), 3)
    noise = 0.01 * rng.normal(size=36)
    rich = made("width-depth", noise, shapes, parameters=8)
    # better on half of the shapes, and a little worse on the others
    one, other = np.where(shapes % 2, 1.1, 0.9), np.where(shapes % 2, 0.9, 1.1)
    near = made("u-shaped", one * noise, shapes, parameters=6)
    plain = made("chinchilla", other * noise, shapes, parameters=6)
    far = made("inference-aware", 3 * noise, shapes, parameters=3)
    found = standings((rich, near, plain, far))
    assert [s.tie for s in found.each] == [True, True, True, False]
    # of two with as many parameters, the one without a term for shape
    assert found.proposed == 2 and found.shapes == 12 and found.runs == found.used == 36


def test_laws_are_compared_over_the_runs_that_all_of_them_used():
    shapes = np.repeat(np.arange(10), 2)
    # the first is bad only on two runs that the second could not use
    first = made("chinchilla", np.r_[0.5, 0.5, np.tile([0.01, -0.02], 9)], shapes)
    second = made("u-shaped", np.tile([0.02, -0.03], 9), shapes[2:], np.arange(2, 20))
    few = made("width-depth", np.full(6, 1e-6), shapes[:6], np.arange(6))
    found = standings((first, second, few))
    assert found.best == 0 and not found.each[1].tie and found.each[2] is None
    assert (found.runs, found.used) == (18, 20)
    assert standings((few.failed("no"),)).proposed is None


def test_one_law_under_two_names_is_one(morph):
    found = outcome(comparison(morph, "huber", ("chinchilla", "over-training"), ("total",)))
    names = [(f.law, f.tied) for f in found.fits]
    twin = found.standings.each[names.index(("over-training", "tied"))]
    assert names[twin.same_as] == ("chinchilla", "tied")
    assert found.proposed.law == "chinchilla"
    told = " ".join(found.sentences())
    assert "Over-training (tied, total N) predicts the same as Chinchilla (tied, total N)" in told
    rows = {(r["law"], r["tying"]): r for r in found.rows()}
    twin = rows["over-training", "tied"]
    assert twin["same_as"] == {"law": "chinchilla", "tying": "tied", "params": "total"}
    assert twin["tie_with_best"] is rows["chinchilla", "tied"]["tie_with_best"]


def test_a_clearly_better_law_is_not_tied(morph):
    found = outcome(comparison(morph, "huber", ("chinchilla", "width-depth"), ("total",)))
    assert {f.law for f, s in zip(found.fits, found.standings.each, strict=True) if s.tie} == {
        "width-depth"
    }
    assert found.proposed.law == "width-depth" and "Proposed: Width-depth" in found.sentences()[0]


@pytest.mark.parametrize(("law", "tied"), [("chinchilla", True), ("u-shaped", False)])
def test_the_law_proposed_is_mostly_the_truth(morph, law, tied):
    laws = ("chinchilla", "u-shaped", "inference-aware")
    rng = np.random.default_rng(5)
    truth = predicted(fit(morph, law, tied=tied, method="huber"), morph)
    right = 0
    for _ in range(5):
        seen = truth * np.exp(rng.normal(0, 0.003, truth.size))
        runs = replace(morph, columns={**morph.columns, "loss": seen})
        found = outcome(comparison(runs, "huber", laws, ("total",)))
        right += (found.proposed.law, found.proposed.tied == "tied") == (law, tied)
    assert right >= 4


def test_rows_hold_what_was_left_out_beside_naive_predictions(morph):
    found = outcome(comparison(morph, "huber", ("chinchilla",), ("total",)))
    best = found.rows()[0]
    held = best["heldout"]
    assert held["shape"]["rms"] == best["heldout_shape_rms"] and held["shape"]["runs"] == 76
    assert held["largest"]["rms"] == best["heldout_largest_rms"]
    assert {cut["column"] for cut in held["cuts"]} == {"N", "D"}
    assert set(held["shape"]["naive"]) == {"nearest run", "plain power law"}
    json.dumps(found.rows(), allow_nan=False)


def test_a_law_that_a_naive_prediction_matches_says_so(morph):
    # a loss that a plain power law describes: no law can do better
    columns = morph.columns
    loss = 30 * columns["params_total"] ** -0.05 * columns["tokens"] ** -0.07
    loss = loss * np.exp(np.random.default_rng(0).normal(0, 0.002, loss.size))
    runs = replace(morph, columns={**columns, "loss": loss})
    found = outcome(comparison(runs, "huber", ("chinchilla",), ("total",)))
    told, warn = trust(found.fits[-1])
    assert "the plain power law does as well" in told and warn


def test_a_law_under_two_names_is_believed_once(morph):
    found = outcome(comparison(morph, "huber", ("chinchilla", "over-training"), ("total",)))
    covered = {(r["law"], r["tying"]): r["coverage95_shape"] for r in found.rows()}
    assert all(0.85 <= share <= 1 for share in covered.values())
    assert covered["over-training", "tied"] == covered["chinchilla", "tied"]
    alone = outcome(comparison(morph, "huber", ("chinchilla",), ("total",)))
    assert covered["chinchilla", "free"] == pytest.approx(
        next(r["coverage95_shape"] for r in alone.rows() if r["tying"] == "free")
    )
