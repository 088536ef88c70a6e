"""The interval of a difference: right about known truths, and narrower where errors are shared."""

from dataclasses import replace

import numpy as np
import pytest
from measured import measured, true_tpot, true_ttft

from core.fit.doubt import Doubt
from core.fit.fit import Fit
from core.fit.latency import fit_latency
from core.fit.reach import Reach
from core.model.workload import Workload
from core.records.metrics import METRICS
from core.space.space_file import parse_space
from core.table.estimates import Estimates
from core.table.ratio_interval import APART, TOGETHER, log_ratio
from core.table.table import Table

SPACE = """
[shape]
n_layers = { from = 4, to = 32, step = 4 }
d_model = { from = 256, to = 1024, step = 128 }
d_head = [32]
vocab_size = 32000

[train]
tokens_per_parameter = [20]
"""
OWN = 0.03  # what each shape has of its own beyond the law


def world(seed, timed=14):
    """A table with laws fitted to some shapes, and the true seconds of every row: the law's times
    a deviation that is each shape's own."""
    rng = np.random.default_rng(seed)
    candidates = parse_space(SPACE).candidates()
    off = np.exp(rng.normal(0, OWN, len(candidates)))
    points = [candidates.point(row) for row in range(len(candidates))]
    known = rng.choice(len(candidates), timed, replace=False)
    made = []
    for row in known:
        exact = measured(points[row].architecture, points[row].workload, points[row].runtime)
        samples = {
            k: tuple(tuple(v * off[row] for v in block) for block in blocks)
            for k, blocks in exact.samples.items()
        }
        made.append(replace(exact, samples=samples))
    table = Table(candidates, latency=fit_latency(made), measurements=made)
    truth = {
        "tpot_s": off * [true_tpot(p.architecture, p.workload, p.runtime) for p in points],
        "ttft_s": off * [true_ttft(p.architecture, p.workload, p.runtime) for p in points],
    }
    truth["e2e_s"] = truth["ttft_s"] + (candidates.output_tokens - 1) * truth["tpot_s"]
    return table, truth, np.setdiff1d(np.arange(len(candidates)), known)


def alone(table, key, a, b):
    """Half-width with the two intervals put together as if independent."""
    e = table.estimates(key)
    return float(np.hypot(*(np.log(e.high[i] / e.low[i]) / 2 for i in (a, b))))


@pytest.fixture(scope="module")
def worlds():
    return [world(seed) for seed in range(8)]


@pytest.mark.parametrize("key", ["tpot_s", "ttft_s", "e2e_s"])
def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says(worlds, key):
    rng = np.random.default_rng(5)
    inside, narrower = [], []
    for table, truth, unseen in worlds:
        for _ in range(60):
            a, b = rng.choice(unseen, 2, replace=False)
            found = log_ratio(table, key, a, b)
            assert found.how == TOGETHER
            inside.append(found.low <= np.log(truth[key][a] / truth[key][b]) <= found.high)
            narrower.append(found.half_width / alone(table, key, a, b))
    # 480 differences in 8 worlds: a right interval of 95 % keeps within these
    assert 0.92 <= np.mean(inside) <= 0.995
    assert np.mean(narrower) < 1


def flat_law(rng, leverage):
    """A law whose coefficients are known badly: both their error and the shapes' own count."""
    table, _, _ = world(0)
    law = table.latency_law("tpot", 0)
    used = [k for k, v in law.terms.items() if v > 0]
    terms = {k: law.terms[k] for k in used}
    root = rng.normal(0, leverage, (len(used), len(used))) * np.array(list(terms.values()))
    fit = replace(
        law, terms=terms, covariance=tuple(map(tuple, (root.T @ root + 1e-30 * np.eye(len(used))).tolist())),
        degrees_of_freedom=10**6, scatter=0.01, growth=(0.0,) * len(law.growth),
    )  # fmt: skip
    return fit


def test_coefficients_known_badly_move_all_rows_together():
    """Drawn truths of a law with a known covariance: nominal coverage, and far surer than either."""
    rng = np.random.default_rng(2)
    fit = flat_law(rng, 3.0)
    candidates = parse_space(SPACE).candidates()
    table = Table(candidates, latency=(fit,), device_key=fit.device_key)
    value = table.column("tpot_s")
    coefficients = np.array(list(fit.terms.values()))
    amounts = np.array(list(fit.shares(candidates.shapes, candidates.batch, candidates.prompt_tokens,
                                       candidates.output_tokens).values())).T / coefficients  # fmt: skip
    spread = fit.scatter**2 * np.array(fit.covariance)
    inside, ratio = [], []
    for _ in range(400):
        a, b = rng.choice(len(candidates), 2, replace=False)
        off = rng.multivariate_normal(np.zeros(len(coefficients)), spread, method="eigh")
        # on the scale on which the law is linear, as its interval takes it
        error = (amounts[[a, b]] @ off) / value[[a, b]] + rng.normal(0, fit.scatter, 2)
        found = log_ratio(table, "tpot_s", a, b)
        middle = np.log(value[a] / value[b])
        inside.append(found.low <= middle + error[0] - error[1] <= found.high)
        ratio.append(found.half_width / alone(table, "tpot_s", a, b))
    assert 0.92 <= np.mean(inside) <= 0.98
    assert np.median(ratio) < 0.7


