"""Record the sweep that ships with the program, on the machine this runs on.

    python tests/benchmarks/record_sweep.py OUT.json [EXECUTION[:WEIGHTS] ...]

Shapes at four levels of equal size (5, 20, 75 and 150 million parameters without embeddings), deep
to wide, with unlike FFN ratios, key-value heads, vocabularies, batches and contexts; then the shapes
that the demonstration's space wants measured. A point in OUT.json is not measured again unless its
timing was disturbed, so the command resumes, and a second run replaces what the first doubted.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from core.architecture import Architecture
from core.measure.protocol import Settings
from core.measure.statistics import estimate
from core.measure.sweep import sweep
from core.records import FAILED_FLAGS, Measurement, Point, Progress
from core.resources import resource
from core.serial import measurement_from_dict, measurement_to_dict
from core.space_file import read_space
from core.workload import Runtime, Workload

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
DOUBTS = {"noisy", "busy", "throttled", "drift", "unstable-warmup", "late-compile"}


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


def key(thing: Point | Measurement) -> tuple[object, ...]:
    return (thing.architecture, thing.workload, thing.runtime)


def doubtful(m: Measurement) -> bool:
    return m.failed or bool(DOUBTS.intersection(m.flags))


def kept(stored: list[Measurement], new: Measurement) -> list[Measurement]:
    """The list with this result, in place of an earlier one of the same point that it betters."""
    old = next((m for m in stored if key(m) == key(new)), None)
    if old is None:
        return [*stored, new]
    worse = not old.failed and (
        new.failed or (doubtful(new), _width(new)) >= (doubtful(old), _width(old))
    )
    return stored if worse else [*(m for m in stored if m is not old), new]


def _width(m: Measurement) -> float:
    found = estimate(m, "tpot")
    return found.half_width if found else float("inf")


def write(path: Path, rows: list[Measurement]) -> None:
    plain = [measurement_to_dict(replace(m, device=replace(m.device, host=""))) for m in rows]
    for record in plain:
        # microseconds with three decimals: far below the clock's own scatter
        record["samples"] = {
            k: [[round(x, 9) for x in b] for b in blocks] for k, blocks in record["samples"].items()
        }
        for name in [k for k in record["environment"] if "host" in k.lower()]:
            del record["environment"][name]
    text = ",\n".join(json.dumps(r, separators=(",", ":")) for r in plain)
    path.write_text('{"schema_version":1,"measurements":[\n' + text + "\n]}\n", encoding="utf-8")


def main() -> None:
    out = Path(sys.argv[1])
    names = sys.argv[2:] or ["eager"]
    runtimes = []
    for name in names:
        execution, _, weights = name.partition(":")
        cache = {"int8": "fp32", "fp8": "bf16"}.get(weights, weights or "fp32")
        runtimes.append(Runtime(execution, weights or "fp32", cache))
    stored: list[Measurement] = []
    if out.exists():
        rows = json.loads(out.read_text(encoding="utf-8"))["measurements"]
        stored = [measurement_from_dict(r) for r in rows]
    done = {key(m) for m in stored if not doubtful(m)}
    law = [p for r in runtimes for p in law_points(r) if key(p) not in done]
    demo = [p for r in runtimes for p in demo_points(r) if key(p) not in done]
    quick = Settings(budget_s=4.0, warm_s=0.6, block_s=0.2, retries=0)
    for points, settings in ((law, quick), (demo, replace(quick, budget_s=20.0))):
        if not points:
            continue
        anchor = settings is not quick
        steps = sweep(
            points, device="cpu", budget_s=None, store=lambda m: m, settings=settings, anchor=anchor
        )
        for step in steps:
            if isinstance(step, Progress):
                continue
            stored = kept(stored, step)
            write(out, stored)
            tpot, ttft = estimate(step, "tpot"), estimate(step, "ttft")
            times = (
                f"{tpot.value * 1e3:8.3f} ms ±{tpot.half_width:.1%}  {ttft.value * 1e3:8.2f} ms"
                if tpot and ttft and not set(step.flags) & FAILED_FLAGS
                else step.message
            )
            print(f"{len(stored):4d} {step.architecture.label:9s} {step.workload.label:28s}"
                  f" {step.runtime.label:14s} {times} {' '.join(step.flags)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
