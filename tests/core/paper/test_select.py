import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import DEVICE, measured

from core.__main__ import main
from core.errors import Unusable
from core.model.architecture import Shapes, shape_from_label
from core.model.workload import Workload
from core.paper.select import Latencies, LossPredictor, columns_of, near_budget, select
from core.paper.select_published import (
    depth_line,
    published_latency,
    published_name,
    published_predictor,
    published_shapes,
)
from core.project.project import Project
from core.resources import resource
from core.space.space_file import read_space

TOKENS_1B = 28_991_029_248


@pytest.fixture(scope="module")
def law():
    return published_predictor(resamples=200)


def published(law, seconds, max_params=1.7e9, estimate=False, **options):
    shapes = published_shapes()
    return select(
        shapes,
        max_params=max_params,
        tokens=TOKENS_1B,
        max_latency_s=seconds,
        loss=law,
        latency=lambda s: published_latency(s, estimate),
        named=lambda row: published_name(shapes, row),
        **options,
    )


# --- the published selection


@pytest.mark.parametrize(
    ("seconds", "label"),
    [(2, "12x3072 (Morph-1B)"), (3, "16x2560 (Morph-1B-v2)"), (4, "24x2048 (Morph-1B-v1)")],
)
def test_it_selects_what_the_paper_selected(law, seconds, label):
    found = published(law, seconds)
    assert found.label(found.best) == label


@pytest.mark.parametrize("seconds", [2, 3, 4])
def test_estimated_latencies_of_the_other_scored_shapes_do_not_change_it(law, seconds):
    assert published(law, seconds, estimate=True).best == published(law, seconds).best


def test_predictions_of_the_scored_shapes_are_the_recorded_ones(law):
    losses = law.predict(columns_of(published_shapes(), TOKENS_1B))
    recorded = [
        2.916, 2.923, 2.935, 2.948, 2.935, 2.960, 2.953, 2.973, 3.001, 3.037, 3.113, 3.306
    ]  # fmt: skip
    np.testing.assert_allclose(losses, recorded, atol=6e-4)


def test_depth_alone_explains_the_published_latencies():
    a, b, miss = depth_line()
    assert a == pytest.approx(0.349, abs=5e-4)
    assert b == pytest.approx(0.1364, abs=5e-5)
    assert miss <= 0.04


def test_only_three_scored_shapes_have_a_published_latency():
    shapes = published_shapes()
    known = published_latency(shapes)
    assert np.isfinite(known.value_s).sum() == 3 and not known.estimated.any()
    filled = published_latency(shapes, estimate=True)
    assert np.isfinite(filled.value_s).all() and filled.estimated.sum() == 9
    # beyond 12 to 24 layers and widths 2048 to 3072 the line is stretched
    beyond = {shapes.row(i).label for i in np.flatnonzero(filled.outside)}
    assert beyond == {"10x3200", "8x3328", "6x4096", "4x4608", "2x5632"}


def test_the_sentences_say_what_it_costs_and_how_far_to_trust_it(law):
    said = " ".join(published(law, 2).sentences)
    assert "1.84x faster than 24x2048" in said
    assert "A limit of 2.57 s would admit 16x2560" in said
    assert "8 without a latency" in said and "A100-40GB" in said
    assert "It lies outside what the law's runs had (parameters, training tokens): no run" in said
    assert "rank correlation 1.00" in said and "0.7 to 1.1 %" in said


def test_kept_shapes_have_prediction_intervals_and_an_order_of_trained_models(law):
    found = published(law, 4)
    rows = list(found.chosen)
    columns = columns_of(published_shapes().take(np.array(rows)), TOKENS_1B)
    np.testing.assert_allclose(found.intervals, np.stack(law.interval(columns)))
    low, high = found.intervals
    assert (low < found.loss[rows]).all() and (found.loss[rows] < high).all()
    # models of two shapes share the law's error, so that their order is surer than either loss
    drawn = law.draws(columns, np.arange(3))
    one = np.percentile(np.log(drawn[:, 0]), [2.5, 97.5])
    both = np.percentile(np.log(drawn[:, 0] / drawn[:, 1]), [2.5, 97.5])
    assert np.ptp(both) < 0.5 * np.ptp(one)
    said = " ".join(found.sentences)
    assert f"95 %: {low[0]:.3f} – {high[0]:.3f}" in said
    kept = np.mean(drawn[:, 0] <= drawn[:, 1])
    told = re.search(r"models trained like this, (\d+) % are expected to keep this order", said)
    assert float(told[1]) == pytest.approx(100 * kept, abs=3)


