"""The plot's scene, made from the state. Parts that did not change stay the same objects."""

from __future__ import annotations

import html
from dataclasses import replace
from functools import lru_cache

import numpy as np

from core.analysis.frame import Frame, eligible_rows, minimised
from core.analysis.illustrated import beside_the_front, illustrated
from core.analysis.life_cost import cheapest_life
from core.analysis.overlays import limits_text, overlay_layers
from core.arrays import Indices
from core.formats.runs.suites import Landmark as Published
from core.formats.runs.suites import landmarks
from core.pareto.limits import Limit
from core.project.choices import Choices
from core.records.metric import counted
from core.records.metrics import METRICS
from core.table.table import Table
from gui.plot.scene import (
    EXACT,
    ILLUSTRATED,
    MEASURED,
    PREDICTED,
    Axis,
    Colours,
    Illustrated,
    Landmark,
    LimitView,
    Measured,
    Overlay,
    Scene,
)
from gui.state.state import State

KINDS = {"published": "published illustration"}


def scene_of(
    state: State, colours: Colours, before: Scene | None, old: State | None
) -> Scene | None:
    """What the plot shows of this state; None where there are no candidates yet."""
    table, frame, choices = state.table, state.frame, state.choices
    if table is None or frame is None:
        return None
    # the frame says which axes it was made for; choices may be a step ahead of it
    x_key, y_key = frame.x, frame.y
    x_axis = axis_of(table, x_key, choices.x_log)
    y_axis = axis_of(table, y_key, choices.y_log)
    same_points = (
        before is not None
        and old is not None
        and old.table is table
        and (before.x_axis.key, before.y_axis.key) == (x_key, y_key)
    )
    limits = limit_views(table, frame.limits, x_key, y_key)
    if before is not None and same_views(limits, before.limits):
        limits = before.limits
    if same_points and before is not None:
        points = before
    else:
        estimates = table.estimates(x_key), table.estimates(y_key)
        points = Scene(
            estimates[0].value,
            estimates[1].value,
            x_axis,
            y_axis,
            source=source_codes(table, x_key, y_key),
            measured=measured_of(table, x_key, y_key),
            outside=estimates[0].outside | estimates[1].outside | illustrated(table, x_key, y_key),
        )
    overlays = (
        points.overlays
        if same_points and old is not None and _same_overlays(old, state)
        else overlays_of(state, x_key, y_key)
    )
    landmarks = (
        points.landmarks
        if same_points and old is not None and _same_landmarks(old, state)
        else landmarks_of(state, x_key, y_key)
    )
    pinned = tuple(r for r in (table.find(pin) for pin in choices.pins) if r is not None)
    return replace(
        points,
        x_axis=x_axis,
        y_axis=y_axis,
        limits=limits,
        eligible=eligible_rows(table, choices.changed(x=x_key, y=y_key)),
        landmarks=landmarks,
        overlays=overlays,
        illustrated=(
            points.illustrated
            if same_points and old is not None and old.frame is frame
            else illustrated_front(table, frame)
        ),
        selected=frame.selected,
        pinned=pinned,
        baseline=table.find(choices.baseline) if choices.baseline else None,
        feasible_shown=choices.feasible_shown,
        front_shown=choices.front_shown,
        infeasible_shown=choices.dominated_shown,
        colours=colours,
        card=lambda row: card(table, row, x_key, y_key),
        overlay_card=lambda layer, at: overlay_card(overlays[layer], at, choices, x_key, y_key),
    )


def overlays_of(state: State, x_key: str, y_key: str) -> tuple[Overlay, ...]:
    """Imported results and other projects on these axes."""
    layers = overlay_layers(state.contents, state.others, state.table, state.choices, x_key, y_key)
    return tuple(
        Overlay(o.tag, o.x, o.y, not o.caution, o.caution, o.names, o.known) for o in layers
    )


def _same_landmarks(old: State, new: State) -> bool:
    """The table and axes being the same."""
    if old.choices.loss.suite != new.choices.loss.suite or old.laws is not new.laws:
        return False
    return not new.choices.what_if.served_tokens or (
        old.frame is not None and new.frame is not None and old.frame.selected == new.frame.selected
    )


