"""A selection as JSON: units, formulas and provenance once, then one record per candidate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.errors import Unusable
from core.files import json_object, key_of, to_json
from core.formats.configs.writing import SCHEMA_VERSION
from core.formats.own.own_formats import OwnFormat
from core.formats.own.selection import Row, Value
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.metrics import METRICS
from core.records.serial import from_plain

FORMAT = OwnFormat(
    key="json",
    title="JSON table",
    file="selection.json",
    checked_against="read back",
    write=lambda content: write(content.rows, content.provenance),
)
KIND = "paretoscope selection"


def write(rows: Sequence[Row], provenance: Mapping[str, Any] | None = None) -> str:
    """The JSON, free of NaN, with `schema_version`."""
    keys = [k for k in METRICS if any(k in row.values for row in rows)]
    return to_json(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "provenance": dict(provenance or {}),
            "metrics": {
                k: {
                    "label": METRICS[k].label,
                    "unit": METRICS[k].unit,
                    "better": METRICS[k].better,
                    "formula": METRICS[k].formula,
                }
                for k in keys
            },
            "rows": [
                {
                    "id": row.identity,
                    "label": row.label,
                    "architecture": asdict(row.architecture),
                    "workload": asdict(row.workload),
                    "runtime": asdict(row.runtime),
                    "device": row.device,
                    "values": {k: asdict(row.values[k]) for k in keys if k in row.values},
                }
                for row in rows
            ],
        }
    )


def read(text: str) -> tuple[Row, ...]:
    """The rows of a JSON table that `write` made; Unusable names the key or version that is wrong."""
    return rows_of(json_object(text, "JSON table"), "JSON table")


def rows_of(value: Mapping[str, Any], what: str) -> tuple[Row, ...]:
    """The rows of a parsed JSON table."""
    version = key_of(value, "schema_version", what)
    if version != SCHEMA_VERSION:
        raise Unusable(
            f"{what}: 'schema_version' {version!r} is not known here (known: {SCHEMA_VERSION})"
        )
    if value.get("kind") != KIND:
        raise Unusable(f"{what}: 'kind' must be '{KIND}', not {value.get('kind')!r}")
    rows = key_of(value, "rows", what)
    if not isinstance(rows, list):
        raise Unusable(f"{what}: 'rows' must be a list, not {type(rows).__name__}")
    result = []
    for number, entry in enumerate(rows, 1):
        where = f"{what}, row {number}"
        try:
            result.append(
                Row(
                    str(key_of(entry, "id", where)),
                    str(entry.get("label", "")),
                    from_plain(Architecture, key_of(entry, "architecture", where)),
                    from_plain(Workload, key_of(entry, "workload", where)),
                    from_plain(Runtime, key_of(entry, "runtime", where)),
                    str(entry.get("device", "")),
                    {k: from_plain(Value, v) for k, v in key_of(entry, "values", where).items()},
                )
            )
        except (AttributeError, TypeError, ValueError) as error:
            if isinstance(error, Unusable):
                raise
            raise Unusable(f"{where}: {error}") from error
    return tuple(result)
