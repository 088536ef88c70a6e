"""The live front equals the front computed afresh, wherever the limit stands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pareto.front import front_indices
from core.pareto.live_front import prepare

VALUE = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, np.nan])


def passes(column, side, value):
    if value is None:
        return np.ones(len(column), dtype=bool)
    return column <= value if side == "<=" else column >= value


@given(
    rows=st.lists(st.tuples(VALUE, VALUE, VALUE, st.booleans()), max_size=30),
    side=st.sampled_from(["<=", ">="]),
)
@settings(max_examples=300, deadline=None)
def test_equals_the_front_computed_afresh(rows, side):
    table = np.array(rows, dtype=float).reshape(-1, 4)
    x, y, c = table.T[:3]
    others = table[:, 3].astype(bool)
    live = prepare(x, y, c, side, others)
    for value in (None, -2.0, -1.0, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 9.0, np.inf, -np.inf):
        feasible = passes(c, side, value) & others
        assert live.count(value) == feasible.sum()
        assert sorted(live.feasible(value)) == np.flatnonzero(feasible).tolist()
        assert live.front(value).tolist() == front_indices(x, y, feasible).tolist()


@given(
    rows=st.lists(st.tuples(VALUE, VALUE, VALUE, st.booleans(), st.booleans()), max_size=30),
    side=st.sampled_from(["<=", ">="]),
)
@settings(max_examples=200, deadline=None)
def test_the_front_is_of_preferred_points_as_long_as_one_passes(rows, side):
    table = np.array(rows, dtype=float).reshape(-1, 5)
    x, y, c = table.T[:3]
    others, preferred = table[:, 3].astype(bool), table[:, 4].astype(bool)
    live = prepare(x, y, c, side, others, preferred)
    for value in (None, -2.0, -1.0, 0.25, 1.0, 2.0, 9.0):
        passing = passes(c, side, value) & others
        expected = front_indices(x, y, passing & preferred)
        if not len(expected):
            expected = front_indices(x, y, passing)
        assert live.front(value).tolist() == expected.tolist()
        assert live.count(value) == passing.sum()


@pytest.mark.parametrize("dragged", ["x", "y", "other"])
@pytest.mark.parametrize("side", ["<=", ">="])
def test_equals_on_a_cloud(dragged, side):
    random = np.random.default_rng(3)
    x = random.lognormal(0, 1, 20_000)
    y = x**-0.3 * random.lognormal(0, 0.2, 20_000)
    c = {"x": x, "y": y, "other": x * random.lognormal(0, 0.5, 20_000)}[dragged]
    live = prepare(x, y, c, side)
    sizes = set()
    for value in np.quantile(c, [0.0, 0.001, 0.1, 0.5, 0.9, 1.0]):
        expected = front_indices(x, y, passes(c, side, value))
        assert live.front(value).tolist() == expected.tolist()
        sizes.add(len(expected))
    assert len(sizes) > 2


def test_few_candidates_remain_to_compare():
    random = np.random.default_rng(4)
    x, y, c = random.random((3, 100_000))
    assert len(prepare(x, y, c, "<=").candidates.rows) < 2_000


def test_a_side_is_one_of_two():
    with pytest.raises(ValueError, match="side"):
        prepare(np.zeros(1), np.zeros(1), np.zeros(1), "<")
