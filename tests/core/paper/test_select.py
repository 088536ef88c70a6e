import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured import DEVICE, measured

from core.__main__ import main
from core.errors import Unusable
from core.fit.reach import Reach
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


# --- the sentences, on numbers that can be checked by hand


def told(loss, seconds, max_latency_s=2.0, estimated=(), outside=(), names=(), **options):
    """The selection of made-up shapes of 2, 3, ... layers; the rows named have estimated latencies."""
    shapes = Shapes.of([shape_from_label(f"{i + 2}x512") for i in range(len(loss))])
    flags = [np.isin(np.arange(len(loss)), rows) for rows in (estimated, outside)]
    predictor = options.pop("predictor", {})
    usual = {"max_params": 1e12, "tokens": 2e9, "max_latency_s": max_latency_s}
    return select(
        shapes,
        loss=LossPredictor(lambda columns: np.array(loss)[columns["n_layers"].astype(int) - 2],
                           **predictor),
        latency=lambda _: Latencies(np.array(seconds, dtype=float), *flags),
        named=lambda row: dict(names).get(row, ""),
        **(usual | options),
    )  # fmt: skip


def test_gain_and_cost_are_a_quotient_of_times_and_of_losses():
    found = told([3.0, 2.4, 2.0], [1.0, 3.0, 5.0])
    assert found.sentences == (
        "Selected 2x512: 1.00 s per request, the lowest predicted loss (3.000 after 2.00B tokens)"
        " within 2.00 s and 1.00T total parameters.",
        # 5 s over 1 s, and a loss of 3.0 against 2.0
        "It is 5.00x faster than 4x512 (5.00 s), the best shape without a latency limit;"
        " predicted loss 50 % higher.",
        # 2.4 against 3.0
        "A limit of 3.00 s would admit 3x512: predicted loss 20 % lower.",
        "3 shapes considered: 2 slower than 2.00 s; 1 ranked.",
        "Latency: measured.",
    )


def test_the_second_is_told_against_the_first():
    found = told([3.0, 3.03, 2.9], [1.0, 0.5, 9.0], names={1: "b"})
    assert found.chosen == (0, 1)
    assert found.sentences[3] == "Second: 3x512 (b), 500 ms, predicted loss 1 % higher."
    alone = told([3.0], [1.0])
    assert alone.sentences[1:] == ("1 shape considered, all ranked.", "Latency: measured.")


def drawn_losses(values):
    """Draws of the losses of a pair of rows: the first of a pair times these, the other as it is."""
    return lambda columns, _: np.column_stack([np.array(values), np.ones(len(values))])


def test_how_often_an_order_is_kept_and_how_sure_a_difference_is():
    # 41 draws of the second's loss over the first's, from -1 % to +3 % in steps of a tenth
    draws = np.exp(np.linspace(-0.01, 0.03, 41))
    found = told([3.0, 3.03], [1.0, 0.5], predictor={"draws": drawn_losses(draws)})
    # 2.5 and 97.5 %: one step from either end; 31 of 41 draws keep the order (that of none counts)
    assert found.sentences[1] == (
        "Second: 3x512, 500 ms, predicted loss 1 % higher (95 %: −0.9 to 2.9 %; they cannot be told"
        " apart); of pairs of models trained like this, 76 % are expected to keep this order."
    )
    surely = np.exp(np.linspace(0.01, 0.03, 41))
    found = told([3.0, 3.06], [1.0, 0.5], predictor={"draws": drawn_losses(surely)})
    assert "2 % higher (95 %: 1.1 to 3 %);" in found.sentences[1]
    assert "100 % are expected" in found.sentences[1]


def test_a_loss_that_is_lower_has_its_interval_turned_round():
    draws = np.exp(np.linspace(-0.03, -0.01, 41))
    found = told([3.0, 2.94], [1.0, 3.0], predictor={"draws": drawn_losses(draws)})
    assert "would admit 3x512: predicted loss 2 % lower (95 %: 1 to 2.9 %)." in found.sentences[2]


def test_a_limit_that_would_gain_next_to_nothing_is_not_told():
    # below half a thousandth losses count as the same
    assert len(told([3.0, 2.9986], [1.0, 3.0]).sentences) == 4
    assert "A limit of 3.00 s" in told([3.0, 2.9984], [1.0, 3.0]).sentences[2]
    assert told([3.0, 3.0], [1.0, 3.0]).sentences[1] == (
        "No slower shape of this size is predicted to be better."
    )


def test_the_next_limit_is_the_nearest_that_gains_and_the_rival_the_best():
    found = told([3.0, 2.0, 2.5, 3.1], [1.0, 9.0, 4.0, 3.0])
    assert "9.00x faster than 3x512 (9.00 s), the best shape" in found.sentences[1]
    assert found.sentences[2].startswith("A limit of 4.00 s would admit 4x512")


def test_what_was_timed_is_compared_with_before_what_was_estimated():
    found = told([3.0, 2.0, 2.5], [1.0, 4.0, 3.0], estimated=[1])
    assert "3.00x faster than 4x512 (3.00 s), the best timed shape" in found.sentences[1]
    assert found.sentences[3] == "3 shapes considered: 2 slower than 2.00 s; 1 ranked."
    found = told([3.0, 2.0], [1.0, 4.0], estimated=[0, 1])
    assert found.sentences[0].startswith("Selected 2x512: ~1.00 s per request")
    assert "4.00x faster than 3x512 (~4.00 s), the best shape" in found.sentences[1]


