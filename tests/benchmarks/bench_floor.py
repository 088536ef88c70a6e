"""Time per token over the memory floor, by execution and precision, and against `generate`.

    python tests/benchmarks/bench_floor.py [--device cpu|cuda:0] [--threads N] [--quick]

The floor is what a step must read over the read bandwidth measured in the same run. All points are
measured by the product's own sweep, with its flags; nothing is compared across runs.
"""

import argparse

from core.measure.sweeps.sweep import sweep
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture, rounded_ffn
from core.model.workload import Runtime, Workload
from core.records.measurement import Measurement, Point
from core.samples.roofline import floor_ratio
from core.samples.statistics import estimate

CPU_SHAPES = ((24, 768), (12, 1088), (6, 1536))
CUDA_SHAPES = ((32, 1536), (24, 1792), (16, 2176), (12, 2560), (8, 3072))
# `generate` first: the others are told in terms of it as they come
CPU_RUNS = (
    ("transformers", "fp32"),
    ("transformers", "bf16"),
    ("transformers", "fp16"),
    ("eager", "fp32"),
    ("eager", "bf16"),
    ("eager", "fp16"),
    ("eager", "int8"),
    ("onnx", "fp32"),
    ("onnx", "int8"),
)
CUDA_RUNS = (
    ("transformers", "bf16"),
    ("eager", "bf16"),
    ("graph", "bf16"),
    ("compile", "bf16"),
    ("graph", "int8"),
    ("graph", "fp8"),
)


HEAD = "shape      run                  TPOT ms    ±%   over floor  of bandwidth  generate/this  kernels"


def shape(n_layers, d_model, vocab_size):
    heads = d_model // 64
    return Architecture(n_layers, d_model, heads, heads, 64, rounded_ffn(d_model, 64), vocab_size)


def runtime(execution, weights, cuda):
    cache = {"int8": "bf16" if cuda else "fp32", "fp8": "bf16"}.get(weights, weights)
    return Runtime(execution, weights, cache)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one shape, short requests")
    parser.add_argument("--budget-s", type=float, default=6.0, help="seconds of timing a point")
    options = parser.parse_args()
    cuda = options.device != "cpu"
    shapes = CUDA_SHAPES if cuda else CPU_SHAPES
    runs = CUDA_RUNS if cuda else CPU_RUNS
    shapes = shapes[:1] if options.quick else shapes
    work = Workload(1, 128, 256) if cuda else Workload(1, 128, 12 if options.quick else 24)
    points = [
        Point(shape(*s, 50432 if cuda else 8192), work, runtime(*r, cuda))
        for s in shapes
        for r in runs
    ]
    found = {}
    for step in sweep(
        iter(points),
        device=options.device,
        budget_s=None,
        store=lambda m: m,
        threads=options.threads,
        settings=Settings(budget_s=options.budget_s, warm_s=options.budget_s / 3, retries=0),
        anchor=None,
    ):
        if not isinstance(step, Measurement):
            continue
        if not found:
            speed = step.device.bandwidth_bytes_per_s
            print(f"{step.device.name}: reads {speed / 1e9:.1f} GB/s")
            print(HEAD)
        found[step.architecture, step.runtime] = step
        print(row(step, found), flush=True)


def row(m, found):
    """One line of the table; `generate` of the same precision is the measure, where it was run."""
    name = f"{m.architecture.label:<10} {m.runtime.execution + ' ' + m.runtime.weights:<18}"
    if m.failed:
        return f"{name} {m.flags[0]}: {m.message}"
    tpot, ratio = estimate(m, "tpot"), floor_ratio(m)
    paper = found.get((m.architecture, runtime("transformers", m.runtime.weights, False)))
    paper = estimate(paper, "tpot") if paper is not None and not paper.failed else None
    against = f"{paper.value / tpot.value:8.2f}x" if paper else "       - "
    return (
        f"{name} {tpot.value * 1e3:8.2f} {tpot.half_width:6.1%} {ratio:9.2f}x {1 / ratio:12.0%}"
        f" {against:>12}   {m.environment['kernels']}  {', '.join(m.flags)}"
    )


if __name__ == "__main__":
    main()
