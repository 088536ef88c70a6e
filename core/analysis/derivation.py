"""What must be recomputed after a change, and the Steps that do so off the window's thread."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.analysis.contents import Contents
from core.analysis.frame import Frame, make_frame, selected_row
from core.analysis.pipeline import Laws, make_laws, make_table, mixed_meanings, refitted
from core.errors import Unusable
from core.project.choices import Choices
from core.records.metrics import METRICS
from core.records.progress import Progress, Steps
from core.table.table import Table

TABLE_PARTS = ("device_key", "what_if")
FRAME_PARTS = ("x", "y", "limits", "outside_counts")
# up to this many rows a frame is made between two mouse events; with more the window would lag
ROWS_AT_ONCE = 300_000


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """All that laws, table and frame are made from."""

    contents: Contents
    choices: Choices


@dataclass(frozen=True, slots=True, eq=False)
class Derived:
    """Laws, table and frame with their inputs. `message` is the reason why there is no table."""

    inputs: Inputs
    laws: Laws
    table: Table | None
    frame: Frame | None
    notes: tuple[str, ...] = ()
    message: str = ""


def loss_stale(made: Inputs, now: Inputs) -> bool:
    """Whether the loss law must be fitted again."""
    return made.contents.runs is not now.contents.runs or made.choices.loss != now.choices.loss


def latency_stale(made: Inputs, now: Inputs) -> bool:
    """Whether the laws of latency and memory must be fitted again."""
    return made.contents.measurements is not now.contents.measurements


def table_stale(made: Inputs, now: Inputs) -> bool:
    """Whether the table must be made again. Imported results are laid over it and change nothing in it."""
    return (
        loss_stale(made, now)
        or latency_stale(made, now)
        or made.contents.space is not now.contents.space
        or _differ(made, now, TABLE_PARTS)
    )


def frame_stale(made: Inputs, now: Inputs) -> bool:
    """Whether mask and front must be made again, the table being the same."""
    return _differ(made, now, FRAME_PARTS)


def selection_stale(made: Inputs, now: Inputs) -> bool:
    """Whether only another row was chosen."""
    return made.choices.selected != now.choices.selected


def stale(made: Inputs, now: Inputs) -> bool:
    """Whether anything must be made again."""
    return table_stale(made, now) or frame_stale(made, now) or selection_stale(made, now)


def derive(now: Inputs, made: Derived | None) -> Steps[Derived]:
    """Steps: recompute what has changed since `made`; returns everything. Never raises Unusable."""
    contents, choices = now.contents, now.choices
    if made is None or loss_stale(made.inputs, now):
        yield Progress(0, 3, "fitting the laws")
        laws = make_laws(contents, choices)
    elif latency_stale(made.inputs, now):
        yield Progress(0, 3, "fitting the laws of latency")
        laws = refitted(made.laws, contents)
    else:
        laws = made.laws
    if made is not None and not table_stale(made.inputs, now):
        table, notes, message = made.table, made.notes, made.message
    else:
        yield Progress(1, 3, "predicting the candidates")
        try:
            table = make_table(contents, laws, choices)
        except Unusable as error:
            return Derived(now, laws, None, None, (), str(error))
        # every column is made here, so that the first click on a row does not wait for them
        for key in METRICS:
            table.estimates(key)
            yield Progress(1, 3, "predicting the candidates")
        notes, message = mixed_meanings(contents, table), ""
    yield Progress(2, 3, "finding the front")
    frame = make_frame(table, choices) if table is not None else None
    return Derived(now, laws, table, frame, notes, message)


def reframed(made: Derived, choices: Choices) -> Derived:
    """The same table under other limits, axes or another chosen row; for tables of moderate size."""
    parts = {name: getattr(choices, name) for name in (*FRAME_PARTS, "selected")}
    now = replace(made.inputs, choices=made.inputs.choices.changed(**parts))
    frame = made.frame
    if made.table is not None and frame is not None:
        if frame_stale(made.inputs, now):
            frame = make_frame(made.table, choices)
        elif selection_stale(made.inputs, now):
            frame = replace(frame, selected=selected_row(made.table, choices, frame.best))
    return replace(made, inputs=now, frame=frame)


def _differ(a: Inputs, b: Inputs, names: tuple[str, ...]) -> bool:
    return any(getattr(a.choices, name) != getattr(b.choices, name) for name in names)