def _same_overlays(old: State, new: State) -> bool:
    return (
        old.contents.imported is new.contents.imported
        and old.others is new.others
        and [m.metric for m in old.choices.limits] == [m.metric for m in new.choices.limits]
        and old.choices.loss == new.choices.loss
        and old.choices.outside_counts == new.choices.outside_counts
    )


def axis_of(table: Table, key: str, log: bool) -> Axis:
    """A metric of a table as an axis."""
    metric = METRICS[key]
    return Axis(key, table.axis_label(key), metric.unit, log, metric.better, metric.significant)


def limit_views(
    table: Table, limits: tuple[Limit, ...], x_key: str, y_key: str
) -> tuple[LimitView, ...]:
    """Every limit, and for an axis without one a handle at its edge, ready to be pulled in."""
    views = [limit_view(table, limit, x_key, y_key) for limit in limits]
    for axis, key in (("x", x_key), ("y", y_key)):
        metric = METRICS[key]
        if metric.better and not any(limit.metric == key for limit in limits):
            empty = Limit(key, metric.natural_side, 0.0)
            views.append(
                LimitView(
                    empty.key,
                    empty.side,
                    None,
                    table.column(key),
                    axis,
                    metric.label,
                    metric.unit,
                    metric.significant,
                )
            )
    return tuple(views)


def limit_view(table: Table, limit: Limit, x_key: str, y_key: str) -> LimitView:
    """One limit; a line where its metric is an axis."""
    metric = METRICS[limit.metric]
    axis = {x_key: "x", y_key: "y"}.get(limit.metric, "")
    statistic = "" if limit.statistic == "p50" else f" ({limit.statistic})"
    return LimitView(
        limit.key,
        limit.side,
        limit.value,
        table.column(limit.metric, limit.statistic),
        axis,
        metric.label + statistic,
        metric.unit,
        metric.significant,
    )


def same_views(a: tuple[LimitView, ...], b: tuple[LimitView, ...]) -> bool:
    """Whether two sets of limits look and act the same."""
    return len(a) == len(b) and all(
        p.column is q.column
        and (p.key, p.side, p.value, p.axis, p.label) == (q.key, q.side, q.value, q.axis, q.label)
        for p, q in zip(a, b, strict=True)
    )


def source_codes(table: Table, x_key: str, y_key: str) -> np.ndarray:
    """Predicted, measured, exact or a published illustration, for every row."""
    codes = np.full(len(table), PREDICTED, np.intp)
    exact = table.source(x_key, 0).kind == table.source(y_key, 0).kind == "exact"
    if exact and len(table):
        codes[:] = EXACT
    codes[table.estimates(x_key).measured | table.estimates(y_key).measured] = MEASURED
    codes[illustrated(table, x_key, y_key)] = ILLUSTRATED
    return codes


def illustrated_front(table: Table, frame: Frame) -> Illustrated | None:
    """The illustrated candidates to be marked beside the front; None where there is none."""
    rows = beside_the_front(table, frame)
    if not len(rows):
        return None
    return Illustrated(table.column(frame.x)[rows], table.column(frame.y)[rows])


def measured_of(table: Table, x_key: str, y_key: str) -> Measured | None:
    """Rows with a measured value on an axis, with their intervals; one row per measurement.

    What was timed and has an illustrated loss is no measured point.
    """
    x, y = table.estimates(x_key), table.estimates(y_key)
    known = np.isfinite(x.value) & np.isfinite(y.value) & ~illustrated(table, x_key, y_key)
    rows = np.flatnonzero((x.measured | y.measured) & known)
    if not len(rows):
        return None
    rows = one_for_each_measurement(table, x_key, y_key, rows)
    real = np.array([row in table.names for row in rows.tolist()])
    return Measured(
        x.value[rows],
        y.value[rows],
        rows,
        (x.low[rows], x.high[rows]),
        (y.low[rows], y.high[rows]),
        real,
    )


