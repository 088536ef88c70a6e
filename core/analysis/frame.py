"""The table under chosen axes and limits: what is feasible, the front, the best and the chosen row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.arrays import Bools, Floats, Indices
from core.pareto.front import front_indices, oriented
from core.pareto.limits import Limit, feasible, hidden_by
from core.project.choices import Choices
from core.records.metrics import METRICS
from core.table.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The table under the chosen axes and limits.

    `counted` are the feasible rows that front and best are chosen from: those whose loss the law's runs
    can speak for, or all where the choices say so or there is none. `eligible` are the rows that would
    count if they kept the limits, None where all would.

    `front` is ordered from better to worse x. `best` is the counted row of best y (ties: best x).
    `hidden` counts, for each limit, the rows that it alone hides. `selected` is the chosen row, or
    `best` where nothing is chosen.
    """

    x: str
    y: str
    limits: tuple[Limit, ...]
    feasible: Bools
    counted: Bools
    eligible: Bools | None
    front: Indices
    best: int | None
    selected: int | None
    hidden: tuple[int, ...]


def make_frame(table: Table, choices: Choices) -> Frame:
    """What is feasible, the front and the best row under the choices; a few milliseconds for 100,000 rows."""
    rows = len(table)
    inside = feasible(table.column, choices.limits, rows)
    x = minimised(table, choices.x)
    y = minimised(table, choices.y)
    eligible = eligible_rows(table, choices)
    counted = inside if eligible is None else inside & eligible
    front = front_indices(x, y, counted)
    if not len(front) and eligible is not None:
        counted, eligible = inside, None
        front = front_indices(x, y, counted)
    best = int(front[-1]) if len(front) else None
    return Frame(
        choices.x,
        choices.y,
        choices.limits,
        inside,
        counted,
        eligible,
        front,
        best,
        selected_row(table, choices, best),
        hidden_by(table.column, choices.limits, rows),
    )


def eligible_rows(table: Table, choices: Choices) -> Bools | None:
    """Rows that may be on the front where an axis is the loss: those inside what the law's runs had.

    None where all may: on other axes, where the choices say so, and where the runs set none apart.
    """
    if choices.outside_counts or "loss" not in (choices.x, choices.y):
        return None
    return table.like_runs


def selected_row(table: Table, choices: Choices, best: int | None) -> int | None:
    """The chosen row; the best one where nothing is chosen, or what was chosen is not in the table."""
    found = table.find(choices.selected) if choices.selected else None
    return best if found is None else found


def minimised(table: Table, key: str) -> Floats:
    """A metric's column turned so that smaller is better; descriptions count as costs."""
    return oriented(table.column(key), METRICS[key].better or "lower")


def rows_of(frame: Frame, count: int | None = None) -> Sequence[int]:
    """The front's rows from best y down, at most `count`."""
    ordered = [int(i) for i in frame.front[::-1]]
    return ordered if count is None else ordered[:count]
