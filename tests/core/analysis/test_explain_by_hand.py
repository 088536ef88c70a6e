"""Sentences on five rows whose numbers can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from core.analysis.explain import (
    alone_sentence,
    apart,
    choice_sentence,
    compare_cost,
    compare_value,
    count_without,
    difference_half_width,
    illustration_sentence,
    judged,
    knee,
    knee_sentence,
    loosening_sentences,
    next_step_sentence,
    same_size_reference,
    sentences,
)
from core.analysis.frame import make_frame
from core.pareto.limits import parse_limit
from core.project.choices import Choices
from core.records.metrics import METRICS
from core.space.space_file import parse_space
from core.table.estimates import Estimates
from core.table.table import Table

FIVE = """
[shape]
n_layers = [2, 3, 4, 5, 6]
d_model = [128]
vocab_size = 8192
[train]
tokens = [1e9]
"""


def made_up(tpot, loss, params=None, off=0.0, **columns):
    """Five rows with these values; `off` is the half-width of every time and loss on the log scale."""
    table = Table(parse_space(FIVE).candidates())
    columns = (
        {"tpot_s": tpot, "loss": loss}
        | ({} if params is None else {"params_total": params})
        | columns
    )
    for key, values in columns.items():
        value = np.array(values, dtype=float)
        known = off if key in ("tpot_s", "loss") else 0.0
        table._cache[("estimates", key, METRICS[key].without_draft)] = Estimates(
            value,
            value * np.exp(-known),
            value * np.exp(known),
            np.zeros(5, bool),
            np.zeros(5, bool),
        )
    return table


SLOWER = [0.001, 0.002, 0.004, 0.010, 0.020]
BETTER = [4.0, 3.0, 2.97, 2.5, 2.4]


def framed(table, x="tpot_s", y="loss", **choices):
    choices = Choices(x=x, y=y, **choices)
    return make_frame(table, choices), choices


def test_costs_are_compared_by_their_quotient():
    table = made_up(SLOWER, BETTER, memory_bytes=[1e9, 2e9, 4e9, 5e9, 0.0])
    table._cache[("estimates", "tokens_per_s_user", False)] = table.estimates("memory_bytes")
    assert compare_cost(table, "tpot_s", 0, 2, "it") == "is 4.00x faster than it"
    assert compare_cost(table, "tpot_s", 2, 0, "it") == "is 4.00x slower than it"
    assert compare_cost(table, "memory_bytes", 0, 1, "it") == "has 2.00x less peak memory than it"
    assert compare_cost(table, "memory_bytes", 1, 0, "it") == "has 2.00x more peak memory than it"
    assert (
        compare_cost(table, "tokens_per_s_user", 1, 0, "it")
        == "has 2.00x more tokens/s per user than it"
    )
    assert (
        compare_cost(table, "tokens_per_s_user", 0, 3, "it")
        == "has 5.00x less tokens/s per user than it"
    )
    # no quotient with nothing
    assert compare_cost(table, "memory_bytes", 4, 0, "it") == "is compared with it"
    assert compare_cost(table, "memory_bytes", 0, 4, "it") == "is compared with it"


def test_what_an_interval_does_not_tell_apart_is_not_told():
    # two half-widths of 0.1 in quadrature: 0.141
    table = made_up([1.0, 1.1, 1.2, 2.0, 3.0], [3.0, 3.3, 3.6, 2.0, 1.0], off=0.1)
    assert compare_cost(table, "tpot_s", 0, 1, "it") == (
        "cannot be told apart from it in time per output token (their difference is known to ± 14 %)"
    )
    assert compare_cost(table, "tpot_s", 0, 2, "it") == "is 1.20x faster than it"
    assert apart(table, "tpot_s", 0, 2) and apart(table, "tpot_s", 2, 0)
    assert not apart(table, "tpot_s", 1, 0) and not apart(table, "tpot_s", 0, 1)
    assert difference_half_width(table, "tpot_s", 0, 1) == pytest.approx(14.142, abs=1e-3)
    # 3.3 / 3.0 times exp(-0.1414) and exp(0.1414)
    assert compare_value(table, "loss", 1, 0) == (
        "predicted loss cannot be told apart (+10.0 %; 95 %: −4.5 to +26.7 %)"
    )
    assert compare_value(table, "loss", 2, 0) == "predicted loss 20.0 % higher (± 14 %)"
    assert compare_value(table, "loss", 3, 0) == "predicted loss 33.3 % lower (± 14 %)"


def test_values_without_an_interval_are_compared_by_themselves():
    table = made_up(SLOWER, [3.0, 3.0014, 3.0016, 2.9984, 3.3])
    assert apart(table, "loss", 0, 1)
    # below a twentieth of a percent
    assert compare_value(table, "loss", 1, 0) == "predicted loss the same"
    assert compare_value(table, "loss", 2, 0) == "predicted loss 0.1 % higher"
    assert compare_value(table, "loss", 3, 0) == "predicted loss 0.1 % lower"
    assert compare_value(table, "loss", 4, 0) == "predicted loss 10.0 % higher"


def test_the_reference_is_the_best_of_one_size():
    # within 5 %: 100, 104 and 96; 106 and 94 are not
    table = made_up(SLOWER, [4.0, 3.0, 1.0, 2.0, 1.5], [100e6, 104e6, 106e6, 96e6, 94e6])
    frame, _ = framed(table, x="tpot_s")
    assert same_size_reference(table, frame, 0) == 3
    assert same_size_reference(table, frame, 2) == 2
    # 94 and 96, and not 100
    assert same_size_reference(table, frame, 4) == 4 and same_size_reference(table, frame, 3) == 4
    unknown = made_up(
        [np.nan, *SLOWER[1:]], [1.0, np.nan, 1, 2, 1.5], [100e6, 104e6, 106e6, 96e6, 94e6]
    )
    assert same_size_reference(unknown, frame, 0) == 3
    assert same_size_reference(made_up([np.nan] * 5, BETTER), frame, 1) is None


def test_rows_that_do_not_count_are_a_reference_only_where_no_other_is():
    table = made_up(SLOWER, [4.0, 3.0, 1.0, 2.0, 1.5], [100e6] * 5)
    frame, _ = framed(table)
    only = replace(frame, eligible=np.array([True, True, False, False, False]))
    assert same_size_reference(table, only, 0) == 1
    assert same_size_reference(table, replace(frame, eligible=np.zeros(5, bool)), 0) == 2


def test_the_choice_is_told_by_its_name_and_its_reference():
    table = made_up(SLOWER, BETTER, [100e6] * 5)
    frame, choices = framed(table, limits=(parse_limit("tpot<=4ms"),))
    assert frame.selected == 2
    name = table.label(2)
    # the best of its size is outside the limit: 20 ms over 4 ms, 2.97 over 2.4
    assert choice_sentence(table, frame, choices) == (
        f"{name} is 5.00x faster than the 6-layer shape of the same size; predicted loss 23.8 % higher."
    )
    frame, choices = framed(table, baseline=table.id_of(4))
    assert frame.selected == 4
    alone = f"{table.label(4)}: time per output token 20.0 ms, loss 2.400 nats/token."
    assert choice_sentence(table, frame, choices) == alone == alone_sentence(table, frame, 4)
    frame, choices = framed(table)
    assert choice_sentence(table, frame, choices) == alone
    frame, choices = framed(table, baseline=table.id_of(0))
    assert choice_sentence(table, frame, choices) == (
        f"{table.label(4)} is 20.00x slower than the baseline {table.label(0)}; predicted loss 40.0 % lower."
    )


def test_the_next_step_goes_to_the_next_place_of_the_front():
    table = made_up(SLOWER, BETTER)
    frame, _ = framed(table)
    assert frame.front.tolist() == [0, 1, 2, 3, 4]
    said = next_step_sentence(table, replace(frame, selected=1))
    assert said == (
        f"The next step up the front ({table.label(2)}) takes 2.00 ms more time per output token and gives"
        " 0.0300 nats/token lower loss."
    )
    assert next_step_sentence(table, replace(frame, selected=4)) == ""
    # places that are equal in one of the two are passed over
    equal = made_up([0.001, 0.001, 0.002, 0.003, 0.004], [4.0, 4.0, 4.0, 3.0, 2.0])
    along = replace(frame, front=np.arange(5), selected=0)
    assert table.label(3) in next_step_sentence(equal, along)
    off = replace(frame, front=np.array([0, 1, 3, 4]), selected=2)
    assert next_step_sentence(table, off) == ""
    # to a lower rate, where more is better
    table._cache[("estimates", "tokens_per_s_user", False)] = replace(
        table.estimates("tpot_s"), value=np.array([50.0, 40, 30, 20, 10])
    )
    frame, _ = framed(table, x="tokens_per_s_user")
    said = next_step_sentence(table, replace(frame, selected=int(frame.front[0])))
    assert "takes 10.0 tokens/s less tokens/s per user" in said


def test_loosening_by_a_tenth():
    table = made_up([0.001, 0.0109, 0.0111, 0.020, 0.030], [4.0, 3.0, 2.0, 1.5, 1.0])
    frame, _ = framed(table, limits=(parse_limit("tpot<=10ms"),))
    # up to 11 ms: one more, and not two
    assert loosening_sentences(table, frame) == [
        "Loosening “Time per output token ≤ 10.0 ms” by 10 % would bring 1.00 nats/token lower loss."
    ]
    frame, _ = framed(table, limits=(parse_limit("tpot<=15ms"),))
    (said,) = loosening_sentences(table, frame)
    assert said.endswith("would bring nothing.")
    # rows that do not count bring nothing
    frame, _ = framed(table, limits=(parse_limit("tpot<=10ms"),))
    none = replace(frame, eligible=np.array([True, False, True, True, True]))
    assert loosening_sentences(table, none)[0].endswith("would bring nothing.")
    assert loosening_sentences(table, replace(frame, best=None)) == []


def test_a_lower_limit_is_loosened_downwards_and_each_by_itself():
    table = made_up(SLOWER, BETTER, [100e6, 91e6, 89e6, 50e6, 40e6])
    limits = (parse_limit("params>=100M"), parse_limit("tpot<=20ms"))
    frame, _ = framed(table, limits=limits)
    first, second = loosening_sentences(table, frame)
    # down to 90 M: from 4.0 to 3.0
    assert first.endswith("by 10 % would bring 1.00 nats/token lower loss.")
    assert second.endswith("would bring nothing.")


def test_which_limit_is_to_blame():
    table = made_up(SLOWER, BETTER, [100e6, 200e6, 300e6, 400e6, 500e6])
    limits = (parse_limit("tpot<=0.5ms"), parse_limit("params<=250M"))
    frame, choices = framed(table, limits=limits)
    assert [count_without(table, frame, i) for i in (0, 1)] == [2, 0]
    (said,) = sentences(table, frame, choices)
    assert said == (
        "No candidate keeps every limit. Without “Time per output token ≤ 500 µs” there would be 2."
    )
    frame, choices = framed(table, limits=(parse_limit("tpot<=0.5ms"), parse_limit("params<=1M")))
    assert sentences(table, frame, choices)[0].endswith("is not enough: loosen two.")
    frame, choices = framed(made_up([np.nan, 1, 2, 3, 4], [1.0, *[np.nan] * 4]))
    assert sentences(table, frame, choices) == ("No candidate has both values.",)


def test_the_knee_of_a_bent_front_by_hand():
    # a third and a fifth of the way on a logarithmic and a linear axis: (1 - 1/3 - 1/5) / sqrt 2
    table = made_up([0.001, 0.010, 1.0, 2.0, 3.0], [4.0, 2.4, 2.0, 5.0, 5.0])
    frame, _ = framed(table)
    assert frame.front.tolist() == [0, 1, 2]
    found = knee(table, frame)
    assert found.row == 1 and found.bend == pytest.approx((1 - 1 / 3 - 1 / 5) / 2**0.5)
    assert knee_sentence(table, frame) == (
        f"The knee is {table.label(1)} at 10.0 ms: up to there the front gains 1.60 nats/token in loss,"
        " from there on only 0.400 nats/token."
    )
    assert knee(table, replace(frame, front=np.array([0, 2]))) is None


def test_a_front_that_gains_more_behind_its_bend_or_hardly_bends_has_no_knee_told():
    # the bend is early along x, and less than half of the loss is gained up to there
    late = made_up([0.001, 0.0011, 1.0, 2.0, 3.0], [4.0, 3.2, 2.0, 5.0, 5.0])
    frame, _ = framed(late)
    assert knee(late, frame).bend > 0.2 and knee_sentence(late, frame) == ""
    # (1 - 0.5 - b) / sqrt 2 on either side of 0.05
    for b, told in ((0.435, False), (0.425, True)):
        flat = made_up([0.01, 0.1, 1.0, 2.0, 3.0], [3.0, 2.0 + b, 2.0, 5.0, 5.0])
        frame, _ = framed(flat)
        assert (knee_sentence(flat, frame) != "") == told


def test_a_front_of_a_rate_bends_the_same_way():
    table = made_up(SLOWER, [4.0, 2.4, 2.0, 5.0, 5.0])
    table._cache[("estimates", "tokens_per_s_user", False)] = replace(
        table.estimates("tpot_s"), value=np.array([1000.0, 100.0, 1.0, 0.5, 0.25])
    )
    frame, _ = framed(table, x="tokens_per_s_user")
    found = knee(table, frame)
    assert found.row == 1 and found.bend == pytest.approx((1 - 1 / 3 - 1 / 5) / 2**0.5)


def test_an_illustrated_loss_is_said_to_be_one_where_it_is_shown():
    table = made_up(SLOWER, BETTER)
    table._cache["illustrated"] = np.array([False, False, False, False, True])
    frame, _ = framed(table)
    assert frame.selected == 4
    assert "is a published illustration" in illustration_sentence(table, frame)
    assert illustration_sentence(table, replace(frame, selected=3)) == ""
    assert illustration_sentence(table, replace(frame, selected=None)) == ""
    assert illustration_sentence(table, replace(frame, y="params_total")) == ""


def test_a_half_width_is_told_in_percent():
    # 0.1029 in quadrature with itself is 0.1455
    table = made_up(SLOWER, [3.0, 4.0, 5.0, 6.0, 7.0], off=0.1029)
    assert compare_value(table, "loss", 1, 0).endswith("33.3 % higher (± 15 %)")
    assert judged(table, "loss", 1, 0) == " (their difference is known to ± 15 %)"
    assert judged(made_up(SLOWER, BETTER), "loss", 1, 0) == ""
