"""What of a table becomes a mark on the plot."""

import numpy as np
import pytest
from tiny_project import SPACE, timed

from core.analysis.pipeline import Contents, make_laws, make_table
from core.project.choices import Choices
from core.space.space_file import parse_space
from gui.panels.picture_scene import measured_of


@pytest.fixture(scope="module")
def table():
    space = parse_space(SPACE.replace("[20, 160]", "[20, 60, 160]"))
    contents = Contents("t", space, tuple(timed(p) for p in space.measurement_points()), ())
    return make_table(contents, make_laws(contents, Choices()), Choices())


def test_a_shape_timed_once_is_marked_once_however_often_it_is_trained(table):
    timings = {id(m) for m in table.measured_rows.values()}
    assert len(table.measured_rows) == 3 * len(timings)
    marks = measured_of(table, "tpot_s", "loss")
    assert len(marks.rows) == len(timings)
    assert {id(table.measurement(row)) for row in marks.rows.tolist()} == timings
    loss = table.column("loss")
    for row in marks.rows.tolist():
        same = [r for r, m in table.measured_rows.items() if m is table.measurement(row)]
        assert len(same) == 3
        assert loss[row] == loss[same].min()
    assert np.array_equal(marks.y, loss[marks.rows])


def test_the_mark_is_where_the_axes_say_better(table):
    marks = measured_of(table, "tpot_s", "train_flops")
    flops = table.column("train_flops")
    for row in marks.rows.tolist():
        same = [r for r, m in table.measured_rows.items() if m is table.measurement(row)]
        assert flops[row] == flops[same].min()


def test_nothing_measured_no_marks(table):
    assert measured_of(table, "params_total", "loss") is None
