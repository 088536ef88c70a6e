"""How many measurements the adaptive sweep saves against a regular grid, on a recorded full sweep.

    python tests/benchmarks/bench_adaptive.py [SWEEP.json]

Both are replayed from the recording: after so many measurements the law is fitted and asked for every
point of the full sweep. The grid takes whole shapes, evenly spaced through the levels of equal size,
under all their workloads, as one would by hand; it is averaged over where it starts. Errors are mean
absolute relative errors over the full sweep, the larger of TPOT and TTFT.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from core.fit.latency import fit_latency
from core.fit.latency_terms import points_of
from core.measure.sweeps.adaptive import choose_batch
from core.project.demo import SWEEP, recorded_sweep
from core.records.measurement import Measurement, Point

TARGETS = (0.15, 0.12, 0.10, 0.08, 0.07, 0.06, 0.05)


def full_sweep(path: str | None) -> list[Measurement]:
    rows = recorded_sweep(str(Path(path).resolve()) if path else SWEEP)
    rows = [m for m in rows if not m.failed and m.workload.output_tokens < 64]
    runtimes = [m.runtime for m in rows]
    most = max(set(runtimes), key=runtimes.count)
    return [m for m in rows if m.runtime == most]


def error(used: list[Measurement], everything: list[Measurement]) -> float:
    """Of the law fitted to some, over all of them; infinite while there is no law."""
    worst = 0.0
    for law in fit_latency(used):
        if not law.ok:
            return float("inf")
        p = points_of(everything, law.metric)
        said = law.predict(p.shapes, p.batch, p.prompt_tokens, p.output_tokens)
        worst = max(worst, float(np.mean(np.abs(said / p.seconds - 1))))
    return worst


def grid_curve(rows: list[Measurement]) -> list[tuple[float, float]]:
    shapes = sorted(
        {m.architecture for m in rows}, key=lambda a: (round(np.log(a.params_non_embedding)), a.n_layers)
    )  # fmt: skip
    curve = []
    for count in range(6, len(shapes) + 1):
        sizes, errors = [], []
        for start in range(3):
            step = len(shapes) / count
            picks = {int((i + start / 3) * step) % len(shapes) for i in range(count)}
            used = [m for m in rows if m.architecture in {shapes[i] for i in picks}]
            sizes.append(len(used))
            errors.append(error(used, rows))
        curve.append((float(np.mean(sizes)), float(np.mean(errors))))
    return curve


def adaptive_curve(rows: list[Measurement]) -> list[tuple[float, float]]:
    points = [Point(m.architecture, m.workload, m.runtime) for m in rows]
    used: list[Measurement] = []
    curve = []
    while len(used) < len(rows):
        shapes = len({m.architecture for m in used})
        chosen = choose_batch(points, used, fit_latency(used), max(4, 6 - shapes))
        used += [rows[i] for i in chosen]
        curve.append((float(len(used)), error(used, rows)))
    return curve


def needed(curve: list[tuple[float, float]], target: float) -> float | None:
    """Measurements from which on the error stays at or below the target."""
    below = None
    for n, e in curve:
        below = (below or n) if e <= target else None
    return below


def main() -> None:
    rows = full_sweep(sys.argv[1] if len(sys.argv) > 1 else None)
    print(f"{len(rows)} points, {len({m.architecture for m in rows})} shapes; "
          f"error with all of them {error(rows, rows):.1%}")  # fmt: skip
    grid, chosen = grid_curve(rows), adaptive_curve(rows)
    for name, curve in (("grid", grid), ("adaptive", chosen)):
        print(name, "  ".join(f"{n:.0f}: {e:.1%}" for n, e in curve))
    for target in TARGETS:
        by_grid, by_choice = needed(grid, target), needed(chosen, target)
        if by_grid and by_choice:
            print(f"error {target:.0%}: grid {by_grid:.0f}, adaptive {by_choice:.0f}, "
                  f"{by_choice / by_grid:.2f} of the grid's measurements")  # fmt: skip


if __name__ == "__main__":
    main()
