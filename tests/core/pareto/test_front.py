"""Fronts agree with brute force, with moocore, and with the stated rule for ties."""

import moocore
import numpy as np
import pytest
from dominance import dominates
from hypothesis import given, settings
from hypothesis import strategies as st

from core.pareto import front
from core.pareto.front import (
    dominators,
    front_indices,
    lowest_dominating,
    neighbours_on_front,
    nondominated,
    oriented,
    prefilter_3d,
    staircase,
)
from core.pareto.hypervolume import hypervolume


def brute(values):
    no_worse = (values[:, None, :] <= values[None, :, :]).all(-1)
    better = (values[:, None, :] < values[None, :, :]).any(-1)
    known = ~np.isnan(values).any(1)
    return ~(no_worse & better).any(0) & known


def tables(dimensions, low=-3, high=3):
    # few distinct values, so that ties and duplicates are the rule
    return st.integers(1, 40).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(low, high), min_size=dimensions, max_size=dimensions),
            min_size=n,
            max_size=n,
        ).map(lambda rows: np.array(rows, dtype=float))
    )


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4, 5])
@given(data=st.data())
@settings(max_examples=120, deadline=None)
def test_agrees_with_brute_force_and_moocore_on_ties(dimensions, data):
    values = data.draw(tables(dimensions))
    kept = nondominated(values)
    assert (kept == brute(values)).all()
    if dimensions > 1:
        assert (kept == moocore.is_nondominated(values, keep_weakly=True)).all()


@given(rows=st.lists(st.tuples(*[st.sampled_from([0.0, -0.0, 1.0, np.inf, -np.inf, np.nan])] * 3)))
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_infinities_and_unknowns(dimensions, rows):
    values = np.array(rows, dtype=float).reshape(-1, 3)[:, :dimensions]
    assert (nondominated(values) == brute(values)).all()


def clouds(seed, n=30_000):
    random = np.random.default_rng(seed)
    a = random.lognormal(0, 1, n)
    design = np.column_stack(
        [a, a**-0.3 * random.lognormal(0, 0.2, n), a * random.lognormal(0, 0.5, n)]
    )
    direction = np.abs(random.normal(size=(n, 3)))
    sphere = 1 - direction / np.linalg.norm(direction, axis=1, keepdims=True)
    coarse = np.round(design, 1)
    one_far_away = design.copy()
    one_far_away[7] = 1e12
    infinite = design.copy()
    infinite[3] = [np.inf, -np.inf, 0.0]
    infinite[4] = [-np.inf, np.inf, np.inf]
    return [design, sphere, coarse, one_far_away, infinite, np.full((n, 3), 2.0)]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("kind", range(6))
def test_prefilters_change_nothing(kind, dimensions):
    values = np.ascontiguousarray(clouds(kind)[kind][:, :dimensions])
    assert (nondominated(values) == moocore.is_nondominated(values, keep_weakly=True)).all()


def test_four_columns_over_several_chunks():
    random = np.random.default_rng(5)
    values = np.column_stack([clouds(1, 9_000)[1], random.random(9_000)])
    values = np.concatenate([values, values[:300], values[:300] + np.array([0, 0, 0, 1.0])])
    assert len(values) > 2 * front.CHUNK
    assert (nondominated(values) == moocore.is_nondominated(values, keep_weakly=True)).all()


def test_a_large_sphere_is_all_front():
    assert nondominated(clouds(1, 100_000)[1]).all()


def test_infeasible_rows_neither_count_nor_dominate():
    values = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.5], [1.0, 1.0]])
    assert nondominated(values).tolist() == [True, False, False, False]
    without = nondominated(values, np.array([False, True, True, True]))
    assert without.tolist() == [False, True, True, True]
    assert not nondominated(values, np.zeros(4, dtype=bool)).any()
    assert nondominated(np.empty((0, 2))).shape == (0,)
    with pytest.raises(ValueError, match="d >= 1"):
        nondominated(np.zeros(3))


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_lowest_dominating_by_its_definition(data):
    values = data.draw(tables(3))
    x, y, c = values.T
    expected = [
        min((c[j] for j in range(len(x)) if dominates(x, y, j)[i]), default=np.inf)
        for i in range(len(x))
    ]
    assert lowest_dominating(x, y, c).tolist() == expected


def test_prefilter_really_drops_most():
    x, y, c = clouds(0)[0].T
    assert len(prefilter_3d(x, y, c)) < 0.2 * len(x)


def test_front_indices_run_along_the_front():
    x, y = clouds(2)[2][:, :2].T
    along = front_indices(x, y)
    assert (np.diff(x[along]) >= 0).all() and (np.diff(y[along]) <= 0).all()
    assert set(along) == set(np.flatnonzero(nondominated(np.column_stack([x, y]))))


