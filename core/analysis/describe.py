"""A candidate as plain values and texts: every known metric with its interval and its source."""

from __future__ import annotations

import math
from typing import Any

from core.records.metrics import METRICS
from core.table.table import Table


def describe(table: Table, row: int) -> dict[str, Any]:
    """One candidate with every known metric, its interval and its source."""
    known: dict[str, Any] = {}
    for key in METRICS:
        estimates = table.estimates(key)
        value = float(estimates.value[row])
        if not math.isfinite(value):
            continue
        source = table.source(key, row)
        known[key] = {"value": value, "source": source.kind, "provenance": source.text}
        low, high = float(estimates.low[row]), float(estimates.high[row])
        if math.isfinite(low) and math.isfinite(high) and source.kind != "exact":
            known[key] |= {"low": low, "high": high}
        if estimates.outside[row]:
            known[key]["outside_fitted_range"] = True
            if names := table.outside_columns(key, row):
                known[key]["outside"] = list(names)
    return {
        "id": table.id_of(row),
        "label": table.label(row),
        "full_label": table.full_label(row),
        "metrics": known,
    }


def cell(known: dict[str, Any] | None, key: str) -> str:
    """A value with a mark that shows whether it was measured, predicted or illustrated."""
    if known is None:
        return "-"
    mark = {"measured": "*", "predicted": "~"}.get(known["source"], "")
    if known.get("outside_fitted_range"):
        mark = "!"
    if known["source"] == "published":
        mark = "?"
    return f"{METRICS[key].format(known['value'])}{mark}"