def test_a_row_alone_has_the_interval_of_the_law():
    laws = tuple(world(1)[0]._latency.values())
    # twice as deep as what was measured: the intervals are wider there
    deeper = parse_space(SPACE.replace("to = 32", "to = 64")).candidates()
    table = Table(deeper, latency=laws, device_key=laws[0].device_key)
    law = table.latency_law("tpot", 0)
    shared, own = law.factors(
        deeper.shapes, deeper.batch, deeper.prompt_tokens, deeper.output_tokens
    )
    assert own.max() > 1.3 and own.min() == 1
    half = law.spread() * np.sqrt((shared**2).sum(axis=1) + own**2)
    e = table.estimates("tpot_s")
    assert half == pytest.approx(np.log(e.high / e.value))


def test_draws_of_times_hang_together_as_the_coefficients_make_them():
    from core.analysis.front_uncertainty import _draws

    fit = flat_law(np.random.default_rng(2), 3.0)
    c = parse_space(SPACE).candidates()
    table = Table(c, latency=(fit,), device_key=fit.device_key)
    shared, own = fit.factors(c.shapes, c.batch, c.prompt_tokens, c.output_tokens)
    size = np.sqrt((shared**2).sum(axis=1) + own**2)
    rows = np.arange(0, len(c), 5)
    drawn = np.log(_draws(table, "tpot_s", rows, 4000, 0))
    got = np.corrcoef(drawn.T)
    # groups of one depth and width have their own part in common too; these rows are of many
    wanted = (shared[rows] @ shared[rows].T) / np.outer(size[rows], size[rows])
    groups = list(zip(c.shapes.n_layers[rows], c.shapes.d_model[rows], strict=True))
    apart = np.array([[g != h for h in groups] for g in groups])
    # cut at 1.5 half-widths, and each side to its own end: a little less than the formula
    assert np.abs(got - wanted)[apart].max() < 0.1
    # independent draws would have none
    assert wanted[apart].min() > 0.5


def test_one_point_does_not_differ_from_itself():
    text = SPACE.replace("[20]", "[10, 20]")
    table, _, _ = world(0)
    laws = tuple(table._latency.values())
    twice = Table(parse_space(text).candidates(), latency=laws, device_key=laws[0].device_key)
    point = twice.point(0)
    twin = next(r for r in range(1, len(twice)) if twice.point(r) == point)
    found = log_ratio(twice, "tpot_s", 0, twin)
    assert found.low == found.high == 0 and found.how == TOGETHER


def test_a_measurement_or_another_runtime_errs_by_itself():
    table, _, unseen = world(0)
    known = next(iter(table.measured_rows))
    found = log_ratio(table, "tpot_s", known, unseen[0])
    assert found.how == APART
    assert found.half_width == pytest.approx(alone(table, "tpot_s", known, unseen[0]))
    assert Workload() == table.point(int(unseen[0])).workload


def loss_law(**fields):
    theta = {"A": 54754.3, "B": 778343.0, "E": 2.44751, "alpha": 0.614574, "epsilon": 0.00114621}
    base = np.array(list(theta.values()))
    rng = np.random.default_rng(3)
    resamples = base * (1 + np.array([0.05, 0.05, 0.02, 0.0, 0.0]) * rng.standard_normal((400, 5)))
    return Fit(
        "inference-aware", "total", "tied", "least-squares", "morph", 27, theta, converged=True,
        resamples=resamples, scatter=0.006, ranges={"N": (7e7, 4e8), "D": (1e9, 3e10), "R": (17.0, 400.0)},
        **fields,
    )  # fmt: skip


