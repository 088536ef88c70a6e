"""The latency law: amounts by arithmetic, coefficients recovered, honest errors, sane extrapolation."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unusable
from core.fit.latency import fit_latency
from core.fit.latency_terms import value_and_noise
from core.laws.latency import MIB, TERMS, Machine, Term, tpot_amounts, ttft_amounts
from core.model.architecture import Architecture, Shapes
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement
from core.report.help_pages import laws_page

CPU = Device("cpu", "a processor", 16 * 2**30)
LLAMA_7B = Architecture(32, 4096, 32, 32, 128, 11008, 32000)
WORKLOADS = (Workload(1, 32, 16), Workload(1, 512, 16), Workload(4, 64, 16), Workload(8, 32, 16))
COEFFICIENTS = {"step": 1e-4, "kernels": 4e-6, "weight_bytes": 5e-11, "matmul_flops": 8e-12}
MACHINE = Machine()


def shapes(count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        heads = int(rng.choice([4, 6, 8, 12, 16]))
        kv = heads // int(rng.choice([1, 2]))
        d_ff = 64 * int(rng.integers(4, 48))
        made.append(Architecture(int(rng.integers(2, 48)), 64 * heads, heads, kv, 64, d_ff, 4096))
    return made


def measured(
    architectures: list[Architecture],
    noise: float = 0.0,
    runtime: Runtime = Runtime(),  # noqa: B008 (a frozen value)
    extra: float = 1.0,
    seed: int = 0,
) -> list[Measurement]:
    """Measurements whose times are exactly the sum of COEFFICIENTS times amounts, with block noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for a in architectures:
        for w in WORKLOADS:
            samples = {}
            for metric, amounts in (("tpot", tpot_amounts), ("ttft", ttft_amounts)):
                columns = amounts(a, w.batch, w.prompt_tokens, w.output_tokens, runtime, MACHINE)
                truth = extra * sum(COEFFICIENTS[k] * float(columns[k]) for k in COEFFICIENTS)
                blocks = truth * (1 + noise * rng.standard_normal((5, 8)))
                samples[metric] = tuple(map(tuple, blocks.tolist()))
            rows.append(Measurement(a, w, runtime, CPU, samples))
    return rows


def test_decode_amounts_are_the_published_arithmetic():
    """Llama-2-7B reads 13.2 GB of fp16 weights and 524,288 cache bytes a token of context."""
    got = tpot_amounts(LLAMA_7B, 1, 2048, 1, Runtime("eager", "fp16", "fp16"), Machine())
    assert got["weight_bytes"] == pytest.approx(2 * (6738415616 - 32000 * 4096), rel=1e-3)
    assert got["cache_bytes"] == pytest.approx(524288 * 2048.5)
    assert got["attention_flops"] == pytest.approx(4 * 32 * 2048.5 * 4096)
    assert got["matmul_flops"] == pytest.approx(got["weight_bytes"])


def test_prefill_amounts_follow_the_architecture():
    got = ttft_amounts(LLAMA_7B, 2, 2048, 64, Runtime(), Machine())
    flops = got["matmul_flops"] + got["attention_flops"]
    assert flops == pytest.approx(LLAMA_7B.prefill_flops(2048, 2), rel=1e-3)


def test_columns_and_single_shapes_agree():
    rows = shapes(7)
    columns = tpot_amounts(Shapes.of(rows), 3, 100, 20, Runtime(), Machine(32 * MIB, 4.0, 16))
    for i, a in enumerate(rows):
        single = tpot_amounts(a, 3, 100, 20, Runtime(), Machine(32 * MIB, 4.0, 16))
        for key, value in single.items():
            assert columns[key][i] == pytest.approx(float(value)), key


def test_exact_times_are_recovered():
    tpot, ttft = fit_latency(measured(shapes(14)))
    for fit in (tpot, ttft):
        assert fit.ok
        assert fit.heldout_error < 1e-6
        assert fit.heldout["spearman"] == pytest.approx(1.0)
    # a shape twice as deep and wide as any measured: the machine carries over
    far = Architecture(96, 2048, 32, 16, 64, 6144, 4096)
    for fit, amounts in ((tpot, tpot_amounts), (ttft, ttft_amounts)):
        columns = amounts(far, 2, 256, 64, Runtime(), MACHINE)
        truth = sum(COEFFICIENTS[k] * float(columns[k]) for k in COEFFICIENTS)
        assert float(fit.predict(far, 2, 256, 64)) == pytest.approx(truth, rel=1e-4)


