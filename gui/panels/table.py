"""What every view of the state promises, and the table of panels the window is filled with."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from PySide6.QtWidgets import QWidget

from gui.state.state import State

if TYPE_CHECKING:
    from gui.state.store import Store


class View(Protocol):
    """A widget that shows parts of the state.

    `refresh` redraws a part only when `new.part is not old.part`; old is None the first time.
    """

    def refresh(self, new: State, old: State | None) -> None:
        """Show a new state."""
        ...


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One panel: its name in settings, its title, where it stands, and the class that makes it.

    The class takes the store and a parent; its module is imported when the panel is first shown.
    """

    name: str
    title: str
    module: str
    factory: str
    tip: str
    shortcut: str = ""


# the tabs at the bottom, in order; a new panel is one row
PANELS: tuple[PanelRow, ...] = (
    PanelRow(
        "front_table",
        "Front",
        "gui.panels.front_table",
        "FrontTable",
        "The candidates that nothing beats, as a table",
        "Ctrl+1",
    ),
    PanelRow(
        "compare",
        "Compare",
        "gui.panels.compare_tray",
        "CompareTray",
        "Pinned candidates side by side, in percent of a baseline",
        "Ctrl+2",
    ),
    PanelRow(
        "parallel",
        "Parallel axes",
        "gui.panels.parallel",
        "Parallel",
        "All metrics side by side; limits are pulled on the axes",
        "Ctrl+3",
    ),
    PanelRow(
        "what_if",
        "What if",
        "gui.panels.what_if",
        "WhatIf",
        "Another workload, precision or training length, tried at once",
        "Ctrl+4",
    ),
    PanelRow(
        "space",
        "Space",
        "gui.panels.space",
        "SpacePanel",
        "Describe the candidates: layers, widths, heads, precision, workload",
        "Ctrl+5",
    ),
    PanelRow(
        "measure",
        "Measure",
        "gui.panels.measure",
        "MeasurePanel",
        "Time models on this machine",
        "Ctrl+6",
    ),
    PanelRow(
        "laws",
        "Laws",
        "gui.panels.laws",
        "Laws",
        "Which law, on which runs, how well it fits",
        "Ctrl+7",
    ),
    PanelRow(
        "trust",
        "Trust",
        "gui.panels.trust",
        "Trust",
        "What was predicted beside what was measured",
        "Ctrl+8",
    ),
    PanelRow(
        "reproduce",
        "Reproduce",
        "gui.panels.reproduce",
        "Reproduce",
        "The published experiment, fitted again in front of you",
        "Ctrl+9",
    ),
    PanelRow(
        "devices",
        "Devices",
        "gui.panels.devices",
        "DevicesPanel",
        "What can be measured on, and with which Python environment",
        "",
    ),
)


def panel_row(name: str) -> PanelRow:
    """The row of a panel's name; KeyError when there is none."""
    return next(row for row in PANELS if row.name == name)


def make_panel(row: PanelRow, store: Store, parent: QWidget | None = None) -> QWidget:
    """The panel itself."""
    factory = getattr(importlib.import_module(row.module), row.factory)
    return cast(QWidget, factory(store, parent))