def test_losses_beyond_the_fitted_range_differ_by_what_lies_between_them():
    certain = Doubt((), (), 0.0, 0.0, {"N": 0.05, "D": 0.0, "R": 0.0}, 1000)
    law = replace(loss_law(), doubt=certain)
    exact = replace(law, resamples=np.tile(list(law.theta.values()), (400, 1)))
    table = Table(parse_space(SPACE).candidates(), loss=exact)
    params = table.column("params_total")
    beyond = np.flatnonzero((params < 4e7) & table.estimates("loss").outside)
    near, far = beyond[np.argmax(params[beyond])], beyond[np.argmin(params[beyond])]
    inside = np.flatnonzero((params > 7e7) & (params < 4e8))
    assert len(inside) > 2
    assert log_ratio(table, "loss", inside[0], inside[1]).half_width == pytest.approx(0, abs=1e-9)
    out = log_ratio(table, "loss", inside[0], far).half_width
    assert out == pytest.approx(1.96 * 0.05 * np.log(7e7 / params[far]), rel=0.1)
    between = log_ratio(table, "loss", near, far).half_width
    assert between == pytest.approx(
        out * np.log(params[near] / params[far]) / np.log(7e7 / params[far]), rel=1e-6
    )
    assert log_ratio(table, "loss", far, far).half_width == 0


# --- numbers that can be worked out by hand

TWO = """
[shape]
n_layers = [2, 4]
d_model = [128]
vocab_size = 8192
[train]
tokens = [1e9]
[run]
output_tokens = [5]
"""


def known(table, key, value, low=None, high=None):
    """Sets a metric of a table of two rows."""
    value = np.array(value, dtype=float)
    low, high = (value if end is None else np.array(end, dtype=float) for end in (low, high))
    no = np.zeros(len(value), bool)
    table._cache[("estimates", key, METRICS[key].without_draft)] = Estimates(
        value, low, high, no, no
    )


class Errs:
    """A latency law whose errors are given: shared factors (rows, k) and own ones (rows,)."""

    def __init__(self, shared, own, spread=1.0):
        self.given = np.array(shared, dtype=float), np.array(own, dtype=float)
        self.half = spread

    def factors(self, shapes, batch, prompt_tokens, output_tokens):
        rows = [{2: 0, 4: 1}[n] for n in shapes.n_layers.tolist()]
        return self.given[0][rows], self.given[1][rows]

    def spread(self):
        return self.half


def two(text=TWO, **laws):
    table = Table(parse_space(text).candidates())
    table._latency.update({(table.runtime_of(0), name): law for name, law in laws.items()})
    return table


def test_independent_errors_of_uneven_intervals():
    table = two()
    known(table, "tpot_s", [1.0, 2.0], [0.8, 1.6], [1.5, 2.2])
    found = log_ratio(table, "tpot_s", 0, 1)
    up, down = np.hypot(np.log(1.5), np.log(1.25)), np.hypot(np.log(1.25), np.log(1.1))
    assert (found.low, found.high) == pytest.approx((np.log(0.5) - down, np.log(0.5) + up))
    assert found.how == APART and found.half_width == pytest.approx((up + down) / 2)
    turned = log_ratio(table, "tpot_s", 1, 0)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    # one end alone is uncertain
    known(table, "tpot_s", [1.0, 2.0], None, [1.5, 2.0])
    assert log_ratio(table, "tpot_s", 0, 1).how == APART
    known(table, "tpot_s", [1.0, 2.0])
    exact = log_ratio(table, "tpot_s", 0, 1)
    assert exact.low == exact.high == pytest.approx(np.log(0.5)) and exact.how == ""
    for low, high in (([0.0, 2], None), (None, [np.inf, 2]), ([1, np.nan], None)):
        known(table, "tpot_s", [1.0, 2.0], low, high)
        assert np.isnan(log_ratio(table, "tpot_s", 0, 1).half_width)


def test_errors_of_one_law_by_their_factors():
    # shared errors differ by (0.3, 0.4), so by 0.5; own ones are 0.3 and 0.4
    table = two(tpot=Errs([[0.5, 0.1], [0.2, 0.5]], [0.3, 0.4], 0.2))
    known(table, "tpot_s", [1.0, 2.0], [0.5, 1.0], [2.0, 4.0])
    found = log_ratio(table, "tpot_s", 0, 1)
    half = 0.2 * 0.5**0.5
    assert (found.low, found.high) == pytest.approx((np.log(0.5) - half, np.log(0.5) + half))
    assert found.how == TOGETHER
    # the reciprocal has the same error
    known(table, "tokens_per_s_user", [1.0, 0.5])
    assert log_ratio(table, "tokens_per_s_user", 0, 1).half_width == pytest.approx(half, rel=1e-6)
    # a part that was measured errs by itself
    table._cache[("estimates", "tpot_s", False)] = replace(
        table.estimates("tpot_s"), measured=np.array([True, False])
    )
    assert log_ratio(table, "tpot_s", 0, 1).how == APART
    assert log_ratio(table, "tokens_per_s_user", 0, 1).how != TOGETHER


