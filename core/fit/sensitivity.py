"""How much predictions move with arbitrary settings of the fit: one table, worst case first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import Floats
from core.errors import Unusable
from core.fit.fit import Fit, predicted
from core.fit.groups import sizes_of
from core.fit.solve import fit
from core.laws.columns import CONVENTIONS, fit_columns, params_column
from core.laws.loss import LAWS
from core.records.progress import Progress, Steps
from core.records.training_runs import TrainingRuns


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """One setting changed: the largest and the mean relative move of the predicted losses.

    `shift` is NaN with the reason in `message` where the changed fit could not be made.
    """

    setting: str
    shift: float
    mean: float
    fit: Fit | None
    message: str = ""


def sensitivity(
    base: Fit, runs: TrainingRuns, target: Mapping[str, Floats] | None = None
) -> Steps[tuple[Change, ...]]:
    """Steps: fit again with one setting changed at a time; returns the changes, worst first.

    Moves are of the predicted loss of `target` (columns), or of the largest runs of the table.
    """
    if not base.theta:
        raise Unusable(f"the {base.law} fit failed, so there is nothing to vary: {base.message}")
    where = dict(target) if target is not None else _largest(base, runs)
    settings = _settings(base, runs)
    reference = replace(base, withheld="").predict(where)
    changes = []
    for done, (setting, kept, changed) in enumerate(settings):
        yield Progress(done, len(settings), setting)
        options = {
            "tied": base.tied,
            "params": base.params,
            "method": base.method,
            "delta": base.delta,
            **changed,
        }
        try:
            found = fit(kept, base.law, insist=True, **options)  # type: ignore[arg-type]
            if not found.theta:
                raise Unusable(found.message)
            move = np.abs(found.predict(where) / reference - 1.0)
        except Unusable as error:
            changes.append(Change(setting, float("nan"), float("nan"), None, str(error)))
            continue
        changes.append(Change(setting, float(move.max()), float(move.mean()), found, found.message))
    yield Progress(len(settings), len(settings), "varied")
    order = np.argsort([-c.shift if np.isfinite(c.shift) else np.inf for c in changes])
    return tuple(changes[i] for i in order)


def _settings(base: Fit, runs: TrainingRuns) -> list[tuple[str, TrainingRuns, dict[str, object]]]:
    """Every changed setting: its name, the runs to fit and the changed options."""
    found: list[tuple[str, TrainingRuns, dict[str, object]]] = []
    for delta in (1e-4, 1e-2, 1e-1):
        found.append(
            (f"Huber on log loss, delta {delta:g}", runs, {"method": "huber", "delta": delta})
        )
    other = "least-squares" if base.method == "huber" else "huber"
    found.append((f"{other} instead of {base.method}", runs, {"method": other, "delta": 1e-3}))
    for tying in LAWS[base.law].tyings:
        if tying.name != base.tied:
            found.append(
                (f"exponents {tying.name} instead of {base.tied}", runs, {"tied": tying.name})
            )
    for params in CONVENTIONS:
        if params != base.params:
            found.append((f"N counts {params} parameters", runs, {"params": params}))
    size = runs.columns[params_column(base.params)]
    if np.isfinite(size).all() and (classes := sizes_of(size)).max() > 0:
        found.append(("without the largest size", runs.take(classes < classes.max()), {}))
        found.append(("without the smallest size", runs.take(classes > 0), {}))
    error = np.abs(np.log(np.maximum(predicted(base, runs), 1e-12) / runs.columns["loss"]))
    worst = max(1, len(runs) // 20)
    order = np.argsort(np.nan_to_num(error, nan=-1.0))
    found.append((f"without the {worst} worst runs", runs.take(np.sort(order[:-worst])), {}))
    return found


def _largest(base: Fit, runs: TrainingRuns) -> dict[str, Floats]:
    columns = fit_columns(runs)
    size = columns[params_column(base.params)]
    known = np.flatnonzero(np.isfinite(size) & np.isfinite(predicted(base, runs)))
    classes = sizes_of(size[known])
    rows = known[classes == classes.max()]
    return {k: v[rows] for k, v in columns.items()}
