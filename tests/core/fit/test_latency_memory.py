"""Predicted memory: arithmetic, and its calibration on measured peaks."""

from dataclasses import replace

import numpy as np
import pytest

from core.fit.memory import fit_memory
from core.laws.memory import memory_amounts
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement

FP16 = Runtime("eager", "fp16", "fp16")
GPU = Device("cuda", "a GPU", 80 * 2**30)


def rows(fixed, factors, count=12):
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        h = int(rng.integers(2, 20))
        a = Architecture(int(rng.integers(2, 30)), 64 * h, h, h, 64, 256 * h, 8192)
        w = Workload(int(rng.integers(1, 32)), int(rng.integers(16, 4096)), 128)
        parts = memory_amounts(a, w.batch, w.prompt_tokens, w.output_tokens, FP16)
        peak = fixed + sum(f * float(parts[k]) for f, k in zip(factors, parts, strict=True))
        made.append(
            Measurement(a, w, FP16, GPU, {"tpot": ((1.0,),)}, {"peak_allocated": int(peak)})
        )
    return made


def test_llama_2_7b_in_fp16_needs_its_weights_and_half_a_megabyte_a_token():
    llama = Architecture(32, 4096, 32, 32, 128, 11008, 32000)
    parts = memory_amounts(llama, 4, 1000, 24, FP16)
    assert parts["weights"] == 2 * 6738415616
    assert parts["cache"] == 4 * 1024 * 524288


def test_calibration_recovers_the_fixed_part_and_the_factors():
    fit = fit_memory(rows(5e8, (1.02, 1.0, 1.7)))[0]
    assert fit.fixed_bytes == pytest.approx(5e8, rel=1e-3)
    assert fit.factors == pytest.approx((1.02, 1.0, 1.7), rel=1e-3)
    assert fit.error < 1e-4


def test_weights_and_cache_are_never_predicted_smaller_than_they_are():
    fit = fit_memory(rows(0.0, (0.5, 0.5, 0.0)))[0]
    assert fit.factors[0] >= 1.0 and fit.factors[1] >= 1.0


def test_without_measured_peaks_arithmetic_stands():
    few = fit_memory(rows(5e8, (1, 1, 1), count=3))[0]
    assert (few.error, few.factors, few.fixed_bytes) == (None, (1.0, 1.0, 1.0), 0.0)


def test_the_interval_holds_peaks_of_shapes_it_has_not_seen():
    rng = np.random.default_rng(7)
    noisy = [
        replace(m, memory_bytes={"peak_allocated": int(m.memory_bytes["peak_allocated"] * f)})
        for m, f in zip(
            rows(5e8, (1.02, 1.0, 1.7), 200), np.exp(0.03 * rng.standard_normal(200)), strict=True
        )
    ]
    fit, unseen = fit_memory(noisy[:80])[0], noisy[80:]
    assert fit.error == pytest.approx(0.024, rel=0.3) and 0.04 < fit.half_width < 0.09
    held = 0
    for m in unseen:
        w = m.workload
        low, high = fit.interval(m.architecture, w.batch, w.prompt_tokens, w.output_tokens)
        held += low <= m.memory_bytes["peak_allocated"] <= high
    assert held / len(unseen) >= 0.92
    # a few are judged by Student's t, and what was not measured has no interval of its own
    assert fit_memory(noisy[:12])[0].half_width > 0.03
    assert fit_memory(noisy[:3])[0].half_width is None


def test_no_interval_of_memory_reaches_below_what_must_be_held():
    wild = [
        replace(m, memory_bytes={"peak_allocated": int(m.memory_bytes["peak_allocated"] * f)})
        for m, f in zip(rows(0.0, (1.0, 1.0, 0.1), 24), (1.0, 1.6) * 12, strict=True)
    ]
    fit = fit_memory(wild)[0]
    for m in wild:
        w = m.workload
        asked = (m.architecture, w.batch, w.prompt_tokens, w.output_tokens)
        parts = memory_amounts(*asked, FP16)
        low, high = fit.interval(*asked)
        assert parts["weights"] + parts["cache"] <= low <= fit.predict(*asked) < high