def test_a_difference_within_its_interval_cannot_be_told_apart(law):
    said = " ".join(published(law, 2).sentences)
    assert re.search(r"% lower \(95 %: −[\d.]+ to [\d.]+ %; they cannot be told apart\)", said)


def test_an_impossible_limit_says_which_to_loosen(law):
    found = published(law, 1.5)
    assert found.best is None and found.chosen == ()
    assert "the fastest within the size limit is 12x3072 (Morph-1B) at 1.96 s" in found.sentences[0]
    small = published(law, 2, max_params=1.5e9)
    assert "smallest that is fast enough is 12x3072 (Morph-1B) with 1.67B" in small.sentences[0]


def test_sizes_may_be_limited_without_embeddings(law):
    assert published(law, 2, max_params=1.5e9, params="non-embedding").best is not None
    assert published(law, 2, max_params=1.3e9, params="non-embedding").best is None


# --- the method itself


def made_up(loss, seconds):
    """Shapes with given losses and latencies."""
    shapes = Shapes.of([shape_from_label(f"{i + 2}x512") for i in range(len(loss))])
    values = np.array(seconds, dtype=np.float64)
    no = np.zeros(len(values), np.bool_)
    return shapes, LossPredictor(lambda _: np.array(loss)), lambda _: Latencies(values, no, no)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(1.5, 5, width=32), st.one_of(st.just(float("nan")), st.floats(0.1, 10))
        ),
        min_size=1,
        max_size=20,
    ),
    st.floats(0.1, 10),
    st.integers(1, 5),
    st.floats(6e7, 1.3e8),
)
def test_the_kept_are_the_best_feasible_in_order(rows, limit, top, budget):
    loss, seconds = [r[0] for r in rows], [r[1] for r in rows]
    shapes, law, latency = made_up(loss, seconds)
    found = select(
        shapes,
        max_params=budget,
        tokens=1e9,
        max_latency_s=limit,
        loss=law,
        latency=latency,
        top=top,
    )
    sizes = np.asarray(shapes.params_total)
    feasible = [i for i in range(len(rows)) if sizes[i] <= budget and seconds[i] <= limit]
    best = sorted(feasible, key=lambda i: (loss[i], seconds[i], sizes[i]))[:top]
    assert list(found.chosen) == best
    total = found.too_large.sum() + found.too_slow.sum() + found.unknown.sum() + len(feasible)
    assert total == len(rows)
    assert all(text.endswith(".") for text in found.sentences)


def test_limits_are_inclusive_and_ties_go_to_the_faster():
    shapes, law, latency = made_up([3.0, 3.0, 2.5], [2.0, 1.0, 2.1])
    found = select(
        shapes, max_params=1e12, tokens=1e9, max_latency_s=2.0, loss=law, latency=latency
    )
    assert found.chosen == (1, 0)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"max_params": 0}, "max_params"),
        ({"tokens": float("nan")}, "tokens"),
        ({"max_latency_s": -1}, "max_latency_s"),
        ({"params": "all"}, "total, non-embedding"),
        ({"top": 0}, "top"),
    ],
)
def test_limits_that_make_no_sense_are_refused(change, part):
    shapes, law, latency = made_up([3.0], [1.0])
    options = {"max_params": 1e9, "tokens": 1e9, "max_latency_s": 1.0} | change
    with pytest.raises(Unusable, match=part):
        select(shapes, loss=law, latency=latency, **options)
    with pytest.raises(Unusable, match="no shapes"):
        select(Shapes.of([]), max_params=1, tokens=1, max_latency_s=1, loss=law, latency=latency)


@pytest.mark.parametrize("budget", [1.7e9, 3e8, 7e9])
def test_shapes_near_a_budget_are_the_widest_that_fit(budget):
    shapes = near_budget(budget)
    sizes = np.asarray(shapes.params_total)
    assert len(shapes) > 5 and np.all(sizes <= budget) and np.all(sizes >= 0.85 * budget)
    assert np.all(np.asarray(shapes.aspect_ratio) >= 32)
    assert len(set(shapes.n_layers.tolist())) == len(shapes)
    for i in range(len(shapes)):
        wider = shape_from_label(f"{shapes.n_layers[i]}x{shapes.d_model[i] + 128}", n_heads=1)
        assert wider.params_total > budget