def test_costs_that_look_alike_go_to_the_plainest():
    """Without noise no cache, ridge or tile is invented, so small shapes and long prompts stay right."""
    small, work = Architecture(1, 64, 1, 1, 64, 128, 512), (64, 8192, 64)
    for fit, amounts in zip(
        fit_latency(measured(shapes(14))), (tpot_amounts, ttft_amounts), strict=True
    ):
        assert fit.machine.cache_bytes == 0 and fit.machine.tile == 1
        asked = {k for k, c in fit.terms.items() if c > 1e-6 * COEFFICIENTS.get(k, 1e-12)}
        assert asked == set(COEFFICIENTS)
        columns = amounts(small, *work, Runtime(), MACHINE)
        truth = sum(COEFFICIENTS[k] * float(columns[k]) for k in COEFFICIENTS)
        assert float(fit.predict(small, *work)) == pytest.approx(truth, rel=1e-6)


def test_a_cache_that_shows_is_found():
    made = []
    for m in measured(shapes(24, seed=3), noise=0.02):
        w = m.workload
        amounts = tpot_amounts(
            m.architecture,
            *(w.batch, w.prompt_tokens, w.output_tokens),
            m.runtime,
            Machine(32 * MIB),
        )
        more = 5e-11 * float(amounts["cold_bytes"])
        tpot = tuple(tuple(s + more for s in b) for b in m.samples["tpot"])
        made.append(replace(m, samples={"tpot": tpot}))
    assert fit_latency(made)[0].machine.cache_bytes == 32 * MIB


def test_errors_of_sharp_points_are_told_apart():
    """Points whose own blocks disagree count among all left-out points and not among the sharp."""
    rows = measured(shapes(14), noise=0.01)
    wild = replace(rows[5], samples={"tpot": tuple((s,) for s in (1e-3, 9e-3, 5e-2, 2e-1))})
    held = fit_latency([*rows[:5], wild, *rows[6:]])[0]
    assert held.heldout["sharp_share"] == pytest.approx((held.n - 1) / held.n)
    assert 2 * held.heldout["sharp"] < held.heldout_error


def test_noise_gives_an_honest_error_and_interval():
    train, fresh = shapes(24, seed=1), shapes(40, seed=2)
    tpot = fit_latency(measured(train, noise=0.10))[0]
    assert 0.005 < tpot.heldout_error < 0.06
    assert tpot.heldout["coverage"] >= 0.85
    truth = np.array([np.median(m.samples["tpot"]) for m in measured(fresh)])
    columns = Shapes.of(a for a in fresh for _ in WORKLOADS)
    work = [
        np.array([getattr(w, k) for _ in fresh for w in WORKLOADS])
        for k in ("batch", "prompt_tokens", "output_tokens")
    ]
    low, high = tpot.interval(columns, *work)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.9


def test_intervals_widen_outside_what_was_measured():
    tpot = fit_latency(measured(shapes(14), noise=0.05))[0]
    inside, far = shapes(1)[0], Architecture(400, 8192, 64, 8, 128, 28672, 128000)
    assert not tpot.outside(inside, 1, 128, 16)
    assert tpot.outside(far, 1, 128, 16)
    assert tpot.outside(inside, 64, 128, 16)
    near_low, near_high = tpot.interval(inside, 1, 128, 16)
    far_low, far_high = tpot.interval(far, 1, 128, 16)
    assert far_high / far_low > 1.5 * near_high / near_low


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 128),
    st.integers(1, 128),
    st.integers(1, 64),
    st.integers(1, 4000),
    st.sampled_from(["n_layers", "d_ff", "batch", "prompt", "output"]),
)
def test_extrapolation_is_sane(law, layers, heads, ffn, batch, prompt, grows):
    shape = Architecture(layers, 64 * heads, heads, heads, 64, 64 * ffn, 8192)
    more = {
        "n_layers": replace(shape, n_layers=2 * layers),
        "d_ff": replace(shape, d_ff=128 * ffn),
    }.get(grows, shape)
    work = np.array([batch, prompt, 64])
    bigger = work * np.array(
        [1 + (grows == "batch"), 1 + (grows == "prompt"), 1 + (grows == "output")]
    )
    for fit in law:
        before, after = fit.predict(shape, *work), fit.predict(more, *bigger)
        assert 0 < before <= after


@pytest.fixture(scope="module")
def law():
    return fit_latency(measured(shapes(10), noise=0.3, seed=4))


def test_unlike_runtimes_get_their_own_law():
    rows = measured(shapes(8)) + measured(shapes(8), runtime=Runtime("compile"), extra=0.5)
    fits = {(f.runtime.execution, f.metric): f for f in fit_latency(rows)}
    assert len(fits) == 4
    shape = shapes(1)[0]
    eager, compiled = (fits[e, "tpot"].predict(shape, 1, 64, 16) for e in ("eager", "compile"))
    assert float(compiled / eager) == pytest.approx(0.5, rel=1e-3)


def test_failed_measurements_are_left_out():
    rows = measured(shapes(8))
    wild = replace(rows[0], samples={"tpot": ((99.0,),)}, flags=("clock",))
    assert fit_latency([*rows, wild])[0].n == len(rows)


def test_too_few_shapes_is_a_fit_that_says_so():
    fit = fit_latency(measured(shapes(3)))[0]
    assert not fit.ok
    assert "at least 6 shapes" in fit.message and "has 3" in fit.message
    with pytest.raises(Unusable, match="at least 6 shapes"):
        fit.predict(shapes(1)[0], 1, 1, 1)


