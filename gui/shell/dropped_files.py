"""Files given to the window: each is read off the window's thread and taken to its panel or the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import QObject, Qt, Slot

from core.analysis.overlays import Other, imported_layers, load_devices, load_other, new_points
from core.analysis.paired_scores import paired_scores
from core.formats.runs.report import shortened
from core.records.imported import ImportedPoint, left_out
from core.records.metrics import METRICS
from core.records.progress import Steps
from gui.state.state import State

if TYPE_CHECKING:
    from core.formats.detect import Found
    from gui.panels.space import SpacePanel
    from gui.shell.shell import Shell

LANE = "files"


class DroppedFiles(QObject):
    """Takes files into the window: projects are opened, spaces and runs shown, results stored."""

    def __init__(self, shell: Shell) -> None:
        super().__init__(shell.widget)
        self._shell = shell
        self._store = shell.store

    def take(self, paths: Sequence[Path]) -> None:
        """Find out what each file is and act on it, one after the other."""
        for path in paths:

            def work(path: Path = path) -> Steps[Any]:
                from core.formats.detect import what_file

                yield from ()
                return what_file(path)

            self._store.background(work, lane=LANE).returned.connect(self.on_found)

    def overlay(self, path: Path) -> None:
        """Overlay another project on the present one."""
        self._store.background(lambda: load_other(path), lane=LANE).returned.connect(self.on_other)

    def overlay_devices(self) -> None:
        """Overlay the project's other devices on the one that is shown."""
        state = self._store.state
        if state.laws is None or state.table is None:
            return
        parts = (state.contents, state.laws, state.table, state.choices)
        job = self._store.background(lambda: load_devices(*parts), lane=LANE)
        job.returned.connect(self.on_devices)

    @Slot(object)
    def on_devices(self, others: tuple[Other, ...]) -> None:
        """Show the other devices in place of an earlier reckoning of them."""
        paths = {other.path for other in others}
        rest = tuple(o for o in self._store.state.others if o.path not in paths)
        self._store.set_others((*rest, *others))

    @Slot(object)
    def on_found(self, found: Found) -> None:
        """Act on a file that was recognised."""
        take = {
            "project": self._take_project,
            "space": self._take_space,
            "runs": self._take_runs,
            "results": self._take_results,
            "model": self._take_model,
        }[found.kind]
        take(found)

    @Slot(object)
    def on_other(self, other: Any) -> None:
        """Another project was read: show it in place of an earlier reading of the same file."""
        rest = tuple(o for o in self._store.state.others if o.path != other.path)
        self._store.set_others((*rest, other))

    # -----------------------------------------------------------------------------------------------

    def _take_project(self, found: Found) -> None:
        self._store.open(found.path)

    def _take_space(self, found: Found) -> None:
        if not self._can_store(found):
            return
        # shown and not used yet: it would take the place of the present space
        panel = cast("SpacePanel", self._shell.show_panel("space"))
        panel.write_over(found.value)
        self._store.notify(
            f"{found.path.name} is a space; it is shown below and not used until you apply it.",
            news=True,
        )

    def _take_runs(self, found: Found) -> None:
        if not self._can_store(found):
            return
        from gui.panels.import_runs import ImportRuns

        # which column is which, and what its loss means, is for the user to confirm
        dialog = ImportRuns(self._store, found.value, self._shell.widget)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _take_results(self, found: Found) -> None:
        if not self._can_store(found):
            return
        points = new_points(self._store.state.contents.imported, found.value)
        if points:
            self._store.add_imported(str(found.path), points)
        self._store.notify(results_text(found, len(points), self._store.state), news=bool(points))

    def _take_model(self, found: Found) -> None:
        folder = found.path if found.path.is_dir() else found.path.parent
        self._store.notify(
            f"{found.path.name} is a model; to time it choose its folder ({folder}) in the Measure"
            " panel.",
            news=True,
        )
        self._shell.show_panel("measure")

    def _can_store(self, found: Found) -> bool:
        state = self._store.state
        if state.path and not state.read_only:
            return True
        self._store.notify(
            f"{found.path.name}: first open or begin a project that can be written"
            if not state.path
            else f"{found.path.name} was not read in: {state.path} is read-only; save a copy first"
        )
        return False


def _stored(points: Sequence[ImportedPoint], state: State) -> list[ImportedPoint]:
    """The stored points that a file's are."""
    names = {(p.source, p.name) for p in points}
    return [p for p in state.contents.imported if (p.source, p.name) in names]


def results_text(found: Found, fresh: int, state: State) -> str:
    """What was read, how it is shown, and which axes show it where the present ones do not."""
    points = found.value
    tools = ", ".join(dict.fromkeys(f"{p.tool} {p.tool_version}".strip() for p in points))
    keys = dict.fromkeys(k for p in points for k in p.metrics if k in METRICS)
    known = len(points) - fresh
    again = f" ({known} known already)" if known else ""
    count = "1 point" if fresh == 1 else f"{fresh} points"
    summary = (
        f"{found.path.name}: {count} of {tools} laid over the candidates{again}, for"
        " comparison: they are in no table and on no front."
    )
    if missing := left_out(points):
        summary += f" Left out: {'; '.join(shortened(missing))}."
    for pair in paired_scores(state.contents.imported, _stored(points, state)):
        summary += f" {pair.text}."
    held = ", ".join(METRICS[key].label.lower() for key in keys)
    axes = (state.choices.x, state.choices.y)
    if fresh and not imported_layers(points, state.table, *axes):
        x, y = (METRICS[key].label.lower() for key in axes)
        return f"{summary} None is drawn on these axes ({y} against {x}): choose axes from {held}."
    return f"{summary} They hold {held}."
