"""All that a view may show, as one frozen value; a view redraws what is not the same object."""

from __future__ import annotations

from dataclasses import dataclass

from core.analysis.contents import Contents
from core.analysis.frame import Frame
from core.analysis.overlays import Other
from core.analysis.pipeline import Laws
from core.project.choices import Choices
from core.records.measurement import Device
from core.records.progress import Progress
from core.table.table import Table


@dataclass(frozen=True, slots=True)
class Sweep:
    """The sweep that runs, or how the last one ended."""

    running: bool = False
    paused: bool = False
    progress: Progress | None = None
    message: str = ""
    errors: tuple[tuple[int, float], ...] = ()  # measurements done -> held-out error, as it falls


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Contents of the project, choices, and what was derived from them; None while in the making.

    Old laws, table and frame stay until the new ones are there, so that the picture never blinks;
    `busy` names what is being made.
    """

    path: str
    contents: Contents
    choices: Choices
    laws: Laws | None = None
    table: Table | None = None
    frame: Frame | None = None
    notes: tuple[str, ...] = ()
    busy: str = ""
    sweep: Sweep = Sweep()
    devices: tuple[Device, ...] = ()
    can_undo: bool = False
    can_redo: bool = False
    read_only: bool = False
    demo: bool = False
    others: tuple[Other, ...] = ()  # other projects overlaid on this one
    message: str = ""  # what went wrong last, or what was done, in one line; empty: nothing
    message_is_news: bool = False  # nothing went wrong
