"""A project's candidates for the paper's method, with the project's latencies and loss law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Indices
from core.errors import Unusable
from core.model.architecture import Shapes
from core.model.workload import Workload
from core.paper.select import Latencies, LossPredictor, trained_draws

if TYPE_CHECKING:
    from core.table.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class ProjectShapes:
    """Shapes of one workload of a project, one row per shape and runtime, with their latencies."""

    shapes: Shapes
    latency: Latencies
    named: Callable[[int], str]
    workload: Workload
    device_key: str
    loss: LossPredictor


def project_shapes(
    name: str, workload: Workload | None = None, device_key: str = "", insist: bool = False
) -> ProjectShapes:
    """The described and measured shapes of a project ('demo': the demonstration).

    Trained models are left out, since their shape is fixed. Raises Unusable where the project has
    several workloads and none was named, no latency, or no usable loss law.
    """
    from core.analysis.contents import read_contents
    from core.analysis.pipeline import loss_text, make_laws, make_table
    from core.project.demo import open_any

    with open_any(name) as project:
        contents, choices = read_contents(project), project.choices()
    choices = choices.changed(
        device_key=device_key or choices.device_key,
        loss=replace(choices.loss, insist=insist or choices.loss.insist),
    )
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    fit = laws.loss
    if fit is None or not fit.ok:
        reason = (fit.withheld if fit else "") or laws.loss_message
        raise Unusable(f"{name} has no usable loss law: {reason}")
    wanted = the_workload(table, name, workload)
    rows = rows_of(table, wanted)
    estimates = table.estimates("e2e_s")
    if not np.isfinite(estimates.value[rows]).any():
        raise Unusable(
            f"{name} has no latency for {wanted.label}: {table.source('e2e_s', int(rows[0])).text}"
        )
    predicted = next(
        (int(r) for r in rows if np.isfinite(estimates.value[r]) and not estimates.measured[r]),
        None,
    )
    latency = Latencies(
        estimates.value[rows],
        ~estimates.measured[rows],
        estimates.outside[rows],
        f"measured on {table.device_key}, {wanted.label}",
        "" if predicted is None else table.source("e2e_s", predicted).text.split("; outside")[0],
    )
    several = len(np.unique(table.candidates.runtime[rows])) > 1

    def named(row: int) -> str:
        shape = table.candidates.shapes.row(int(rows[row]))
        run = f", {table.runtime_of(int(rows[row])).label}" if several else ""
        return f"{shape.n_heads} heads, {shape.n_kv_heads} kv, FFN {shape.d_ff}{run}"

    return ProjectShapes(
        table.candidates.shapes.take(rows),
        latency,
        named,
        wanted,
        table.device_key,
        LossPredictor(fit.predict, fit.prediction, trained_draws(fit), fit.reach, loss_text(laws)),
    )


def the_workload(table: Table, name: str, wanted: Workload | None) -> Workload:
    """The given workload, or the only one there is; Unusable lists the ones there are."""
    c = table.candidates
    found = np.unique(np.stack([c.batch, c.prompt_tokens, c.output_tokens], axis=1), axis=0)
    there = [Workload(int(b), int(p), int(o)) for b, p, o in found]
    if wanted is None and len(there) == 1:
        return there[0]
    if wanted in there:
        assert wanted is not None
        return wanted
    listed = "; ".join(w.label for w in there[:12])
    if wanted is None:
        raise Unusable(f"{name} has several workloads ({listed}): choose one with --workload")
    raise Unusable(f"{name} has no candidate with {wanted.label} (there are: {listed})")


def rows_of(table: Table, workload: Workload) -> Indices:
    """Rows of a workload, one per shape and runtime: training tokens are set by the method.

    Those below 16 bits are left out, since no law here predicts their loss.
    """
    c = table.candidates
    mask = (
        (c.batch == workload.batch)
        & (c.prompt_tokens == workload.prompt_tokens)
        & (c.output_tokens == workload.output_tokens)
    )
    mask[list(table.names)] = False
    if not mask.any():
        raise Unusable(
            f"every candidate with {workload.label} is a trained model: nothing to select"
        )
    rows = np.flatnonzero(mask & ~c.below_16_bits)
    if not len(rows):
        raise Unusable(
            f"every candidate with {workload.label} has weights or a cache below 16 bits: what they"
            " cost in loss is not known"
        )
    columns: list[NDArray[Any]] = [getattr(c.shapes, f.name)[rows] for f in fields(Shapes)]
    # a measured row comes before a predicted copy of itself
    measured = table.estimates("e2e_s").measured[rows]
    order = np.argsort(~measured, kind="stable")
    keys = np.rec.fromarrays([column[order] for column in (*columns, c.runtime[rows])])
    _, first = np.unique(keys, return_index=True)
    return np.sort(rows[order[first]])
