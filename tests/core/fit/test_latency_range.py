"""Beyond what was measured: doubt that grows with the distance, shared by what lies beyond one edge."""

from dataclasses import replace

import numpy as np
import pytest
from cut_by_size import larger
from measured import measured

from core.fit.latency import fit_latency
from core.fit.latency_range import EDGES, LARGER, PRIOR_GROWTH, SIZE_GROWTH
from core.model.architecture import Architecture, Shapes
from core.model.workload import Workload
from core.project.demo import SWEEP, recorded_sweep

WORKLOADS = (Workload(1, 32, 16), Workload(4, 128, 16))
OWN = 0.04  # what each shape has of its own beyond the law
SHAPES = 24


def shape(layers, width, vocab=4096):
    return Architecture(
        layers, width, width // 64, width // 64, 64, 64 * round(width / 24), vocab
    )  # fmt: skip


def sweep(seed, slower=lambda size: 1.0):
    """Shapes over six doublings of size, timed exactly but for an effect of each shape, and times
    a factor of its size that no law knows."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(SHAPES):
        # sizes spread evenly on the log scale, as in a planned sweep; wide shapes have small vocabularies
        width = 64 * round(2 ** rng.uniform(1.5, 4.5))
        a = shape(int(rng.integers(3, 24)), width, 50432 if width < 400 else 4096)
        factor = np.exp(rng.normal(0, OWN)) * slower(a.params_read_per_step)
        for w in WORKLOADS:
            exact = measured(a, w)
            samples = {
                k: tuple(tuple(v * factor for v in block) for block in blocks)
                for k, blocks in exact.samples.items()
                if k == "tpot"
            }
            rows.append(replace(exact, samples=samples))
    return rows


def limit(rows):
    """The size up to which the smaller two thirds reach."""
    return sorted(m.architecture.params_read_per_step for m in rows)[round(len(rows) * 2 / 3) - 1]


def larger_thirds(slower, seeds=range(4)):
    """Share of the larger third inside their intervals, half-widths, and growths, over sweeps."""
    inside, widths, growth = [], [], []
    for seed in seeds:
        rows = sweep(seed)
        edge = limit(rows)
        for got in larger(
            sweep(seed, lambda size, edge=edge: slower(size / edge)), 2 / 3, "bytes read"
        ):
            inside.append(got.inside)
            widths.append(got.half_width)
            growth.append(got.law.growth[EDGES.index(LARGER)])
    return np.mean(np.concatenate(inside)), np.median(np.concatenate(widths)), np.mean(growth)


@pytest.mark.parametrize("name", [SWEEP, "sweeps/xeon.json"])
def test_laws_of_the_smaller_two_thirds_know_how_far_they_miss_the_larger(name):
    judged = list(larger(recorded_sweep(name), 2 / 3, "parameters"))
    assert [got.law.metric for got in judged] == ["tpot", "ttft"]
    for got in judged:
        assert np.mean(got.inside) >= 0.88, got.law.metric
        assert np.mean(got.outside) > 0.8
        # wide, but still of use: a factor of two either way is not
        assert np.median(got.half_width) < 0.5


TRUTHS = {
    "the law is right": lambda ratio: 1.0,
    # a price that rises by 7 % with every doubling, unseen up to the largest that was measured
    "wrong beyond": lambda ratio: max(ratio, 1.0) ** 0.1,
    "wrong everywhere": lambda ratio: ratio**0.2,
}


@pytest.fixture(scope="module")
def thirds():
    return {name: larger_thirds(slower) for name, slower in TRUTHS.items()}


@pytest.mark.parametrize("name", TRUTHS)
def test_intervals_hold_the_truth_beyond_the_measured_sizes(thirds, name):
    inside, width, _ = thirds[name]
    assert inside >= 0.9
    assert width < 0.6


def test_growth_found_by_cuts_is_shrunk_towards_the_prior(thirds):
    right, wrong = (thirds[name][2] for name in ("the law is right", "wrong everywhere"))
    # two parts of the prior and one of no growth; then one of some
    assert 2 / 3 * SIZE_GROWTH <= right < 0.75 * SIZE_GROWTH
    assert wrong > right + 1


def test_too_few_shapes_to_cut_leave_the_prior():
    few = list(dict.fromkeys(m.architecture for m in sweep(0)))[:6]
    for law in fit_latency([m for m in sweep(0) if m.architecture in few]):
        assert law.ok and law.growth == PRIOR_GROWTH


@pytest.fixture(scope="module")
def law():
    return fit_latency(sweep(3))[0]


def grown(law, factor):
    """A shape this many times as wide as the widest that was measured, and of middling depth."""
    width = 64 * round(law.ranges["d_model"][1] * factor / 64)
    return shape(10, width)


def test_the_variance_grows_with_every_doubling(law):
    sides = [law.interval(grown(law, f), 1, 32, 16) for f in (2, 4, 8)]
    half = np.array([np.log(high / low) / 2 for low, high in sides])
    steps = np.diff((half / law.spread()) ** 2)
    # width doubles, the weights of a layer grow fourfold
    assert steps == pytest.approx(2 * law.growth[EDGES.index(LARGER)], rel=0.1)


def test_a_head_outside_is_outside_though_its_sides_are_not(law):
    """As large a vocabulary and as wide a model as were measured, but never both in one."""
    width, vocab = (int(law.ranges[k][1]) for k in ("d_model", "vocab_size"))
    both = shape(3, width, vocab)
    assert both.params_read_per_step < law.ranges["params_read_per_step"][1]
    assert law.outside(both, 1, 32, 16)
    assert not law.outside(shape(10, width // 2), 1, 32, 16)


def test_rows_beyond_one_edge_err_together_and_beyond_two_apart(law):
    inner, wide, wider = grown(law, 0.5), grown(law, 2), grown(law, 3)
    shapes = Shapes.of([inner, wide, wider, inner])
    # the last is beyond in its batch alone
    work = (np.array([1, 1, 1, 16]), 32, 16)
    shared, own = law.factors(shapes, *work)
    total = np.sqrt((shared**2).sum(axis=1) + own**2)
    low, high = law.interval(shapes, *work)
    assert law.spread() * total == pytest.approx(np.log(high / low) / 2)
    assert own[0] == 1 and np.all(own[1:] > 1)
    edges = shared[:, -len(EDGES) :]
    assert edges[0] == pytest.approx(0)
    assert (edges**2).sum(axis=1) == pytest.approx(own**2 - 1)
    together = edges @ edges.T
    assert together[1, 2] == pytest.approx(np.sqrt(together[1, 1] * together[2, 2]))
    assert together[1, 3] == together[2, 3] == 0
