from dataclasses import replace

import numpy as np
import pytest
from measured import measured
from pictured import SPACE, Law, pictured

from core.analysis.frame import make_frame
from core.analysis.front_uncertainty import (
    chance_text,
    frame_band,
    frame_chance,
    front_uncertainty,
)
from core.fit.latency import fit_latency
from core.pareto.limits import Limit, parse_limit
from core.project.choices import Choices
from core.records.progress import outcome
from core.space.space_file import parse_space
from core.table.table import Table


def latency_table():
    """A law of latency that misses each shape by a few percent."""
    space = parse_space(SPACE).candidates()
    rng = np.random.default_rng(1)
    timed = []
    for point in dict.fromkeys(space.point(row) for row in range(0, len(space), 7)):
        exact = measured(point.architecture, point.workload, point.runtime)
        off = float(np.exp(rng.normal(0, 0.04)))
        samples = {
            k: tuple(tuple(v * off for v in block) for block in blocks)
            for k, blocks in exact.samples.items()
        }
        timed.append(replace(exact, samples=samples))
    return Table(space, loss=Law(0.0), latency=fit_latency(timed), measurements=timed)


def test_loss_errors_that_move_together_leave_the_front_certain():
    table, frame = pictured(0.5)
    chance = outcome(frame_chance(table, frame))
    assert (chance[frame.front] == 1).all()
    assert np.nansum(chance) == len(frame.front)


def test_nothing_uncertain_has_no_chance_and_no_band():
    table, frame = pictured(0.0)
    found = outcome(front_uncertainty(table, frame))
    assert found.chance is None and found.band is None and found.front is frame.front


def test_an_uncertain_latency_makes_the_front_uncertain():
    table = latency_table()
    frame = make_frame(table, Choices(x="tpot_s", y="loss"))
    chance = outcome(frame_chance(table, frame))
    assert ((chance >= 0) & (chance <= 1)).all()
    assert (chance[frame.front] < 1).any() and (chance[frame.front] > 0).all()
    # something is on the front in every draw, and what is of the lowest loss cannot be beaten
    assert np.nansum(chance) >= 1
    assert chance[frame.best] == 1
    beyond = np.setdiff1d(np.arange(len(table)), frame.front)
    assert chance[frame.front].mean() > chance[beyond].mean()


def test_alike_shapes_err_alike():
    # two trainings of one shape: the dearer one has the lower loss at the same time per token
    table = latency_table()
    frame = make_frame(table, Choices(x="tpot_s", y="loss"))
    chance = outcome(frame_chance(table, frame))
    c = table.candidates
    for row in frame.front:
        same = (c.shapes.n_layers == c.shapes.n_layers[row]) & (
            c.shapes.d_model == c.shapes.d_model[row]
        )
        worse = same & (table.column("loss") > table.column("loss")[row])
        worse &= table.column("tpot_s") >= table.column("tpot_s")[row]
        assert (chance[worse] == 0).all()


def test_rows_outside_the_limits_have_none():
    table = latency_table()
    frame = make_frame(table, Choices(x="tpot_s", y="loss", limits=(parse_limit("params<=20M"),)))
    chance = outcome(frame_chance(table, frame))
    assert np.isnan(chance[~frame.feasible]).all() and np.isfinite(chance[frame.feasible]).all()


def law_missing_by(spread):
    """The table of `latency_table` with every predicted time per token known to `spread` (relative)."""
    table = latency_table()
    tpot = table.estimates("tpot_s")
    none = np.zeros(len(table), bool)
    value = tpot.value.copy()
    table._cache[("estimates", "tpot_s", False)] = replace(
        tpot, low=value * (1 - spread), high=value * (1 + spread), measured=none
    )
    return table


def test_a_row_at_its_limits_edge_is_less_sure_than_far_inside():
    table = law_missing_by(0.1)
    free = make_frame(table, Choices(x="tpot_s", y="loss"))
    time = table.column("tpot_s")
    # the limit lies exactly on the best row's median: half of its draws break it
    limit = Limit("tpot_s", "<=", float(time[free.best]))
    frame = make_frame(table, Choices(x="tpot_s", y="loss", limits=(limit,)))
    assert frame.best == free.best
    sure, edge = (outcome(frame_chance(table, f)) for f in (free, frame))
    assert sure[free.best] == 1
    assert abs(edge[free.best] - 0.5) < 0.1
    # far from the limit nothing changes but the draws
    far = frame.front[time[frame.front] < 0.7 * limit.value]
    assert len(far) and np.allclose(edge[far], sure[far], atol=0.15)


def test_rows_just_outside_compete_in_some_draws():
    table = law_missing_by(0.15)
    free = make_frame(table, Choices(x="tpot_s", y="loss"))
    time = table.column("tpot_s")
    # the free front's best row lies outside by a hair, by less than it is known
    limit = Limit("tpot_s", "<=", float(time[free.best]) * 0.999)
    frame = make_frame(table, Choices(x="tpot_s", y="loss", limits=(limit,)))
    assert not frame.feasible[free.best]
    chance = outcome(frame_chance(table, frame))
    assert np.isnan(chance[free.best])
    # where it keeps the limit after all, it alone has the lowest loss
    assert chance[frame.best] < 1


