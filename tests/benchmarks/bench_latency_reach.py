"""How far the latency laws reach: fitted to the smaller points of the recorded sweeps, judged on the larger.

    python tests/benchmarks/bench_latency_reach.py [SWEEP.json ...]

Points are put in order of size, by one of three measures, and the laws are fitted to the smallest half, two
thirds or three quarters of them. Printed are the mean absolute relative error on the others and its
mean (below zero: predicted too fast), the share of others inside their 95 % interval and outside what the law
was fitted to, and the interval's median half-width; and by how many times the variance of the scatter the law
lets the doubt grow per doubling.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "helpers"))

from cut_by_size import SIZES, larger

from core.project.demo import SWEEP, recorded_sweep


def main() -> None:
    names = [str(Path(p).resolve()) for p in sys.argv[1:]] or [SWEEP, "sweeps/xeon.json"]
    for name in names:
        rows = recorded_sweep(name)
        print(name)
        for size in SIZES:
            for share in (1 / 2, 2 / 3, 3 / 4):
                for got in larger(rows, share, size):
                    print(
                        f"  smaller {share:.0%} by {size}, {got.law.metric} {got.law.runtime.label}: "
                        f"{len(got.error)} larger, error {np.mean(np.abs(got.error)):.1%}, "
                        f"mean {np.mean(got.error):+.1%}; {np.mean(got.inside):.0%} inside, "
                        f"{np.mean(got.outside):.0%} outside; half-width "
                        f"{np.median(got.half_width):.0%}, growth {got.law.growth[0]:.1f}"
                    )


if __name__ == "__main__":
    main()
