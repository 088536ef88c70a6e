"""What every view of the state promises, and what a panel of the window may do besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from gui.state.state import State

if TYPE_CHECKING:
    from gui.app.settings import Settings
    from gui.app.theme import Theme

# property of a widget that names the page of the help on it and on what lies in it
HELP_PAGE = "help_page"


class View(Protocol):
    """A widget that shows parts of the state.

    `refresh` redraws a part only when `new.part is not old.part`; old is None the first time.
    """

    def refresh(self, new: State, old: State | None) -> None:
        """Show a new state."""
        ...


class Panel(QWidget):
    """A view that the window holds. What is optional does nothing here: a panel that needs it
    overrides it, and the window asks every panel alike."""

    measure_point = Signal(object)  # points that the Measure panel should propose

    def refresh(self, new: State, old: State | None) -> None:
        """Show a new state (`View.refresh`)."""
        raise NotImplementedError

    def recolour(self, theme: Theme) -> None:
        """Optional: draw in another theme's colours, where the palette is not enough."""

    def set_settings(self, settings: Settings) -> None:
        """Optional: take the settings to read and remember choices of this machine in."""
