"""What stands beside a prediction: weights of laws, effects of shapes, widening, coverage, draws."""

from dataclasses import replace

import numpy as np
import pytest
from simulated import (
    RUN_SD,
    SHAPE_SD,
    candidates,
    doubted,
    said_and_happened,
    simulated,
    trained,
    truth_like,
)

from core.fit.doubt import Doubt
from core.fit.doubting import with_doubt
from core.fit.fit import Fit
from core.fit.solve import fit
from core.fit.stacking import stacked
from core.fit.validate import validate
from core.fit.widening import PRIOR_RATE, rates
from core.formats.runs.suites import suite
from core.paper.published import published


@pytest.fixture(scope="module")
def truth():
    return truth_like("u-shaped", "free")


@pytest.fixture(scope="module")
def found(truth):
    return doubted(simulated(truth, 1), "u-shaped", "free")


@pytest.fixture(scope="module")
def designs():
    columns, _ = candidates(80, np.random.default_rng(0))
    return columns


# --- weights ------------------------------------------------------------------------------------


def test_the_law_that_predicts_left_out_shapes_is_believed():
    random = np.random.default_rng(0)
    shapes = np.repeat(np.arange(40), 2)
    errors = random.normal(size=(3, 80)) * np.array([[0.002], [0.01], [0.012]])
    weights = stacked(errors, shapes)
    assert weights.sum() == pytest.approx(1) and weights[0] > 0.9


def test_laws_that_predict_alike_share_the_belief():
    error = np.random.default_rng(0).normal(0, 0.01, 60)
    weights = stacked(np.stack([error, error, 30 * error]), np.arange(60))
    assert weights[:2] == pytest.approx([0.5, 0.5])
    assert weights[2] == 0


def test_a_shape_counts_once_however_many_runs_it_has():
    # the first law is better on one shape of many runs, the second on ten shapes of one run
    errors = np.full((2, 60), 0.001)
    errors[1, :50], errors[0, 50:] = 0.02, 0.02
    shapes = np.r_[np.zeros(50, int), np.arange(1, 11)]
    first, second = stacked(errors, shapes)
    assert second > first


# --- what is learnt -----------------------------------------------------------------------------


def test_the_effect_of_shapes_is_found_again(truth):
    size = [
        np.hypot(f.doubt.shape_sd, f.doubt.run_sd)
        for f in (
            doubted(simulated(truth, seed), "u-shaped", "free", resamples=2) for seed in range(6)
        )
    ]
    assert np.mean(size) == pytest.approx(np.hypot(SHAPE_SD, RUN_SD), rel=0.2)


def test_nothing_is_doubted_of_a_failed_fit_and_of_published_constants():
    gone = Fit("chinchilla", "total", "free", "huber", message="no")
    assert with_doubt(gone, suite("morph")).doubt is None
    assert with_doubt(published("hoffmann"), suite("morph")).doubt is None


def test_rates_come_from_several_cuts_and_shrink_to_the_prior(truth):
    runs = simulated(truth, 2)
    true_law = fit(runs, "u-shaped", tied="free")
    found = rates(true_law, runs, 0.003)
    assert set(found) == {"N", "D", "R"}
    assert all(0.3 * PRIOR_RATE < rate < 2 * PRIOR_RATE for rate in found.values())
    # one run of the largest size that is far off cannot set the rate alone
    loss = runs.columns["loss"].copy()
    loss[np.argmax(runs.columns["params_total"])] *= 1.2
    spoilt = replace(runs, columns={**runs.columns, "loss": loss})
    assert rates(true_law, spoilt, 0.003)["N"] < 0.06


def test_one_cut_that_runs_off_does_not_set_a_rate():
    # a free width-depth law fitted to the narrower half of these shapes takes an exponent of 40
    runs = suite("morph")
    found = rates(fit(runs, "width-depth", tied="free", method="huber"), runs, 0.002)
    assert found["R"] < 0.03


