"""Time of the front against moocore (and paretoset, where installed) in one run.

    python tests/benchmarks/bench_front.py [--points N ...]

Each line gives the time of this engine and, of the same data in the same run, the ratio of every
other to it (above 1: this engine is quicker). All must agree on the front, or the run stops.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable

import moocore
import numpy as np

from core.pareto.front import front_indices, nondominated
from core.pareto.hypervolume import hypervolume
from core.pareto.live_front import prepare


def best_of(times: int, work: Callable[[], object]) -> tuple[float, object]:
    """Shortest wall-clock seconds, and what the work returned."""
    shortest, result = np.inf, None
    for _ in range(times):
        start = time.perf_counter()
        result = work()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest, result


def designs(n: int, random: np.random.Generator) -> np.ndarray:
    """Latency, loss and memory as they go together in real designs, and an unrelated column."""
    latency = random.lognormal(0, 1, n)
    loss = latency**-0.3 * random.lognormal(0, 0.2, n)
    return np.column_stack([latency, loss, latency * random.lognormal(0, 0.5, n), random.random(n)])


def sphere(n: int, random: np.random.Generator) -> np.ndarray:
    """Points of which none dominates another."""
    direction = np.abs(random.normal(size=(n, 4)))
    direction[:, :3] /= np.linalg.norm(direction[:, :3], axis=1, keepdims=True)
    return 1 - direction


def in_chunks(table: np.ndarray, size: int = 20_000) -> np.ndarray:
    """moocore's front found chunk by chunk against a running archive."""
    kept = np.empty(0, dtype=np.intp)
    for start in range(0, len(table), size):
        rows = np.r_[kept, np.arange(start, min(start + size, len(table)))]
        kept = rows[moocore.is_nondominated(table[rows], keep_weakly=True)]
    mask = np.zeros(len(table), dtype=bool)
    mask[kept] = True
    return mask


def compare(name: str, table: np.ndarray) -> None:
    """One line: this engine's time, and the others' ratios to it."""
    times = 3 if len(table) <= 1_000_000 else 1
    own, mask = best_of(times, lambda: nondominated(table))
    others = {"moocore": lambda: moocore.is_nondominated(table, keep_weakly=True)}
    if not mask.all():
        # in chunks, an archive of everything would be searched over and over
        others["moocore in chunks"] = lambda: in_chunks(table)
        try:
            paretoset = importlib.import_module("paretoset").paretoset
            # paretoset by numba never came back where every point is on the front
            others["paretoset"] = lambda: paretoset(table, distinct=False)
            others["paretoset"]()
        except ImportError:
            pass
    ratios = []
    for label, work in others.items():
        seconds, theirs = best_of(times, work)
        if not (np.asarray(theirs) == mask).all():
            raise SystemExit(f"{label} disagrees on {name}")
        ratios.append(f"{label} x{seconds / own:.2f}")
    print(
        f"{name:<28} {own * 1e3:8.1f} ms, front {mask.sum():>9,}; {', '.join(ratios)}", flush=True
    )


def live(n: int, random: np.random.Generator) -> None:
    """The front under a moving limit: prepared once, then asked at every move."""
    x, y, c, _ = designs(n, random).T.copy()
    start = time.perf_counter()
    made = prepare(x, y, c, "<=")
    prepared = time.perf_counter() - start
    values = np.quantile(c, np.linspace(0.05, 0.95, 200))
    moves = np.empty(len(values))
    for i, value in enumerate(values):
        start = time.perf_counter()
        made.front(float(value))
        moves[i] = time.perf_counter() - start
    afresh, expected = best_of(3, lambda: front_indices(x, y, c <= values[100]))
    table = np.column_stack([x, y])
    theirs, _ = best_of(
        3, lambda: moocore.is_nondominated(table[c <= values[100]], keep_weakly=True)
    )
    if made.front(float(values[100])).tolist() != np.asarray(expected).tolist():
        raise SystemExit("the live front differs")
    p50, p95 = np.quantile(moves, [0.5, 0.95])
    print(
        f"live front of {n:>10,}: prepared in {prepared * 1e3:.0f} ms, a move p50 {p50 * 1e3:.3f}"
        f" p95 {p95 * 1e3:.3f} ms, of {len(made.candidates.rows):,} candidates;"
        f" afresh x{afresh / p50:.0f}, moocore x{theirs / p50:.0f}",
        flush=True,
    )


def main() -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    random = np.random.default_rng(0)
    for n in options.points:
        for kind, make in (("designs", designs), ("sphere", sphere)):
            table = make(n, random)
            for d in (2, 3, 4):
                if kind == "sphere" and (d == 2 or (d == 4 and n > 100_000)):
                    continue
                compare(f"{kind} {d} columns {n:>10,}", np.ascontiguousarray(table[:, :d]))
        live(n, random)
    points = np.ascontiguousarray(sphere(10_000, random)[:, :2])
    bound = np.full(2, 1.1)
    own, volume = best_of(3, lambda: hypervolume(points, bound))
    theirs, expected = best_of(3, lambda: moocore.hypervolume(points, ref=bound))
    print(
        f"hypervolume 2 columns 10,000: {own * 1e3:.1f} ms, moocore x{theirs / own:.2f},"
        f" difference {abs(volume - expected):.1e}"
    )


if __name__ == "__main__":
    main()