def test_an_end_to_end_time_has_the_errors_of_its_parts_by_their_shares():
    # 1 + 4 x 0.75 and 1 + 4 x 0.25: the first token is a quarter of one and a half of the other
    table = two(
        ttft=Errs([[0.4], [0.2]], [0.0, 0.0], 10.0), tpot=Errs([[0.4], [0.2]], [0.4, 0.6], 0.1)
    )
    known(table, "ttft_s", [1.0, 1.0])
    known(table, "tpot_s", [0.75, 0.25])
    known(table, "e2e_s", [4.0, 2.0])
    found = log_ratio(table, "e2e_s", 0, 1)
    # 0.4 / 4 = 0.2 / 2 cancel; 0.4 x 3/4 - 0.2 / 2 = 0.2, beside 0.4 x 3/4 = 0.3 and 0.6 / 2 = 0.3
    half = 0.1 * (0.2**2 + 0.3**2 + 0.3**2) ** 0.5
    assert found.half_width == pytest.approx(half, rel=1e-4) and found.how == TOGETHER
    assert (found.low + found.high) / 2 == pytest.approx(np.log(2.0))
    # two half-widths are added: 10 x |0.5 x 0.25 - 0.2 x 0.5| more
    table._latency[(table.runtime_of(0), "ttft")] = Errs([[0.5], [0.2]], [0.0, 0.0], 10.0)
    assert log_ratio(table, "e2e_s", 0, 1).half_width == pytest.approx(half + 0.25, rel=1e-3)
    # throughput goes the other way by as much
    known(table, "tokens_per_s", [1.25, 2.5])
    assert log_ratio(table, "tokens_per_s", 0, 1).half_width == pytest.approx(half + 0.25, rel=1e-3)


def test_rows_without_a_law_or_of_two_runtimes_err_by_themselves():
    table = two(ttft=Errs([[0.4], [0.2]], [0.0, 0.0]))
    known(table, "tpot_s", [1.0, 2.0], [0.5, 1.0], [2.0, 4.0])
    assert log_ratio(table, "tpot_s", 0, 1).how == APART
    text = TWO.replace("[2, 4]", "[2]") + 'weights = ["fp32", "bf16"]\n'
    table = two(text, tpot=Errs([[0.4], [0.2]], [0.0, 0.0]))
    assert table.runtime_of(0) != table.runtime_of(1)
    table._latency[(table.runtime_of(1), "tpot")] = table.latency_law("tpot", 0)
    known(table, "tpot_s", [1.0, 2.0], [0.5, 1.0], [2.0, 4.0])
    assert log_ratio(table, "tpot_s", 0, 1).how == APART


class Drawn:
    """A loss law that says 3 for every row; draws of the first lie evenly between two factors."""

    ok = True

    def __init__(self, low, high, least=2):
        self.ends, self.least = (low, high), least

    def predict(self, columns):
        return np.full(len(columns["tokens"]), 3.0)

    def predictive_draws(self, columns, shape, model, count, seed=0):
        factors = np.ones((min(count, self.least), len(columns["tokens"])))
        factors[:, 0] = np.exp(np.linspace(*self.ends, len(factors)))
        return 3.0 * factors

    def prediction(self, columns, level=0.95):
        return self.predict(columns) * 0.9, self.predict(columns) * 1.1

    def reach(self, columns):
        return Reach()


def test_losses_have_the_percentiles_of_their_draws():
    def of(low, high, least=10**6):
        return log_ratio(
            Table(parse_space(TWO).candidates(), loss=Drawn(low, high, least)), "loss", 0, 1
        )

    found = of(-0.02, 0.06)
    assert (found.low, found.high) == pytest.approx((-0.018, 0.058)) and found.how == TOGETHER
    # the prediction itself lies inside, wherever the draws do
    assert of(0.02, 0.06).low == 0 and of(-0.06, -0.02).high == 0
    # one draw tells nothing: the intervals of 10 % count
    alone_ = of(0.0, 0.0, least=1)
    assert alone_.how == APART
    assert alone_.high == pytest.approx(np.hypot(np.log(1.1), np.log(1 / 0.9)))
    assert of(-0.02, 0.06, least=2).how == TOGETHER


def test_nobody_knows_how_far_an_illustration_is_off():
    table = two()
    known(table, "loss", [3.0, 4.0], [2.9, 3.9], [3.1, 4.1])
    known(table, "tpot_s", [1.0, 2.0], [0.9, 1.9], [1.1, 2.1])
    table._cache["illustrated"] = np.array([True, False])
    for a, b in ((0, 1), (1, 0)):
        assert np.isnan(log_ratio(table, "loss", a, b).half_width)
        assert log_ratio(table, "tpot_s", a, b).how == APART
    table._cache["illustrated"] = np.array([False, False])
    assert log_ratio(table, "loss", 0, 1).how == APART
