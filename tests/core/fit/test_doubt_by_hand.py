"""The interval and the draws of a prediction, on numbers that can be worked out by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from core.fit.doubt import Doubt
from core.laws.loss import LAWS

MANY = 10**7
HERE = {"params_total": np.array([1e9]), "tokens": np.array([1e10])}
Q = 1.959964


@dataclass
class Mean:
    """A law that says one loss everywhere, known to a tenth on the log scale."""

    loss: float = 2.0
    half: float = 0.1
    count: int = 20_000
    ranges: dict = field(default_factory=lambda: {"N": (1e8, 1e10), "D": (1e9, 1e11)})
    definition = LAWS["chinchilla"]
    params = "total"
    law, tied = "chinchilla", "free"

    def predict(self, columns):
        return np.full(len(columns["tokens"]), self.loss)

    def interval(self, columns, level=0.95):
        middle = self.predict(columns)
        return middle * np.exp(-self.half), middle * np.exp(self.half)

    def draws(self, columns):
        # all rows err alike, by a standard deviation that the interval says
        z = np.random.default_rng(7).standard_normal((self.count, 1))
        z = (z - z.mean()) / max(z.std(), 1e-9)
        return self.predict(columns) * np.exp(self.half / Q * z)

    def spread(self, level):
        return Q


def doubt(shape_sd=0.0, run_sd=0.0, rates=(), laws=(), weights=(), variances=(), **known):
    known = {"clusters": MANY, "runs": 2 * MANY} | known
    return Doubt(
        tuple(laws), tuple(weights), shape_sd, run_sd, dict(rates), variances=tuple(variances), **known
    )  # fmt: skip


def logs(ends):
    return [float(np.log(end[0] / 2.0)) for end in ends]


# --- degrees of freedom ----------------------------------------------------------------------


def test_freedom_lies_between_that_of_shapes_and_of_runs():
    # (9 + 16)^2 / (9^2 / 10 + 16^2 / 20): eleven shapes less one, 21 runs less one
    assert doubt(0.03, 0.04, clusters=11, runs=21).freedom == pytest.approx(625 / 20.9)
    assert doubt(0.03, 0.0, clusters=11, runs=21).freedom == pytest.approx(10)
    assert doubt(0.0, 0.04, clusters=11, runs=21).freedom == pytest.approx(20)
    # not known, or nothing to know it from
    assert doubt(0.03, 0.04, clusters=11, runs=0).freedom == 10
    assert doubt(clusters=11, runs=21).freedom == 10
    assert doubt(0.03, 0.04, clusters=1, runs=1).freedom == pytest.approx(625 / (81 + 256))
    # Student's quantile of the usual table
    assert doubt(0.03, 0.0, clusters=11, runs=21).quantile(0.95) == pytest.approx(2.228, abs=5e-4)
    assert doubt(0.03, 0.0, clusters=6, runs=21).quantile(0.9) == pytest.approx(2.015, abs=5e-4)


def test_what_other_laws_leave_is_the_laws_own():
    assert doubt(laws=[Mean(), Mean()], weights=[0.25, 0.125]).own_weight == 0.625


# --- the interval ----------------------------------------------------------------------------


def test_the_mean_alone_is_its_own_interval():
    assert logs(doubt().interval(Mean(), HERE, 0.95)) == pytest.approx([-0.1, 0.1])


def test_shapes_and_runs_scatter_beside_the_mean():
    # 0.01 + Q^2 (0.03^2 + 0.04^2)
    half = (0.01 + Q**2 * 0.0025) ** 0.5
    assert logs(doubt(0.03, 0.04).interval(Mean(), HERE, 0.95)) == pytest.approx([-half, half])
    # with five shapes more: Student's quantile of four degrees of freedom is 2.776
    few = doubt(0.05, 0.0, clusters=5, runs=10).interval(Mean(), HERE, 0.95)
    assert logs(few)[1] == pytest.approx((0.01 + 2.776445**2 * 0.0025) ** 0.5)


def test_another_law_moves_the_centre_and_widens_by_its_distance():
    # a quarter believed, 0.2 higher: 0.05 on average, with a variance of 0.01 - 0.0025
    other = doubt(laws=[Mean(2.0 * np.exp(0.2))], weights=[0.25], variances=[0.0004])
    half = (0.75 * 0.01 + Q**2 * (0.25 * 0.0004 + 0.0075)) ** 0.5
    assert logs(other.interval(Mean(), HERE, 0.95)) == pytest.approx([0.05 - half, 0.05 + half])
    # never inside the interval of the mean
    surely = doubt(laws=[Mean(2.0 * np.exp(0.5))], weights=[1.0])
    assert logs(surely.interval(Mean(), HERE, 0.95)) == pytest.approx([-0.1, 0.5])
    # a law that says nothing here changes nothing
    silent = doubt(laws=[Mean(-1.0)], weights=[0.0])
    assert logs(silent.interval(Mean(), HERE, 0.95)) == pytest.approx([-0.1, 0.1])


def test_distance_widens_where_it_is_more_than_the_mean_and_laws_say():
    far = {"params_total": np.array([1e11]), "tokens": np.array([1e8])}
    away = np.log(10.0)
    # below what the mean says already
    slow = doubt(rates={"N": 0.01}).interval(Mean(), far, 0.95)
    assert logs(slow) == pytest.approx([-0.1, 0.1])
    both = doubt(rates={"N": 0.05, "D": 0.04}).interval(Mean(), far, 0.95)
    half = Q * away * (0.05**2 + 0.04**2) ** 0.5
    assert logs(both) == pytest.approx([-half, half])
    scattered = doubt(0.03, 0.04, rates={"N": 0.05}).interval(Mean(), far, 0.95)
    half = Q * ((0.05 * away) ** 2 + 0.0025) ** 0.5
    assert logs(scattered) == pytest.approx([-half, half])
    assert logs(doubt(rates={"N": 5.0}).interval(Mean(), HERE, 0.95)) == pytest.approx([-0.1, 0.1])


def test_a_mean_whose_lower_end_is_zero_is_held_at_a_thousandth():
    class Wide(Mean):
        def interval(self, columns, level=0.95):
            return np.zeros(1), self.predict(columns) * np.exp(0.1)

    low, high = doubt().interval(Wide(), HERE, 0.95)
    assert low[0] == 0
    assert np.log(high[0] / 2) == pytest.approx((0.1 + np.log(1000)) / 2)
    nothing = doubt(0.03).interval(Mean(-1.0), HERE, 0.95)
    assert np.isnan(nothing).all()


# --- draws -----------------------------------------------------------------------------------


def drawn(of, columns=HERE, shape=(0,), model=(0,), count=40_000, mean=None):
    found = of.draws(mean or Mean(), columns, np.array(shape), np.array(model), count, 3)
    assert found.shape == (count, len(shape))
    return np.log(found / 2.0)


def rows(n, tokens=1e10):
    return {"params_total": np.array(n, dtype=float), "tokens": np.full(len(n), tokens)}


def test_draws_of_the_mean_alone_are_its_resamples():
    assert drawn(doubt()).std() == pytest.approx(0.1 / Q, rel=0.01)
    assert drawn(doubt()).mean() == pytest.approx(0, abs=0.001)
    assert doubt().draws(Mean(count=1), HERE, np.zeros(1, int), np.zeros(1, int), 9, 0).shape == (
        0,
        1,
    )
    assert len(doubt().draws(Mean(count=2), HERE, np.zeros(1, int), np.zeros(1, int), 9, 0)) == 9


def test_few_shapes_make_the_draws_students():
    # variance of Student's t with 12 degrees of freedom: 12 / 10; the mean's own spread stays as it is
    found = drawn(doubt(0.03, 0.0, clusters=13, runs=13), mean=Mean(half=1e-9))
    assert found.var() == pytest.approx(0.03**2 * 1.2, rel=0.03)
    # resamples are narrowed by the quantile that the scale brings back: 1.96 of 2.179
    found = drawn(doubt(clusters=13, runs=13))
    assert found.var() == pytest.approx((0.1 / Q) ** 2 * (Q / 2.178813) ** 2 * 1.2, rel=0.03)


def test_rows_share_the_effect_of_their_shape_and_their_model():
    found = drawn(
        doubt(0.03, 0.04), rows([1e9] * 4), shape=(0, 0, 0, 1), model=(0, 0, 1, 2),
        mean=Mean(half=1e-9),
    )  # fmt: skip
    variance = np.cov(found.T)
    assert np.diag(variance) == pytest.approx(np.full(4, 0.0025), rel=0.03)
    assert variance[0, 1] == pytest.approx(0.0025, rel=0.03)
    # another run of the shape has its effect alone; another shape nothing
    assert variance[0, 2] == pytest.approx(0.0009, rel=0.06)
    assert variance[0, 3] == pytest.approx(0, abs=4e-5)


def test_each_draw_is_of_one_law():
    # a quarter of the draws lies 0.2 higher, with an error of its own jackknife: a fifth of this law's
    typical = 0.1 / Q
    other = doubt(laws=[Mean(2.0 * np.exp(0.2))], weights=[0.25], variances=[(0.2 * typical) ** 2])
    found = drawn(other)[:, 0]
    assert found.mean() == pytest.approx(0.05, abs=0.002)
    within = 0.75 * typical**2 + 0.25 * (0.2 * typical) ** 2
    assert found.var() == pytest.approx(within + 0.75 * 0.25 * 0.04, rel=0.02)
    # without a jackknife it errs as much as this law
    plain = doubt(laws=[Mean(2.0 * np.exp(0.2))], weights=[0.25])
    assert drawn(plain).var() == pytest.approx(typical**2 + 0.75 * 0.25 * 0.04, rel=0.02)


def test_draws_beyond_the_runs_widen_to_the_rate_and_no_further():
    away = np.log(10.0)
    typical = 0.1 / Q
    # inside, ten times beyond the upper edge, a hundred times, ten times below the lower edge
    columns = rows([1e9, 1e11, 1e12, 1e7])
    each = dict(shape=(0, 1, 2, 3), model=(0, 1, 2, 3))
    found = drawn(doubt(rates={"N": 0.1}), columns, **each)
    expected = np.array([typical, 0.1 * away, 0.2 * away, 0.1 * away])
    assert found.std(axis=0) == pytest.approx(expected, rel=0.02)
    # the part beyond an edge is one error for all rows there; the other edge has its own
    far = found - found[:, [0]]
    corr = np.corrcoef(far[:, 1:].T)
    assert corr[0, 1] == pytest.approx(1) and abs(corr[0, 2]) < 0.02
    # what parameters and laws explain already is not added again
    slow = drawn(doubt(rates={"N": 0.01}), columns, **each)
    assert slow.std(axis=0) == pytest.approx(np.full(4, typical), rel=0.01)
    # a loss so far down that a draw would fall below a thousandth is held there
    wild = drawn(doubt(), mean=Mean(half=20.0))
    assert wild.min() == pytest.approx(np.log(1e-3), abs=0.01)


def test_two_columns_beyond_err_independently():
    away = np.log(10.0)
    columns = {"params_total": np.array([1e11]), "tokens": np.array([1e12])}
    found = drawn(doubt(rates={"N": 0.3, "D": 0.4}), columns, mean=Mean(half=1e-9))
    assert found.std() == pytest.approx(0.5 * away, rel=0.02)


def test_draws_repeat_by_their_seed():
    of = doubt(0.03, 0.04)
    one, again, other = (
        of.draws(Mean(), HERE, np.zeros(1, int), np.zeros(1, int), 5, seed) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_the_error_beyond_an_edge_is_students_too():
    # of 12 degrees of freedom: a variance of 12 / 10
    far = rows([1e11])
    found = drawn(doubt(rates={"N": 0.3}, clusters=13, runs=0), far, mean=Mean(half=1e-9))
    assert found.var() == pytest.approx((0.3 * np.log(10.0)) ** 2 * 1.2, rel=0.03)
