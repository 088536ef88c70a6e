"""Tables exported by this program (CSV or JSON), read as results for an overlay."""

from __future__ import annotations

from core.document import Document
from core.formats.own import table_csv, table_json
from core.formats.own.selection import Row
from core.formats.results.imported import UNITS, keep, need
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint


def recognises(document: Document) -> bool:
    """True for either table."""
    if document.kind == "csv":
        return {"schema_version", "id", "n_kv_heads", "execution"} <= set(document.header)
    return document.object.get("kind") == table_json.KIND


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per row; its note says whether the numbers were measured or predicted."""
    what = str(document.path)
    if document.kind == "csv":
        rows = table_csv.rows_of(document.rows, what)
    else:
        rows = table_json.rows_of(document.object, what)
    return need([_point(row, what) for row in rows], document, ", ".join(UNITS))


def _point(row: Row, what: str) -> ImportedPoint:
    metrics: dict[str, Estimate | None] = {
        key: Estimate(v.value, v.low, v.high, 0, UNITS[key], v.kind)
        for key, v in row.values.items()
        if key in UNITS
    }
    kinds = sorted({v.kind for k, v in row.values.items() if k in UNITS and v.kind != "exact"})
    return ImportedPoint(
        row.label,
        row.workload,
        row.runtime,
        row.device,
        keep(metrics),
        what,
        "Paretoscope",
        "",
        (f"its numbers are {' and '.join(kinds)}",) if kinds else (),
        row.architecture,
    )


FORMAT = ResultFormat(
    title="Paretoscope table",
    file="selection.csv, .json",
    checked_against="files it wrote itself",
    looked_for="'kind': 'paretoscope selection' (an export of this program)",
    recognises=recognises,
    read=read,
)