def test_a_limit_on_speed_is_turned_with_its_axis():
    table = latency_table()
    speed = table.estimates("tokens_per_s")

    def limited(lowest):
        limits = (Limit("tokens_per_s", ">=", lowest),)
        return make_frame(table, Choices(x="tokens_per_s", y="loss", limits=limits))

    # the best of what keeps the limit stands right at it
    some = limited(float(np.nanquantile(speed.value, 0.3)))
    lowest = float(speed.value[some.best]) * 0.9999
    frame = limited(lowest)
    assert frame.best == some.best
    chance = outcome(frame_chance(table, frame))
    front = frame.front
    # the fastest keep it for certain, and the chance of some other is cut by it
    fastest = front[speed.low[front] > 1.5 * lowest]
    assert len(fastest) and (chance[fastest] > 0).all()
    assert np.isnan(chance[~frame.feasible]).all() and np.nansum(chance) > 0
    free = make_frame(table, Choices(x="tokens_per_s", y="loss"))
    unbound = outcome(frame_chance(table, free))
    assert chance[frame.best] <= 1 and unbound[free.best] == 1
    assert chance[frame.best] < 0.9


def test_another_statistic_is_taken_as_it_is():
    table = law_missing_by(0.1)
    time = table.estimates("tpot_s").high
    free = make_frame(table, Choices(x="tpot_s", y="loss"))
    limit = Limit("tpot_s", "<=", float(time[free.best]), "high")
    frame = make_frame(table, Choices(x="tpot_s", y="loss", limits=(limit,)))
    assert outcome(frame_chance(table, frame))[frame.best] == 1


def test_the_chance_in_words():
    assert chance_text(0.734) == "On the front in 73 % of the draws."
    assert chance_text(0.002) == "On the front in less than 1 % of the draws."
    assert chance_text(0.998) == "On the front in more than 99 % of the draws."
    assert chance_text(1.0) == "On the front in 100 % of the draws."
    assert chance_text(float("nan")) == ""


# --- the band along the front


def test_errors_that_move_together_give_a_band_of_their_width():
    table, frame = pictured(0.2)
    x, low, high = frame_band(table, frame, coverage=0.9)
    loss = table.column("loss")[frame.front]
    assert list(x) == list(table.column("params_total")[frame.front])
    assert np.allclose(low, loss - 0.18, atol=0.005)
    assert np.allclose(high, loss + 0.18, atol=0.005)


def test_a_certain_metric_has_no_band():
    table, frame = pictured(0.0)
    assert frame_band(table, frame) is None


def test_limits_cut_the_band():
    table, frame = pictured(0.2, limits=(parse_limit("params<=20M"),))
    x, _, _ = frame_band(table, frame)
    assert x.max() <= 20e6


@pytest.mark.parametrize("key", ["n_layers", "d_model"])
def test_an_axis_without_a_goal_has_no_band(key):
    table = Table(parse_space(SPACE).candidates(), loss=Law(0.2))
    frame = make_frame(table, Choices(x=key, y="loss"))
    assert frame_band(table, frame) is None


def two_of_known_intervals(low, value, high):
    """A table of two candidates, the second larger, with these times per token; no law of latency."""
    table = Table(parse_space(TWO).candidates(), loss=Law(0.0))
    assert table.column("params_total")[0] < table.column("params_total")[1]
    table._cache[("estimates", "tpot_s", False)] = replace(
        table.estimates("tpot_s"), value=np.array(value), low=np.array(low), high=np.array(high)
    )
    frame = make_frame(table, Choices(x="tpot_s", y="params_total"))
    return table, frame


TWO = """
[shape]
n_layers = [2]
d_model = [128, 256]
vocab_size = 8192
[train]
tokens_per_parameter = [20]
"""


@pytest.mark.parametrize(
    ("low", "value", "high", "expected"),
    [
        # the second, larger one is on the front where its time is drawn below the first's: that one is
        # drawn above 1.05, a half of its upper half-width, where a normal lies in 16.4 % of the draws
        ((0.9, 1.05), (1.0, 1.05), (1.1, 1.05), 0.1635),
        # a quarter of it
        ((0.9, 1.05), (1.0, 1.05), (1.2, 1.05), 0.3121),
        # below by 0.05 of 0.1: the lower half-width counts
        ((1.0, 0.95), (1.0, 1.05), (1.0, 1.35), 0.1635),
        # both uncertain, by independent errors of equal size: 0.05 of 0.1 sqrt(2)
        ((0.9, 0.95), (1.0, 1.05), (1.1, 1.15), 0.2441),
        # draws end at one and a half half-widths, here 1.15
        ((0.9, 1.149), (1.0, 1.149), (1.1, 1.149), 0.0017),
        ((0.9, 1.151), (1.0, 1.151), (1.1, 1.151), 0.0),
    ],
)
def test_the_chance_is_that_of_the_normal_that_the_interval_says(low, value, high, expected):
    table, frame = two_of_known_intervals(low, value, high)
    assert frame.front.tolist() == [0]
    chance = outcome(frame_chance(table, frame, draws=20_000))
    assert chance[0] == 1
    assert chance[1] == pytest.approx(expected, abs=0.009 if expected > 0.01 else 0.0012)
    assert (chance[1] > 0) == (expected > 0)


def test_chances_of_draws_are_shares_of_them():
    table, frame = two_of_known_intervals((0.9, 1.0), (1.0, 1.0), (1.1, 1.0))
    chance = outcome(frame_chance(table, frame, draws=8))
    assert chance[0] == 1 and chance[1] * 8 == round(chance[1] * 8)
    assert 0 < chance[1] < 1
    assert not chance.flags.writeable


def test_a_limit_counts_in_each_draw():
    table, _ = two_of_known_intervals((0.9, 1.3), (1.0, 1.3), (1.1, 1.3))
    # kept where the first is drawn below 1.025, a quarter of the way up
    limits = (Limit("tpot_s", "<=", 1.025),)
    frame = make_frame(table, Choices(x="tpot_s", y="params_total", limits=limits))
    chance = outcome(frame_chance(table, frame, draws=20_000))
    assert chance[0] == pytest.approx(0.6879, abs=0.009) and np.isnan(chance[1])
