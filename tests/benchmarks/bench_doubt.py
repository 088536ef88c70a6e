"""How often a prediction interval of a loss holds what it says, on the bundled suites and on simulated tables.

    python tests/benchmarks/bench_doubt.py [suites] [beyond] [simulated] [chances]

'suites': every shape of every bundled suite is left out once and everything is learnt again without it;
printed is how many of its losses (inside the range of the others) lie in the 95 % interval of the law's
mean, and in the 95 % prediction interval. 'beyond': trained on the smaller half and two thirds of the
sizes, or of the tokens. 'simulated': tables with a known truth, the law right or wrong, and with few
shapes. 'chances': what is said to be on the front with about 80 % is there how often. Without a name all
four run, in about a quarter of an hour on two cores.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "helpers"))

from simulated import candidates, doubted, said_and_happened, simulated, trained, truth_like

from core.errors import Unusable
from core.fit.doubting import with_doubt
from core.fit.fit import Fit
from core.fit.groups import groups_of
from core.fit.resample import with_resamples
from core.fit.solve import fit
from core.fit.validate import validate
from core.formats.runs.suites import bundled_suites, suite
from core.laws.columns import fit_columns
from core.laws.loss import LAWS
from core.records.training_runs import TrainingRuns

RESAMPLES = 100
WORLDS = 40
CASES = (
    (("width-depth", "tied"), ("width-depth", "tied")),
    (("u-shaped", "free"), ("u-shaped", "free")),
    (("width-depth", "tied"), ("u-shaped", "free")),
    (("u-shaped", "free"), ("width-depth", "tied")),
    (("width-depth", "tied"), ("inference-aware", "tied")),
)


def fits_of(runs: TrainingRuns, method: str = "huber") -> list[Fit]:
    """Every law and tying that the runs allow, judged."""
    found = []
    for name, law in LAWS.items():
        for tying in law.tyings:
            try:
                each = fit(runs, name, tied=tying.name, method=method)
            except Unusable:
                continue
            if each.ok:
                found.append(validate(each, runs))
    return found


def held(
    fits: Sequence[Fit], runs: TrainingRuns, unseen: TrainingRuns
) -> dict[str, list[list[float]]]:
    """Per law: inside range, in the mean's interval, in the prediction interval, half-width; per run."""
    columns, loss = fit_columns(unseen), unseen.columns["loss"]
    found = {}
    for each in fits:
        others = [o for o in fits if o is not each]
        full = with_doubt(with_resamples(each, runs, RESAMPLES), runs, others)
        low, high = full.prediction(columns)
        mean_low, mean_high = full.interval(columns)
        rows = [
            ~full.outside(columns),
            (mean_low <= loss) & (loss <= mean_high),
            (low <= loss) & (loss <= high),
            np.log(high / low) / 2,
        ]
        found[f"{each.law} {each.tied}"] = np.stack(rows, axis=1).astype(float).tolist()
    return found


def table(title: str, found: dict[str, list[list[float]]], inside: bool) -> None:
    print(f"\n{title}\n{'law':<38}{'runs':>6}{'mean':>8}{'predicted':>11}{'half-width':>12}")
    for name, rows in found.items():
        kept = np.array(rows)
        kept = kept[kept[:, 0] == inside]
        if len(kept):
            share = 100 * kept.mean(axis=0)
            width = 100 * np.median(kept[:, 3])
            print(
                f"{name:<38}{len(kept):>6}{share[1]:>7.1f}%{share[2]:>10.1f}%{width:>11.2f}%",
                flush=True,
            )


def suites() -> None:
    for name in bundled_suites():
        runs = suite(name)
        groups = groups_of(runs, "shape")
        found: dict[str, list[list[float]]] = {}
        for shape in range(int(groups.max()) + 1):
            rest, here = runs.take(groups != shape), runs.take(groups == shape)
            for law, rows in held(fits_of(rest), rest, here).items():
                found.setdefault(law, []).extend(rows)
        table(f"{name}, shapes left out, inside the range of the others", found, True)


def beyond() -> None:
    for name in bundled_suites():
        runs = suite(name)
        for column in ("params_total", "tokens"):
            values = runs.columns[column]
            for share in (1 / 2, 2 / 3):
                cut = np.quantile(np.unique(values), share)
                rest, here = runs.take(values <= cut), runs.take(values > cut)
                found = held(fits_of(rest), rest, here)
                factor = values.max() / values[values <= cut].max()
                table(
                    f"{name}, {column} below the {share:.0%} quantile, up to {factor:.1f}x",
                    found,
                    False,
                )


def simulations() -> None:
    print("\nsimulated tables: 95 % intervals of new shapes (mean's of the true mean)")
    for truth, law in CASES:
        true = truth_like(*truth)
        for shapes in (5, 8, 12, 35):
            mean, whole = [], []
            for seed in range(WORLDS):
                runs = simulated(true, seed, shapes=shapes)
                try:
                    found = doubted(runs, *law)
                    random = np.random.default_rng(1000 + seed)
                    columns, _ = candidates(60, random)
                    inside = ~found.outside(columns)
                    columns = {k: v[inside] for k, v in columns.items()}
                    low, high = found.prediction(columns)
                    mean_low, mean_high = found.interval(columns)
                except Unusable:
                    continue
                losses, centre = trained(true, columns, random), true.predict(columns)
                whole.extend((low <= losses) & (losses <= high))
                mean.extend((mean_low <= centre) & (centre <= mean_high))
            if whole:
                print(
                    f"truth {truth[0]:<14} law {law[0]:<16} {shapes:>3} shapes: mean {np.mean(mean):6.1%}"
                    f"  prediction {np.mean(whole):6.1%}  ({len(whole)} losses)",
                    flush=True,
                )


def chances() -> None:
    print("\nchance of being on the front: said, and how often it came so")
    for truth, law in CASES:
        said, happened, inside = said_and_happened(truth_like(*truth), *law, range(WORLDS))
        parts = []
        for low, high in ((0.1, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.01)):
            here = (said >= low) & (said < high)
            parts.append(f"{said[here].mean():.0%} -> {happened[here].mean():.0%} ({here.sum()})")
        print(
            f"truth {truth[0]:<12} law {law[0]:<16} {', '.join(parts)}; intervals hold {inside:.1%}",
            flush=True,
        )


if __name__ == "__main__":
    wanted = sys.argv[1:]
    for part in (suites, beyond, simulations, chances):
        label = "simulated" if part is simulations else part.__name__
        if not wanted or label in wanted:
            part()
