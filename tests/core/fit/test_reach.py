"""Where candidates lie outside what the runs had, by column."""

import numpy as np
import pytest

from core.fit.identify import can_answer
from core.fit.reach import UNSTATED, Reach, known_ranges, reach_of
from core.fit.solve import fit
from core.formats.runs.suites import suite

INSIDE = {
    "params_total": 1e8, "tokens": 2e9, "d_model": 512, "n_layers": 8, "n_heads": 8,
    "n_kv_heads": 8, "d_ff": 1408, "vocab_size": 50432, "tied_embeddings": 0, "gated_ffn": 1,
}  # fmt: skip
RANGES = {
    "N": (8e7, 3e8), "D": (1e9, 5e10), "R": (20.0, 400.0), "ffn_ratio": (2.667, 3.0),
    "kv_groups": (1.0, 1.0), "vocab_size": (50432.0, 50432.0),
    "tied_embeddings": (0.0, 0.0), "gated_ffn": (1.0, 1.0),
}  # fmt: skip


def columns(*changes):
    """One row for each change of the design that lies inside."""
    rows = [{**INSIDE, **change} for change in changes]
    return {k: np.array([row[k] for row in rows], np.float64) for k in INSIDE}


def outside(ranges, *changes):
    found = reach_of(ranges, "total", columns(*changes))
    return [found.names(row) for row in range(len(changes))]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"params_total": 4e8}, "parameters"),
        ({"tokens": 6e10}, "training tokens"),
        ({"n_layers": 64}, "width over depth"),
        ({"d_ff": 768}, "FFN ratio"),
        ({"n_kv_heads": 2}, "KV groups"),
        ({"vocab_size": 32000}, "vocabulary"),
        ({"tied_embeddings": 1}, "tied embeddings"),
        ({"gated_ffn": 0}, "gated FFN"),
    ],
)
def test_each_column_marks_by_name(change, name):
    assert outside(RANGES, {}, change) == [(), (name,)]
    # a single design is held against every range
    assert outside(RANGES, change) == [(name,)]


def test_several_columns_are_all_named():
    assert outside(RANGES, {}, {"d_ff": 2048, "n_kv_heads": 1, "params_total": 1e9}) == [
        (),
        ("parameters", "FFN ratio", "KV groups"),
    ]


def test_rounding_is_no_choice_of_another_value():
    # 2.61 is 8/3 cut to a multiple, and 50304 the tokenizer of 50432 padded less
    assert outside(RANGES, {}, {"d_ff": 1336, "vocab_size": 50304}) == [(), ()]
    # an FFN rounded up to 256 varies its ratio from 3 to 3.3 by no one's choice
    rows = columns({"d_ff": 1536}, {"d_ff": 1690})
    found = reach_of(RANGES, "total", rows)
    assert not found.outside and found.constant == ("FFN ratio 3 to 3.3, in the runs 2.67 to 3",)


def test_what_the_table_holds_constant_marks_no_row_and_is_told():
    rows = columns({"vocab_size": 32000}, {"vocab_size": 32000, "n_layers": 9})
    found = reach_of(RANGES, "total", rows)
    assert not found.outside
    assert found.constant == ("vocabulary 32,000, in the runs 50,432",)
    tied = reach_of(RANGES, "total", columns({"tied_embeddings": 1}, {"tied_embeddings": 1}))
    assert tied.constant == ("tied embeddings yes, in the runs no",)
    # size, tokens and aspect ratio are what the law is of, so they mark all the same
    large = reach_of(RANGES, "total", columns({"params_total": 4e8}, {"params_total": 4e8}))
    assert large.outside["parameters"].all()


def test_a_column_that_the_runs_do_not_record_marks_all_rows_of_a_table_that_varies_it():
    unknown = {k: v for k, v in RANGES.items() if k != "kv_groups"}
    name = "KV groups (not recorded)"
    assert outside(unknown, {}, {"n_kv_heads": 2}) == [(name,), (name,)]
    assert outside(unknown, {"n_kv_heads": 2}, {"n_kv_heads": 2}) == [(), ()]
    assert outside(unknown, {"n_kv_heads": 2}) == [()]


def test_constants_of_an_unknown_range_have_every_row_outside():
    assert outside({}, {}, {}) == [(UNSTATED,), (UNSTATED,)]


def test_the_ranges_are_those_of_the_usable_runs():
    rows = columns({}, {"d_ff": 1536, "n_layers": 16}, {"d_ff": 9999})
    found = known_ranges(rows, "total", np.array([True, True, False]))
    assert found["ffn_ratio"] == (2.75, 3.0) and found["R"] == (32.0, 64.0)
    assert found["gated_ffn"] == (1.0, 1.0)
    del rows["n_kv_heads"]
    assert "kv_groups" not in known_ranges(rows, "total", np.array([True, True, False]))


def test_a_fit_says_what_its_runs_had():
    runs = suite("morph")
    answer = can_answer(fit(runs, "chinchilla", tied=True), runs)[-1]
    assert answer.question == "How far do its predictions reach?"
    assert (
        "the runs had FFN ratio 2.67 to 3, KV groups 1, vocabulary 50,432, tied embeddings no,"
        " gated FFN yes, and what differs is marked" in answer.why
    )


def test_rows_like_the_runs_are_judged_by_the_columns_that_tell_rows_apart():
    everywhere, some = np.ones(4, bool), np.array([False, True, True, False])
    among = np.array([True, True, True, False])
    found = Reach({"parameters": everywhere, "FFN ratio": some}).like_the_runs(among)
    assert list(found) == [True, False, False, True]
    assert Reach({"parameters": everywhere}).like_the_runs(among) is None
    # no row is inside in both
    both = {"FFN ratio": np.array([1, 0, 0, 0], bool), "KV groups": np.array([0, 1, 1, 1], bool)}
    assert Reach(both).like_the_runs(among) is None
    assert Reach().like_the_runs(among) is None
