"""The whole table under speculative decoding: closed form, provenance, what stays as it is."""

import math

import numpy as np
import pytest
from tried import made as made

from core.analysis.pipeline import make_table
from core.analysis.what_if import drafts_for, speculation
from core.errors import Unusable
from core.laws.speculative import expected_tokens
from core.project.choices import Choices, WhatIf
from core.table.speculative import Drafting, draft_row
from core.table.table import Table


def target_and_draft(table):
    row = int(np.nanargmax(table.alone.value))
    return row, drafts_for(table, row)[0]


def under(made, acceptance, tokens=4, **what_if):
    contents, laws, choices, table = made
    row, draft = target_and_draft(table)
    tried = WhatIf(acceptance=acceptance, draft=table.id_of(draft), draft_tokens=tokens, **what_if)
    return row, draft, make_table(contents, laws, choices.changed(what_if=tried))


def test_without_laws_every_row_has_the_closed_form(made):
    contents = made[0]
    known = Table(contents.space.candidates(), measurements=contents.measurements)
    row, draft = target_and_draft(known)
    drafting = Drafting(known.id_of(draft), 0.7, 3)
    table = Table(
        contents.space.candidates(), measurements=contents.measurements, drafting=drafting
    )
    t, d = known.column("tpot_s"), known.column("tpot_s")[draft]
    gained = (1 - 0.7**4) / (1 - 0.7)
    faster = d < t
    assert faster[row] and (table.drafted == faster).all()
    assert table.column("tpot_s")[faster] == pytest.approx((3 * d + t[faster]) / gained)
    np.testing.assert_array_equal(table.column("tpot_s")[~faster], t[~faster])


def test_the_readout_and_the_picture_agree(made):
    _, laws, _, plain = made
    row, draft, table = under(made, 0.8)
    told = speculation(plain, laws, row, draft, 0.8, 4)
    assert table.column("tpot_s")[row] == pytest.approx(told.tpot_s)
    # the readout of the changed table starts from plain steps too
    assert speculation(table, laws, row, draft, 0.8, 4) == told


def test_acceptance_zero_costs_and_one_above_the_drafts_share_gains(made):
    _, _, _, plain = made
    _, draft, never = under(made, 0.0)
    drafted = never.drafted
    assert drafted.any()
    assert (never.column("tpot_s")[drafted] > plain.column("tpot_s")[drafted]).all()
    # one draft token gains exactly where 1 + alpha exceeds what the iteration costs
    _, _, once = under(made, 0.9, tokens=1)
    t, d = plain.column("tpot_s"), plain.column("tpot_s")[draft]
    gains = once.column("tpot_s") < t
    assert gains.any()
    assert (gains[drafted] <= (d / t[drafted] < 0.9)).all()
    assert expected_tokens(0.9, 1) == pytest.approx(1.9)


def test_what_follows_from_the_step_follows(made):
    _, _, _, plain = made
    row, _, table = under(made, 0.8)
    tpot, ttft = table.column("tpot_s")[row], table.column("ttft_s")[row]
    assert ttft == plain.column("ttft_s")[row]
    assert table.column("e2e_s")[row] == pytest.approx(ttft + 31 * tpot)
    assert table.column("tokens_per_s_user")[row] == pytest.approx(1 / tpot)
    assert table.column("tokens_per_s")[row] == pytest.approx(32 / (ttft + 31 * tpot))
    assert table.column("params_total")[row] == plain.column("params_total")[row]


def test_such_numbers_are_predicted_and_say_why(made):
    _, _, _, plain = made
    _, draft, table = under(made, 0.8)
    row = next(r for r in table.measured_rows if table.drafted[r])
    assert plain.source("tpot_s", row).kind == "measured"
    for key in ("tpot_s", "e2e_s", "tokens_per_s", "tokens_per_s_user"):
        source = table.source(key, row)
        assert source.kind == "predicted"
        assert "acceptance rate 0.8" in source.text and table.label(draft) in source.text
        assert not table.estimates(key).measured[row]
    assert math.isnan(table.column("tpot_s", "p90")[row])
    assert table.source("ttft_s", row).kind == "measured"
    low, high = (getattr(table.estimates("tpot_s"), k)[row] for k in ("low", "high"))
    assert low <= table.column("tpot_s")[row] <= high
    # the draft itself runs alone
    assert not table.drafted[draft]
    assert table.column("tpot_s")[draft] == plain.column("tpot_s")[draft]


def test_a_draft_is_known_again_under_another_workload(made):
    _, _, table = under(made, 0.8, batch=8)
    assert table.find(table.drafting.draft) is None
    again = draft_row(table.candidates, table.drafting.draft)
    assert again is not None and table.drafted.any()


def test_an_unknown_draft_changes_nothing(made):
    contents, laws, choices, plain = made
    tried = WhatIf(acceptance=0.8, draft="nonsense")
    table = make_table(contents, laws, choices.changed(what_if=tried))
    np.testing.assert_array_equal(table.column("tpot_s"), plain.column("tpot_s"))
    off = make_table(contents, laws, choices.changed(what_if=WhatIf(acceptance=0.8)))
    assert not off.drafted.any()
    assert Choices().what_if.acceptance is None


def test_nonsense_is_refused():
    with pytest.raises(Unusable):
        Drafting("x", 1.2, 4)
    with pytest.raises(Unusable):
        Drafting("x", 0.5, 0)
