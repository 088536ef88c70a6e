"""No lever of a design changes a cost and leaves its quality equal without the quality's source naming it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured import DEVICE, measured

from core.analysis.contents import Contents
from core.analysis.pipeline import Laws, make_table
from core.model.architecture import Architecture, Shapes
from core.model.workload import Runtime, Workload
from core.paper.published import PUBLISHED, published
from core.project.choices import Choices, WhatIf
from core.records.measurement import Point
from core.records.metrics import METRICS
from core.space.candidates import Candidates
from core.table.published_precision import WAYS
from core.table.table import Table

SHAPE = Architecture(8, 512, 8, 8, 64, 1536, 32000)
TOKENS = 5e9
# lever -> what its source calls it, and values of the shape, workload or runtime
LEVERS = {
    "layers": ("n_layers", (4, 8, 12)),
    "width": ("d_model", (384, 512, 768)),
    "head size": ("heads", ((16, 32), (8, 64), (4, 128))),
    "KV groups": ("n_kv_heads", (1, 2, 4, 8)),
    "FFN ratio": ("d_ff", (1024, 1536, 2048)),
    "vocabulary": ("vocab_size", (8192, 32000, 50432)),
    "tied embeddings": ("tied_embeddings", (False, True)),
    "gated FFN": ("gated_ffn", (False, True)),
    "bits": ("weights", ("fp32", "bf16", "fp16", "fp8", "int8")),
    "execution": ("execution", ("eager", "compiled")),
    "threads": ("threads", (0, 1, 4)),
    "batch": ("batch", (1, 4)),
    "prompt": ("prompt_tokens", (16, 128)),
    "output": ("output_tokens", (8, 32)),
}
COSTS = [key for key, m in METRICS.items() if m.better and m.group not in ("Quality", "Training")]
QUALITIES = [key for key, m in METRICS.items() if m.group == "Quality"]


def pulled(lever, value):
    """The point with one lever at a value."""
    name = LEVERS[lever][0]
    shape, work, run = SHAPE, Workload(1, 64, 16), Runtime()
    if name == "heads":
        shape = replace(shape, n_heads=value[0], n_kv_heads=value[0], d_head=value[1])
    elif name == "d_model":
        shape = replace(shape, d_model=value, d_head=value // 8)
    elif hasattr(shape, name):
        shape = replace(shape, **{name: value})
    elif hasattr(work, name):
        work = replace(work, **{name: value})
    elif name == "weights":
        # caches of 8 bits come with their own precision
        run = replace(run, weights=value, cache={"int8": "fp32", "fp8": "bf16"}.get(value, value))
    else:
        run = replace(run, **{name: value})
    return Point(shape, work, run)


def timed(point, model=""):
    """As measured on a machine on which execution and threads matter too."""
    slower = 1.5 if point.runtime.execution == "eager" else 1.0
    m = measured(
        point.architecture, point.workload, point.runtime, model=model,
        quality={"loss": 2.5, "bits_per_byte": 0.8} if model else {},
    )  # fmt: skip
    slower /= 1 + point.runtime.threads
    samples = {
        phase: tuple(tuple(s * slower for s in block) for block in blocks)
        for phase, blocks in m.samples.items()
    }
    return replace(m, samples=samples)


def table_of(points, law, model="", way=""):
    runtimes = tuple(dict.fromkeys(p.runtime for p in points))
    candidates = Candidates(
        Shapes.of(p.architecture for p in points),
        np.array([p.workload.batch for p in points]),
        np.array([p.workload.prompt_tokens for p in points]),
        np.array([p.workload.output_tokens for p in points]),
        np.full(len(points), TOKENS),
        np.array([runtimes.index(p.runtime) for p in points], np.int16),
        runtimes,
    )
    contents = Contents("t", None, tuple(timed(p, model) for p in points), ())
    laws = Laws(law, "", (), ())
    if model:
        return make_table(contents, laws, Choices(device_key=DEVICE.key))
    choices = Choices(device_key=DEVICE.key, what_if=WhatIf(precision=way))
    return make_table(contents, laws, choices, candidates)


def assert_named(table: Table, other: Table, rows, lever):
    (a, b) = rows
    dearer = [k for k in COSTS if not equal(table.column(k)[a], other.column(k)[b])]
    for key in QUALITIES:
        one, two = table.column(key)[a], other.column(key)[b]
        if dearer and one == two:
            for source in (table.source(key, a), other.source(key, b)):
                assert lever in source.text, (lever, key, dearer, source.text)


def equal(a, b):
    return a == b or bool(np.isnan(a) and np.isnan(b))


laws = st.builds(
    lambda name, params: replace(published(name), params=params),
    st.sampled_from(sorted(PUBLISHED)),
    st.sampled_from(["total", "non-embedding"]),
)
pulls = st.sampled_from(sorted(LEVERS)).flatmap(
    lambda lever: st.tuples(
        st.just(lever),
        st.lists(st.sampled_from(LEVERS[lever][1]), min_size=2, max_size=2, unique=True),
    )
)


@given(laws, pulls, st.sampled_from(sorted(WAYS)), st.booleans())
def test_a_loss_of_a_law_that_a_lever_leaves_equal_names_it(law, pull, way, low):
    lever, values = pull
    points = [pulled(lever, value) for value in values]
    if low and lever != "bits":
        points = [
            replace(p, runtime=replace(p.runtime, weights="int8", cache="fp32")) for p in points
        ]
    table = table_of(points, law, way=way)
    assert_named(table, table, (0, 1), lever)


@given(pulls)
def test_a_measured_quality_that_a_lever_leaves_equal_names_it(pull):
    lever, values = pull
    if lever in ("layers", "width", "head size") or lever in list(LEVERS)[3:8]:
        return  # two shapes are two models
    table = table_of([pulled(lever, value) for value in values], published(min(PUBLISHED)), "m")
    assert len(table.names) == 2
    assert_named(table, table, tuple(table.names), lever)


def test_a_draft_model_leaves_the_loss_as_it_is_and_is_named():
    big, small = Point(SHAPE), Point(replace(SHAPE, n_layers=2))
    law = published(min(PUBLISHED))
    alone = table_of([big, small], law)
    contents = Contents("t", None, tuple(alone.measured_rows.values()), ())
    tried = WhatIf(acceptance=0.8, draft=alone.id_of(1))
    choices = Choices(device_key=DEVICE.key, what_if=tried)
    drafted = make_table(contents, Laws(law, "", (), ()), choices, alone.candidates)
    assert drafted.column("tpot_s")[0] != alone.column("tpot_s")[0]
    assert_named(alone, drafted, (0, 0), "draft")


@pytest.mark.parametrize(
    ("name", "sees", "hidden"),
    [("chinchilla", "", "width, layers"), ("width-depth", "width", "head size, KV groups")],
)
def test_the_source_names_what_its_own_law_does_not_see(name, sees, hidden):
    known = next(n for n in PUBLISHED if PUBLISHED[n].law == name)
    text = table_of([Point(SHAPE)], published(known)).source("loss", 0).text
    assert hidden in text
    if sees:
        assert f"does not see {sees}" not in text
