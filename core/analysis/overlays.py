"""Overlays on the candidates, on the same axes: results of other tools, and other projects.

Nothing here enters the front. Every layer is tagged with its source. A layer whose workload differs
from the candidates' has a caution, which must be shown with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.analysis.contents import Contents, read_contents
from core.analysis.frame import make_frame
from core.analysis.pipeline import Laws, make_laws, make_table
from core.arrays import Bools, Floats, Indices
from core.model.workload import Workload
from core.pareto.limits import Limit
from core.project.choices import Choices
from core.project.project import Project
from core.records.imported import Estimate, ImportedPoint
from core.records.metric import counted
from core.records.metrics import METRICS
from core.records.progress import Progress, Steps
from core.table.table import Table

# groups of metrics that have a meaning only with their workload
OF_WORKLOAD = frozenset({"Speed", "Memory", "Energy"})
# groups of metrics of the model itself: these may come from another file of the same model
OF_MODEL = frozenset({"Quality", "Size"})
HERE = "measured here"
DEVICE = "device "  # before the key of a device of the same project, in place of a path


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Named points in SI units, tagged by source; `caution` says why they are not comparable.

    `known` holds, for each point, the values by metric that limits can be checked against.
    """

    tag: str
    names: tuple[str, ...]
    x: Floats
    y: Floats
    caution: str = ""
    known: tuple[Mapping[str, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """Another project, with a table from its own laws and choices."""

    path: str
    name: str
    table: Table
    choices: Choices


# --- results of other tools ------------------------------------------------------------------------


def new_points(
    have: Iterable[ImportedPoint], points: Sequence[ImportedPoint]
) -> tuple[ImportedPoint, ...]:
    """The points that were not imported before, so that a file read twice counts once."""
    known = {_identity(point) for point in have}
    fresh = []
    for point in points:
        if _identity(point) not in known:
            known.add(_identity(point))
            fresh.append(point)
    return tuple(fresh)


def _identity(point: ImportedPoint) -> tuple[Any, ...]:
    values = tuple(sorted((key, e.value) for key, e in point.metrics.items()))
    return (Path(point.source).name, point.name, point.workload, values)


def imported_layers(
    points: Sequence[ImportedPoint], table: Table | None, x: str, y: str
) -> tuple[Layer, ...]:
    """The imported points that have both metrics, one layer for each source and each caution.

    A metric of the model itself (quality, size) may come from another file, or from what was
    measured here, of a model of the same name; speeds and memory never do.
    """
    groups: dict[tuple[str, str], list[tuple[str, float, float, Mapping[str, float]]]] = {}
    models: dict[str, list[ImportedPoint]] = {}
    for point in points:
        models.setdefault(model_key(point.name), []).append(point)
    for point in (*points, *_measured_here(table, points)):
        pair, sources = [], [point]
        for key in (x, y):
            value, source = _value(point, key, models.get(model_key(point.name), ()))
            pair.append(value)
            if source is not None and source not in sources:
                sources.append(source)
        if not np.isfinite(pair).all():
            continue
        if point.tool == HERE and len(sources) == 1:
            # it is on the plot already
            continue
        tag = " + ".join(dict.fromkeys(source_tag(source) for source in sources))
        caution = caution_of(point, table, x, y)
        known = _also_known(point, table, models.get(model_key(point.name), ()))
        groups.setdefault((tag, caution), []).append((point.name, pair[0], pair[1], known))
    return tuple(
        Layer(
            tag,
            tuple(name for name, _, _, _ in found),
            np.array([at for _, at, _, _ in found]),
            np.array([at for _, _, at, _ in found]),
            caution,
            tuple(known for _, _, _, known in found),
        )
        for (tag, caution), found in groups.items()
    )


def _also_known(
    point: ImportedPoint, table: Table | None, same_model: Sequence[ImportedPoint]
) -> dict[str, float]:
    """Every metric of a point that is comparable with the candidates'."""
    # the workload is searched for in the whole table, so once for all metrics that depend on it
    unlike = OF_WORKLOAD if caution_of(point, table, "tpot_s", "tpot_s") else frozenset()
    found = {
        key: _value(point, key, same_model)[0]
        for key, metric in METRICS.items()
        if metric.group not in unlike
        and not (metric.on_text and caution_of(point, table, key, key))
    }
    return {key: value for key, value in found.items() if np.isfinite(value)}


def source_tag(point: ImportedPoint) -> str:
    """The tool and the file a point came from."""
    return f"{point.tool} ({Path(point.source).name})" if point.source else point.tool


def caution_of(point: ImportedPoint, table: Table | None, x: str, y: str) -> str:
    """Why a point must not be compared with the candidates; empty when it may be."""
    if table is None:
        return ""
    if any(METRICS[key].group in OF_WORKLOAD for key in (x, y)):
        if point.workload is None:
            return "its workload is not known"
        if not has_workload(table, point.workload):
            return f"its workload is {point.workload.label}"
    if point.tool != HERE and any(_of_other_text(key, table) for key in (x, y)):
        return "its loss is on another text"
    return ""


def _of_other_text(key: str, table: Table) -> bool:
    """Whether a metric of an imported file stands beside losses of this table, which are not on its text."""
    return METRICS[key].on_text and (key == "loss" or table.known(key))


def has_workload(table: Table, workload: Workload) -> bool:
    """Whether any candidate has this workload."""
    c = table.candidates
    same: Bools = (
        (c.batch == workload.batch)
        & (c.prompt_tokens == workload.prompt_tokens)
        & (c.output_tokens == workload.output_tokens)
    )
    return bool(same.any())


def model_key(name: str) -> str:
    """The key of a model's name: 'EleutherAI/pythia-410m, tp 1' and 'pythia-410m' have the same."""
    return name.partition(",")[0].strip().rpartition("/")[2].casefold()


def _value(
    point: ImportedPoint, key: str, same_model: Sequence[ImportedPoint]
) -> tuple[float, ImportedPoint | None]:
    """A metric of a point, with the point it was taken from: itself or one of the same model."""
    own = _own(point, key)
    if own is not None:
        return own, point
    if METRICS[key].group in OF_MODEL:
        for other in same_model:
            found = _own(other, key)
            if found is not None:
                return found, other
    return float("nan"), None


def _own(point: ImportedPoint, key: str) -> float | None:
    if key in point.metrics:
        return point.metrics[key].value
    return counted(METRICS[key], point.architecture, point.workload)


def _measured_here(
    table: Table | None, points: Sequence[ImportedPoint]
) -> tuple[ImportedPoint, ...]:
    """The local models of the table that also occur in an imported file, as points."""
    if table is None:
        return ()
    spoken = {model_key(point.name) for point in points}
    found = []
    for row, name in table.names.items():
        if model_key(name) not in spoken:
            continue
        values = {key: float(table.column(key)[row]) for key in METRICS if table.known(key)}
        at = table.point(row)
        found.append(
            ImportedPoint(
                name,
                at.workload,
                at.runtime,
                table.device_key,
                {key: Estimate(v) for key, v in values.items() if np.isfinite(v)},
                "",
                HERE,
                architecture=at.architecture,
            )
        )
    return tuple(found)


# --- other projects --------------------------------------------------------------------------------


def load_other(path: Path | str) -> Steps[Other]:
    """Steps: another project, read only, with its own laws; Unusable when it cannot be opened."""
    yield Progress(0, 2, "opening the project")
    with Project.open(path, read_only=True) as project:
        contents, choices = read_contents(project), project.choices()
    yield Progress(1, 2, "fitting its laws")
    table = make_table(contents, make_laws(contents, choices), choices)
    yield Progress(2, 2, "overlaid")
    return Other(str(path), contents.name, table, choices)


def other_devices(contents: Contents, table: Table) -> tuple[str, ...]:
    """Keys of the devices with measurements, without the table's own device."""
    keys = dict.fromkeys(m.device.key for m in contents.measurements if not m.failed)
    return tuple(key for key in keys if key != table.device_key)


def load_devices(
    contents: Contents, laws: Laws, table: Table, choices: Choices
) -> Steps[tuple[Other, ...]]:
    """Steps: the same candidates as each other device of the project runs them."""
    found = []
    keys = other_devices(contents, table)
    for done, key in enumerate(keys):
        yield Progress(done, len(keys), "predicting for another device")
        there = choices.changed(device_key=key)
        found.append(
            Other(f"{DEVICE}{key}", contents.name, make_table(contents, laws, there), there)
        )
    return tuple(found)


def other_layer(
    other: Other, table: Table | None, choices: Choices, x: str, y: str
) -> Layer | None:
    """The front of another project on these axes, with its measurements; None where it has no value
    on them. Its own limits are not applied; what lies outside its runs counts there as it does here."""
    columns = other.table.column(x), other.table.column(y)
    known = np.isfinite(columns[0]) & np.isfinite(columns[1])
    if not known.any():
        return None
    theirs = other.choices.changed(x=x, y=y, limits=(), outside_counts=choices.outside_counts)
    front = make_frame(other.table, theirs).front
    measured = other.table.estimates(x).measured | other.table.estimates(y).measured
    rows = np.union1d(front, np.flatnonzero(measured & known))
    limited = [
        m.metric
        for m in choices.limits
        if other.table.known(m.metric)
        and not _unlike_other(other, table, choices, m.metric, m.metric, rows)
    ]
    values = {key: other.table.column(key)[rows] for key in limited}
    return Layer(
        tag_of(other, table),
        tuple(other.table.label(int(row)) for row in rows),
        columns[0][rows],
        columns[1][rows],
        _unlike_other(other, table, choices, x, y, rows),
        tuple(
            {key: float(v[at]) for key, v in values.items() if np.isfinite(v[at])}
            for at in range(len(rows))
        ),
    )


def tag_of(other: Other, table: Table | None) -> str:
    """The project's name, with its device where that is another one."""
    key = other.table.device_key
    if table is None or key == table.device_key or not key:
        return other.name
    return f"{other.name}, {key.partition(':')[2].rpartition(':')[0]}"


def _unlike_other(
    other: Other, table: Table | None, choices: Choices, x: str, y: str, rows: Indices
) -> str:
    if table is None:
        return ""
    if any(METRICS[key].group in OF_WORKLOAD for key in (x, y)):
        workloads = dict.fromkeys(other.table.point(int(row)).workload for row in rows)
        strange = [w for w in workloads if not has_workload(table, w)]
        if strange:
            return f"its workload is {strange[0].label}"
    if other.path.startswith(DEVICE) and other.choices.what_if != choices.what_if:
        return "it was overlaid before the last change of What if"
    theirs, ours = other.choices.loss, choices.loss
    laws = [(loss.suite, loss.law, loss.where) for loss in (theirs, ours)]
    if "loss" in (x, y) and laws[0] != laws[1]:
        return f"its losses come from another law ({theirs.law}, {theirs.suite})"
    for key in (key for key in (x, y) if METRICS[key].on_text):
        there, here = other.table.scored[key].shown, table.scored[key].shown
        # two texts that were not recorded need not be one
        if there and here and (there != here or not there.sha256):
            return f"its models were scored on another text ({there.label})"
    return ""


def limits_text(limits: Sequence[Limit], values: Mapping[str, float]) -> str:
    """Which limits an overlaid point breaks or else keeps, and whether some cannot be checked for
    lack of a value. Empty without limits."""
    judged = [m for m in limits if m.metric in values and m.statistic in ("p50", "")]
    if not limits:
        return ""
    broken = [m.label for m in judged if not bool(m.allows(np.array([values[m.metric]]))[0])]
    if broken:
        return f"breaks {' and '.join(broken)}"
    if not judged:
        return "not checked against the limits: none is on a metric it has a value of"
    kept = f"keeps {' and '.join(m.label for m in judged)}"
    return kept if len(judged) == len(limits) else f"{kept}; not checked against the other limits"


def overlay_layers(
    contents: Contents,
    others: Sequence[Other],
    table: Table | None,
    choices: Choices,
    x: str,
    y: str,
) -> tuple[Layer, ...]:
    """All layers on these axes: the imported results, then the other projects."""
    found = [other_layer(other, table, choices, x, y) for other in others]
    imported = imported_layers(contents.imported, table, x, y)
    return (*imported, *(layer for layer in found if layer is not None))
