import numpy as np
import pytest

from core.choices import Choices
from core.limits import parse_limit
from core.picture import make_frame
from core.picture_band import picture_band
from core.space_file import parse_space
from core.table import Table

SPACE = """
[shape]
n_layers = { from = 2, to = 12, step = 2 }
d_model = { from = 128, to = 768, step = 128 }
vocab_size = 8192
[train]
tokens_per_parameter = [20, 160]
"""


class Law:
    """Loss falls with size; resamples shift all candidates together by up to `spread`."""

    ok = True

    def __init__(self, spread):
        self.shifts = np.linspace(-spread, spread, 101)

    def predict(self, columns):
        return 10 - 0.3 * np.log(columns["params_total"]) - 0.1 * np.log(columns["tokens"])

    def draws(self, columns):
        return self.predict(columns) + self.shifts[:, None]

    def interval(self, columns, level=0.95):
        middle = self.predict(columns)
        return middle + self.shifts[0], middle + self.shifts[-1]

    def outside(self, columns):
        return np.zeros(len(columns["tokens"]), bool)


def pictured(spread, **choices):
    table = Table(parse_space(SPACE).candidates(), loss=Law(spread))
    return table, make_frame(table, Choices(x="params_total", y="loss", **choices))


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
