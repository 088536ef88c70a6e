"""Record the sweep that ships with the program, on the machine this runs on.

    python tests/benchmarks/record_sweep.py OUT.json SECONDS [EXECUTION[:WEIGHTS] ...]

Shapes at four levels of equal size (5, 20, 75 and 150 million parameters without embeddings), deep
to wide, with unlike FFN ratios, key-value heads, vocabularies, batches and contexts; and the shapes
that the demonstration's space wants measured. All of them are held in memory and timed interleaved for
about SECONDS (`core.measure.process.interleaved`; 24 GiB are needed), so that what other guests of the machine do
is shared by all and taken out. The largest shapes of the demonstration do not fit beside the rest: they
are interleaved in a second group with some of the others, which bring both to one scale.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.formats.own import raw_json
from core.measure.backends.backend import BenchContext
from core.measure.process.interleaved import CORRECTED, measure_interleaved
from core.measure.process.worker import child_environment
from core.measure.timing.devices import cpu_device, measured
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Measurement, Point
from core.resources import resource
from core.samples.statistics import corrected, estimate
from core.space.space_file import read_space

# parameters from which a shape is left to the second group, and up to which it is in both
LARGE, LIGHT = 120e6, 40e6
# n_layers, d_model, FFN ratio, heads per key-value head, vocabulary
SHAPES = (
    (6, 256, 2.67, 1, 4096), (12, 192, 2.67, 1, 50432), (2, 448, 2.67, 1, 4096),
    (24, 128, 3.0, 1, 4096), (4, 320, 2.0, 5, 50432),
    (12, 384, 2.67, 1, 4096), (6, 512, 2.67, 2, 50432), (3, 768, 2.5, 1, 4096),
    (24, 256, 3.0, 4, 50432), (6, 448, 4.0, 7, 4096), (8, 512, 1.5, 8, 4096),
    (48, 192, 2.67, 1, 4096),
    (24, 512, 2.67, 1, 50432), (12, 768, 2.67, 3, 4096), (6, 1024, 2.67, 1, 50432),
    (48, 384, 2.5, 2, 4096), (4, 1280, 2.67, 4, 4096), (10, 768, 4.0, 12, 4096),
    (16, 768, 1.5, 1, 50432),
    (24, 768, 2.67, 1, 4096), (12, 1024, 2.67, 4, 50432), (6, 1536, 2.67, 1, 4096),
    (36, 640, 2.5, 2, 50432), (10, 1024, 4.0, 16, 4096), (12, 1024, 2.67, 1, 4096),
)  # fmt: skip
SHORT = (Workload(1, 16, 24), Workload(1, 256, 16), Workload(4, 64, 12), Workload(8, 16, 12))


def shape(n_layers: int, d_model: int, ratio: float, group: int, vocab: int) -> Architecture:
    heads = d_model // 64
    ffn = 64 * round(ratio * d_model / 64)
    return Architecture(n_layers, d_model, heads, heads // group, 64, ffn, vocab)


def law_points(runtime: Runtime) -> list[Point]:
    points = []
    for row in SHAPES:
        a = shape(*row)
        # a long context shows the cache; the large shapes would need a minute for it
        long = Workload(1, 768 if a.params_non_embedding < 30e6 else 512, 12)
        points += [Point(a, w, runtime) for w in (*SHORT, long)]
    return points


def demo_points(runtime: Runtime) -> list[Point]:
    space = read_space(resource("spaces/demo.toml"))
    points = (p for p in space.measurement_points() if p.workload.batch == 1)
    return [replace(p, runtime=runtime) for p in points]


def write(path: Path, rows: Iterable[Measurement]) -> None:
    """A suite file, without what names this machine; nanoseconds are far below the clock's scatter."""
    plain = [
        replace(
            m,
            device=replace(m.device, host=""),
            samples={
                k: tuple(tuple(round(x, 9) for x in b) for b in blocks)
                for k, blocks in m.samples.items()
            },
            environment={k: v for k, v in m.environment.items() if "host" not in k.lower()},
        )
        for m in rows
    ]
    path.write_text(raw_json.write(plain), encoding="utf-8")


def runtime_of(name: str) -> Runtime:
    execution, _, weights = name.partition(":")
    cache = {"int8": "fp32", "fp8": "bf16"}.get(weights, weights or "fp32")
    return Runtime(execution, weights or "fp32", cache)


def bridged(first: Sequence[Measurement], second: Sequence[Measurement]) -> list[Measurement]:
    """Both companies on the level of the first, by the points they share; those are taken from it."""
    found = {m.key: m for m in first}
    change = {}
    for phase in CORRECTED:
        ratios = [
            typical(m, phase) / typical(found[m.key], phase) for m in second if m.key in found
        ]
        change[phase] = float(np.median(ratios))
    for m in second:
        if m.key not in found:
            factors = {
                phase: tuple(round(factor * change[phase], 5) for factor in each)
                for phase, each in m.timing.drift_factors.items()
            }
            found[m.key] = replace(m, timing=replace(m.timing, drift_factors=factors))
    return list(found.values())


def typical(m: Measurement, phase: str) -> float:
    return float(np.median([np.median(block) for block in corrected(m)[phase]]))


def main() -> None:
    out, seconds = Path(sys.argv[1]), float(sys.argv[2])
    # as a measuring process has it, before torch is there to see it
    os.environ.update(child_environment())
    runtimes = [runtime_of(name) for name in sys.argv[3:] or ["eager"]]
    lab = BenchContext(measured(cpu_device(), 0))
    found: list[Measurement] = []
    for runtime in runtimes:
        demo, law = demo_points(runtime), law_points(runtime)
        companies = (
            [*law, *(p for p in demo if p.architecture.params_total < LARGE)],
            [
                *(p for p in demo if p.architecture.params_total >= LARGE),
                *[p for p in law if p.architecture.params_total < LIGHT][::3],
            ],
        )
        both = []
        for share, points in zip((0.8, 0.2), companies, strict=True):
            budget_s = share * seconds / len(runtimes) / len(points)
            lab.settings = Settings(
                budget_s=budget_s, block_s=0.1, max_blocks=10_000, interval=0.0, warm_s=0.1
            )
            both.append(measure_interleaved(points, lab, report))
        found += bridged(*both)
        write(out, found)
    for m in found:
        tpot, ttft = estimate(m, "tpot"), estimate(m, "ttft")
        if tpot and ttft:
            times = f"{tpot.value * 1e3:8.3f} ms ±{tpot.half_width:.1%}  {ttft.value * 1e3:8.2f} ms"
        else:
            times = m.message
        print(f"{m.architecture.label:9s} {m.workload.label:28s} {times} {m.flags}")


def report(text: str, fraction: float) -> None:
    print(f"{fraction:6.1%} {text}", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
