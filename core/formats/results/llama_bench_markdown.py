"""llama.cpp `llama-bench` as it prints by default: a Markdown table with a test and its rate a row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.errors import Unusable
from core.formats.results.imported import number
from core.formats.results.llama_bench import points_of
from core.formats.results.readers import ResultFormat
from core.records.imported import ImportedPoint
from core.units import parse_quantity, without_spread

TEST = re.compile(r"(?:pp(\d+))?\+?(?:tg(\d+))?(?:\s*@\s*d(\d+))?")
# columns whose numbers are taken; the others are settings and tell rows apart
TAKEN = ("model", "size", "params", "test", "t/s")


def recognises(document: Document) -> bool:
    """True for a table with the columns 'model', 'test' and 't/s'."""
    return document.kind == "csv" and {"model", "test", "t/s"} <= set(document.header)


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """Like the JSON of llama-bench, with the mean of the rate and its standard deviation."""
    rows = [_row(row) for row in document.rows]
    return points_of([row for row in rows if row], document)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row as llama-bench writes it in JSON; empty for a test that is no timing."""
    match = TEST.fullmatch(str(row.get("test", "")).strip())
    if match is None:
        return {}
    mean, spread = without_spread(str(row.get("t/s", "")))
    prompt, output, depth = (int(part) if part else 0 for part in match.groups())
    settings = {key: value for key, value in row.items() if key not in TAKEN}
    return settings | {
        "model_type": str(row.get("model", "")).strip(),
        "n_prompt": prompt,
        "n_gen": output,
        "n_depth": depth,
        "avg_ts": number(mean),
        "stddev_ts": number(spread),
        "model_size": _quantity(row.get("size"), "B"),
        "model_n_params": _quantity(row.get("params"), "count"),
    }


def _quantity(cell: Any, unit: str) -> float | None:
    try:
        return parse_quantity(str(cell), unit)
    except Unusable:
        return None


FORMAT = ResultFormat(
    title="llama-bench, Markdown",
    file="*.md, *.txt",
    checked_against="documented columns, files by hand",
    looked_for="a table with 'model', 'test' and 't/s' (llama-bench, Markdown)",
    recognises=recognises,
    read=read,
)
