"""Doubting a fit: resamples, validation, refusals, intervals, sensitivity, comparison."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import Unusable
from core.fit.compare import comparison
from core.fit.doubting import with_doubt
from core.fit.fit import Fit
from core.fit.groups import contests, groups_of, pairs_right, rank_correlation, sizes_of
from core.fit.mixing import mixed
from core.fit.optimum import compute_optimal, crossing, optimal_interval
from core.fit.resample import bootstrap, percentiles, with_resamples
from core.fit.sensitivity import sensitivity
from core.fit.solve import fit
from core.fit.validate import judge_largest, trust, validate
from core.formats.runs.suites import suite
from core.paper.published import published
from core.records.progress import Progress, outcome
from core.records.training_runs import TrainingRuns

DEEP = {"params_total": 1e9, "d_model": 1024.0, "n_layers": 40.0}
WIDE = {"params_total": 1.07e9, "d_model": 4096.0, "n_layers": 8.0}
BY_HAND = {"A": 5e4, "B": 8e5, "E": 2.0, "alpha": 0.5, "epsilon": 4e-4}


@pytest.fixture(scope="module")
def morph():
    return suite("morph")


@pytest.fixture(scope="module")
def judged(morph):
    found = fit(morph, "inference-aware", tied=True)
    return with_resamples(validate(found, morph), morph, 300)


def line_runs(noise, seed, shapes=30, grows=0.0):
    """Runs of a known Chinchilla law; shape and size move together where told."""
    rng = np.random.default_rng(seed)
    truth = published("hoffmann")
    layers = np.linspace(4, 40, shapes)
    width = 64.0 * layers ** (1.0 + grows)
    size = 12 * layers * width**2
    columns = {
        "params_total": size,
        "params_non_embedding": size,
        "tokens": size * np.exp(rng.uniform(2.5, 5.5, shapes)),
        "n_layers": layers,
        "d_model": width * np.exp(0.02 * rng.normal(size=shapes)),
    }
    loss = truth.predict(columns) * np.exp(rng.normal(0, noise, shapes))
    names = tuple(f"s{i}" for i in range(shapes))
    return TrainingRuns("line", names, columns | {"loss": loss}, loss_meaning="validation")


# --- groups ------------------------------------------------------------------------------------


def test_the_unit_is_the_shape_or_the_run_never_the_checkpoint():
    gemstones = suite("gemstones")
    assert len(np.unique(groups_of(gemstones, "shape"))) == 20
    # cooled-down runs of one parent share its name and stay together
    assert len(np.unique(groups_of(gemstones, "run"))) == 20
    morph = suite("morph")
    assert len(np.unique(groups_of(morph, "run"))) == 76
    assert len(np.unique(groups_of(morph, "shape"))) == 35


def test_sizes_and_contests(morph):
    size = morph.columns["params_total"]
    classes = sizes_of(size)
    assert classes.max() == 5
    assert [morph.names[i] for i in np.flatnonzero(classes == 5)] == [
        "1B_v1@20N", "1B_v3@20N", "1B_v6@20N", "1B_v8@20N",
    ]  # fmt: skip
    for here in contests(morph, size):
        assert np.ptp(np.log(morph.columns["tokens"][here])) < 0.2
        assert len(np.unique(classes[here])) == 1
    # one shape on many training sets is no contest
    over = suite("overtraining")
    assert contests(over, over.columns["params_total"]) == []


def test_rank_correlation_agrees_with_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.integers(0, 6, 9).astype(float), rng.normal(size=9)
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert rank_correlation(np.ones(3), np.arange(3.0)) is None
    assert pairs_right(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == (2, 3)
    assert pairs_right(np.array([1.0, 2]), np.array([5.0, 5])) == (0, 1)


# --- resampling --------------------------------------------------------------------------------


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    inside = []
    for seed in range(12):
        runs = line_runs(0.01, seed)
        found = with_resamples(fit(runs, "chinchilla", tied=False), runs, 200, seed=seed)
        rows = {k: v[:3] for k, v in runs.columns.items()}
        low, high = found.interval(rows, 0.9)
        truth = published("hoffmann").predict(rows)
        inside += list((low <= truth) & (truth <= high))
    assert 0.6 < np.mean(inside) <= 1.0


def test_more_runs_make_narrower_intervals():
    def width(count):
        runs = line_runs(0.01, 5, shapes=count)
        found = with_resamples(fit(runs, "chinchilla", tied=True), runs, 200)
        rows = {k: v[-1:] for k, v in runs.columns.items()}
        low, high = found.interval(rows)
        return (high - low)[0]

    assert width(200) < 0.7 * width(30)


def test_bootstrap_yields_progress_can_be_closed_and_repeats(morph):
    found = fit(morph, "chinchilla", tied=True)
    steps = bootstrap(found, morph, 500)
    first = next(steps)
    assert isinstance(first, Progress) and 0 < first.done < first.total
    steps.close()
    again = [with_resamples(found, morph, 60, seed=4).resamples for _ in range(2)]
    assert np.array_equal(*again)
    assert again[0].shape == (60, 4)
    assert not np.array_equal(again[0], with_resamples(found, morph, 60, seed=5).resamples)
    with pytest.raises(Unusable, match="shape, run"):
        with_resamples(found, morph, 10, unit="checkpoint")


def test_resamples_of_the_published_law(judged):
    spread = percentiles(judged)
    for name, value in judged.theta.items():
        low, high = spread[name]
        assert low < value < high
    # single constants scatter far more than what they predict together
    a_low, a_high = spread["A"]
    row = {"params_total": [3e8], "tokens": [6e9], "d_model": [1024], "n_layers": [16]}
    row = {k: np.array(v, dtype=float) for k, v in row.items()}
    low, high = judged.interval(row)
    assert a_high / a_low > 1.5 and (high / low)[0] < 1.02


def test_interval_of_many_rows_agrees_with_percentiles(judged):
    rng = np.random.default_rng(0)
    count = 60_000
    layers, width = rng.integers(4, 40, count) * 1.0, 64.0 * rng.integers(8, 48, count)
    body = 12 * layers * width**2
    rows = {
        "params_total": body + 1e5 * width,
        "tokens": np.full(count, 2e10),
        "n_layers": layers,
        "d_model": width,
    }
    low, high = judged.interval(rows)
    some = {k: v[:300] for k, v in rows.items()}
    exact_low, exact_high = judged.interval(some)
    ratio = (high - low)[:300] / (exact_high - exact_low)
    assert 0.9 < np.median(ratio) < 1.1 and np.percentile(ratio, 1) > 0.7
    assert (low <= high).all() and np.isfinite(low).all()


def test_no_row_has_no_interval(judged):
    names = ("params_total", "tokens", "n_layers", "d_model")
    low, high = judged.interval({name: np.zeros(0) for name in names})
    assert low.shape == high.shape == (0,)


def test_outside_is_marked_and_the_prediction_widens(judged, morph):
    row = {"params_total": [3e8, 3e11, 3e8, 3e8], "tokens": [6e9, 6e9, 6e13, 6e9],
           "d_model": [1024, 1024, 1024, 6400], "n_layers": [16, 16, 16, 1]}  # fmt: skip
    row = {k: np.array(v, dtype=float) for k, v in row.items()}
    assert list(judged.outside(row)) == [False, True, True, True]
    doubted = with_doubt(judged, morph)
    low, high = doubted.prediction(row)
    assert ((high - low)[1:] > 2 * (high - low)[0]).all()
    mean_low, mean_high = doubted.interval(row)
    assert (high - low > mean_high - mean_low).all()
    # where nobody says what the constants were fitted on, everything is outside
    assert published("hoffmann").outside(row).all()


def test_best_tokens_per_parameter_with_interval():
    runs = line_runs(0.003, 1, shapes=80)
    found = with_resamples(fit(runs, "chinchilla"), runs, 200)
    n, d = compute_optimal(found, 1e21)
    low, high = optimal_interval(found, 1e21)["tokens_per_parameter"]
    assert low < d / n < high
    assert 6 * n * d == pytest.approx(1e21)
    # the optimum is an optimum along the budget
    at = {
        "params_total": n * np.array([0.9, 1, 1.1]),
        "tokens": 1e21 / 6 / n / np.array([0.9, 1, 1.1]),
    }
    losses = found.predict(at)
    assert losses[1] < losses[0] and losses[1] < losses[2]
    with pytest.raises(Unusable, match="closed form"):
        compute_optimal(published("gemstones"), 1e21)


def test_two_designs_cross_where_their_losses_meet():
    """More tokens make up for a worse shape factor once the size term dominates, and never before."""
    law = replace(published("inference-aware"), theta=BY_HAND)
    met = crossing(law, DEEP, WIDE, (1e9, 1e14))

    def loss(design, tokens):
        return law.predict({k: np.array([v]) for k, v in (design | {"tokens": tokens}).items()})[0]

    assert loss(DEEP, met.tokens) == pytest.approx(loss(WIDE, met.tokens), rel=1e-6)
    before, after = (loss(DEEP, met.tokens * f) - loss(WIDE, met.tokens * f) for f in (0.5, 2.0))
    assert before * after < 0
    assert crossing(law, DEEP, DEEP | {"params_total": 2e9}, (1e9, 1e14)).tokens is None
    theta = np.array(list(BY_HAND.values()))
    spread = theta * (1 + 0.01 * np.random.default_rng(0).normal(size=(40, theta.size)))
    unsure = crossing(replace(law, resamples=spread), DEEP, WIDE, (1e9, 1e14))
    assert unsure.low < unsure.tokens < unsure.high and 0 < unsure.share <= 1


# --- validation --------------------------------------------------------------------------------


def test_leave_one_shape_out_is_what_it_says(morph):
    found = fit(morph, "chinchilla", tied=True)
    held = validate(found, morph).heldout
    shapes = groups_of(morph, "shape")
    errors = []
    for group in np.unique(shapes):
        rest = fit(morph.take(shapes != group), "chinchilla", tied=True)
        seen = morph.take(shapes == group)
        errors.append(rest.predict(seen.columns) / seen.columns["loss"] - 1)
    errors = np.concatenate(errors)
    assert held["shape_rms"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-6)
    assert held["shape_worst"] == pytest.approx(np.abs(errors).max(), rel=1e-6)
    assert held["shape_rms_low"] < held["shape_rms"] < held["shape_rms_high"]
    largest = sizes_of(morph.columns["params_total"]) == 5
    rest = fit(morph.take(~largest), "chinchilla", tied=True)
    error = rest.predict(morph.take(largest).columns) / morph.columns["loss"][largest] - 1
    assert held["largest_rms"] == pytest.approx(np.sqrt((error**2).mean()), rel=1e-6)
    assert held["largest_rank"] == pytest.approx(-0.4)


def test_information_criteria_count_parameters(morph):
    held = validate(fit(morph, "chinchilla", tied=True), morph).heldout
    # five counted: four constants and the scale of the errors
    assert held["bic"] - held["aic"] == pytest.approx(5 * (np.log(76) - 2))


def test_published_errors_and_rank_of_the_largest(morph):
    kept = {"published_fit_set": "20N+160N"}
    aware = judge_largest(fit(morph, "inference-aware", tied=True, where=kept), morph)
    assert [round(100 * e, 2) for e in aware["relative_errors"]] == [0.69, 0.90, 0.92, 1.15]
    assert aware["rank_correlation"] == pytest.approx(1.0) and not aware["in_fit"]
    assert aware["predicted"] == pytest.approx([2.9161, 2.9352, 2.9595, 2.9533], abs=6e-5)
    plain = judge_largest(fit(morph, "chinchilla", tied=True, where=kept), morph)
    assert [round(100 * e, 2) for e in plain["relative_errors"]] == [2.75, 3.41, 3.98, 4.10]
    assert plain["rank_correlation"] == pytest.approx(-0.4)


def test_trust_in_a_sentence(judged, morph):
    told, warn = trust(judged)
    assert "± 0.61 %" in told and "times in 20" in told and not warn
    told, warn = trust(validate(fit(morph, "chinchilla", tied=True), morph))
    assert warn
    assert trust(published("hoffmann"))[1]
    assert trust(fit(morph.take(np.arange(2)), "chinchilla"))[1]


# --- can this data answer ----------------------------------------------------------------------


@pytest.mark.parametrize("law", ["inference-aware", "u-shaped", "width-depth", "conditional"])
def test_shape_is_refused_where_it_moves_with_size(law):
    runs = line_runs(0.002, 3, grows=0.5)
    found = fit(runs, law, tied=True)
    assert "these runs cannot tell" in found.withheld and not found.ok
    with pytest.raises(Unusable, match=r"withheld|failed"):
        found.predict(runs.columns)
    with pytest.raises(Unusable, match=r"withheld|failed"):
        found.interval(runs.columns)
    insisted = fit(runs, law, tied=True, insist=True)
    assert not insisted.withheld and any("insisted" in w for w in insisted.warnings)
    assert fit(line_runs(0.002, 3), "chinchilla", tied=True).ok


def test_insisting_gives_predictions():
    over = suite("overtraining")
    insisted = fit(over, "inference-aware", tied=True, insist=True)
    assert insisted.ok and np.isfinite(insisted.predict(over.columns)).all()


def test_bundled_suites_that_can_and_cannot_answer(morph):
    assert fit(morph, "u-shaped").ok and fit(suite("gemstones"), "u-shaped").ok
    assert "no two of the 6 shapes" in fit(suite("overtraining"), "u-shaped").withheld


def test_warnings_in_plain_words(morph):
    only = fit(morph, "chinchilla", tied=True, where={"name": "*@20N"}, insist=True)
    assert any("move together" in w and "insisted" in w for w in only.warnings)
    assert any("training sets" in w for w in fit(suite("overtraining"), "chinchilla").warnings)
    bound = fit(morph, "width-depth", tied=True, method="huber")
    assert "A is at its lower bound, 0" in bound.warnings


def test_sensitivity_is_worst_first(morph):
    changes = outcome(sensitivity(fit(morph, "inference-aware", tied=True), morph))
    shifts = [c.shift for c in changes]
    assert shifts == sorted(shifts, reverse=True)
    told = " ".join(c.setting for c in changes)
    for part in ("delta 0.01", "free", "non-embedding", "without the largest", "worst runs"):
        assert part in told
    same = next(c for c in changes if "largest size" in c.setting)
    assert 0.01 < same.shift < 0.05


def test_comparison_ranks_by_what_was_left_out(morph):
    found = outcome(comparison(morph, "least-squares", ("chinchilla", "u-shaped"), ("total",)))
    assert found.fits[0].law == "u-shaped" and len(found.fits) == 4
    held = [f.heldout["shape_rms"] for f in found.fits]
    assert held == sorted(held)
    json.dumps(found.rows(), allow_nan=False)


def test_comparison_tells_how_many_losses_left_out_lie_in_their_intervals(morph):
    wanted = ("chinchilla", "over-training", "u-shaped")
    found = outcome(comparison(morph, "huber", wanted, ("total",)))
    told = {(row["law"], row["tying"]): row["coverage95_shape"] for row in found.rows()}
    assert all(0.85 <= share <= 1.0 for share in told.values())
    # the same as when the fit's doubt is learnt from the same laws
    one = next(f for f in found.fits if (f.law, f.tied) == ("u-shaped", "free"))
    doubted = with_doubt(one, morph, found.fits)
    assert doubted.heldout["coverage95_shape"] == told["u-shaped", "free"]
    # one law in other variables is believed once: its copy changes nothing
    fewer = [f for f in found.fits if (f.law, f.tied) != ("over-training", "tied")]
    assert with_doubt(one, morph, fewer).doubt.weights == doubted.doubt.weights


def test_comparison_says_what_is_missing(morph):
    columns = {k: v for k, v in morph.columns.items() if k != "params_non_embedding"}
    found = outcome(comparison(replace(morph, columns=columns), "least-squares", ("chinchilla",)))
    assert len(found.fits) == 2 and len(found.missing) == 2
    assert "params_non_embedding" in found.missing[0][3]


def test_suites_are_not_mixed_by_accident(morph):
    gemstones = suite("gemstones")
    with pytest.raises(Unusable, match="differ in meaning"):
        mixed((morph, gemstones))
    both = mixed((suite("overtraining"), gemstones))
    assert len(both) == 303 and set(both.labels["suite"]) == {"overtraining", "gemstones"}
    with pytest.raises(Unusable, match="given twice"):
        mixed((morph, morph))
    with pytest.raises(Unusable, match="differ in unit"):
        mixed((gemstones, replace(gemstones, loss_unit="bits/byte")))
    total = {k: v for k, v in gemstones.columns.items() if k != "params_total"}
    other = {k: v for k, v in gemstones.columns.items() if k != "params_non_embedding"}
    with pytest.raises(Unusable, match="count parameters differently"):
        mixed((replace(gemstones, columns=total), replace(gemstones, columns=other)))


# --- command line ------------------------------------------------------------------------------

MORPH = "resources/runs/morph_runs.csv"


def answer(capsys, *words):
    from core.__main__ import main

    code = main([*words, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out.splitlines()[-1])


def path():
    from core.resources import resource

    return str(resource("runs/morph_runs.csv"))


def test_fit_command(capsys):
    got = answer(capsys, "fit", path(), "--law", "inference-aware", "--tied",
                 "--where", "published_fit_set=20N+160N")  # fmt: skip
    assert {"law", "params", "tied", "method", "n", "theta", "objective", "mse", "r2", "mse_all",
            "r2_all", "converged", "message"} <= set(got)  # fmt: skip
    assert list(got["theta"]) == ["A", "B", "E", "alpha", "epsilon"]
    assert got["n"] == 27 and got["tied"] is True and got["converged"] is True
    assert got["largest"]["rank_correlation"] == pytest.approx(1.0)
    free = answer(capsys, "fit", path(), "--law", "inference-aware", "--method", "huber")
    assert set(free["theta"]) == {"A", "B", "E", "alpha", "beta", "gamma", "epsilon"}
    assert free["tied"] is False


def test_bootstrap_command(capsys):
    got = answer(capsys, "bootstrap", path(), "--law", "inference-aware", "--tied",
                 "--resamples", "100", "--predict", "1.44e9,29e9,24x2048",
                 "--predict", ",29e12,12x3072", "--train-flops", "1e21")  # fmt: skip
    first, second = got["predictions"]
    assert first["low"] < first["loss"] < first["high"] and first["outside"] == []
    assert second["outside"] == ["training tokens"] and second["params"] == 1668885504
    assert got["resamples"] == 100 and set(got["intervals"]) == set(got["theta"])
    assert got["clusters"] == got["doubt"]["shapes"] == 35 and got["doubt"]["laws"]
    assert "95 % prediction intervals held" in got["trust"]
    low, high = got["optimum"]["intervals"]["tokens_per_parameter"]
    assert low < got["optimum"]["tokens_per_parameter"] < high


def test_compare_command(capsys):
    got = answer(capsys, "compare", path(), "--law", "chinchilla", "--params", "total")
    assert [r["law"] for r in got["laws"]] == ["chinchilla", "chinchilla"]
    assert all(r["heldout_shape_rms"] > 0 for r in got["laws"])


def test_several_suites_are_one_only_when_asked(capsys):
    got = answer(capsys, "fit", "overtraining", "gemstones", "--together", "--law", "chinchilla")
    assert got["suite"] == "overtraining + gemstones" and got["n"] == 303
    assert any("fitted together" in w for w in got["warnings"])
    one = answer(capsys, "fit", "overtraining", "gemstones", "--together", "--law", "chinchilla",
                 "--where", "suite=gemstones")  # fmt: skip
    assert one["theta"] == answer(capsys, "fit", "gemstones", "--law", "chinchilla")["theta"]


def test_compare_lays_published_constants_beside(capsys, morph):
    words = ("compare", path(), "--law", "chinchilla", "--params", "total")
    alone, got = answer(capsys, *words), answer(capsys, *words, "--published")
    assert "published" not in alone and got["laws"] == alone["laws"]
    rows = {row["name"]: row for row in got["published"]}
    assert "multiple of the best loss" in rows["conditional"]["message"]
    error = published("hoffmann").predict(morph.columns) / morph.columns["loss"] - 1
    assert rows["hoffmann"]["error_rms"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert rows["hoffmann"]["error_mean"] == pytest.approx(np.mean(error))
    assert rows["hoffmann"]["theta"] == published("hoffmann").theta
    assert any("mean different things" in w for w in rows["hoffmann"]["warnings"])
    errors = [row["error_rms"] for row in got["published"] if "error_rms" in row]
    assert errors == sorted(errors) and got["published"][0]["law"] == "inference-aware"


def test_compare_prints_information_criteria_with_their_caveat(capsys):
    from core.__main__ import main

    assert (
        main(["compare", "morph", "--law", "chinchilla", "--params", "total", "--published"]) == 0
    )
    text = capsys.readouterr().out
    assert "AIC" in text and "BIC" in text and "runs of one shape are not" in text
    got = answer(capsys, "compare", "morph", "--law", "chinchilla", "--params", "total")
    assert all(f"{row['aic']:.1f}" in text and f"{row['bic']:.1f}" in text for row in got["laws"])
    assert "not fitted here" in text and "besiroglu" in text


def test_bootstrap_says_where_designs_cross(capsys, morph):
    got = answer(capsys, "bootstrap", "morph", "--law", "u-shaped", "--resamples", "60",
                 "--cross", "16x2048,24x1536", "--cross", "24x1536,12x512")  # fmt: skip
    met, never = got["crossings"]
    assert met["low"] < met["tokens"] < met["high"] and 0.5 < met["share"] <= 1
    assert met["better_after"] == "16x2048" and not met["outside"]
    assert "95 % interval of the law's mean" in met["message"]
    again = fit(morph, "u-shaped")
    from core.commands.bootstrap import design_of
    from core.model.architecture import shape_from_label

    a, b = (
        again.predict({k: np.array([v]) for k, v in
                       (design_of(shape_from_label(name)) | {"tokens": met["tokens"]}).items()})
        for name in ("16x2048", "24x1536")
    )  # fmt: skip
    assert a == pytest.approx(b, rel=1e-6)
    assert never["tokens"] is None and never["better_after"] == "24x1536"
    assert "lower loss anywhere between" in never["message"]
    # a law that knows nothing of shape, and two shapes of one size by either name
    flat = published("hoffmann")
    assert crossing(flat, DEEP, WIDE | {"params_total": 1e9}, (1e9, 1e13)).better == "neither"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fit", "morph", "gemstones", "--law", "chinchilla"), "only with --together"),
        (("fit", "morph", "gemstones", "--together", "--law", "chinchilla"), "differ in meaning"),
        (("bootstrap", "morph", "--law", "chinchilla", "--cross", "16x2048"), "two shapes"),
        (("bootstrap", "morph", "--law", "chinchilla", "--cross", "4x256,4x256"), "twice"),
        (("bootstrap", "morph", "--law", "chinchilla", "--cross", "4x256,wide"), "24x2048"),
        (("fit", "nowhere.csv", "--law", "chinchilla"), "nowhere.csv"),
        (("fit", "morph", "--law", "chinchilla", "--where", "tokens"), "COLUMN=VALUE"),
        (("fit", "morph", "--law", "chinchilla", "--where", "tokens=many"), "numbers"),
        (("bootstrap", "morph", "--law", "chinchilla", "--predict", "1e9"), "N,D,SHAPE"),
        (("bootstrap", "morph", "--law", "chinchilla", "--predict", "1e9,2e10,wide"), "24x2048"),
        (("bootstrap", "morph", "--law", "chinchilla", "--predict=-1,2e10,4x256"), "above zero"),
        (("bootstrap", "morph", "--law", "chinchilla", "--level", "1.5"), "--level"),
        (("bootstrap", "morph", "--law", "chinchilla", "--delta", "0"), "--delta"),
        (("fit", "morph", "--law", "chinchilla", "--delta", "-1"), "--delta"),
        (("compare", "morph", "--law", "magic"), "magic"),
    ],
)
def test_unusable_input_is_one_line(capsys, words, told):
    from core.__main__ import main

    assert main(words) == 2
    captured = capsys.readouterr()
    assert (
        told in captured.err and captured.err.count("\n") == 1 and "Traceback" not in captured.err
    )


def test_failed_fit_has_no_nan_in_json():
    from core.commands.fit import answer_of

    failed = Fit("chinchilla", "total", "free", "huber").failed("no runs")
    json.dumps(answer_of(failed, {}), allow_nan=False)