# --- the command


def answer_of(capsys, *words):
    assert main(["select", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(("limit", "layers"), [("2", 12), ("3s", 16), ("4000ms", 24), ("2.0s", 12)])
def test_the_command_selects_the_published_models(capsys, limit, layers):
    answer = answer_of(capsys, "--max-params", "1.7B", "--tokens", "30e9", "--max-latency-s", limit)
    assert answer["best"]["n_layers"] == layers
    assert answer["best"] == answer["selected"][0]
    assert answer["best"]["latency_estimated"] is False
    assert answer["best"]["loss_low"] < answer["best"]["loss"] < answer["best"]["loss_high"]
    assert "A100-40GB" in answer["best"]["latency_from"]


def test_unmeasured_shapes_are_marked(capsys):
    words = ["--max-params", "1.7B", "--tokens", "30B", "--max-latency-s", "3", "--top", "4"]
    assert main(["select", *words, "--include-unmeasured", "--json"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(out.splitlines()[-1])
    assert any(row["latency_estimated"] for row in answer["selected"])
    assert "~" in out and "was not measured for that shape" in out
    assert answer["dropped"]["no_latency_or_loss"] == 0
    assert answer_of(capsys, *words)["dropped"]["no_latency_or_loss"] == 8


def test_an_empty_selection_is_an_answer(capsys):
    answer = answer_of(capsys, "--max-params", "1B", "--tokens", "30B", "--max-latency-s", "2")
    assert answer["best"] is None and answer["selected"] == []
    assert answer["sentences"][0].startswith("No shape keeps both")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    path = tmp_path_factory.mktemp("p") / "a.paretoscope"
    space = read_space(resource("spaces/small.toml"))
    with Project.create(path) as made:
        made.put_text("space", space.text)
        for p in space.measurement_points():
            made.add_measurement(measured(p.architecture, p.workload, p.runtime))
        # a trained model is nothing to choose
        trained = shape_from_label("4x512")
        made.add_measurement(measured(trained, Workload(), model="some-model"))
    return path


def test_a_project_is_selected_from_by_its_own_latencies_and_law(project, capsys):
    words = ["--project", str(project), "--workload", "1x128x256", "--max-params", "125M"]
    answer = answer_of(capsys, *words, "--tokens", "5B", "--max-latency-s", "4", "--top", "5")
    assert answer["shapes_from"] == "project" and answer["device"] == DEVICE.key
    assert len(answer["selected"]) == 5
    for row in answer["selected"]:
        assert row["params_total"] <= 125e6 and row["latency_s"] <= 4
        assert "Morph" not in row["label"] and "some-model" not in row["label"]
        assert row["tokens"] == 5e9
    losses = [row["loss"] for row in answer["selected"]]
    assert losses == sorted(losses)
    assert len({row["label"] for row in answer["selected"]}) == 5
    faster = answer_of(capsys, *words, "--tokens", "5B", "--max-latency-s", "2")
    assert faster["best"]["loss"] >= answer["best"]["loss"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--tokens", "x"], "'x' is not a number"),
        (["--max-params", "-3"], "must be positive"),
        (["--max-latency-s", "2 parsecs"], "not a unit known here"),
        (["--top", "0"], "at least 1"),
        (["--workload", "1x128x256"], "only goes with --project"),
        (["--project", "nowhere.paretoscope"], "there is no file"),
        (["--project", "PROJECT"], "several workloads .*--workload"),
        (["--project", "PROJECT", "--workload", "2x128x256"], "no candidate with batch 2"),
        (["--project", "PROJECT", "--workload", "1x128"], "BATCHxPROMPTxOUTPUT"),
        (["--project", "PROJECT", "--include-unmeasured"], "has its own law"),
    ],
)
def test_unusable_words_end_with_status_2_and_one_line(project, capsys, words, part):
    import re

    usual = ["--max-params", "1.7B", "--tokens", "30B", "--max-latency-s", "2"]
    words = [str(project) if w == "PROJECT" else w for w in words]
    assert main(["select", *usual, *words]) == 2
    error = capsys.readouterr().err
    assert re.search(part, error) and error.count("\n") == 1
