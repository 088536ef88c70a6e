"""A selection of candidates as plain rows, the form that tables and plans are written from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from core.errors import Unusable
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.metrics import METRICS
from core.table.table import Table

# metrics that are fields of the shape or the workload, so that a row holds them already
FIELDS = frozenset(f.name for kind in (Architecture, Workload) for f in fields(kind))


@dataclass(frozen=True, slots=True)
class Value:
    """One number in SI units, its 95 % interval where there is one, and its source."""

    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "exact"  # exact, measured, predicted, published
    source: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate with everything known about it."""

    identity: str
    label: str
    architecture: Architecture
    workload: Workload
    runtime: Runtime
    device: str
    values: Mapping[str, Value]


def rows_of_table(
    table: Table, rows: Sequence[int], keys: Sequence[str] | None = None
) -> tuple[Row, ...]:
    """Rows of a table with the given metrics, or with every metric known for any of them."""
    if not rows:
        raise Unusable("nothing is selected, so there is nothing to export")
    found: list[dict[str, Value]] = [{} for _ in rows]
    for key in METRICS if keys is None else keys:
        if key in FIELDS:
            continue
        estimates = table.estimates(key)
        for at, row in enumerate(rows):
            value = float(estimates.value[row])
            if not math.isfinite(value):
                continue
            low, high = float(estimates.low[row]), float(estimates.high[row])
            apart = math.isfinite(low) and math.isfinite(high) and low < high
            source = table.source(key, row)
            found[at][key] = Value(
                value, low if apart else None, high if apart else None, source.kind, source.text
            )
    result = []
    for at, row in enumerate(rows):
        point = table.point(row)
        result.append(
            Row(
                table.id_of(row),
                table.label(row),
                point.architecture,
                point.workload,
                point.runtime,
                table.device_key,
                found[at],
            )
        )
    return tuple(result)
