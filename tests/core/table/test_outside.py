"""Rows outside what the runs behind the loss law had, by name, where a table shows a loss."""

import numpy as np
import pytest

from core.analysis.describe import describe
from core.fit.solve import fit
from core.formats.runs.suites import suite
from core.space.space_file import parse_space
from core.table.table import Table

SPACE = """
[shape]
n_layers = [6, 12]
d_model = [512, 1024]
d_head = 64
kv_groups = [1, 4]
ffn_ratio = [1.5, 2.6667]
ffn_multiple = 64
vocab_size = {vocabulary}
[train]
tokens_per_parameter = [20]
[constraints]
params_total = {{ min = "80M" }}
"""


@pytest.fixture(scope="module")
def law():
    return fit(suite("morph"), "chinchilla", tied=True)


def table_of(law, vocabulary="50432"):
    space = parse_space(SPACE.format(vocabulary=vocabulary))
    return Table(space.candidates(), loss=law, loss_text="a law")


def test_each_row_names_the_columns_that_the_runs_never_varied(law):
    table = table_of(law)
    shapes = table.candidates.shapes
    narrow, grouped = shapes.d_ff < 2 * shapes.d_model, shapes.n_kv_heads < shapes.n_heads
    assert 0 < narrow.sum() < len(table) and 0 < grouped.sum() < len(table)
    for row in range(len(table)):
        names = ("FFN ratio",) * int(narrow[row]) + ("KV groups",) * int(grouped[row])
        assert table.outside_columns("loss", row) == names
        assert table.estimates("loss").outside[row] == bool(names)
        said = table.source("loss", row).text
        assert said.endswith(f"; outside the runs in {', '.join(names)}") == bool(names)
        known = describe(table, row)["metrics"]["loss"]
        assert known.get("outside", []) == list(names)
        assert known.get("outside_fitted_range", False) == bool(names)
        # a count needs no law
        assert table.outside_columns("params_total", row) == ()
    assert (table.like_runs == ~(narrow | grouped)).all()


def test_one_vocabulary_for_all_is_told_but_marks_no_row(law):
    table = table_of(law, "32000")
    assert "vocabulary" not in table.reach.outside
    row = int(np.flatnonzero(table.like_runs)[0])
    assert table.source("loss", row).text.endswith("; vocabulary 32,000, in the runs 50,432")
    assert not table.estimates("loss").outside[row]
    several = table_of(law, "[32000, 50432]")
    small = several.candidates.shapes.vocab_size == 32000
    assert (several.reach.outside["vocabulary"] == small).all()


def test_without_a_law_nothing_is_outside():
    table = Table(parse_space(SPACE.format(vocabulary=8192)).candidates())
    assert not table.reach.outside and table.like_runs is None