@given(values=tables(2))
@settings(max_examples=150, deadline=None)
def test_a_point_has_dominators_exactly_when_it_is_off_the_front(values):
    x, y = values.T
    kept = nondominated(values)
    for i in range(len(x)):
        found = dominators(x, y, i)
        assert (len(found) == 0) == kept[i]
        assert all(dominates(x, y, j)[i] for j in found)
        assert len(found) == sum(dominates(x, y, j)[i] for j in range(len(x)))


def test_dominators_come_most_better_first():
    x = np.array([5.0, 4.0, 1.0, 5.0])
    y = np.array([5.0, 4.0, 1.0, 4.9])
    assert dominators(x, y, 0).tolist() == [2, 1, 3]
    assert dominators(x, y, 0, np.array([True, True, False, True])).tolist() == [1, 3]


def test_neighbours_lie_on_either_side():
    x = np.array([1.0, 2.0, 3.0, 4.0, 2.0, 2.5])
    y = np.array([4.0, 3.0, 2.0, 1.0, 3.0, 9.0])
    along = front_indices(x, y)
    lower, higher = neighbours_on_front(x, y, along, 1)
    # point 4 is the same place as point 1, so no neighbour
    assert (lower.tolist(), higher.tolist()) == ([0], [2, 3])
    lower, higher = neighbours_on_front(x, y, along, 5, count=1)
    assert x[lower].tolist() == [2.0] and higher.tolist() == [2]


def test_staircase_only_steps():
    x, y = np.array([3.0, 1.0, 2.0, 2.5]), np.array([1.0, 3.0, 2.0, 2.0])
    # a repeated point adds a step of no length
    sx, sy = staircase(np.r_[x, 3.0], np.r_[y, 1.0])
    assert sx.tolist()[:5] == [1, 2, 2, 3, 3] and set(sx[5:]) == {3} and set(sy[5:]) == {1}
    sx, sy = staircase(x, y)
    assert sx.tolist() == [1, 2, 2, 3, 3] and sy.tolist() == [3, 3, 2, 2, 1]
    sx, sy = staircase(x, y, ends=(9.0, 8.0))
    assert sx.tolist() == [1, 1, 2, 2, 3, 3, 9] and sy.tolist() == [8, 3, 3, 2, 2, 1, 1]
    assert [len(side) for side in staircase(np.empty(0), np.empty(0))] == [0, 0]


@given(values=tables(2), better=st.tuples(*[st.sampled_from(["lower", "higher"])] * 2))
@settings(max_examples=150, deadline=None)
def test_staircase_encloses_the_hypervolume(values, better):
    ends = tuple(4.0 if way == "lower" else -4.0 for way in better)
    sx, sy = staircase(*values.T, better=better, ends=ends)
    # every segment is along an axis, and a straight line never cuts a corner
    assert ((np.diff(sx) == 0) | (np.diff(sy) == 0)).all()
    cx, cy = np.r_[sx, ends[0]], np.r_[sy, ends[1]]
    area = abs(np.sum(cx * np.roll(cy, -1) - cy * np.roll(cx, -1))) / 2
    turned = np.column_stack([oriented(v, b) for v, b in zip(values.T, better, strict=True)])
    assert area == pytest.approx(hypervolume(turned, np.array([4.0, 4.0])), abs=1e-9)


@given(values=tables(2))
@settings(max_examples=150, deadline=None)
def test_hypervolume_agrees_with_moocore(values):
    reference = np.full(2, 2.5)
    expected = moocore.hypervolume(values, ref=reference)
    assert hypervolume(values, reference) == pytest.approx(expected, abs=1e-9)


def test_hypervolume_of_smooth_clouds():
    values = np.ascontiguousarray(clouds(1, 2_000)[1][:, :2])
    reference = np.full(2, 1.1)
    assert hypervolume(values, reference) == pytest.approx(
        moocore.hypervolume(values, ref=reference), rel=1e-12
    )


def test_hypervolume_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match=r"\(n, 2\)"):
        hypervolume(np.zeros((3, 3)), np.ones(3))
    assert hypervolume(np.array([[2.0, 2.0], [np.nan, 0.0]]), np.ones(2)) == 0.0


def test_oriented_knows_only_two_ways():
    assert oriented(np.array([1.0]), "higher")[0] == -1.0
    with pytest.raises(ValueError, match="lower"):
        oriented(np.array([1.0]), "bigger")