def test_n_d_and_r_have_rates_of_their_own(truth):
    runs = simulated(truth, 3)
    # beyond 10 B tokens the losses fall faster than any law here says
    tokens = runs.columns["tokens"]
    bent = runs.columns["loss"] * np.exp(-0.03 * np.log(np.maximum(tokens / 1e10, 1.0)))
    other = replace(runs, columns={**runs.columns, "loss": bent})
    law = fit(other, "u-shaped", tied="free")
    found = rates(law, other, 0.003)
    assert found["D"] > 1.5 * found["R"]


# --- the interval -------------------------------------------------------------------------------


def test_a_prediction_is_less_sure_than_the_mean_and_holds_it(found, designs):
    low, high = found.prediction(designs)
    mean_low, mean_high = found.interval(designs)
    at = found.predict(designs)
    assert (high - low > mean_high - mean_low).all()
    assert ((low <= mean_low) & (mean_low <= at) & (at <= mean_high) & (mean_high <= high)).all()


def test_many_rows_have_the_interval_of_few(found, designs):
    many = {name: np.resize(values, 60_000) for name, values in designs.items()}
    low, high = found.prediction(many)
    few_low, few_high = found.prediction(designs)
    count = len(few_low)
    assert np.median((high - low)[:count] / (few_high - few_low)) == pytest.approx(1, abs=0.05)


def test_the_interval_widens_beyond_the_runs_at_the_rate_of_the_column(found):
    here = {"params_total": 1e9, "params_non_embedding": 9e8, "tokens": 2e10, "d_model": 2048.0,
            "n_layers": 16.0, "ffn_to_attention": 2.0}  # fmt: skip

    def width(rates, **moved):
        columns = {k: np.array([v]) for k, v in (here | moved).items()}
        fit = replace(found, doubt=replace(found.doubt, laws=(), weights=(), rates=rates))
        low, high = fit.prediction(columns)
        return float(np.log(high / low)[0])

    far = {"params_total": 1e11, "params_non_embedding": 1e11}
    assert width({"N": 0.5}, **far) > 3 * width({"N": 0.01}, **far)
    assert width({"N": 0.01, "D": 5.0}, **far) == pytest.approx(width({"N": 0.01}, **far))
    assert width({"N": 0.5}) == pytest.approx(width({"N": 0.01}))


def test_few_shapes_make_wide_intervals(found, designs):
    # what would be believed of the same errors had they been learnt from five shapes of two runs each
    wide = replace(found, clusters=5, doubt=replace(found.doubt, clusters=5, runs=10))
    for name, factor in (("interval", 1.3), ("prediction", 1.05)):
        (a, b), (c, d) = getattr(found, name)(designs), getattr(wide, name)(designs)
        assert ((d - c) > factor * (b - a)).all()
    freedom = [replace(found.doubt, clusters=n, runs=2 * n).freedom for n in (5, 35)]
    assert 4 <= freedom[0] < 9 and freedom[1] > 34


def test_a_resample_that_predicts_a_negative_loss_ends_in_no_nan(found):
    # as far below what was fitted, resamples of a law may fall below zero
    columns = {"params_total": np.array([1e3]), "params_non_embedding": np.array([1e3]),
               "tokens": np.array([1e18]), "d_model": np.array([64.0]), "n_layers": np.array([1.0]),
               "ffn_to_attention": np.array([2.0])}  # fmt: skip
    theta = found.resamples.copy()
    theta[::3, list(found.theta).index("E")] = -1e6
    spoilt = replace(found, resamples=theta)
    low, high = spoilt.prediction(columns)
    assert np.isfinite([low, high]).all() and (low >= 0).all() and (low < high).all()
    drawn = spoilt.predictive_draws(columns, np.zeros(1, int), np.zeros(1, int), 200)
    assert np.isfinite(drawn).all() and (drawn > 0).all()


