"""A table under a law whose resamples shift all candidates together."""

import numpy as np

from core.analysis.frame import make_frame
from core.fit.reach import Reach
from core.project.choices import Choices
from core.space.space_file import parse_space
from core.table.table import Table

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

    def predictive_draws(self, columns, shape, model, count, seed=0):
        return self.predict(columns) + np.resize(self.shifts, count)[:, None]

    def prediction(self, columns, level=0.95):
        middle = self.predict(columns)
        return middle + self.shifts[0], middle + self.shifts[-1]

    def reach(self, columns):
        return Reach()


def pictured(spread, **choices):
    table = Table(parse_space(SPACE).candidates(), loss=Law(spread))
    return table, make_frame(table, Choices(x="params_total", y="loss", **choices))
