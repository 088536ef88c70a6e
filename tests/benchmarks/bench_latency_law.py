"""The latency laws on the recorded sweep: how wrong on shapes left out, against simpler laws; how fast.

    python tests/benchmarks/bench_latency_law.py [SWEEP.json]

All errors are mean absolute relative errors, each shape predicted without itself. The simpler laws are
what one would do by hand: bytes over a bandwidth (a roofline for the prompt), and that with a price
per layer; their coefficients are fitted in the same way, to the same points. The last error gives every shape
a factor of its own on top of the law, the middle one of its other points: what is left then is no
matter of shape, but of the workload and of how far measurements repeat.
"""

from __future__ import annotations

import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np

from core.fit.latency import fit_latency
from core.fit.latency_fit import LatencyFit
from core.fit.latency_terms import Points, points_of, robust
from core.laws.latency import TERMS, Machine
from core.model.architecture import Shapes
from core.model.workload import Runtime
from core.project.demo import SWEEP, recorded_sweep

SIMPLER = {
    "bytes or FLOPs alone": ("roof_bytes",),
    "bytes, FLOPs": ("weight_bytes", "cache_bytes", "matmul_flops", "attention_flops"),
    "the same and layers": (
        *("step", "kernels", "weight_bytes", "cache_bytes", "matmul_flops", "attention_flops"),
    ),
}


def left_out_error(points: Points, metric: str, runtime: Runtime, terms: tuple[str, ...]) -> float:
    keep = [list(TERMS).index(t) for t in terms]
    columns = points.columns(metric, runtime, Machine(0.0, 8.0, 1))[:, keep]
    errors = []
    for group in np.unique(points.group):
        out = points.group == group
        coefficients, _ = robust(columns[~out], points.noise[~out])
        errors += list(np.abs(columns[out] @ coefficients - 1))
    return float(np.mean(errors))


def own_factor_error(points: Points, law: LatencyFit) -> float:
    """Error of each point from the law times the middle ratio of the other points of its shape."""
    said = law.predict(points.shapes, points.batch, points.prompt_tokens, points.output_tokens)
    ratio = said / points.seconds
    errors = []
    for group in np.unique(points.group):
        of_shape = np.nonzero(points.group == group)[0]
        for i in of_shape if len(of_shape) >= 4 else ():
            errors.append(abs(ratio[i] / np.median(ratio[of_shape[of_shape != i]]) - 1))
    return float(np.mean(errors)) if errors else float("nan")


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else None
    rows = recorded_sweep(str(Path(path).resolve()) if path else SWEEP)
    laws = fit_latency(rows)
    for law in laws:
        if not law.ok:
            print(law.metric, law.runtime.label, law.message)
            continue
        used = [
            m
            for m in rows
            if not m.failed and m.runtime == law.runtime and m.samples.get(law.metric)
        ]
        points = points_of(used, law.metric)
        held = ", ".join(f"{k} {v:.3f}" for k, v in law.heldout.items())
        print(f"{law.metric} {law.runtime.label}: {law.heldout_error:.1%} "
              f"({law.n} points, {law.n_shapes} shapes; {held})")  # fmt: skip
        for name, terms in SIMPLER.items():
            other = left_out_error(points, law.metric, law.runtime, terms)
            print(f"    {name}: {other:.1%}")
        print(
            f"    this law with a factor of each shape's own: {own_factor_error(points, law):.1%}"
        )
        coefficients = {k: f"{p:.3g} {TERMS[k].unit}" for k, p in law.terms.items() if p > 0}
        print("   ", law.machine, coefficients)
    speed(next(law for law in laws if law.ok), rows[0])


def speed(law, row) -> None:
    n = 1_000_000
    one = Shapes.of([row.architecture])
    many = Shapes(**{f.name: np.repeat(getattr(one, f.name), n) for f in fields(Shapes)})
    batch = np.resize([1.0, 8.0], n)
    values = np.ones(n)

    def best(run) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        return min(times)

    copy = best(values.copy)
    for name, run in (
        ("predict", lambda: law.predict(many, batch, 128, 256)),
        ("interval", lambda: law.interval(many, batch, 128, 256)),
        ("outside", lambda: law.outside(many, batch, 128, 256)),
    ):
        took = best(run)
        print(
            f"{name} of 1,000,000 rows: {took * 1e3:.0f} ms, {took / copy:.0f} times copying a column"
        )


if __name__ == "__main__":
    main()