def one_for_each_measurement(table: Table, x_key: str, y_key: str, rows: Indices) -> Indices:
    """One row per measurement, so that what was timed once is marked once.

    Rows that differ in their training alone share a measurement; the one best in y (then in x) is kept."""
    x, y = minimised(table, x_key)[rows], minimised(table, y_key)[rows]
    best: dict[int, int] = {}
    for row in rows[np.lexsort((x, y))].tolist():
        measurement = table.measurement(row)
        best.setdefault(-1 - row if measurement is None else id(measurement), row)
    return np.array(sorted(best.values()), dtype=np.intp)


def landmarks_of(state: State, x_key: str, y_key: str) -> tuple[Landmark, ...]:
    """The published models whose values on both axes are known and comparable; the names of the real
    models that were measured; and the cheapest model over a life, once tokens are served."""
    found = named_models(state.table, x_key, y_key) if state.table is not None else []
    if state.table is not None and state.laws is not None and state.frame is not None:
        life = cheapest_life(state.laws.loss, state.table, state.frame.selected, intervals=False)
        if life is not None and {x_key, y_key} <= set(life.values):
            place = life.values[x_key], life.values[y_key]
            found.append(Landmark(*place, life.mark, predicted=True))
    if "loss" in (x_key, y_key) and state.choices.loss.suite != "morph":
        # their losses belong to the suite they were trained in
        return tuple(found)
    for mark in _published():
        x, y = published_value(mark, x_key), published_value(mark, y_key)
        if x is not None and y is not None:
            found.append(Landmark(x, y, mark.name))
    return tuple(found)


def named_models(table: Table, x_key: str, y_key: str) -> list[Landmark]:
    """The name of each real model beside its mark; once for marks at the same place."""
    x, y = table.column(x_key), table.column(y_key)
    rows = [row for row in table.names if np.isfinite(x[row]) and np.isfinite(y[row])]
    places = {(float(x[row]), float(y[row]), table.names[row]) for row in rows}
    return [Landmark(*place, measured=True) for place in sorted(places)]


@lru_cache(maxsize=1)
def _published() -> tuple[Published, ...]:
    return landmarks()


def published_value(mark: Published, key: str) -> float | None:
    """What is known of a published model on any machine; None for what depends on one."""
    stated = {
        "loss": mark.loss,
        "accuracy": mark.accuracy_11_tasks,
        "n_layers": mark.n_layers,
        "d_model": mark.d_model,
    }
    value = stated.get(key)
    return counted(METRICS[key], mark.architecture, None, mark.tokens) if value is None else value


def overlay_card(overlay: Overlay, at: int, choices: Choices, x_key: str, y_key: str) -> str:
    """The short card of a hovered point of an overlay."""
    values = {x_key: float(overlay.x[at]), y_key: float(overlay.y[at])}
    name = overlay.names[at] if at < len(overlay.names) else overlay.tag
    lines = [f"<b>{html.escape(name)}</b>"]
    for key in dict.fromkeys((y_key, x_key)):
        metric = METRICS[key]
        lines.append(f"{metric.label}: <b>{html.escape(metric.format(values[key]))}</b>")
    known = overlay.known[at] if at < len(overlay.known) else {}
    kept = limits_text(choices.limits, {**known, **values})
    lines += [html.escape(kept)] if kept else []
    lines.append(
        f"<i>laid over from {html.escape(overlay.tag)}: not on the front, not in the table</i>"
    )
    if overlay.caution:
        lines.append(f"⚠ not comparable: {html.escape(overlay.caution)}")
    return "<br>".join(lines)


def card(table: Table, row: int, x_key: str, y_key: str) -> str:
    """The short card of a hovered point."""
    lines = [f"<b>{html.escape(table.label(row))}</b>"]
    for key in dict.fromkeys((y_key, x_key, "params_total")):
        metric = METRICS[key]
        value = float(table.column(key)[row])
        kind = table.source(key, row).kind
        lines.append(
            f"{metric.label}: <b>{html.escape(metric.format(value))}</b>"
            + (f" {KINDS.get(kind, kind)}" if kind != "exact" else "")
        )
    if names := table.outside_columns("loss", row):
        lines.append(f"⚠ outside the loss law's runs: {html.escape(', '.join(names))}")
    return "<br>".join(lines)
