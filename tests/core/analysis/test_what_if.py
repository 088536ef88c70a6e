"""What-if: the best before and after, and speculative decoding against its closed form."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tried import made as made

from core.analysis.frame import make_frame
from core.analysis.pipeline import make_table
from core.analysis.what_if import as_described, drafts_for, percent_change, snapshot, speculation
from core.errors import Unusable
from core.laws.speculative import speedup
from core.project.choices import WhatIf


def test_without_a_what_if_both_snapshots_agree(made):
    contents, laws, choices, table = made
    now = snapshot(table, make_frame(table, choices))
    then = as_described(contents, laws, choices)
    assert (then.label, then.front, then.feasible) == (now.label, now.front, now.feasible)
    np.testing.assert_equal(then.values, now.values)
    assert now.front >= 1 and now.feasible == len(table)
    best = make_frame(table, choices).best
    tpot = table.estimates("tpot_s")
    assert now.intervals["tpot_s"] == (tpot.low[best], tpot.high[best])
    assert "params_total" not in now.intervals


def test_the_described_best_ignores_the_what_if(made):
    contents, laws, choices, table = made
    tried = choices.changed(what_if=WhatIf(batch=8, output_tokens=64))
    before = as_described(contents, laws, tried)
    assert before.label == snapshot(table, make_frame(table, choices)).label
    other = make_table(contents, laws, tried)
    assert set(np.unique(other.candidates.batch[: other.described])) == {8}


def test_drafts_are_faster_shapes_of_the_same_kind(made):
    _, _, _, table = made
    step = table.column("tpot_s")
    row = int(np.nanargmax(step))
    rows = drafts_for(table, row)
    assert rows and len(rows) <= 12
    assert all(step[r] <= 0.5 * step[row] for r in rows)
    assert list(step[list(rows)]) == sorted(step[list(rows)])
    assert drafts_for(table, int(np.nanargmin(step))) == ()


def test_without_a_law_it_is_the_closed_form(made):
    _, laws, _, table = made
    step = table.column("tpot_s")
    row = int(np.nanargmax(step))
    draft = drafts_for(table, row)[0]
    got = speculation(table, replace(laws, latency=()), row, draft, 0.8, 4)
    share = step[draft] / step[row]
    assert got.speedup == pytest.approx(float(speedup(0.8, 4, share)))
    assert got.tpot_s == pytest.approx(step[row] / got.speedup)
    assert got.verify_s == pytest.approx(step[row])


def test_checking_more_tokens_costs_something_and_break_even_is_where_it_says(made):
    _, laws, _, table = made
    row = int(np.nanargmax(table.column("tpot_s")))
    draft = drafts_for(table, row)[0]
    got = speculation(table, laws, row, draft, 0.8, 4)
    assert got.verify_s >= got.target_step_s
    assert got.best_speedup >= got.speedup
    assert got.break_even is not None
    even = speculation(table, laws, row, draft, got.break_even, 4)
    assert even.speedup == pytest.approx(1.0, abs=1e-6)
    assert "times as fast" in got.text


def test_a_draft_as_slow_as_its_target_gains_nothing(made):
    _, laws, _, table = made
    row = int(np.nanargmax(table.column("tpot_s")))
    got = speculation(table, laws, row, row, 0.3, 4)
    assert got.best_draft_tokens == 0 and got.speedup < 1
    assert "nothing is gained" in got.text


def test_nonsense_is_refused(made):
    _, laws, _, table = made
    with pytest.raises(Unusable):
        speculation(table, laws, 0, 1, 1.5, 4)
    with pytest.raises(Unusable):
        speculation(table, laws, 0, 1, 0.8, 0)


def test_percentages_have_a_meaning_or_none():
    assert percent_change(2.0, 3.0) == pytest.approx(50.0)
    assert math.isnan(percent_change(math.nan, 1.0)) and math.isnan(percent_change(0.0, 1.0))
