"""A selection as one flat CSV: one row per candidate, units in the header, each number's source beside it.

Spreadsheets, HiPlot and pandas read it as it is; `read` gives back exactly the rows written. A name that a
spreadsheet would run as a formula stands behind an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from core.errors import Unusable
from core.files import to_json
from core.formats.configs.writing import SCHEMA_VERSION
from core.formats.own.own_formats import OwnFormat
from core.formats.own.selection import FIELDS, Row, Value
from core.harmless import cell, from_cell
from core.model.architecture import SIZES, SWITCHES, Architecture
from core.model.workload import Runtime, Workload
from core.records.metrics import METRICS

FORMAT = OwnFormat(
    key="csv",
    title="CSV table",
    file="selection.csv",
    checked_against="read back",
    write=lambda content: write(content.rows, content.provenance),
    sidecar=lambda content: about_columns(content.rows, content.provenance),
)
SHAPE = (*SIZES, *SWITCHES)
_WORKLOAD = tuple(f.name for f in fields(Workload))
_RUNTIME = tuple(f.name for f in fields(Runtime))
_PARTS = ("", "_low", "_high", "_kind", "_source")
# the table's text for a number that needs no law
EXACT_SOURCE = "counted from the shape"


def write(rows: Sequence[Row], provenance: Mapping[str, Any] | None = None) -> str:
    """The CSV, with the source of each number in a column. Other provenance goes into the sidecar."""
    keys = [k for k in METRICS if k not in FIELDS and any(k in row.values for row in rows)]
    header = ["schema_version", "id", "label", *SHAPE, *_WORKLOAD, *_RUNTIME, "device"]
    columns = list(header)
    parts = {key: _parts(rows, key) for key in keys}
    for key in keys:
        unit = METRICS[key].unit
        mark = f" [{unit}]" if unit else ""
        columns += [
            f"{key}{part}{mark if part in ('', '_low', '_high') else ''}" for part in parts[key]
        ]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        values: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "id": row.identity,
            "label": row.label,
            "device": row.device,
            **asdict(row.architecture),
            **asdict(row.workload),
            **asdict(row.runtime),
        }
        cells = [_cell(values[name]) for name in header]
        for key in keys:
            value = row.values.get(key)
            parts_of = dict.fromkeys(_PARTS, "")
            if value is not None:
                numbers = (value.value, value.low, value.high)
                parts_of = dict(zip(_PARTS, map(_cell, numbers), strict=False))
                parts_of |= {"_kind": cell(value.kind), "_source": cell(value.source)}
            cells += [parts_of[part] for part in parts[key]]
        writer.writerow(cells)
    return out.getvalue()


def _parts(rows: Sequence[Row], key: str) -> tuple[str, ...]:
    """Which columns a metric needs: exact counts need neither interval nor source."""
    values = [row.values[key] for row in rows if key in row.values]
    interval = any(v.low is not None or v.high is not None for v in values)
    sourced = any((v.kind, v.source) != ("exact", EXACT_SOURCE) for v in values)
    return (
        "",
        *(("_low", "_high") if interval else ()),
        *(("_kind", "_source") if sourced else ()),
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    # repr keeps every digit, so that reading back gives the same number
    return repr(value) if isinstance(value, float) else cell(str(value))


def about_columns(rows: Sequence[Row], provenance: Mapping[str, Any]) -> str:
    """The text beside the CSV: what each metric's column is, and the provenance of all."""
    known = {key for row in rows for key in row.values}
    return to_json(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": "paretoscope export",
            "format": "csv",
            "metrics": {
                key: {"unit": m.unit, "label": m.label, "better": m.better, "formula": m.formula}
                for key, m in METRICS.items()
                if key in known
            },
            "provenance": dict(provenance),
        }
    )


def read(text: str) -> tuple[Row, ...]:
    """The rows of a CSV that `write` made; Unusable names the column or version that is wrong."""
    return rows_of(tuple(csv.DictReader(io.StringIO(text, newline=""))), "CSV table")


def rows_of(table: Sequence[Mapping[str, Any]], what: str) -> tuple[Row, ...]:
    """The rows of a parsed CSV table, whose cells are text by column."""
    if not table:
        raise Unusable(f"{what}: no rows")
    missing = [c for c in ("schema_version", "id", *SHAPE, *_WORKLOAD) if c not in table[0]]
    if missing:
        raise Unusable(f"{what}: column '{missing[0]}' is missing")
    return tuple(_row(cells, f"{what}, row {n}") for n, cells in enumerate(table, 1))


def _row(cells: Mapping[str, Any], what: str) -> Row:
    if cells["schema_version"] != str(SCHEMA_VERSION):
        raise Unusable(
            f"{what}: 'schema_version' {cells['schema_version']!r} is not known here "
            f"(known: {SCHEMA_VERSION})"
        )
    try:
        shape: dict[str, Any] = {k: int(cells[k]) for k in SIZES}
        shape |= {k: bool(int(cells[k])) for k in SWITCHES}
        workload = Workload(**{k: int(cells[k]) for k in _WORKLOAD})
        words: dict[str, Any] = {k: cells[k] for k in ("execution", "weights", "cache")}
        runtime = Runtime(**words, threads=int(cells["threads"]))
        values = {}
        for key, metric in METRICS.items():
            mark = f" [{metric.unit}]" if metric.unit else ""
            raw = cells.get(key + mark)
            if raw and key not in FIELDS:
                low, high = cells.get(f"{key}_low{mark}"), cells.get(f"{key}_high{mark}")
                values[key] = Value(
                    float(raw),
                    float(low) if low else None,
                    float(high) if high else None,
                    *(
                        (
                            from_cell(str(cells[f"{key}_kind"])),
                            from_cell(str(cells[f"{key}_source"])),
                        )
                        if f"{key}_kind" in cells
                        else ("exact", EXACT_SOURCE)
                    ),
                )
        return Row(
            from_cell(str(cells["id"])),
            from_cell(str(cells.get("label") or "")),
            Architecture(**shape),
            workload,
            runtime,
            from_cell(str(cells.get("device") or "")),
            values,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{what}: {error}") from error
