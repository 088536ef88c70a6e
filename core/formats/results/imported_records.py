"""Imported points as plain dictionaries and back, for the project file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from core.errors import Unusable
from core.formats.results.imported import Estimate, ImportedPoint
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.serial import from_plain


def point_to_dict(point: ImportedPoint) -> dict[str, Any]:
    """All fields by name, in values JSON can hold."""
    record = asdict(point)
    record["notes"] = list(point.notes)
    record["metrics"] = {
        k: {**asdict(v), "statistics": dict(v.statistics)} for k, v in point.metrics.items()
    }
    return record


def point_from_dict(data: Mapping[str, Any]) -> ImportedPoint:
    """The point of `point_to_dict`; Unusable names a field this version does not know."""
    known = {f.name for f in fields(ImportedPoint)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise Unusable(f"an imported point holds '{unknown[0]}', which this version does not know")
    record = dict(data)
    makers: tuple[tuple[str, Any], ...] = (
        ("workload", lambda v: Workload(**v)),
        ("runtime", lambda v: Runtime(**v)),
        ("architecture", lambda v: from_plain(Architecture, v)),
    )
    try:
        for name, make in makers:
            if record.get(name) is not None:
                record[name] = make(record[name])
        record["metrics"] = {k: Estimate(**v) for k, v in record["metrics"].items()}
        record["notes"] = tuple(record.get("notes", ()))
        return ImportedPoint(**record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unusable(f"an imported point is damaged: {error}") from error