def test_coverage_of_left_out_shapes_is_reported(found):
    assert 0.85 <= found.heldout["coverage95_shape"] <= 1
    assert found.heldout["coverage95_runs"] > 60


@pytest.mark.parametrize("name, law, tied", [
    ("morph", "width-depth", "tied"), ("morph", "u-shaped", "free"),
    ("gemstones", "width-depth", "tied"), ("overtraining", "chinchilla", "tied"),
])  # fmt: skip
def test_bundled_suites_are_held_by_their_intervals(name, law, tied):
    runs = suite(name)
    judged = with_doubt(validate(fit(runs, law, tied=tied, method="huber"), runs), runs)
    assert 0.90 <= judged.heldout["coverage95_shape"] <= 0.99


def test_a_wrong_law_is_held_too(truth, designs):
    # Chinchilla knows no shape; the others do, and are believed
    found = doubted(simulated(truth, 4), "chinchilla", "free")
    assert found.doubt.own_weight < 0.1
    losses = trained(truth, designs, np.random.default_rng(5))
    low, high = found.prediction(designs)
    assert np.mean((low <= losses) & (losses <= high)) > 0.85
    mean_low, mean_high = found.interval(designs)
    assert np.mean((mean_low <= losses) & (losses <= mean_high)) < 0.75


# --- draws --------------------------------------------------------------------------------------


def test_draws_have_the_spread_of_the_interval(found, designs):
    number = np.arange(len(designs["tokens"]))
    drawn = found.predictive_draws(designs, number, number, 4000)
    low, high = found.prediction(designs)
    ends = np.percentile(drawn, [2.5, 97.5], axis=0)
    assert np.median((ends[1] - ends[0]) / (high - low)) == pytest.approx(1, abs=0.1)


def test_rows_of_one_model_are_drawn_as_one(found, designs):
    two = {name: values[[0, 0, 0, 1]] for name, values in designs.items()}
    drawn = found.predictive_draws(two, np.array([0, 0, 0, 1]), np.array([0, 0, 1, 2]), 500)
    assert np.array_equal(drawn[:, 0], drawn[:, 1])
    ratio = np.log(drawn[:, [2, 3]] / drawn[:, [0]])
    # another run of one shape differs by the scatter of runs alone, another shape by its effect too
    assert 0 < ratio[:, 0].std() <= ratio[:, 1].std()


def test_errors_beyond_one_edge_are_shared(found):
    doubt = Doubt((), (), 0.0, 0.0, {"N": 0.1}, 1000)
    certain = replace(found, doubt=doubt, clusters=1000,
                      resamples=np.tile(list(found.theta.values()), (50, 1)))  # fmt: skip
    columns = {"params_total": np.array([1e11, 1e11, 1e10]), "tokens": np.full(3, 2e10),
               "d_model": np.full(3, 2048.0), "n_layers": np.full(3, 16.0)}  # fmt: skip
    drawn = np.log(certain.predictive_draws(columns, np.arange(3), np.arange(3), 500))
    drawn -= np.log(certain.predict(columns))
    assert np.allclose(drawn[:, 0], drawn[:, 1])
    edge = found.ranges["N"][1]
    assert drawn[:, 0].std() == pytest.approx(0.1 * np.log(1e11 / edge), rel=0.15)
    assert np.allclose(drawn[:, 2] / drawn[:, 0], np.log(1e10 / edge) / np.log(1e11 / edge))


@pytest.mark.parametrize("law, tied", [("u-shaped", "free"), ("width-depth", "tied")])
def test_what_is_said_to_be_likely_comes_so(truth, law, tied):
    said, happened, inside = said_and_happened(truth, law, tied, range(8), count=100)
    likely = (said >= 0.7) & (said < 0.9)
    assert happened[likely].mean() == pytest.approx(said[likely].mean(), abs=0.12)
    assert happened[said < 0.05].mean() < 0.03 and happened[said > 0.95].mean() > 0.9
    assert 0.9 <= inside <= 0.99
