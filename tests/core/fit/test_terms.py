"""Which terms run tables determine: published ladders, made tables with and without shapes to compare."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unusable
from core.fit.fit import derived
from core.fit.identify import can_answer
from core.fit.optimum import compute_optimal
from core.fit.resample import percentiles, with_resamples
from core.fit.solve import fit
from core.fit.terms import SHAPE, refusal, term_answers, term_parameters
from core.fit.varied import contrasts, free_tokens, levels, told_apart_at_one_size
from core.formats.runs.reading import read_runs
from core.formats.runs.suites import suite
from core.laws.loss import LAWS
from core.paper.published import published
from core.records.training_runs import TrainingRuns

ONE_SIZE = Path(__file__).parents[2] / "fixtures" / "runs" / "one_size.csv"
# layers x width as published; those of Step Law (arXiv 2503.04715) with their own sizes
LADDERS = {
    "Step Law": ((7, 960), (8, 1024), (10, 1280), (13, 1280), (16, 2048)),
    "GPT-3": ((12, 768), (24, 1024), (24, 1536), (24, 2048), (32, 2560)),
    "Qwen2.5": ((24, 896), (28, 1536), (36, 2048), (28, 3584), (48, 5120), (64, 5120), (80, 8192)),
    "Pythia": ((6, 512), (12, 768), (24, 1024), (16, 2048), (24, 2048), (32, 2560)),
    "OLMo": ((16, 2048), (32, 4096), (40, 5120), (64, 5120)),
    "OPT": ((12, 768), (24, 1024), (24, 2048), (32, 2560), (32, 4096), (40, 5120), (48, 7168)),
    "Cerebras": ((10, 768), (14, 1088), (18, 1536), (24, 2048), (32, 2560), (32, 4096)),
    "SmolLM2": ((30, 576), (32, 960), (24, 2048)),
}
OWN_SIZES = {"Step Law": (214663680, 268304384, 429260800, 536872960, 1073741824)}
SHAPE_LAWS = ("inference-aware", "u-shaped", "width-depth", "conditional")
HOFFMANN = published("hoffmann")


def table(shapes, size=None, per=(20, 100), noise=0.005, seed=0, best=None):
    """Every shape at several tokens per parameter; losses of the Chinchilla law, times a valley of R where told."""
    rng = np.random.default_rng(seed)
    layers, width = (np.repeat(np.array(v, float), len(per)) for v in zip(*shapes, strict=True))
    params = 12 * layers * width**2 if size is None else np.repeat(np.array(size, float), len(per))
    tokens = params * np.tile(np.array(per, float), len(shapes))
    columns = {"params_total": params, "tokens": tokens, "n_layers": layers, "d_model": width}
    loss = HOFFMANN.predict(columns) * np.exp(rng.normal(0, noise, params.size))
    if best is not None:
        loss *= 1 + 0.01 * np.log(width / layers / best) ** 2
    names = tuple(f"r{i}" for i in range(params.size))
    return TrainingRuns("made", names, columns | {"loss": loss}, loss_meaning="validation")


def ladder(name, **more):
    return table(LADDERS[name], OWN_SIZES.get(name), **more)


def at_twice_the_size(runs, spots=5):
    """Designs twice as large as the largest run, of every R the runs had, at 20 tokens per parameter."""
    size = 2 * runs.columns["params_total"].max()
    ratio = runs.columns["d_model"] / runs.columns["n_layers"]
    ratio = np.geomspace(ratio.min(), ratio.max(), spots)
    layers = (size / 12 / ratio**2) ** (1 / 3)
    full = np.full(spots, size)
    return {
        "params_total": full,
        "tokens": 20 * full,
        "n_layers": layers,
        "d_model": ratio * layers,
    }


def missed(found, runs):
    where = at_twice_the_size(runs)
    return np.abs(found.predict(where) / HOFFMANN.predict(where) - 1).max()


# --- shape ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", SHAPE_LAWS)
@pytest.mark.parametrize("name", LADDERS)
def test_a_ladder_of_one_shape_per_size_cannot_tell_shape_from_size(name, law):
    runs = ladder(name, per=(10, 20, 40, 80))
    found = fit(runs, law, tied=True, method="huber")
    assert not found.ok
    assert "cannot tell shape from size" in found.withheld and "of one size" in found.withheld
    # only the shape term is open, and it is not shown
    assert set(found.undetermined) == set(LAWS[law].shape_parameters) & set(found.theta)
    assert not set(found.shown) & set(LAWS[law].shape_parameters) and "A" in found.shown
    assert derived(found) == {}
    with pytest.raises(Unusable, match="withheld"):
        found.predict(runs.columns)
    answer = next(a for a in can_answer(found, runs) if a.question == SHAPE)
    assert answer.verdict == "no" and answer.why in found.withheld
    assert fit(runs, "chinchilla", tied=True, method="huber").ok


@pytest.mark.parametrize("name", ["Step Law", "GPT-3", "Qwen2.5", "Pythia"])
def test_what_a_shape_law_claims_of_such_a_ladder_is_worse_than_no_shape(name):
    """No shape effect is in these losses, and the shape law finds one: the reason to refuse it."""
    shape, plain = [], []
    for seed in range(6):
        runs = ladder(name, seed=seed)
        insisted = fit(runs, "u-shaped", tied=True, method="huber", insist=True)
        assert any("insisted" in w for w in insisted.warnings)
        shape.append(missed(insisted, runs))
        plain.append(missed(fit(runs, "chinchilla", tied=True, method="huber"), runs))
    rms = [float(np.sqrt(np.mean(np.square(v)))) for v in (shape, plain)]
    assert rms[0] > 1.4 * rms[1], rms


def grid(sizes, ratios):
    """Layers x width of every size and ratio, layers and width as fractions so that sizes are exact."""
    return [
        ((s / 12 / r**2) ** (1 / 3), r * (s / 12 / r**2) ** (1 / 3)) for s in sizes for r in ratios
    ]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(3, 5),
    st.integers(3, 5),
    st.floats(4.0, 30.0),
    st.sampled_from(SHAPE_LAWS),
)
def test_shapes_of_equal_size_are_accepted_and_without_them_refused(
    seed, sizes, shapes, apart, law
):
    rng = np.random.default_rng(seed)
    every = np.geomspace(5e7, 2e9, sizes)
    ratios = 30 * np.geomspace(1, apart, shapes)
    # no two shapes of one size agree to the last parameter
    near = np.repeat(every, shapes) * np.exp(rng.uniform(-0.015, 0.015, sizes * shapes))
    there = table(grid(every, ratios), near, seed=seed, best=60)
    assert not fit(there, law, tied=True, method="huber").withheld
    # the same shapes, every one at a size of its own
    spread = np.geomspace(5e7, 5e7 * 1.3 ** (sizes * shapes - 1), sizes * shapes)
    alone = table(grid(every, ratios), spread, seed=seed, best=60)
    assert fit(alone, law, tied=True, method="huber").withheld


def test_the_shape_law_is_found_where_shapes_can_be_compared():
    runs = table(grid((1e8, 4e8, 1.6e9), (16, 48, 144)), seed=1, noise=0.001, best=60)
    found = fit(runs, "u-shaped", tied=True, method="huber")
    assert found.ok and derived(found)["R_star"] == pytest.approx(60, rel=0.2)


def test_one_comparison_is_too_little_for_two_parameters():
    pair = [*LADDERS["GPT-3"], (6, 1086)]
    runs = table(pair)
    assert "needs 2 and 3" in fit(runs, "u-shaped", tied=True).withheld
    # one parameter is fixed by one comparison that spans what the other shapes do
    assert not fit(runs, "inference-aware", tied=True).withheld
    # ... and not by one of a part of it: R from 64 to 98 where all have 43 to 98
    part = table([*LADDERS["GPT-3"], (9, 887)])
    assert "from 43 to 98" in fit(part, "inference-aware", tied=True).withheld.replace(
        "42.7", "43"
    ).replace("98.6", "98")


def test_shapes_that_are_alike_tell_nothing():
    runs = table([*LADDERS["GPT-3"], (12, 780), (24, 1530)], seed=2)
    found = fit(runs, "inference-aware", tied=True)
    assert "cannot tell what shape does" in found.withheld and "less than 20 %" in found.withheld


def test_bundled_suites_keep_what_they_could_answer():
    for name, can in (("morph", True), ("gemstones", True), ("overtraining", False)):
        runs = suite(name)
        for law in LAWS:
            for tying in LAWS[law].tyings:
                for params in ("total", "non-embedding"):
                    found = fit(runs, law, tied=tying.name, params=params, method="huber")
                    shape = LAWS[law].has_shape_term
                    assert bool(found.withheld) == (shape and not can), (name, law, params)
                    assert bool(found.undetermined) == bool(found.withheld)


# --- size and tokens -----------------------------------------------------------------------------


def plain(size, tokens, noise=0.002):
    size, tokens = (np.array(v, float).ravel() for v in np.broadcast_arrays(size, tokens))
    columns = {"params_total": size, "tokens": tokens}
    rng = np.random.default_rng(0)
    loss = HOFFMANN.predict(columns) * np.exp(rng.normal(0, noise, size.size))
    return TrainingRuns("made", tuple(map(str, range(size.size))), columns | {"loss": loss})


LENGTHS = np.array([1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 64e9])
SIZES = np.array([1e8, 2e8, 4e8, 8e8, 1.6e9, 3.2e9, 6.4e9])


def test_one_size_determines_what_tokens_do_and_nothing_of_size():
    runs = read_runs(ONE_SIZE)
    found = fit(runs, "chinchilla")
    assert set(found.undetermined) == {"A", "alpha", "E"} and not found.ok
    assert (
        "one size, 500M parameters" in found.withheld
        and "tokens do at that size is" in found.withheld
    )
    # what tokens do is found, and says the same whatever the start of the other terms was
    assert set(found.shown) == {"B", "beta"} and found.shown["beta"] == pytest.approx(
        0.33, abs=0.03
    )
    with pytest.raises(Unusable, match="withheld"):
        found.predict(runs.columns)
    assert set(percentiles(with_resamples(replace(found), runs, 20))) == {"B", "beta"}
    with pytest.raises(Unusable, match=r"best size .* withheld"):
        compute_optimal(found, 1e21)
    # with one exponent for both, tokens give that too
    tied = fit(runs, "chinchilla", tied=True)
    assert set(tied.undetermined) == {"A", "E"} and set(tied.shown) == {"B", "alpha"}
    assert set(fit(runs, "over-training").undetermined) == {"a", "E"}


def test_insisting_shows_every_number_and_still_says_what_is_open():
    runs = read_runs(ONE_SIZE)
    found = fit(runs, "chinchilla", insist=True)
    assert found.ok and np.isfinite(found.predict(runs.columns)).all()
    assert set(found.shown) == set(found.theta) and set(found.undetermined) == {"A", "alpha", "E"}
    assert any("one size" in w and "insisted" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("size", "tokens", "tied", "left_open", "told"),
    [
        (SIZES[:, None], LENGTHS, False, set(), ""),
        (SIZES[:3, None], LENGTHS[:3], False, set(), ""),
        (SIZES[:2, None], LENGTHS, False, {"A", "alpha", "E"}, "too few or too close"),
        ([[1e8], [1.3e8], [1.7e8]], LENGTHS, False, {"A", "alpha", "E"}, "too few or too close"),
        (SIZES, 1e11, False, {"B", "beta", "E"}, "one length, 100B training tokens"),
        (SIZES, 1e11, True, {"B", "E"}, "only what size does"),
        (SIZES, 20 * SIZES, True, {"A", "B"}, "about 20 tokens per parameter"),
        (SIZES, 20 * SIZES, False, {"A", "B", "alpha", "beta"}, "move together"),
        # tokens that follow a curve of size are in step with it too
        (SIZES, 1e-9 * SIZES**2, False, {"A", "B", "alpha", "beta"}, "move together"),
        (SIZES, SIZES * [20, 100, 20, 100, 20, 100, 20], False, set(), ""),
    ],
)  # fmt: skip
def test_a_term_that_the_runs_do_not_vary_is_open(size, tokens, tied, left_open, told):
    found = fit(plain(size, tokens), "chinchilla", tied=tied, method="huber")
    assert set(found.undetermined) == left_open
    assert told in found.withheld and bool(found.withheld) == bool(left_open)


def test_questions_and_refusals_agree():
    for runs in (
        plain(SIZES, 20 * SIZES),
        plain(SIZES[0], LENGTHS),
        plain(SIZES, 1e11),
        ladder("OPT"),
    ):
        for law in ("chinchilla", "u-shaped"):
            if law == "u-shaped" and "d_model" not in runs.columns:
                continue
            found = fit(runs, law, tied=True, method="huber")
            answers = can_answer(found, runs)
            assert refusal(term_answers(found, runs)) == found.withheld
            refused = {a.why for a in answers if a.undetermined}
            assert refused == set(found.undetermined.values())
            assert all(a.verdict == "no" for a in answers if a.undetermined)


@pytest.mark.parametrize(
    ("law", "tied", "size", "tokens"),
    [
        ("chinchilla", "free", {"A", "alpha"}, {"B", "beta"}),
        ("chinchilla", "tied", {"A"}, {"B"}),
        ("inference-aware", "own-shape-exponent", {"A"}, {"B"}),
        ("width-depth", "free", {"A", "alpha"}, {"B", "beta"}),
        ("over-training", "tied", {"a"}, {"b"}),
    ],
)  # fmt: skip
def test_a_term_holds_its_coefficient_and_the_exponents_of_no_other_term(law, tied, size, tokens):
    tying = LAWS[law].tying(tied)
    assert set(term_parameters(LAWS[law], tying, "N")) == size
    assert set(term_parameters(LAWS[law], tying, "D")) == tokens


def test_the_ffn_factor_is_held_where_its_ratio_moves_with_size():
    shapes = grid((1e8, 4e8, 1.6e9), (16, 48, 144))
    runs = table(shapes, seed=1, best=60)
    size = runs.columns["params_total"]
    in_step = replace(runs, columns=runs.columns | {"ffn_to_attention": (size / 1e8) ** 0.4})
    found = fit(in_step, "conditional", tied=True)
    assert "b1" not in found.theta and any("cannot be told from size" in w for w in found.warnings)
    apart = np.tile(np.repeat([1.0, 2.0, 4.0, 2.0, 4.0, 1.0, 4.0, 1.0, 2.0], 2), 1)
    varied = replace(runs, columns=runs.columns | {"ffn_to_attention": apart})
    assert "b1" in fit(varied, "conditional", tied=True).theta


# --- what a table varies -------------------------------------------------------------------------


def test_what_is_free_of_size_is_what_no_smooth_curve_explains():
    assert free_tokens(SIZES, 20 * SIZES) == pytest.approx((0, 0), abs=1e-9)
    assert free_tokens(SIZES, np.full(7, 1e11)) == (0.0, 0.0)
    both = np.repeat(SIZES, 2)
    spread, share = free_tokens(both, both * np.tile([20, 40], 7))
    assert spread == pytest.approx(np.log(2) / 2) and 0 < share < 0.1
    assert free_tokens(np.full(7, 5e8), LENGTHS)[1] == pytest.approx(1)


def test_contrasts_count_shapes_that_differ_at_one_size():
    ratio = np.log([16.0, 64, 256, 17, 100, 100])
    size = np.array([1e8, 1.01e8, 1.02e8, 1e8, 4e8, 1.6e9])
    seen = contrasts(ratio, size, 1.05)
    assert (seen.shapes, seen.sets, seen.count, seen.levels) == (6, 1, 2, 3)
    assert seen.within == pytest.approx((16, 256)) and seen.among == pytest.approx((16, 256))
    assert seen.cover == pytest.approx(
        np.sqrt(((ratio[:4] - ratio[:4].mean()) ** 2).sum()) / np.log(16)
    )
    none = contrasts(ratio, size * [1, 2, 4, 8, 4, 16], 1.05)
    assert none.sets == none.count == none.levels == 0 and none.cover == 0
    assert levels(np.array([1.0, 1.2, 5.0])).count == 2


def test_a_column_in_step_with_width_is_not_told_apart():
    size = np.repeat([1e8, 4e8], 4)
    width = np.log(np.tile([512.0, 724, 1024, 1448], 2))
    assert not told_apart_at_one_size(2 * width, width, size)
    other = np.log(np.tile([1.0, 3, 2, 1], 2))
    assert told_apart_at_one_size(other, width, size)


# --- what people and scripts are told --------------------------------------------------------------


def test_the_command_line_prints_no_number_for_an_open_parameter(capsys):
    from core.__main__ import main

    path = str(ONE_SIZE)
    assert main(["fit", path, "--law", "chinchilla"]) == 0
    text = capsys.readouterr().out
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith("     ")}
    for name in ("A", "alpha", "E"):
        assert lines[name].split(maxsplit=1)[1] == "not determined by these runs"
    assert float(lines["beta"].split()[1]) == pytest.approx(0.33, abs=0.03)
    assert main(["fit", path, "--law", "chinchilla", "--json"]) == 0
    got = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(got["theta"]) == {"B", "beta"} and set(got["undetermined"]) == {"A", "alpha", "E"}
    assert all("one size" in why for why in got["undetermined"].values())
    assert main(["bootstrap", path, "--law", "chinchilla", "--resamples", "20",
                 "--train-flops", "1e21", "--json"]) == 0  # fmt: skip
    got = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(got["intervals"]) == {"B", "beta"} and got["optimum"] is None
    assert main(["compare", path, "--law", "chinchilla", "--params", "total", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["laws"]
    assert all("E" in row["undetermined"] and "E" not in row["theta"] for row in rows)
