"""Actions that bring results in and show a choice to others: one table of rows, dialogs made when needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog

from core.analysis.overlays import other_devices
from core.project.project import SUFFIX
from core.project.scenes import scene_text, scene_title
from gui.shell.actions import ActionRow, with_project, with_table
from gui.shell.dropped_files import DroppedFiles
from gui.state.state import State

if TYPE_CHECKING:
    from gui.shell.shell import Shell

COPIED_WIDTH = 1920


class ShareActions:
    """Actions with files of others, and for an audience."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._store = shell.store
        self.dropped_files = DroppedFiles(shell)

    def file_rows(self) -> tuple[ActionRow, ...]:
        """Rows of the File menu."""
        row = ActionRow
        return (
            row(
                "report",
                "&File",
                "&Report…",
                "Ctrl+R",
                "Write the choice as one page (HTML or PDF) that others can read and repeat",
                self.report,
                enabled=_with_frame,
                toolbar=True,
            ),
            row(
                "import",
                "-&File",
                "&Import results…",
                "Ctrl+I",
                "Read results of other tools, training runs or a space; files can also be dropped here",
                self.import_files,
                enabled=with_project,
            ),
            row(
                "overlay",
                "&File",
                "O&verlay project…",
                "Ctrl+Shift+V",
                "Draw the front of another project over this one",
                self.overlay,
                enabled=with_table,
            ),
            row(
                "overlay_devices",
                "&File",
                "Overlay other &devices",
                "",
                "Draw the same candidates on the project's other devices over this one",
                self.dropped_files.overlay_devices,
                enabled=_several_devices,
            ),
            row(
                "drop_overlays",
                "&File",
                "Remove overl&ays",
                "",
                "Show this project on one device alone again; imported results stay",
                lambda: self._store.set_others(()),
                enabled=lambda state: bool(state.others),
            ),
        )

    def edit_rows(self) -> tuple[ActionRow, ...]:
        """Rows of the Edit menu."""
        row = ActionRow
        return (
            row(
                "copy_picture",
                "&Edit",
                "Copy the p&icture",
                "Ctrl+Shift+I",
                "Copy the plot as an image",
                self.copy_picture,
                enabled=_with_frame,
            ),
            row(
                "copy_text",
                "&Edit",
                "Copy as &text",
                "Ctrl+Shift+T",
                "Copy what the picture shows: sentences, limits and the front's candidates",
                self.copy_text,
                enabled=_with_frame,
            ),
        )

    def view_rows(self) -> tuple[ActionRow, ...]:
        """Rows of the View menu."""
        row = ActionRow
        return (
            row(
                "chance",
                "-&View",
                "Chance to be on the &front",
                "Ctrl+Shift+F",
                "Fill the front's marks by how likely each is on the front; otherwise filled is measured",
                lambda: self._store.choose(chance_shown=not self._store.state.choices.chance_shown),
                enabled=_with_frame,
                checked=lambda: self._store.state.choices.chance_shown,
            ),
            row(
                "outside",
                "&View",
                "Count candidates &outside the runs",
                "Ctrl+U",
                "Let candidates be on the front and best that lie outside what the loss law's runs had",
                lambda: self._store.choose(
                    outside_counts=not self._store.state.choices.outside_counts
                ),
                enabled=_with_frame,
                checked=lambda: self._store.state.choices.outside_counts,
            ),
            row(
                "present",
                "-&View",
                "&Present",
                "F5",
                "One plot in large type over the whole screen; arrow keys step, Esc leaves",
                self.present,
                enabled=_with_frame,
                toolbar=True,
            ),
            row(
                "save_scene",
                "&View",
                "Save this as a &scene",
                "Ctrl+B",
                "Keep axes, limits and the chosen candidate as a step of the presentation",
                self.save_scene,
                enabled=_with_frame,
            ),
            row(
                "drop_scenes",
                "&View",
                "&Remove all scenes",
                "",
                "Start the presentation over",
                lambda: self._store.choose(scenes=()),
                enabled=lambda state: bool(state.choices.scenes),
            ),
        )

    def help_rows(self) -> tuple[ActionRow, ...]:
        """Rows of the Help menu."""
        row = ActionRow
        return (
            row("help", "&Help", "&Help", "F1", "Explain the part that has the focus", self.help),
            row("tour", "&Help", "&Tour", "", "Six steps through the window", self.tour),
            row(
                "about",
                "&Help",
                "&About",
                "",
                "Version, licence and the licences of what it is made of",
                self.about,
            ),
        )

    # --- results and projects of others ----------------------------------------------------------

    def import_files(self) -> None:
        """Ask which files, then read them."""
        names, _ = QFileDialog.getOpenFileNames(
            self._shell.widget, "Import results, runs or a space", self._folder()
        )
        if names:
            self._shell.settings["folder"] = str(Path(names[0]).parent)
            self.dropped_files.take([Path(name) for name in names])

    def overlay(self) -> None:
        """Ask which project, then overlay it."""
        name, _ = QFileDialog.getOpenFileName(
            self._shell.widget,
            "Overlay a project",
            self._folder(),
            f"Paretoscope project (*{SUFFIX})",
        )
        if name:
            self.dropped_files.overlay(Path(name))

    def _folder(self) -> str:
        return str(self._shell.settings["folder"] or Path.home())

    # --- for others --------------------------------------------------------------------------------

    def report(self) -> None:
        """Ask where, then write the report."""
        from gui.shell.report_dialog import ReportDialog

        ReportDialog(self._store, self._shell.settings, self._shell.widget).open()

    def present(self) -> None:
        """Show one plot over the whole screen."""
        from gui.shell.presenter import Presenter

        self.presenter = Presenter(self._store, self._shell.theme())
        self.presenter.setWindowIcon(self._shell.widget.windowIcon())
        self.presenter.showFullScreen()
        self.presenter.activateWindow()

    def save_scene(self) -> None:
        """Add the present choices to the scenes of the presentation."""
        choices = self._store.state.choices
        scene = (scene_title(choices), scene_text(choices))
        self._store.choose(scenes=(*choices.scenes, scene))

    def copy_picture(self) -> None:
        """Put the plot on the clipboard as an image."""
        view = self._shell.plot_view()
        if view is not None:
            QGuiApplication.clipboard().setImage(view.plot.image(COPIED_WIDTH))

    def copy_text(self) -> None:
        """Put the picture on the clipboard as text."""
        from core.report.facts import plain_text

        state = self._store.state
        if state.table is not None and state.frame is not None:
            text = plain_text(state.table, state.frame, state.choices)
            QGuiApplication.clipboard().setText(text)

    # --- help --------------------------------------------------------------------------------------

    def help(self) -> None:
        """Open the page for what has the focus."""
        from gui.shell.help import open_help, page_for

        open_help(self._shell.widget, page_for(QGuiApplication.focusObject()))

    def tour(self) -> None:
        """Begin the tour."""
        from gui.shell.tour import Tour

        self._tour = Tour(self._shell)
        self._tour.begin()

    def first_start(self) -> None:
        """Begin the tour once the demonstration is shown, unless it was seen or skipped before."""
        if self._shell.settings["toured"]:
            return

        def look(new: State, _: State | None) -> None:
            if new.frame is not None:
                self._store.changed.disconnect(look)
                # after this state has been drawn, so that there is something to point at
                QTimer.singleShot(0, self.tour)

        self._store.changed.connect(look)

    def about(self) -> None:
        """Show version and licences."""
        from gui.shell.about import AboutDialog

        AboutDialog(self._shell.widget).open()


def _several_devices(state: State) -> bool:
    return state.table is not None and bool(other_devices(state.contents, state.table))


def _with_frame(state: State) -> bool:
    return state.frame is not None
