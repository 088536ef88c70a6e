"""How far the laws in use can be trusted: predicted beside measured, and a sentence that sums it up.

Every prediction here was made without the shape it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.analysis.pipeline import Contents, Frame
from core.arrays import Bools, Floats, Ints
from core.fit.fit import Fit
from core.fit.groups import rank_correlation
from core.fit.latency import LatencyFit
from core.fit.latency_terms import best_physics, physics_grid, points_of, price_covariance, robust
from core.fit.resample import Steps
from core.fit.validate import trust, validation
from core.project.choices import Choices
from core.records.measurement import Measurement, Point
from core.records.metrics import METRICS
from core.records.progress import Progress
from core.samples.repetitions import together
from core.table.table import Table

# law's metric -> metric of the table
COLUMNS = {"tpot": "tpot_s", "ttft": "ttft_s"}
# beyond these a law's sentence comes with a warning
LARGEST_ERROR = 0.10
LEAST_RANK = 0.9
LEAST_COVERAGE = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class LatencyTrust:
    """One latency law against what was measured; columns of one length, one row a measurement.

    `predicted` is what the law says without the row's shape, `low` and `high` its 95 % interval
    without it; seconds. `points` is what would be measured again, None for a local model, whose
    folder is not kept. `error` is the mean absolute relative error, `bias` the mean one (above
    zero: predicts too slow), `rank` Spearman's correlation, `coverage` the share of measurements
    inside their interval, `worst` the row with the largest error. All fractions, not percent.
    """

    fit: LatencyFit
    labels: tuple[str, ...]
    points: tuple[Point | None, ...]
    measured: Floats
    predicted: Floats
    low: Floats
    high: Floats
    error: float = math.nan
    bias: float = math.nan
    rank: float = math.nan
    coverage: float = math.nan
    worst: int | None = None

    @property
    def inside(self) -> Bools:
        """True where the measurement lies inside the interval made without its shape."""
        return (self.low <= self.measured) & (self.measured <= self.high)

    @property
    def title(self) -> str:
        """E.g. 'Time per output token, eager, fp32'."""
        return f"{METRICS[COLUMNS[self.fit.metric]].label}, {self.fit.runtime.label}"


def judge_latency(
    measurements: Sequence[Measurement], fits: Sequence[LatencyFit]
) -> Steps[tuple[LatencyTrust, ...]]:
    """Steps: every law against its measurements, each shape predicted from the others.

    A law that is not ok comes back with empty columns; its own message says what is missing.
    """
    found = []
    shapes = sum(fit.n_shapes for fit in fits if fit.ok)
    done = 0
    for fit in fits:
        rows = of_law(measurements, fit)
        if not fit.ok or not rows:
            found.append(LatencyTrust(fit, (), (), *(np.zeros(0),) * 4))
            continue
        ratio, spread = np.ones(len(rows)), np.ones(len(rows))
        points = points_of(rows, fit.metric)
        group = points.group
        grid = physics_grid(fit.metric, fit.device_key)
        for g in np.unique(group):
            out = group == g
            rest, left = points.take(~out), points.take(out)
            # the machine is chosen anew too, so that nothing of the shape leaks into its prediction
            physics = best_physics(rest, fit.metric, fit.runtime, grid)
            columns = rest.columns(fit.metric, fit.runtime, physics)
            prices, weights = robust(columns, rest.noise)
            ahead = left.columns(fit.metric, fit.runtime, physics)
            ratio[out] = ahead @ prices
            used = columns.any(axis=0)
            near = (ahead / np.maximum(ratio[out], 1e-300)[:, None])[:, used]
            covariance = price_covariance(columns[:, used], weights)
            spread[out] = np.sqrt(1.0 + np.einsum("ni,ij,nj->n", near, covariance, near))
            done += 1
            yield Progress(done, shapes, "predicting each shape from the others")
        found.append(_against(fit, rows, points.seconds, ratio, spread, group))
    return tuple(found)


def of_law(measurements: Sequence[Measurement], fit: LatencyFit) -> list[Measurement]:
    """The measurements a latency law was fitted to."""
    return [
        m
        for m in together(measurements)
        if not m.failed
        and m.device.key == fit.device_key
        and m.runtime == fit.runtime
        and m.samples.get(fit.metric)
    ]


def latency_sentence(judged: LatencyTrust) -> tuple[str, bool]:
    """One sentence with the number that matters most, and whether to warn."""
    fit = judged.fit
    what = METRICS[COLUMNS[fit.metric]].label.lower()
    if not fit.ok:
        return f"No law for {what} ({fit.runtime.label}): {fit.message}.", True
    told = f"Predicts {what} of shapes it has not seen to ±{100 * judged.error:.1f} %"
    if math.isfinite(judged.rank):
        told += f"; puts them in order with rank correlation {judged.rank:.2f}"
    told += f"; {100 * judged.coverage:.0f} % of measurements lie in their 95 % intervals"
    warn = (
        judged.error > LARGEST_ERROR or judged.rank < LEAST_RANK or judged.coverage < LEAST_COVERAGE
    )
    return f"{told} ({fit.n_shapes} shapes, {fit.runtime.label}).", warn


def judge_loss(contents: Contents, choices: Choices, fit: Fit) -> Steps[Fit]:
    """Steps: the loss law in use, judged on shapes and the largest size left out of the fit."""
    if "shape_rms" in fit.heldout or not fit.theta or fit.n == 0:
        return fit
    from core.fit.row_filter import kept

    runs = contents.suite(choices.loss_suite)
    used = kept(runs, choices.loss_where)
    return (yield from validation(fit, used))


def loss_sentence(fit: Fit | None, message: str) -> tuple[str, bool]:
    """The same for the loss law in use; without one, why there is none."""
    if fit is None:
        return f"No loss law: {message}." if message else "No loss law yet.", True
    return trust(fit)


def unmeasured_on_front(table: Table, frame: Frame) -> tuple[int, ...]:
    """Rows of the front whose times are predicted, best y first: what to measure before believing."""
    timed = table.estimates("tpot_s").measured | table.estimates("ttft_s").measured
    return tuple(int(row) for row in frame.front[::-1] if not timed[row])


# -----------------------------------------------------------------------------------------------


def _against(
    fit: LatencyFit,
    rows: Sequence[Measurement],
    seconds: Floats,
    ratio: Floats,
    spread: Floats,
    group: Ints,
) -> LatencyTrust:
    from scipy.special import stdtrit

    logs = np.log(np.maximum(ratio, 1e-300))
    factor = np.empty(len(rows))
    wide = float(stdtrit(max(fit.degrees_of_freedom, 1), 0.975))
    for g in np.unique(group):
        out = group == g
        factor[out] = np.exp(wide * np.sqrt(np.mean(logs[~out] ** 2)) * spread[out])
    predicted = ratio * seconds
    error = ratio - 1.0
    rank = rank_correlation(seconds, predicted)
    low, high = predicted / factor, predicted * factor
    return LatencyTrust(
        fit,
        tuple(label_of(m) for m in rows),
        tuple(None if m.model else Point(m.architecture, m.workload, m.runtime) for m in rows),
        seconds,
        predicted,
        low,
        high,
        float(np.mean(np.abs(error))),
        float(np.mean(error)),
        math.nan if rank is None else rank,
        float(np.mean((low <= seconds) & (seconds <= high))),
        int(np.argmax(np.abs(error))),
    )


def label_of(m: Measurement) -> str:
    """Short name of what was measured, with its workload."""
    return f"{m.model or m.architecture.label}, {m.workload.label}"
