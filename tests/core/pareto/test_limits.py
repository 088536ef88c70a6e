import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.pareto.limits import (
    Limit,
    feasible,
    hidden_by,
    parse_limit,
    reachable,
    with_limit,
    without_limit,
)
from core.records.metrics import METRICS, metric

COLUMNS = {
    "tpot_s": np.array([0.001, 0.005, 0.010, np.nan, 0.020]),
    "loss": np.array([4.0, 3.5, 3.0, 2.0, 2.5]),
}


def column(key, statistic):
    assert statistic == "p50"
    return COLUMNS[key]


def test_the_grammar_of_a_limit():
    assert parse_limit("tpot:p50<=8ms") == Limit("tpot_s", "<=", 0.008)
    assert parse_limit(" memory < 24 GB ") == Limit("memory_bytes", "<=", 24e9)
    assert parse_limit("user-speed>=30") == Limit("tokens_per_s_user", ">=", 30.0)
    assert parse_limit("ttft:p95<=1s") == Limit("ttft_s", "<=", 1.0, "p95")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("speed<=3", "'speed' is not a metric"),
        ("tpot 8ms", "is not a limit"),
        ("tpot=8ms", "one-sided"),
        ("tpot:p42<=8ms", "p42"),
        ("tpot<=8 apples", "apples"),
    ],
)
def test_what_is_no_limit_says_why(text, part):
    with pytest.raises(Unusable, match=part):
        parse_limit(text)


@given(
    st.sampled_from(sorted(METRICS)),
    st.sampled_from(["<=", ">="]),
    st.floats(min_value=1e-7, max_value=1e14),
)
def test_the_text_of_a_limit_reads_back_exactly(key, side, value):
    limit = Limit(key, side, value)
    assert parse_limit(limit.text) == limit


def test_metrics_answer_to_key_and_short_name():
    assert metric("TPOT") is metric("tpot_s")


def test_unknown_values_keep_no_limit():
    mask = feasible(column, [parse_limit("tpot<=1s")], 5)
    assert mask.tolist() == [True, True, True, False, True]


def test_hidden_counts_rows_that_one_limit_alone_keeps_out():
    limits = [parse_limit("tpot<=8ms"), parse_limit("loss<=3.2")]
    # row 2 fails only tpot, rows 0 and 1 only loss, row 4 only tpot, row 3 only tpot (unknown)
    assert hidden_by(column, limits, 5) == (3, 2)


def test_what_a_metric_can_still_reach_ignores_its_own_limits():
    limits = [parse_limit("tpot<=8ms"), parse_limit("loss<=3.2")]
    assert reachable(column, limits, 5, "loss") == (3.5, 4.0)
    assert reachable(column, [parse_limit("tpot<=1us")], 5, "loss") is None


def test_a_limit_replaces_its_like_and_can_go():
    one = with_limit((), parse_limit("tpot<=8ms"))
    two = with_limit(one, parse_limit("tpot<=9ms"))
    assert [limit.value for limit in two] == [0.009]
    assert without_limit(two, two[0].key) == ()


@pytest.mark.parametrize(
    ("limit", "text", "label"),
    [
        (Limit("tpot_s", "<=", 0.008), "tpot:p50<=8ms", "Time per output token ≤ 8.00 ms"),
        (Limit("ttft_s", "<=", 1.5, "p95"), "ttft:p95<=1.5s", "Time to first token (p95) ≤ 1.50 s"),
        (Limit("memory_bytes", "<=", 24e9), "memory:p50<=24GB", "Peak memory ≤ 24.0 GB"),
        (Limit("loss", ">=", 3.25), "loss:p50>=3.25", "Loss ≥ 3.250 nats/token"),
        # twelve digits do not hold this one
        (Limit("tpot_s", "<=", 1 / 3), f"tpot:p50<={1 / 3!r}", "Time per output token ≤ 333 ms"),
    ],
)
def test_a_limit_is_written_with_the_suffix_that_fits(limit, text, label):
    assert limit.text == text and parse_limit(text) == limit
    assert limit.label == label


def test_a_limit_allows_its_own_value():
    values = np.array([0.007, 0.008, 0.009, np.nan])
    assert Limit("tpot_s", "<=", 0.008).allows(values).tolist() == [True, True, False, False]
    assert Limit("tpot_s", ">=", 0.008).allows(values).tolist() == [False, True, True, False]
    assert parse_limit("tpot>8ms") == Limit("tpot_s", ">=", 0.008)


def test_what_two_limits_keep_out_is_hidden_by_neither_alone():
    limits = [parse_limit("tpot<=8ms"), parse_limit("loss<=2.75")]
    # row 2 keeps neither
    assert hidden_by(column, limits, 5) == (2, 2)
    assert hidden_by(column, [], 5) == ()
    # row 2 keeps one of three, and so comes back by none; row 1 lacks the third alone
    limits = [parse_limit("tpot<=8ms"), parse_limit("loss>=3.2"), parse_limit("tpot<=2ms")]
    assert hidden_by(column, limits, 5) == (0, 0, 1)


def test_limits_of_another_metric_statistic_or_side_stay():
    first = (parse_limit("tpot<=8ms"), parse_limit("loss<=3"))
    assert [i.text for i in with_limit(first, parse_limit("tpot>=1ms"))] == [
        "tpot:p50<=8ms", "loss:p50<=3", "tpot:p50>=1ms"
    ]  # fmt: skip
    # in the place of the one it replaces
    assert [i.text for i in with_limit(first, parse_limit("tpot<=9ms"))] == [
        "tpot:p50<=9ms", "loss:p50<=3"
    ]  # fmt: skip
    assert without_limit(first, first[0].key) == first[1:]


def test_what_can_be_reached_keeps_the_limits_of_others():
    # rows 0 and 1 keep this one; their times differ
    assert reachable(column, [parse_limit("loss>=3.2")], 5, "tpot_s") == (0.001, 0.005)
