"""What actions need of the window, so that none of them depends on the window itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

from gui.app.settings import Settings
from gui.app.theme import Theme
from gui.panels.view import Panel
from gui.state.store import Store

if TYPE_CHECKING:
    from gui.panels.plot_view import PlotView


@dataclass(frozen=True, slots=True)
class Shell:
    """The window as its actions see it.

    `widget` is the parent of dialogs. What may change or is made late is a function: the plot is None
    and `parts` (what the tour points at, by name) has only bars until the window is filled.
    """

    widget: QWidget
    store: Store
    settings: Settings
    theme: Callable[[], Theme]
    set_theme: Callable[[str], None]
    show_panel: Callable[[str], Panel]
    plot_view: Callable[[], PlotView | None]
    parts: Callable[[], Mapping[str, QWidget]]
