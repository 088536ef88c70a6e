"""The selection and its sentences, on numbers that can be worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.fit.reach import Reach
from core.model.architecture import Shapes, shape_from_label
from core.paper.select import Latencies, LossPredictor, near_budget, select, trained_draws


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
    """Draws of the losses of a pair of rows: the other's is 2, the first's as many times that."""
    return lambda columns, _: 2.0 * np.column_stack([np.array(values), np.ones(len(values))])


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


def test_ties_and_limits_of_a_selection():
    # equal losses go to the faster, then to the smaller; both limits are inclusive
    found = told([3.0, 3.0, 3.0, 2.9], [2.0, 1.0, 1.0, 2.1], top=4)
    assert found.chosen == (1, 2, 0)
    assert found.too_slow.tolist() == [False, False, False, True]
    sizes = np.asarray(found.shapes.params_total)
    found = told([3.0, 2.0, 1.0], [1.0, 1.0, 1.0], max_params=float(sizes[1]), top=1)
    assert found.chosen == (1,) and found.too_large.tolist() == [False, False, True]
    # what is too large is not counted again for what it lacks
    found = told([3.0, np.nan, np.nan], [np.nan, 1.0, 1.0], max_params=float(sizes[1]))
    assert found.unknown.tolist() == [True, True, False] and found.best is None


def test_small_differences_keep_their_direction():
    assert "predicted loss 0.5 % higher." in told([3.0, 3.015], [1.0, 0.5]).sentences[1]
    found = told([3.0, 2.985], [1.0, 3.0])
    assert "predicted loss 0.5 % lower." in found.sentences[2]
    # worse and slower shapes are no rivals
    assert "No slower shape" in told([3.0, 3.5], [1.0, 3.0]).sentences[1]


def test_draws_are_those_of_a_fit_that_knows_what_it_may_miss():
    assert trained_draws(SimpleNamespace(doubt=None)) is None
    asked = []
    fit = SimpleNamespace(doubt=1, predictive_draws=lambda *given: asked.append(given) or "drawn")
    assert trained_draws(fit)("columns", "shapes") == "drawn"
    # every shape is one model; percentiles of 4000 draws are told
    assert asked == [("columns", "shapes", "shapes", 4000)]
