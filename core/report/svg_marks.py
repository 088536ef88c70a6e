"""Marks of single candidates in the report's picture: measured ones and published illustrations."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

import numpy as np

from core.analysis.frame import Frame
from core.analysis.illustrated import beside_the_front, illustrated
from core.arrays import Floats, Indices
from core.records.metrics import METRICS
from core.table.table import Table

MOST_MEASURED = 600
MOST_ILLUSTRATED = 200
FRONT, MEASURED = "#0b3d6b", "#d55e00"


def measured_rows(table: Table, frame: Frame) -> Indices:
    """The rows with values on both axes, at least one measured and none a published illustration."""
    x, y = table.estimates(frame.x), table.estimates(frame.y)
    known = np.isfinite(x.value) & np.isfinite(y.value) & ~illustrated(table, frame.x, frame.y)
    return np.flatnonzero((x.measured | y.measured) & known)


def measured_marks(table: Table, frame: Frame, px: Floats, py: Floats) -> list[str]:
    """A diamond for every candidate with a measured value on an axis."""
    rows = measured_rows(table, frame)
    if not len(rows):
        return []
    moves = "".join(
        f"M{px[r]:.1f} {py[r] - 4.5:.1f}l4.5 4.5l-4.5 4.5l-4.5-4.5z"
        for r in rows[:MOST_MEASURED].tolist()
        if np.isfinite(px[r]) and np.isfinite(py[r])
    )
    return [f'<path d="{moves}" fill="{MEASURED}" stroke="#ffffff" stroke-width="1"/>']


def illustrated_beside(table: Table, frame: Frame, px: Floats, py: Floats) -> list[str]:
    """A mark for each illustrated candidate that the front leaves out and nothing beats."""
    rows = beside_the_front(table, frame)[:MOST_ILLUSTRATED].tolist()
    return illustrated_marks(table, frame, rows, px, py)


def illustrated_marks(
    table: Table, frame: Frame, rows: Iterable[int], px: Floats, py: Floats
) -> list[str]:
    """A hollow triangle that points down for each of these rows that has a place."""
    return [
        f'<path d="M{px[row]:.1f} {py[row] + 4.6:.1f}l-4.4 -7.2h8.8z" fill="#ffffff"'
        f' stroke="{FRONT}" stroke-width="1.7"><title>{mark_title(table, frame, row)}, published'
        " illustration</title></path>"
        for row in rows
        if np.isfinite(px[row]) and np.isfinite(py[row])
    ]


def mark_title(table: Table, frame: Frame, row: int) -> str:
    """A row's name and its values on the axes, escaped."""
    values = (METRICS[key].format(float(table.column(key)[row])) for key in (frame.x, frame.y))
    return escape(f"{table.label(row)}: {', '.join(values)}")
