"""Record the sweep of a space as a suite, and print what becomes of the spread by shape in each execution.

    python tests/benchmarks/record_suite.py OUT.json SECONDS [--space SPACE.toml] [--device cuda:0]
        [--executions graph,eager,transformers] [--energy graph,eager] [--show]

What is worth most comes first (the first workload of each execution, sizes in turn), so that a sweep
cut short is a suite too. It goes on where OUT.json ends, which is written after every tenth point: on
a machine that is lent for some minutes at a time, run it again. --show only prints.

Needs no more than `core` does: numpy, scipy and torch, transformers for `generate`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from record_sweep import write

from core.errors import Unusable
from core.fit.latency import fit_latency
from core.measure.sweeps.sweep import sweep
from core.measure.timing.protocol import Settings
from core.project.demo import recorded_sweep
from core.records.measurement import Measurement, Point
from core.resources import resource
from core.samples.repetitions import together
from core.samples.roofline import floor_ratio
from core.samples.statistics import estimate
from core.space.space_file import read_space

SETTINGS = Settings(min_blocks=5, block_s=0.5, warm_s=1.5, budget_s=8.0, retries=1)


def in_order(points: Sequence[Point], executions: Sequence[str], level: dict) -> list[Point]:
    """First workload first, execution by execution, one shape of each size in turn."""
    works = list(dict.fromkeys(p.workload for p in points))
    place: dict = {}
    for p in points:
        place.setdefault(level[p.architecture], {}).setdefault(p.architecture, None)
    turn = {a: i for shapes in place.values() for i, a in enumerate(shapes)}
    return sorted(
        points,
        key=lambda p: (
            works.index(p.workload),
            executions.index(p.runtime.execution),
            turn[p.architecture],
        ),
    )


def levels_of(points: Sequence[Point], levels: Sequence[float]) -> dict:
    """The nearest size level of each shape."""
    logs = np.log(np.array(levels))
    return {
        p.architecture: levels[
            int(np.argmin(np.abs(logs - np.log(float(p.architecture.params_total)))))
        ]
        for p in points
    }


def missing(
    points: Sequence[Point], found: Sequence[Measurement], energy: frozenset[str]
) -> Iterator[Point]:
    """Points not measured yet, or measured without the energy that is wanted of them."""
    known: dict = {}
    for m in found:
        known.setdefault((m.architecture, m.workload, m.runtime), []).append(m)
    for p in points:
        rows = known.get((p.architecture, p.workload, p.runtime), [])
        wants = p.runtime.execution in energy and p.workload == points[0].workload
        if any(m.failed or m.energy or not wants for m in rows):
            continue
        yield p


def record(options: argparse.Namespace, found: list[Measurement], points: Sequence[Point]) -> None:
    left = options.seconds
    wanted = list(missing(points, found, options.energy))
    with_energy = [
        p
        for p in wanted
        if p.runtime.execution in options.energy and p.workload == points[0].workload
    ]
    for batch, energy_s in ((with_energy, 5.0), ([p for p in wanted if p not in with_energy], 0.0)):
        if not batch or left <= 0:
            continue
        steps = sweep(
            iter(batch),
            device=options.device,
            budget_s=left,
            store=lambda m: m,
            settings=SETTINGS,
            energy_s=energy_s,
            python=None,
        )
        try:
            while True:
                step = next(steps)
                if not isinstance(step, Measurement):
                    continue
                found.append(step)
                print(f"{len(found):4d} {line(step)}", flush=True)
                if len(found) % 10 == 0:
                    write(options.out, found)
        except StopIteration as end:
            left -= end.value.seconds
        finally:
            steps.close()
            write(options.out, found)


def line(m: Measurement) -> str:
    tpot = estimate(m, "tpot")
    name = f"{m.architecture.label:>9s} {m.runtime.label}, batch {m.workload.batch}"
    if tpot is None:
        return f"{name}: {', '.join(m.flags)} {m.message}"
    ratio, joules = floor_ratio(m), m.energy.get("joules_per_token")
    return (
        f"{name}: {1e3 * tpot.value:.3f} ms ±{tpot.half_width:.1%}"
        + (f", {ratio:.2f} of the floor" if ratio else "")
        + (f", {joules:.3g} J a token" if joules else "")
        + (f"  {', '.join(m.flags)}" if m.flags else "")
    )


def show(found: Sequence[Measurement], level: dict) -> None:
    """The spread at each size and in each execution, with the shapes it lies between; and the laws."""
    rows = [m for m in together(found) if not m.failed and m.architecture in level]
    keys = dict.fromkeys((m.workload, m.runtime) for m in rows)
    print(
        "\nworkload                       run as                      size    shapes  spread  slowest       fastest       over the floor"
    )
    for work, runtime in keys:
        for size in sorted(set(level.values())):
            same = [
                m
                for m in rows
                if (m.workload, m.runtime) == (work, runtime) and level[m.architecture] == size
            ]
            if len(same) < 2:
                continue
            times = [(estimate(m, "tpot").value, m) for m in same]
            (fast, first), (slow, last) = (f(times, key=lambda t: t[0]) for f in (min, max))
            ratios = sorted(r for m in same if (r := floor_ratio(m)))
            floor = f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if ratios else "-"
            print(
                f"{work.label:<30} {runtime.label:<27} {size / 1e6:>5.0f} M {len(same):>6}  {slow / fast:5.2f}x"
                f"  {last.architecture.label} {1e3 * slow:.2f} ms  {first.architecture.label} {1e3 * fast:.2f} ms  {floor}"
            )
    print()
    for law in fit_latency(rows):
        error = "-" if law.heldout_error is None else f"{law.heldout_error:.1%}"
        print(
            f"{law.runtime.label:<27} {law.metric}: {law.n} points, {law.n_shapes} shapes, left-out error {error} {law.message}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--space", default=str(resource("spaces/gpu.toml")))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--executions", default="")
    parser.add_argument("--energy", default="", type=lambda text: frozenset(text.split(",")) - {""})
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    space = read_space(options.space)
    executions = list(filter(None, options.executions.split(","))) or list(space.axes["execution"])
    space = replace(space, axes={**space.axes, "execution": tuple(executions)})
    points = space.measurement_points()
    level = levels_of(points, space.levels)
    found = list(recorded_sweep(str(options.out.resolve()))) if options.out.exists() else []
    if not options.show:
        try:
            record(options, found, in_order(points, executions, level))
        except Unusable as error:
            sys.exit(f"nothing can be recorded: {error}")
    show(found, level)


if __name__ == "__main__":
    main()
