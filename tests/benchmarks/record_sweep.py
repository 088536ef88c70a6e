"""Record the sweep that ships with the program, on the machine this runs on.

    python tests/benchmarks/record_sweep.py OUT.json SECONDS [EXECUTION[:WEIGHTS] ...]

Shapes at four levels of equal size (5, 20, 75 and 150 million parameters without embeddings), deep
to wide, with unlike FFN ratios, key-value heads, vocabularies, batches and contexts; then the shapes
that the demonstration's space wants measured. It ends after about SECONDS, so that it can be run when
the machine is quiet; run again, it measures what is missing and then repeats points at random. Other
programs can only add time, so of repeats the one with the shortest median per token is kept whole.
"""

from __future__ import annotations

import json
import random
import sys
import time
from dataclasses import replace
from pathlib import Path

from core.architecture import Architecture
from core.measure.protocol import Settings
from core.measure.statistics import estimate
from core.measure.sweep import sweep
from core.records import Measurement, Point, Progress
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


def disturbance(m: Measurement) -> float:
    """Cores that other programs used meanwhile; infinite for a failure that a repeat may mend."""
    if m.failed:
        return float("inf")
    return float(m.environment.get("other_load_cores", 1.0))


def kept(stored: list[Measurement], new: Measurement) -> list[Measurement]:
    """The list with this result, in place of an earlier one of the same point that it betters."""
    old = next((m for m in stored if key(m) == key(new)), None)
    if old is None:
        return [*stored, new]
    if old.failed or (not new.failed and median(new) < median(old)):
        return [*(m for m in stored if m is not old), new]
    return stored


def median(m: Measurement) -> float:
    found = estimate(m, "tpot")
    return found.value if found else float("inf")


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


def runtime_of(name: str) -> Runtime:
    execution, _, weights = name.partition(":")
    cache = {"int8": "fp32", "fp8": "bf16"}.get(weights, weights or "fp32")
    return Runtime(execution, weights or "fp32", cache)


def main() -> None:
    out, seconds = Path(sys.argv[1]), float(sys.argv[2])
    runtimes = [runtime_of(name) for name in sys.argv[3:] or ["eager"]]
    stored: list[Measurement] = []
    if out.exists():
        rows = json.loads(out.read_text(encoding="utf-8"))["measurements"]
        stored = [measurement_from_dict(r) for r in rows]
    end = time.monotonic() + seconds
    # a long answer needs time for several; the short points are most of the law
    for share, budget_s, choose in ((0.75, 1.5, law_points), (1.0, 8.0, demo_points)):
        before = {key(m) for m in stored if not m.failed}
        points = [p for r in runtimes for p in choose(r)]
        random.shuffle(points)
        # what is missing first, then the rest as it comes
        points.sort(key=lambda p: key(p) in before)
        steps = sweep(
            iter(points),
            device="cpu",
            budget_s=share * (end - time.monotonic()),
            store=lambda m: m,
            settings=Settings(budget_s=budget_s, warm_s=0.3, block_s=0.1, retries=0),
            anchor=False,
        )
        for step in steps:
            if isinstance(step, Progress):
                continue
            stored = kept(stored, step)
            write(out, stored)
            tpot, ttft = estimate(step, "tpot"), estimate(step, "ttft")
            times = (
                f"{tpot.value * 1e3:8.3f} ms ±{tpot.half_width:.1%}  {ttft.value * 1e3:8.2f} ms"
                if tpot and ttft
                else step.message
            )
            print(
                f"{len(stored):4d} {step.architecture.label:9s} {step.workload.label:28s}"
                f" {step.runtime.label:14s} {times} others {disturbance(step):.2f} {step.flags}",
                flush=True,
            )


if __name__ == "__main__":
    main()
