"""Left-out predictions and plain answers: the same numbers the validation reports, the right doubts."""

import numpy as np
import pytest

from core.fit.identify import can_answer
from core.fit.resample import with_resamples
from core.fit.residuals import mean_error, residuals
from core.fit.solve import fit
from core.fit.validate import validate
from core.formats.runs.suites import suite
from core.paper.published import published
from core.records.training_runs import TrainingRuns


def verdicts(answers):
    return {a.question: a.verdict for a in answers}


SHAPE = "Can it tell shape from size?"
TOKENS = "Can it tell more parameters from more tokens?"


def test_the_residuals_are_those_the_validation_reports():
    runs = suite("morph")
    for law, tied in (("inference-aware", "tied"), ("chinchilla", "free")):
        found = fit(runs, law, tied=tied)
        got = residuals(found, runs)
        assert got.left_out and len(got.names) == 76
        assert mean_error(got) == pytest.approx(
            validate(found, runs).heldout["shape_rms"], rel=1e-6
        )
        assert got.shape[0] == 512 / 8
        np.testing.assert_allclose(got.error, got.predicted / got.observed - 1)


def test_left_out_errors_are_larger_than_in_sample_ones():
    runs = suite("morph")
    found = fit(runs, "inference-aware", tied="free")
    inside = found.predict({k: runs.columns[k] for k in runs.columns}) / runs.columns["loss"] - 1
    assert mean_error(residuals(found, runs)) > float(np.sqrt(np.mean(inside**2)))


def test_published_constants_are_compared_as_they_are():
    runs = suite("morph")
    law = published("inference-aware")
    got = residuals(law, runs)
    assert not got.left_out
    np.testing.assert_allclose(got.predicted, law.predict(runs.columns))


def test_a_failed_fit_has_no_rows():
    runs = suite("morph").take(np.arange(3))
    got = residuals(fit(runs, "u-shaped", tied="free"), runs)
    assert got.names == () and np.isnan(mean_error(got))


def test_the_published_runs_can_tell_shape_from_size():
    runs = suite("morph")
    found = with_resamples(fit(runs, "inference-aware", tied="tied"), runs, 200)
    said = verdicts(can_answer(found, runs))
    assert said[SHAPE] == "yes"
    assert said[TOKENS] in ("yes", "barely")
    assert said["Is it sure which way shape works?"] == "yes"
    assert "How far do its predictions reach?" in said


def test_runs_at_twenty_tokens_per_parameter_cannot_tell_size_from_tokens():
    runs = suite("morph")
    ratio = runs.columns["tokens"] / runs.columns["params_total"]
    only = runs.take(ratio < 25)
    answers = can_answer(fit(only, "chinchilla", tied="free"), only)
    assert verdicts(answers)[TOKENS] in ("no", "barely")


def test_shapes_that_grow_with_size_cannot_tell_shape_from_it():
    rng = np.random.default_rng(0)
    layers = np.array([4, 6, 8, 12, 16, 24] * 3, float)
    width = 24 * layers**1.6
    params = 12 * layers * width**2
    tokens = params * np.repeat([20, 40, 160], 6)
    loss = 2 + 300 / params**0.3 + 600 / tokens**0.3 + 0.001 * rng.standard_normal(18)
    runs = TrainingRuns(
        "made", tuple(f"r{i}" for i in range(18)),
        {"params_total": params, "tokens": tokens, "loss": loss, "n_layers": layers, "d_model": width},
    )  # fmt: skip
    found = fit(runs, "inference-aware", tied="tied")
    assert found.withheld
    answer = next(a for a in can_answer(found, runs) if a.question == SHAPE)
    assert answer.verdict == "no" and "different width" in answer.why


def test_three_runs_are_needed_to_say_anything():
    runs = suite("morph").take(np.arange(2))
    (answer,) = can_answer(fit(runs, "chinchilla", tied="tied"), runs)
    assert answer.verdict == "no"