def test_an_outlier_does_not_bend_the_law():
    rows = measured(shapes(16), noise=0.02)
    bent = [
        replace(
            m, samples={k: tuple(tuple(3 * s for s in b) for b in v) for k, v in m.samples.items()}
        )
        if i in (5, 30)
        else m
        for i, m in enumerate(rows)
    ]
    shape = shapes(1, seed=9)[0]
    clean, dirty = (float(fit_latency(r)[0].predict(shape, 1, 64, 16)) for r in (rows, bent))
    assert dirty == pytest.approx(clean, rel=0.03)


def test_left_out_rows_are_what_a_law_without_their_shape_predicts():
    """The stored left-out predictions against laws really fitted without each of three shapes."""
    rows = measured(shapes(10), noise=0.1, seed=5)
    for fit in fit_latency(rows):
        held = fit.left_out
        assert held.rows == tuple(rows)
        for shape in dict.fromkeys(m.architecture for m in rows[::12]):
            out = [i for i, m in enumerate(rows) if m.architecture == shape]
            rest = [m for m in rows if m.architecture != shape]
            without = next(f for f in fit_latency(rest) if f.metric == fit.metric)
            for i in out:
                w = rows[i].workload
                truth = float(without.predict(shape, w.batch, w.prompt_tokens, w.output_tokens))
                assert held.predicted[i] == pytest.approx(truth, rel=1e-9)
                assert held.ratio[i] * held.seconds[i] == held.predicted[i]
        assert fit.heldout_error == pytest.approx(np.mean(np.abs(held.error)), rel=1e-12)
        assert fit.scatter == held.scatter


def test_a_new_term_needs_nothing_but_its_row(monkeypatch):
    """A cost of every pair of layers, which no other term is in proportion to, is found exactly."""
    pairs = Term("s", "each layer waiting for all", lambda p: p.layers**2 * np.ones_like(p.rows))
    rows = []
    for m in measured(shapes(14)):
        more = 2e-6 * m.architecture.n_layers**2
        rows.append(
            replace(m, samples={k: tuple(tuple(s + more for s in b) for b in v)
                                for k, v in m.samples.items()})
        )  # fmt: skip
    assert all(fit.heldout_error > 1e-4 for fit in fit_latency(rows))
    monkeypatch.setitem(TERMS, "pairs", pairs)
    for fit in fit_latency(rows):
        assert fit.heldout_error < 1e-6 and fit.terms["pairs"] == pytest.approx(2e-6, rel=1e-4)
        assert "pairs" in fit.shares(LLAMA_7B, 1, 8, 8)
    assert "each layer waiting for all" in laws_page()


def test_columns_in_chunks_equal_single_rows(law):
    tpot = law[0]
    few = Shapes.of(shapes(5))
    many = few.take(np.resize(np.arange(5), 70_000))
    batch = np.resize([1, 4], 70_000)
    got, (low, _) = tpot.predict(many, batch, 64, 16), tpot.interval(many, batch, 64, 16)
    for i in (0, 3, 32_768, 69_999):
        row = many.row(i)
        assert got[i] == pytest.approx(float(tpot.predict(row, batch[i], 64, 16)))
        assert low[i] == pytest.approx(float(tpot.interval(row, batch[i], 64, 16)[0]))


def test_points_are_the_medians_shown_elsewhere_with_their_intervals():
    blocks = ((1.0, 1.2), (1.1, 1.3), (0.9, 1.1))
    m = Measurement(LLAMA_7B, Workload(1, 8, 3), Runtime(), CPU, {"tpot": blocks})
    value, noise = value_and_noise(m, "tpot")
    # requests of two tokens each: 1.1, 1.2 and 1.0; Student's t with two degrees of freedom
    assert value == pytest.approx(1.1)
    assert noise == pytest.approx(4.303 * 0.1 / np.sqrt(3) / 1.1 / 1.96)
    assert value_and_noise(replace(m, samples={"tpot": ((1.0, 1.2),)}), "tpot")[1] == 0.1
    busy = replace(m, flags=("busy",), samples={"tpot": ((1.0, 1.0),) * 6})
    assert value_and_noise(busy, "tpot") == (1.0, 0.1)


def test_disturbed_timings_do_not_bend_the_law():
    rows = measured(shapes(16), noise=0.02)
    slow = [
        replace(m, flags=("busy",), samples={k: tuple(tuple(1.4 * s for s in b) for b in v)
                                             for k, v in m.samples.items()})
        if i % 4 == 0 else m
        for i, m in enumerate(rows)
    ]  # fmt: skip
    shape = shapes(1, seed=9)[0]
    clean, dirty = (float(fit_latency(r)[0].predict(shape, 1, 512, 16)) for r in (rows, slow))
    assert dirty == pytest.approx(clean, rel=0.03)
