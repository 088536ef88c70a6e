"""The table of panels the window is filled with. A new panel is a module and one row."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from PySide6.QtWidgets import QWidget

from gui.panels.view import HELP_PAGE, Panel

if TYPE_CHECKING:
    from gui.state.store import Store


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One panel: its name in settings, its title, the class that makes it, and its page of the help.

    The class is a `Panel` that takes the store and a parent; its module is imported when the panel
    is first shown. `tip` is a phrase on what the panel is for.
    """

    name: str
    title: str
    module: str
    factory: str
    tip: str
    help_page: str
    shortcut: str = ""


# the tabs at the bottom, in order; a new panel is one row
# fmt: off
PANELS: tuple[PanelRow, ...] = (
    PanelRow(
        "front_table", "Front", "gui.panels.front_table", "FrontTable",
        "The candidates that nothing beats, as a table",
        "concepts.md", "Ctrl+1",
    ),
    PanelRow(
        "compare", "Compare", "gui.panels.compare_tray", "CompareTray",
        "Pinned candidates side by side, in percent of a baseline",
        "concepts.md", "Ctrl+2",
    ),
    PanelRow(
        "parallel", "Parallel axes", "gui.panels.parallel", "Parallel",
        "All metrics side by side; limits are pulled on the axes",
        "concepts.md", "Ctrl+3",
    ),
    PanelRow(
        "what_if", "What if", "gui.panels.what_if", "WhatIf",
        "Another workload, precision or training length, tried at once",
        "metrics.md", "Ctrl+4",
    ),
    PanelRow(
        "space", "Space", "gui.panels.space", "SpacePanel",
        "Describe the candidates: layers, widths, heads, precision, workload",
        "metrics.md", "Ctrl+5",
    ),
    PanelRow(
        "measure", "Measure", "gui.panels.measure", "MeasurePanel",
        "Time models on this machine",
        "measuring.md", "Ctrl+6",
    ),
    PanelRow(
        "laws", "Laws", "gui.panels.laws", "Laws",
        "Which law, on which runs, how well it fits",
        "laws.md", "Ctrl+7",
    ),
    PanelRow(
        "trust", "Trust", "gui.panels.trust", "Trust",
        "What was predicted beside what was measured",
        "laws.md", "Ctrl+8",
    ),
    PanelRow(
        "reproduce", "Reproduce", "gui.panels.reproduce", "Reproduce",
        "The published experiment, fitted again in front of you",
        "laws.md", "Ctrl+9",
    ),
    PanelRow(
        "devices", "Devices", "gui.panels.devices", "DevicesPanel",
        "What can be measured on, and with which Python environment",
        "measuring.md", "",
    ),
)
# fmt: on


def make_panel(row: PanelRow, store: Store, parent: QWidget | None = None) -> Panel:
    """The panel itself, with its name for screen readers and its page of the help."""
    factory = getattr(importlib.import_module(row.module), row.factory)
    panel = cast(Panel, factory(store, parent))
    panel.setAccessibleName(row.title)
    panel.setProperty(HELP_PAGE, row.help_page)
    return panel