def test_where_latencies_are_from_is_told_of_those_kept():
    found = told([3.0, 3.1, 3.2], [1.0, 1.1, 1.2], estimated=[1, 2], outside=[2], top=2)
    assert found.sentences[-1] == (
        "Latency: measured; predicted. ~ marks a latency that was not measured for that shape."
    )
    found = told([3.0, 3.1, 3.2], [1.0, 1.1, 1.2], estimated=[1, 2], outside=[0, 2])
    assert found.sentences[-1].endswith("for that shape (4x512: outside the fitted range).")
    # of nothing kept: those nearest to it
    assert told([3.0], [5.0], estimated=[0]).sentences[-1].startswith("Latency: predicted. ~ marks")
    assert told([3.0], [np.nan]).sentences == (
        "No shape keeps both 2.00 s and 1.00T total parameters; 1 shape within the size limit has no"
        " latency.",
        "1 shape considered: 1 without a latency or a predicted loss; 0 ranked.",
    )


def test_what_keeps_no_limit_says_the_nearest_of_each_kind():
    sizes = [shape_from_label(f"{i + 2}x512").params_total for i in range(4)]
    found = told([3.0, 2.9, 2.8, 2.7], [np.nan, np.nan, 1.0, 0.5], max_params=sizes[1])
    assert found.sentences[0] == (
        "No shape keeps both 2.00 s and 61.9M total parameters; the smallest that is fast enough is"
        " 4x512 with 65.3M total parameters; 2 shapes within the size limit have no latency."
    )
    found = told([3.0, 2.9], [4.0, 3.0])
    assert "; the fastest within the size limit is 3x512 at 3.00 s." in found.sentences[0]
    assert told([3.0], [4.0], max_params=1e3).sentences[0].endswith(": every shape is larger.")
    # exactly at the limit is fast enough
    assert "fast enough is 2x512" in told([3.0], [2.0], max_params=1e3).sentences[0]


def test_the_choices_interval_is_told_and_the_few_kept_have_theirs():
    def interval(columns):
        loss = 3.0 + 0.1 * (columns["n_layers"] - 2)
        return loss - 0.02, loss + 0.03

    found = told([3.0, 3.1], [1.0, 1.0], predictor={"interval": interval}, top=1)
    assert found.intervals == pytest.approx(np.array([[2.98], [3.03]]))
    assert "(3.000, 95 %: 2.980 – 3.030, after 2.00B tokens)" in found.sentences[0]
    assert np.isnan(told([3.0, 3.1], [1.0, 1.0]).intervals).all()


def test_rows_outside_what_the_runs_had_are_set_aside_where_others_are_inside():
    def reach(columns):
        deep = columns["n_layers"] >= 3
        return Reach({"depth": deep})

    options = {"predictor": {"reach": reach, "text": "a law", "trust": "It errs by 1 %."}}
    found = told([3.0, 2.0, 1.9], [1.0, 1.0, 1.0], **options)
    assert found.chosen == (0,) and found.set_aside.tolist() == [False, True, True]
    assert (
        "3 shapes considered: 2 outside the loss law's runs in depth; 1 ranked." in found.sentences
    )
    assert found.sentences[-1] == "Loss: a law. It errs by 1 %."
    found = told([3.0, 2.0, 1.9], [1.0, 1.0, 1.0], outside_counts=True, **options)
    assert found.chosen == (2, 1, 0) and not found.set_aside.any()
    assert "2 of these lie outside what the law's runs had (depth): no run" in found.sentences[-1]
    found = told([2.0, 1.9], [9.0, 1.0], **options)
    assert "It lies outside" in found.sentences[-1]
    found = told([2.0, 1.9, 1.8], [9.0, 1.0, 1.0], **options)
    assert "All of these lie outside" in found.sentences[-1]


def test_the_widest_shape_of_a_depth_is_found_to_one_multiple():
    # 12 layers: 1.67 B parameters at a width of 3072, as published; 1.81 B at the next
    shapes = near_budget(1.7e9, depths=(12,))
    assert shapes.row(0).label == "12x3072" and shapes.row(0).n_heads == 24
    size = shapes.row(0).params_total
    assert near_budget(size, depths=(12,)).row(0).label == "12x3072"
    assert near_budget(size - 1, depths=(12,), least=0.5).row(0).label == "12x2944"
    # what uses too little of the budget, or is too narrow for its depth, is left out
    assert len(near_budget(size / 0.85, depths=(12,), least=0.999)) == 0
    assert len(near_budget(size, depths=(12,), least=1.0)) == 1
    assert len(near_budget(size, depths=(12,), least_aspect=256.0)) == 1
    assert len(near_budget(size, depths=(12,), least_aspect=256.1)) == 0
    plain = near_budget(1.37e9, "non-embedding", depths=(12,))
    assert plain.row(0).label == "12x3072" and plain.row(0).params_non_embedding <= 1.37e9
    assert near_budget(1.7e9, depths=(12,), multiple=512).row(0).label == "12x3072"
    assert min(near_budget(7e9).n_layers) >= 2 and max(near_budget(7e9, least=0.5).n_layers) <= 64


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
