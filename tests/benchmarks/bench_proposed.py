"""How often `compare` proposes the law that made the losses, beside how often that law misses least.

    python tests/benchmarks/bench_proposed.py [SUITE] [TABLES]

The losses of SUITE (morph) are made anew TABLES times (8) by each of six laws, fitted to it, with normal
scatter of 0.3 % of runs and, in a second round, an own effect of 0.25 % of each shape. All laws are compared
on each table, N counting all parameters.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np

from core.fit.compare import comparison
from core.fit.fit import predicted
from core.fit.groups import groups_of
from core.fit.solve import fit
from core.formats.runs.suites import suite
from core.records.progress import outcome
from core.records.training_runs import TrainingRuns

TRUTHS = (
    ("chinchilla", True),
    ("chinchilla", False),
    ("inference-aware", True),
    ("u-shaped", True),
    ("u-shaped", False),
    ("width-depth", True),
)
RUN_SCATTER = 0.003
SHAPE_EFFECTS = (0.0, 0.0025)


def trial(runs: TrainingRuns, law: str, tied: bool) -> tuple[bool, bool, bool, int]:
    """Whether the truth misses least, ties with the best and is proposed, and how many laws tie."""
    found = outcome(comparison(runs, "huber", (), ("total",)))
    stand = found.standings
    name = (law, "tied" if tied else "free")
    place = [(f.law, f.tied) for f in found.fits].index(name)
    truth = stand.each[place]
    if truth is None:
        return False, False, False, 0
    # either name of one law counts
    names = {place, truth.same_as}
    ties = sum(s is not None and s.tie and s.same_as is None for s in stand.each)
    return stand.best in names, truth.tie, stand.proposed in names, ties


def main() -> None:
    """Print one line per truth, and their mean."""
    base = suite(sys.argv[1] if len(sys.argv) > 1 else "morph")
    tables = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    shapes = groups_of(base, "shape")
    random = np.random.default_rng(0)
    for effect in SHAPE_EFFECTS:
        print(f"{base.suite}, {tables} tables a law, own effect of a shape {effect:.2%}")
        every = []
        for law, tied in TRUTHS:
            loss = predicted(fit(base, law, tied=tied, method="huber", insist=True), base)
            each = []
            for _ in range(tables):
                own = random.normal(0, effect, shapes.max() + 1)[shapes]
                seen = loss * np.exp(random.normal(0, RUN_SCATTER, loss.size) + own)
                runs = replace(base, columns={**base.columns, "loss": seen})
                each.append(trial(runs, law, tied))
            every.append(np.mean(each, axis=0))
            print(f"  {law:<16}{'tied' if tied else 'free':<6}{line(every[-1])}", flush=True)
        print(f"  {'all':<22}{line(np.mean(every, axis=0))}")


def line(mean: np.ndarray) -> str:
    best, tie, proposed, ties = mean
    return (
        f"misses least {best:4.0%}, ties {tie:4.0%}, proposed {proposed:4.0%}; {ties:.1f} laws tie"
    )


if __name__ == "__main__":
    main()
