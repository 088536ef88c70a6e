import numpy as np
import pytest
from pictured import SPACE, Law, pictured

from core.analysis.front_band import picture_band
from core.analysis.pipeline import make_frame
from core.pareto.limits import parse_limit
from core.project.choices import Choices
from core.space.space_file import parse_space
from core.table.table import Table


def test_errors_that_move_together_give_a_band_of_their_width():
    table, frame = pictured(0.2)
    x, low, high = picture_band(table, frame, coverage=0.9)
    loss = table.column("loss")[frame.front]
    assert list(x) == list(table.column("params_total")[frame.front])
    assert np.allclose(low, loss - 0.18, atol=0.005)
    assert np.allclose(high, loss + 0.18, atol=0.005)


def test_a_certain_metric_has_no_band():
    table, frame = pictured(0.0)
    assert picture_band(table, frame) is None


def test_limits_cut_the_band():
    table, frame = pictured(0.2, limits=(parse_limit("params<=20M"),))
    x, _, _ = picture_band(table, frame)
    assert x.max() <= 20e6


@pytest.mark.parametrize("key", ["n_layers", "d_model"])
def test_an_axis_without_a_goal_has_no_band(key):
    table = Table(parse_space(SPACE).candidates(), loss=Law(0.2))
    frame = make_frame(table, Choices(x=key, y="loss"))
    assert picture_band(table, frame) is None
