"""What goes wrong on purpose and what the sweep makes of it, as a table.

    python tests/benchmarks/report_faults.py > resources/sweeps/faults.md

Each fault is injected into a real measuring process (`tests/helpers/faulty_child.py`), good points before
and after it; then the same point is measured with the machine idle and with a program spinning on
every core. The tests assert the flags; this prints what a user would read.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "helpers"))
import faulty_child as faults

import core.measure.process.session
from core.measure.sweeps.sweep import sweep
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Measurement, Point
from core.samples.statistics import estimate
from core.units import format_quantity

FAULTY = [sys.executable, str(Path(faults.__file__))]
SMALL = Architecture(4, 256, 4, 2, 64, 512, 4096)
LARGE = Architecture(1, 2048, 8, 8, 256, 8192, 4096)
HUGE = Architecture(400, 16384, 4, 4, 4096, 65536, 400_000)
QUICK = Settings(max_blocks=8, warm_s=0.2, budget_s=2.0, retries=0, block_s=0.2)


def point(prompt: int, shape: Architecture = SMALL, **runtime: str) -> Point:
    return Point(shape, Workload(1, prompt, 24), Runtime(**runtime))


PLAN = (
    ("nothing", point(8)),
    ("the process is killed (SIGKILL)", point(faults.KILLED)),
    ("nothing", point(9)),
    ("it hangs", point(faults.HANGING)),
    ("its clock jumps forward a second now and then", point(faults.LYING)),
    ("its clock runs backwards now and then", point(faults.BACKWARDS)),
    ("memory runs out while it runs", point(faults.STARVED, LARGE)),
    ("the shape cannot fit the machine", point(8, HUGE)),
    ("it ends itself with a word of the driver", point(faults.EXITING)),
    ("a library prints on standard output", point(faults.LATE)),
    ("a precision the device does not have", point(8, weights="fp8", cache="bf16")),
    ("nothing", point(10)),
)


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """Other programs that use whole cores."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def row(what: str, m: Measurement) -> str:
    e = estimate(m, "tpot")
    width = f" ± {e.half_width:.0%}" if e and e.high < float("inf") else ", one block: no interval"
    value = f"{format_quantity(e.value, 's')}{width}" if e else "none"
    return f"| {what} | {', '.join(m.flags) or 'none'} | {value} | {m.message.replace('|', '/')} |"


def results(points: list[Point], **options: object) -> list[Measurement]:
    # an iterator keeps its order
    steps = sweep(
        iter(points), device="cpu", budget_s=None, store=lambda m: m, settings=QUICK, probe=False,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip
    return [step for step in steps if isinstance(step, Measurement)]


def main() -> None:
    usual = core.measure.process.session.patience_s
    core.measure.process.session.patience_s = lambda p: (  # the table should not take minutes
        5.0 if p.workload.prompt_tokens == faults.HANGING else usual(p)
    )
    print("# Faults injected, and what the sweep made of them\n")
    print(
        "Printed by `tests/benchmarks/report_faults.py`; the points are measured one after another in"
    )
    print("one sweep, and it goes on after each fault.\n")
    print("| injected | flags | time per output token | message |\n|---|---|---|---|")
    found = results([p for _, p in PLAN], command=FAULTY, anchor=False)
    for (what, _), m in zip(PLAN, found, strict=True):
        print(row(what, m), flush=True)
    cores = os.cpu_count() or 1
    print(f"\nThe same point with programs spinning on its {cores} cores:\n")
    print("| others | flags | time per output token | message |\n|---|---|---|---|")
    for count in (0, cores, 2 * cores):
        with spinning(count):
            (m,) = results([point(8)], anchor=False)
        print(row(f"{count} spinning", m), flush=True)


if __name__ == "__main__":
    main()
