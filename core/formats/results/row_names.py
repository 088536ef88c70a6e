"""Names for the rows of a table that tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.units import plain_number

LONGEST = 60
MOST_WORDS = 4


def row_names(
    rows: Sequence[Mapping[str, Any]], name_column: str | None, others: Sequence[str]
) -> tuple[list[str], list[str]]:
    """A name for each row, and the columns besides the name's that are in them.

    Where names repeat or are missing, the other columns that differ between rows are added until they are
    told apart: texts first, then numbers ('demo-A, starting_depth 65536'). A row without any is 'row 3'.
    """
    names = [_text(row.get(name_column)) if name_column else "" for row in rows]
    kept: list[str] = []
    varied = [c for c in others if _tells(rows, c)]
    numeric = [c for c in varied if all(isinstance(plain_number(r.get(c)), float) for r in rows)]
    for column in (*(c for c in varied if c not in numeric), *numeric):
        if len(set(names)) == len(names) and all(names):
            break
        if len(kept) == MOST_WORDS:
            break
        kept.append(column)
        # a text says by itself what it is
        mark = f"{column} " if column in numeric else ""
        words = [_text(row.get(column)) for row in rows]
        names = [
            ", ".join(w for w in (name, f"{mark}{word}" if word else "") if w)
            for name, word in zip(names, words, strict=True)
        ]
    return [name or f"row {index}" for index, name in enumerate(names, 1)], kept


def _tells(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column differs between rows and is short enough for a name."""
    cells = [row.get(column) for row in rows]
    if any(isinstance(cell, (list, dict)) for cell in cells):
        return False
    words = [_text(cell) for cell in cells]
    if any(len(word) > LONGEST for word in words):
        return False
    numbers = [plain_number(cell) for cell in cells]
    # a measured number differs in every row, and is no name
    whole = all(n is None or not math.isfinite(n) or n == round(n) for n in numbers)
    return len(set(words)) > 1 and whole


def _text(cell: Any) -> str:
    return "" if cell is None else " ".join(str(cell).split())
