"""Fitting latency laws to measurements: coefficients of the costs in `core.laws.latency`, and their errors.

Each device, runtime and metric has a law of its own. Every error reported is held out by shape: all
workloads of one shape are left out together and predicted from the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.fit.latency_fit import LatencyFit, LeftOut
from core.fit.latency_range import growth, ranges_of
from core.fit.latency_terms import (
    LATENCY_AMOUNTS,
    MIN_SHAPES,
    Points,
    best_machine,
    coefficient_covariance,
    machine_grid,
    points_of,
    predict_others,
    robust,
)
from core.laws.latency import TERMS, Machine
from core.model.workload import Runtime
from core.records.measurement import Measurement
from core.samples.repetitions import together

SHARP = 0.25  # half of a point's 95 % interval over its value, up to which the point is sharp


def fit_latency(measurements: Sequence[Measurement]) -> tuple[LatencyFit, ...]:
    """One law per device, runtime and metric that was measured, in order of first appearance.

    Repetitions of one point count together. Failed measurements are left out, and so are served
    models, whose times hold a queue. Too few shapes give a fit that is not ok and says how many are
    needed.
    """
    groups: dict[tuple[str, Runtime, str], list[Measurement]] = {}
    for m in together(measurements):
        if m.failed or m.runtime.served:
            continue
        for metric in LATENCY_AMOUNTS:
            if m.samples.get(metric):
                groups.setdefault((m.device.key, m.runtime, metric), []).append(m)
    return tuple(
        _fit(rows, metric, runtime, device) for (device, runtime, metric), rows in groups.items()
    )


def _measured_on(rows: Sequence[Measurement]) -> str:
    days = sorted({m.started_at[:10] for m in rows if m.started_at})
    when = "" if not days else f", {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    return f"{rows[0].device.name}, {rows[0].runtime.label}{when}"


def _fit(rows: Sequence[Measurement], metric: str, runtime: Runtime, device: str) -> LatencyFit:
    """The law of one group of measurements, validated by leaving out each shape in turn."""
    points, measured_on = points_of(rows, metric), _measured_on(rows)
    groups = np.unique(points.group)
    if len(groups) < MIN_SHAPES:
        return LatencyFit(
            metric,
            runtime,
            device,
            {},
            Machine(),
            len(points),
            len(groups),
            ok=False,
            message=f"a latency law needs at least {MIN_SHAPES} shapes measured; "
            f"{runtime.label} on this device has {len(groups)}",
            measured_on=measured_on,
        )
    grid = machine_grid(device)
    machine = best_machine(points, metric, runtime, grid)
    columns = points.columns(metric, runtime, machine)
    coefficients, weights = robust(columns, points.noise)
    left_out = _left_out(rows, points, metric, runtime, grid)
    error, sharp = left_out.error, points.noise * 1.96 <= SHARP
    rank = left_out.rank
    used = np.nonzero(columns.any(axis=0))[0]
    spread = coefficient_covariance(columns[:, used], weights)
    names = [list(TERMS)[i] for i in used]
    freedom = max(len(groups) - int(np.count_nonzero(coefficients)), 1)
    return LatencyFit(
        metric,
        runtime,
        device,
        {name: float(coefficients[i]) for name, i in zip(names, used, strict=True)},
        machine,
        len(points),
        len(groups),
        float(np.mean(np.abs(error))),
        {
            "bias": float(np.mean(error)),
            "p90": float(np.quantile(np.abs(error), 0.9)),
            **({"spearman": rank} if rank is not None else {}),
            "coverage": float(np.mean(left_out.inside(freedom))),
            "sharp_share": float(np.mean(sharp)),
            **({"sharp": float(np.mean(np.abs(error[sharp])))} if sharp.any() else {}),
        },
        ranges_of(points),
        left_out.scatter,
        freedom,
        tuple(map(tuple, spread.tolist())),
        growth(points, metric, runtime, grid, left_out.scatter),
        measured_on=measured_on,
        left_out=left_out,
    )


def _left_out(
    rows: Sequence[Measurement],
    points: Points,
    metric: str,
    runtime: Runtime,
    grid: Sequence[Machine],
) -> LeftOut:
    """Every point predicted from the other shapes."""
    ratio, leverage = np.empty(len(points)), np.empty(len(points))
    for g in np.unique(points.group):
        out = points.group == g
        ratio[out], leverage[out] = predict_others(
            points.take(~out), points.take(out), metric, runtime, grid
        )
    return LeftOut(tuple(rows), points.seconds, ratio, leverage, points.group)
