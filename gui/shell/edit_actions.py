"""What the actions do: the table of rows, and the questions they ask before they act."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QFileDialog, QMessageBox

from core.pareto.limits import Limit
from core.project.project import SUFFIX
from core.records.measurement import Point
from core.resources import resource
from gui.app.settings import data_folder
from gui.panels.table import PANELS
from gui.shell.actions import ActionRow, keys_help, with_project, with_table
from gui.state.state import State

if TYPE_CHECKING:
    from gui.panels.measure import MeasurePanel
    from gui.shell.share_actions import ShareActions
    from gui.shell.shell import Shell

FILTER = f"Paretoscope project (*{SUFFIX})"
THEMES = (
    ("system", "Theme of the &desktop", "Light or dark, as the desktop is"),
    ("light", "&Light theme", "Dark text on a light background"),
    ("dark", "&Dark theme", "Light text on a dark background"),
)


class EditActions:
    """The window's actions; each asks the user where needed, then calls the store."""

    def __init__(self, shell: Shell, share: ShareActions) -> None:
        self._shell = shell
        self._share = share
        self._store = shell.store

    def rows(self) -> tuple[ActionRow, ...]:
        """Every action of the window."""
        row = ActionRow
        store, shell, share = self._store, self._shell, self._share
        themes = tuple(self._theme_row(*words) for words in THEMES)
        panels = tuple(
            row(
                f"show_{panel.name}",
                "&Panels",
                panel.title,
                panel.shortcut,
                panel.tip,
                partial(shell.show_panel, panel.name),
            )
            for panel in PANELS
        )
        return (
            row("new", "&File", "&New…", "Ctrl+N", "Begin an empty project", self.new),
            row(
                "open",
                "&File",
                "&Open…",
                "Ctrl+O",
                "Open a project file",
                self.open,
                toolbar=True,
            ),
            row(
                "recent",
                "&File",
                "Open the &last one",
                "Ctrl+Shift+O",
                "Open the project that was open before this one",
                self.open_recent,
                enabled=lambda state: bool(self._recent(state)),
            ),
            row(
                "demo",
                "&File",
                "&Demonstration",
                "",
                "Open the demonstration project: published runs and a recorded sweep",
                self.demo,
            ),
            row(
                "save",
                "-&File",
                "&Save",
                "Ctrl+S",
                "Write what waits to be written; results are written as they arrive",
                store.flush,
                enabled=with_project,
            ),
            row(
                "save_as",
                "&File",
                "Save &as…",
                "Ctrl+Shift+S",
                "Copy the project to another file and go on there",
                self.save_as,
                enabled=with_project,
            ),
            row(
                "export",
                "-&File",
                "&Export…",
                "Ctrl+E",
                "Write the chosen candidate or the front for another tool",
                self.export,
                enabled=with_table,
                toolbar=True,
            ),
            *share.file_rows(),
            row("quit", "-&File", "&Quit", "Ctrl+Q", "Close the window", shell.widget.close),
            row(
                "undo",
                "&Edit",
                "&Undo",
                "Ctrl+Z",
                "Undo the last choice; measurements stay",
                store.undo,
                enabled=lambda state: state.can_undo,
                toolbar=True,
            ),
            row(
                "redo",
                "&Edit",
                "&Redo",
                "Ctrl+Shift+Z or Ctrl+Y",
                "Redo what was undone",
                store.redo,
                enabled=lambda state: state.can_redo,
                toolbar=True,
            ),
            row(
                "copy_limits",
                "-&Edit",
                "Copy &limits as text",
                "Ctrl+L",
                "Copy the limits in the form the command line reads",
                self.copy_limits,
                enabled=lambda state: bool(state.choices.limits),
            ),
            row(
                "copy_choice",
                "&Edit",
                "&Copy the chosen candidate",
                "Ctrl+Shift+C",
                "Copy the candidate with every metric and its source as text",
                self.copy_choice,
                enabled=lambda state: state.frame is not None and state.frame.selected is not None,
            ),
            *share.edit_rows(),
            row(
                "drop_limits",
                "&Edit",
                "&Remove all limits",
                "Ctrl+Shift+L",
                "Remove every limit",
                lambda: store.choose(limits=()),
                enabled=lambda state: bool(state.choices.limits),
            ),
            row(
                "best",
                "-&Edit",
                "Choose the &best",
                "Home",
                "Choose the best candidate that keeps the limits",
                lambda: store.choose(selected=""),
                enabled=lambda state: bool(state.choices.selected),
            ),
            row(
                "next",
                "&Edit",
                "&Next on the front",
                "PgDown",
                "Choose the next candidate along the front: worse x, better y",
                lambda: self.step(1),
                enabled=_has_front,
            ),
            row(
                "previous",
                "&Edit",
                "&Previous on the front",
                "PgUp",
                "Choose the candidate before it along the front: better x, worse y",
                lambda: self.step(-1),
                enabled=_has_front,
            ),
            row(
                "pin",
                "&Edit",
                "&Pin or unpin the chosen",
                "Ctrl+P",
                "Keep the chosen candidate for comparison, or let it go",
                self.pin,
                enabled=_has_choice,
            ),
            row(
                "swap",
                "&View",
                "Swap the &axes",
                "Ctrl+T",
                "Put the horizontal metric on the vertical axis and back",
                self.swap_axes,
                enabled=with_table,
            ),
            row(
                "fit_view",
                "&View",
                "Show &everything",
                "Ctrl+0",
                "Zoom out to all candidates",
                self.fit_view,
                enabled=with_table,
            ),
            *share.view_rows(),
            *themes,
            *panels,
            row(
                "measure",
                "-&Panels",
                "&Measure on this machine",
                "Ctrl+M",
                "Time the described shapes on a device of this machine",
                lambda: shell.show_panel("measure"),
                enabled=with_project,
                toolbar=True,
            ),
            *share.help_rows(),
            row("keys", "&Help", "&Keys", "Ctrl+F1", "All keys in one list", self.keys),
            row(
                "folder",
                "&Help",
                "Open the &folder of settings and reports",
                "",
                "Where crash reports and the demonstration project are kept",
                self.open_folder,
            ),
        )

    def _theme_row(self, name: str, text: str, tip: str) -> ActionRow:
        shell = self._shell
        return ActionRow(
            f"theme_{name}",
            "-&View" if name == "system" else "&View",
            text,
            "",
            tip,
            partial(shell.set_theme, name),
            checked=lambda: bool(shell.settings["theme"] == name),
        )

    # --- files ----------------------------------------------------------------------------------

    def new(self) -> None:
        """Ask where, then begin a project with the small space."""
        if not self.may_leave():
            return
        name, _ = QFileDialog.getSaveFileName(
            self._shell.widget, "New project", self._folder(f"untitled{SUFFIX}"), FILTER
        )
        if name:
            text = resource("spaces/small.toml").read_text(encoding="utf-8")
            self._store.new(with_suffix(name), text)

    def open(self) -> None:
        """Ask which, then open it."""
        if not self.may_leave():
            return
        name, _ = QFileDialog.getOpenFileName(self._shell.widget, "Open", self._folder(""), FILTER)
        if name:
            self._store.open(name)

    def open_recent(self) -> None:
        """Open the newest recent project that is not open now."""
        recent = self._recent(self._store.state)
        if recent and self.may_leave():
            self._store.open(recent[0])

    def _recent(self, state: State) -> list[str]:
        return [p for p in self._shell.settings["recent"] if p != state.path and Path(p).exists()]

    def demo(self) -> None:
        """Open the demonstration project."""
        from gui.state.demonstration import open_demonstration

        if self.may_leave():
            open_demonstration(self._store)

    def save_as(self) -> None:
        """Ask where, then copy the project there."""
        if not self.may_leave("Stop measuring and go on in the copy?"):
            return
        suggested = Path(self._store.state.path).name or f"project{SUFFIX}"
        name, _ = QFileDialog.getSaveFileName(
            self._shell.widget, "Save as", self._folder(suggested), FILTER
        )
        if name:
            self._store.save_as(with_suffix(name))

    def export(self) -> None:
        """Ask what and where, then write it."""
        from gui.panels.export import ExportDialog

        dialog = ExportDialog(self._store, self._shell.settings, self._shell.widget)
        dialog.plot = self._shell.plot_view()
        dialog.measure_first.connect(self.measure_points)
        dialog.open()

    def _folder(self, name: str) -> str:
        folder = Path(self._shell.settings["folder"] or Path.home())
        return str(folder / name)

    # --- choosing -----------------------------------------------------------------------------------

    def step(self, by: int) -> None:
        """Choose the next or the previous candidate along the front."""
        state = self._store.state
        frame, table = state.frame, state.table
        if frame is None or table is None or not len(frame.front):
            return
        order = [int(row) for row in frame.front]
        at = order.index(frame.selected) if frame.selected in order else len(order) - 1
        row = order[max(0, min(len(order) - 1, at + by))]
        self._store.choose("along the front", selected=table.id_of(row))

    def pin(self) -> None:
        """Pin the chosen candidate, or unpin it."""
        state = self._store.state
        if state.frame is None or state.table is None or state.frame.selected is None:
            return
        identity = state.table.id_of(state.frame.selected)
        pins = state.choices.pins
        self._store.choose(
            pins=tuple(p for p in pins if p != identity) if identity in pins else (*pins, identity)
        )

    def swap_axes(self) -> None:
        """Exchange the axes with their scales."""
        c = self._store.state.choices
        self._store.choose(x=c.y, y=c.x, x_log=c.y_log, y_log=c.x_log)

    def fit_view(self) -> None:
        """Zoom out to everything."""
        view = self._shell.plot_view()
        if view is not None:
            view.fit_view()

    def copy_limits(self) -> None:
        """Put the limits on the clipboard, one per line."""
        QGuiApplication.clipboard().setText(limits_text(self._store.state.choices.limits))

    def copy_choice(self) -> None:
        """Put the chosen candidate on the clipboard as text."""
        from gui.panels.inspector import card_text

        state = self._store.state
        if state.table is not None and state.frame is not None and state.frame.selected is not None:
            QGuiApplication.clipboard().setText(card_text(state.table, state.frame.selected))

    def measure_points(self, points: Sequence[Point]) -> None:
        """Bring up the Measure panel with these points ticked."""
        panel = cast("MeasurePanel", self._shell.show_panel("measure"))
        panel.propose(tuple(points))

    # --- the rest -------------------------------------------------------------------------------

    def may_leave(self, question: str = "Stop measuring and go to the other project?") -> bool:
        """Whether this project may be left; while a sweep runs the user is asked."""
        return not self._store.state.sweep.running or self.leave_sweep(question)

    def leave_sweep(self, question: str = "Stop measuring and close?") -> bool:
        """Ask whether to end the sweep that runs."""
        answer = QMessageBox.question(
            self._shell.widget,
            "A sweep is running",
            f"{question} What was measured is stored, and the sweep can be resumed.",
            QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return answer == QMessageBox.StandardButton.Close

    def keys(self) -> None:
        """Show all keys."""
        box = QMessageBox(self._shell.widget)
        box.setWindowTitle("Keys")
        box.setText(keys_help(self.rows()) + PLOT_KEYS)
        box.open()

    def open_folder(self) -> None:
        """Open our folder in the desktop's file browser."""
        from PySide6.QtCore import QUrl

        folder = data_folder()
        folder.mkdir(parents=True, exist_ok=True)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


PLOT_KEYS = (
    "<p>In the plot: arrow keys move the limit that has the focus, with Shift in fine steps;"
    " Tab goes from limit to limit; Delete removes it.</p>"
)


def limits_text(limits: Sequence[Limit]) -> str:
    """The limits, one per line, as `--limit` reads them."""
    return "\n".join(limit.text for limit in limits)


def with_suffix(name: str) -> Path:
    """The path with our suffix, when it was typed without one."""
    path = Path(name)
    return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)


def _has_front(state: State) -> bool:
    return state.frame is not None and len(state.frame.front) > 0


def _has_choice(state: State) -> bool:
    return state.frame is not None and state.frame.selected is not None
