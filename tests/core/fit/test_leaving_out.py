"""Runs left out of a fit: by shape, beyond the largest size, beyond cuts by size and by tokens."""

import numpy as np
import pytest

from core.fit.leaving_out import left_out, thresholds
from core.fit.solve import fit
from core.formats.runs.suites import suite
from core.paper.published import published


@pytest.fixture(scope="module")
def morph():
    return suite("morph")


@pytest.fixture(scope="module")
def found(morph):
    return left_out(fit(morph, "chinchilla", tied=True), morph)


def test_a_cut_is_a_fit_to_the_runs_below_it(morph, found):
    assert {cut.column for cut in found.cuts} == {"N", "D"} and len(found.cuts) >= 4
    for cut in (found.largest, *found.cuts):
        values = morph.columns["params_total" if cut.column == "N" else "tokens"]
        rest = values < cut.below
        np.testing.assert_array_equal(cut.places, np.flatnonzero(~rest))
        # the smallest sizes alone span too little for predictions without insisting
        again = fit(morph.take(rest), "chinchilla", tied=True, insist=True)
        guess = again.predict(morph.take(~rest).columns)
        np.testing.assert_allclose(cut.guesses.predicted, guess, rtol=1e-6)
        assert cut.factor == pytest.approx(values.max() / values[rest].max()) and cut.factor > 1


def test_naive_predictions_are_those_of_the_runs_that_stayed(morph, found):
    size, tokens, loss = (morph.columns[c] for c in ("params_total", "tokens", "loss"))
    for cut in found.cuts:
        rest = np.setdiff1d(np.arange(len(morph)), cut.places)
        far = np.hypot(
            np.log(size[cut.places][:, None] / size[rest]),
            np.log(tokens[cut.places][:, None] / tokens[rest]),
        )
        np.testing.assert_allclose(cut.guesses.nearest, loss[rest[np.argmin(far, axis=1)]])
        basis = np.stack([np.ones(len(morph)), np.log(size), np.log(tokens)], axis=1)
        normal = basis[rest].T @ basis[rest]
        by_hand = np.linalg.solve(normal, basis[rest].T @ np.log(loss[rest]))
        np.testing.assert_allclose(
            cut.guesses.power, np.exp(basis[cut.places] @ by_hand), rtol=1e-8
        )


def test_a_run_is_never_predicted_by_its_own_shape(morph, found):
    shapes = found.shapes
    for i, near in enumerate(found.by_shape.nearest):
        assert near in morph.columns["loss"][shapes != shapes[i]]


def test_cuts_lie_between_values_that_differ():
    assert thresholds(np.array([1.0, 1.1, 2, 4, 8, 16, 32, 64])) == [16, 32, 64]
    # values that lie close together are not one size however many there are
    many = np.exp(np.linspace(0, np.log(1000), 200))
    assert len(thresholds(many)) == 3
    assert thresholds(np.array([1.0, 2, 4])) == [] and thresholds(np.ones(9)) == []


def test_published_constants_are_not_fitted_again(morph):
    left = left_out(published("inference-aware"), morph)
    assert left.by_shape is None and left.largest is None and not left.cuts
    assert left.rows.size == len(morph)
