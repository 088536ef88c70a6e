"""Which candidates do not count, since the runs behind the loss law cannot speak for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analysis.frame import Frame
from core.project.choices import Choices
from core.table.table import Table


@dataclass(frozen=True, slots=True)
class NotCounted:
    """Feasible rows of predicted loss outside what the runs had.

    `rows` is how many there are, and `columns` in what; `set_aside` of them are kept from the front.
    `all_outside` says that no feasible row is inside. `chosen` are the columns in which the chosen row
    lies outside.
    """

    rows: int
    set_aside: int
    columns: dict[str, int]
    all_outside: bool
    chosen: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "rows": self.rows,
            "not_counted": self.set_aside,
            "columns": self.columns,
            "all_outside": self.all_outside,
        }


def not_counted(table: Table, frame: Frame) -> NotCounted:
    """What lies outside the runs among a frame's feasible rows; nothing where no axis is the loss."""
    if "loss" not in (frame.x, frame.y):
        return NotCounted(0, 0, {}, False, ())
    loss = table.estimates("loss")
    shown = frame.feasible & np.isfinite(loss.value)
    outside = shown & loss.outside
    counts = {name: int((outside & mask).sum()) for name, mask in table.reach.outside.items()}
    rows = int(outside.sum())
    return NotCounted(
        rows,
        int((outside & ~frame.counted).sum()),
        {name: count for name, count in counts.items() if count},
        bool(rows) and rows == int(shown.sum()),
        () if frame.selected is None else table.outside_columns("loss", frame.selected),
    )


def outside_sentences(table: Table, frame: Frame, choices: Choices) -> tuple[str, ...]:
    """What of the picture lies outside the runs behind the loss law, and whether it counts."""
    found = not_counted(table, frame)
    said = []
    names = ", ".join(found.columns)
    if frame.selected is not None and found.chosen and not found.all_outside:
        said.append(
            f"{table.label(frame.selected)} lies outside the loss law's runs in"
            f" {', '.join(found.chosen)}."
        )
    if found.all_outside:
        some = f"{found.set_aside:,} of them, outside in more columns, do not count"
        said.append(
            f"Every candidate within the limits lies outside the loss law's runs ({names});"
            f" {some if found.set_aside else 'all count'}."
        )
    elif found.set_aside:
        said.append(
            f"Not counted: {found.set_aside:,} candidates outside the loss law's runs ({names})."
        )
    elif found.rows:
        chosen = ", as chosen" if choices.outside_counts else ""
        said.append(
            f"Counted{chosen}: {found.rows:,} candidates outside the loss law's runs ({names})."
        )
    return tuple(said)