@pytest.fixture
def small_parts(monkeypatch):
    """Prefilters, chunks and blocks that a table of a few rows needs several of."""
    for name, size in {"FEW": 3, "BINS_2D": 8, "BINS_3D": 4, "CHUNK": 7, "BLOCK": 2}.items():
        monkeypatch.setattr(front, name, size)


@pytest.mark.parametrize("dimensions", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["ties", "smooth", "front", "infinite"])
def test_small_parts_give_the_front_of_the_whole(small_parts, dimensions, kind):
    for seed in range(40):
        random = np.random.default_rng(seed)
        n = int(random.integers(1, 40))
        values = random.random((n, dimensions))
        if kind == "ties":
            values = random.integers(0, 4, (n, dimensions)).astype(float)
        elif kind == "front":
            values[:, -1] = dimensions - values[:, :-1].sum(axis=1)
        elif kind == "infinite":
            values = random.choice([-np.inf, 0.0, -0.0, 1.0, np.inf, np.nan], (n, dimensions))
        feasible = random.random(n) < 0.7
        kept = np.where(feasible[:, None], values, np.nan)
        assert (nondominated(values) == brute(values)).all()
        assert (nondominated(values, feasible) == brute(kept)).all()


def test_a_grid_drops_what_a_lower_cell_beats(small_parts):
    x = np.repeat(np.arange(8.0), 8)
    y = np.tile(np.arange(8.0), 8)
    # c is lowest at the origin: in every other row and column of cells something beats it
    kept = prefilter_3d(x, y, np.ones(64))
    assert {0} <= set(kept.tolist()) and len(kept) < 32


def test_gains_are_relative_to_the_spread_of_each_column():
    # from (10, 100): one gains a tenth in x and all of y, the other all of x and 0.4 of y
    x, y = np.array([10.0, 9.0, 0.0]), np.array([100.0, 0.0, 60.0])
    assert dominators(x, y, 0).tolist() == [2, 1]
    # all of x, half of y against half of x, 0.9 of y: 1.5 and 1.4
    assert dominators(np.array([10.0, 0, 5]), np.array([100.0, 50, 10]), 0).tolist() == [1, 2]
    # a column without spread, and one that is infinite, decide nothing
    assert dominators(np.array([1.0, 1, 1]), np.array([3.0, 2, 1]), 0).tolist() == [2, 1]
    assert dominators(np.array([np.inf, 1, 0]), np.array([3.0, 1, 2]), 0).tolist() == [1, 2]


def test_two_neighbours_on_each_side_by_default_nearest_first():
    x = np.arange(9.0)
    y = x[::-1].copy()
    lower, higher = neighbours_on_front(x, y, np.arange(9), 4)
    assert (lower.tolist(), higher.tolist()) == ([3, 2], [5, 6])
    lower, higher = neighbours_on_front(x, y, np.arange(9), 1)
    assert (lower.tolist(), higher.tolist()) == ([0], [2, 3])
    lower, higher = neighbours_on_front(x, y, np.arange(9), 0)
    assert (lower.tolist(), higher.tolist()) == ([], [1, 2])


def test_a_staircase_of_what_is_better_higher_and_ends_that_lie_inside():
    x, y = np.array([3.0, 1.0, 2.0]), np.array([1.0, 3.0, 2.0])
    sx, sy = staircase(x, y, better=("higher", "higher"), ends=(0.0, 0.0))
    assert sx.tolist() == [3, 3, 2, 2, 1, 1, 0] and sy.tolist() == [0, 1, 1, 2, 2, 3, 3]
    # the front goes beyond these ends, and stays as it is
    sx, sy = staircase(x, y, ends=(2.5, 2.5))
    assert sx.tolist() == [1, 1, 2, 2, 3, 3, 3] and sy.tolist() == [3, 3, 3, 2, 2, 1, 1]
    sx, sy = staircase(x, y, better=("higher", "higher"), ends=(1.5, 1.5))
    assert sx.tolist()[-1] == 1 and sy.tolist()[0] == 1


def test_the_front_of_some_rows_in_order():
    x, y = np.array([2.0, 1.0, 3.0, 1.0, np.nan, 0.0]), np.array([1.0, 2.0, 0.0, 2.0, 0.0, np.nan])
    assert front_indices(x, y).tolist() == [1, 3, 0, 2]
    some = np.array([False, True, True, False, True, True])
    assert front_indices(x, y, some).tolist() == [1, 2]
    assert front_indices(x, y, np.zeros(6, bool)).tolist() == []


def test_a_mask_needs_a_table():
    for wrong in (np.zeros((3, 0)), np.zeros((3, 2, 2))):
        with pytest.raises(ValueError, match="d >= 1"):
            nondominated(wrong)
