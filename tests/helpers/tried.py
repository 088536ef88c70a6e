"""A table to try things on."""

import pytest

from core.analysis.contents import Contents
from core.analysis.pipeline import Laws, make_table
from core.fit.latency import fit_latency
from core.project.choices import Choices
from core.records.measurement import Device, Measurement
from core.space.space_file import parse_space

SPACE = """
[shape]
n_layers = { from = 2, to = 16, step = 2 }
d_model = { from = 128, to = 768, step = 128 }
d_head = [64]
vocab_size = 8192
[run]
batch = [1]
prompt_tokens = 32
output_tokens = 32
[train]
tokens_per_parameter = [20]
"""


CPU = Device("cpu", "test", 2**33)


def timed(point):
    a, w = point.architecture, point.workload
    step = 2e-4 * a.n_layers + a.decode_bytes(w.mean_context, w.batch, 4, 4) / 20e9
    blocks = tuple((step * k,) * 4 for k in (0.99, 1.0, 1.01))
    return Measurement(a, w, point.runtime, CPU, {"tpot": blocks, "ttft": blocks})


@pytest.fixture(scope="module")
def made():
    space = parse_space(SPACE)
    points = [space.candidates().point(i) for i in range(0, 48, 3)]
    measurements = tuple(timed(p) for p in points)
    contents = Contents("x", space, measurements, ())
    laws = Laws(None, "", fit_latency(measurements), ())
    choices = Choices(x="tpot_s", y="params_total")
    table = make_table(contents, laws, choices)
    return contents, laws, choices, table
