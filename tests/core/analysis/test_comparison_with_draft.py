"""The compare tray and the table are made alike, speculative decoding included."""

import numpy as np
import pytest
from tried import made as made

from core.analysis.comparison import compare_rows
from core.analysis.pipeline import make_table
from core.analysis.what_if import drafts_for
from core.project.choices import WhatIf


@pytest.mark.parametrize("batch", [None, 8])
def test_with_a_draft_chosen_the_tray_and_the_table_agree(made, batch):
    contents, laws, choices, plain = made
    target = int(np.nanargmax(plain.alone.value))
    for draft in drafts_for(plain, target):
        tried = WhatIf(batch=batch, acceptance=0.8, draft=plain.id_of(draft))
        under = choices.changed(what_if=tried)
        table = make_table(contents, laws, under)
        drafted = np.flatnonzero(table.drafted[: table.described])
        # the draft itself is not among the compared: its step has to come along all the same
        rows = drafted[[0, -1]]
        ids = [table.id_of(row) for row in rows]
        assert plain.id_of(draft) not in ids
        found = compare_rows(contents, laws, under, table, ids)
        for differences, row in zip(found.differences, rows, strict=True):
            by_metric = dict(zip(found.metrics, differences, strict=True))
            for key in ("tpot_s", "e2e_s", "tokens_per_s"):
                assert by_metric[key].value == table.column(key)[row]
                assert by_metric[key].kind == "predicted"
