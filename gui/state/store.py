"""The one owner of state. Views follow `changed`, redraw what is another object, and call its methods."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from core.analysis import derivation
from core.analysis.contents import Contents, read_contents
from core.analysis.derivation import Derived, Inputs
from core.analysis.overlays import Other
from core.errors import Unusable
from core.locking import FileLock
from core.measure.backends.registry import check_names
from core.pareto.limits import Limit, with_limit, without_limit
from core.project.choices import Choices
from core.project.project import Project
from core.project.project_lock import hold
from core.records.imported import ImportedPoint
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Steps
from core.records.training_runs import TrainingRuns
from core.space.space_file import parse_space
from gui.app.logs import logger
from gui.state.job import Job, Lane
from gui.state.measuring import Measuring
from gui.state.state import State

UNDO_STEPS = 200
DRAFT = "space not used yet"
WRITE_AFTER_MS = 400


class Store(QObject):
    """Holds the open project and one `State`; every change goes through a method here.

    `choose` is undoable. Laws, table and front are made off this thread; the old picture stays
    until the new one is there. Measurements and runs are stored at once and never undone.
    """

    changed = Signal(object, object)  # new State, old State or None

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = State("", Contents("", None, (), ()), Choices())
        self._project: Project | None = None
        self._held: FileLock | None = None
        self._made: Derived | None = None
        self._past: list[Choices] = []
        self._future: list[Choices] = []
        self._gesture = ""
        self._files = Lane(queue=True, parent=self)
        self._fits = Lane(parent=self)
        self._asides: dict[str, Lane] = {}
        self._deriving: Inputs | None = None
        self._fits_failed = False
        self._fits.idle.connect(self._on_fits_idle)
        self._write_soon = QTimer(self)
        self._write_soon.setSingleShot(True)
        self._write_soon.setInterval(WRITE_AFTER_MS)
        self._write_soon.timeout.connect(self._write_choices)
        self.measuring = Measuring(parent=self)
        self.measuring.refused.connect(self.notify)
        self.measuring.changed.connect(self._on_sweep)
        self.measuring.measured.connect(self._on_measured)
        self.measuring.stopped.connect(self._reread_measurements)
        self.measuring.failed.connect(self._on_failed)
        self.measuring.wanted.connect(self._on_device_wanted)

    # --- choosing, undo -------------------------------------------------------------------------

    def choose(self, gesture: str = "", **parts: Any) -> None:
        """Change some choices as one undoable step; steps of one non-empty gesture merge into one."""
        old = self.state.choices
        # a part that is equal stays the same object, so that no view redraws for it
        news = {name: value for name, value in parts.items() if getattr(old, name) != value}
        if not news:
            return
        if not gesture or gesture != self._gesture:
            self._past = [*self._past[-UNDO_STEPS:], old]
        self._gesture = gesture
        self._future = []
        self._set_choices(old.changed(**news))

    def end_gesture(self) -> None:
        """The next change is a step of its own even within a gesture of the same name."""
        self._gesture = ""

    def set_limit(self, limit: Limit, gesture: str = "") -> None:
        """Set a limit in place of the one on the same metric, statistic and side."""
        self.choose(gesture, limits=with_limit(self.state.choices.limits, limit))

    def drop_limit(self, key: tuple[Any, ...]) -> None:
        """Take a limit away."""
        self.choose(limits=without_limit(self.state.choices.limits, key))

    def undo(self) -> None:
        """Go one step of choices back."""
        if self._past:
            self._future.append(self.state.choices)
            self._step_to(self._past.pop())

    def redo(self) -> None:
        """Go one undone step forward."""
        if self._future:
            self._past.append(self.state.choices)
            self._step_to(self._future.pop())

    def _step_to(self, choices: Choices) -> None:
        self._gesture = ""
        self._set_choices(choices)

    def _set_choices(self, choices: Choices) -> None:
        parts: dict[str, Any] = {"choices": choices}
        made = self._made
        # a limit or another row on a table of ordinary size: at once, so that the picture follows
        if made is not None and self._at_once(made, choices):
            self._made = derivation.reframed(made, choices)
            if self._made.frame is not self.state.frame:
                parts["frame"] = self._made.frame
        self._set(**parts)
        if self._project is not None and not self._project.read_only:
            self._write_soon.start()
        self._derive()

    def _at_once(self, made: Derived, choices: Choices) -> bool:
        now = Inputs(made.inputs.contents, choices)
        if made.table is None or not derivation.frame_stale(made.inputs, now):
            return True
        return len(made.table) <= derivation.ROWS_AT_ONCE

    # --- the project ----------------------------------------------------------------------------

    def open(self, path: Path | str) -> Job:
        """Open a project file in place of the present one, which stays when that fails."""
        return self.load(lambda: Project.open(path))

    def new(self, path: Path | str, space: str = "") -> Job:
        """Make an empty project, with a described space where its text is given, and open it."""

        def make() -> Project:
            project = Project.create(path)
            if space:
                check_names(parse_space(space).axes["execution"])
                project.put_text("space", space)
            return project

        return self.load(make)

    def load(self, get: Callable[[], Project]) -> Job:
        """Open the project that `get` returns (on a job's thread) in place of the present one."""

        def work() -> Steps[Any]:
            project, lock = hold(get())
            try:
                yield project
                demo = bool(project.text("demo"))
                return project, read_contents(project), project.choices(), demo, lock
            except BaseException:
                project.close()
                if lock is not None:
                    lock.release()
                raise

        def opened(found: tuple[Project, Contents, Choices, bool, FileLock | None]) -> None:
            self._take(*found)

        self._set(busy="opening")
        job = Job(work)
        job.returned.connect(opened)
        return self._submit(self._files, job)

    def save_as(self, path: Path | str) -> Job | None:
        """Copy the project to another path and go on in the copy."""
        project = self._project
        if project is None:
            return None
        self.flush()
        path = Path(path)

        def work() -> Steps[Any]:
            project.save_copy(path)
            yield path
            return path

        job = Job(work)
        job.returned.connect(self.open)
        return self._submit(self._files, job)

    def _take(
        self,
        project: Project,
        contents: Contents,
        choices: Choices,
        demo: bool,
        lock: FileLock | None,
    ) -> None:
        self.measuring.stop()
        self.flush()
        if lock is None and not project.read_only and project.path == self._held_path():
            # the same file again: keep the lock that keeps others out
            lock, self._held = self._held, None
        self._let_go()
        self._project, self._held = project, lock
        self._made = None
        self._past, self._future, self._gesture = [], [], ""
        old = self.state
        self._replace(
            State(
                str(project.path),
                contents,
                choices,
                devices=old.devices,
                read_only=project.read_only,
                demo=demo,
                message=read_only_message(project) or unread_message(project),
            )
        )
        self._derive()

    @property
    def project(self) -> Project | None:
        """The open project file."""
        return self._project

    def put_space(self, text: str) -> None:
        """Replace the space; raises Unusable when the text cannot be read as one."""
        space = parse_space(text)
        check_names(space.axes["execution"])
        self._write(lambda project: project.put_text("space", text))
        self._set_contents(space=space)

    def draft(self) -> str:
        """The text of a space that was written and not used yet; empty for none."""
        return self._project.text(DRAFT) if self._project is not None else ""

    def put_draft(self, text: str) -> None:
        """Keep a space's unused text in the project, so that no crash loses it."""
        if self._project is not None and not self._project.read_only and text != self.draft():
            self._write(lambda project: project.put_text(DRAFT, text))

    def put_runs(self, runs: TrainingRuns) -> None:
        """Add a suite of training runs, in place of an earlier one of the same name."""
        others = tuple(r for r in self.state.contents.runs if r.suite != runs.suite)
        self._write(lambda project: project.put_runs(runs))
        self._set_contents(runs=(*others, runs))

    def add_imported(self, source: str, points: Iterable[ImportedPoint]) -> None:
        """Add points read from a file of another tool."""
        added = tuple(points)
        self._write(lambda project: project.add_imported(source, added))
        self._set_contents(imported=(*self.state.contents.imported, *added))

    def _set_contents(self, **parts: Any) -> None:
        self._set(contents=replace(self.state.contents, **parts))
        self._derive(urgent=False)

    def _write(self, write: Callable[[Project], None]) -> None:
        project = self._project
        if project is None:
            return

        def work() -> Steps[Any]:
            write(project)
            yield from ()

        self._submit(self._files, Job(work))

    def _write_choices(self) -> None:
        choices = self.state.choices
        self._write(lambda project: project.put_choices(choices))

    def flush(self) -> None:
        """Write choices that wait to be written, now."""
        if self._write_soon.isActive():
            self._write_soon.stop()
            if self._project is not None:
                try:
                    self._project.put_choices(self.state.choices)
                except Unusable as error:
                    self.notify(str(error))

    def close(self) -> None:
        """Write what waits, end every job and close the file."""
        self.measuring.stop()
        self.flush()
        for lane in (self._fits, *self._asides.values(), self.measuring.lane):
            lane.close()
        self._files.drain()
        self._let_go()

    def _held_path(self) -> Path | None:
        return self._project.path if self._project is not None else None

    def _let_go(self) -> None:
        if self._project is not None:
            self._project.close()
            self._project = None
        if self._held is not None:
            self._held.release()
            self._held = None

    # --- measuring --------------------------------------------------------------------------------

    def measure(self, points: Sequence[Point], device: Device, **options: Any) -> None:
        """Measure these points on a device; each result is stored and shown as it arrives."""
        if self._project is not None:
            self.measuring.start(self._project, points, device, **options)

    def measure_by(self, work: Callable[[Project], Steps[Any]], device: Device) -> bool:
        """Run work that measures one model into the project; False, with a message, if it cannot."""
        return self._project is not None and self.measuring.run(self._project, work, device)

    def pause_sweep(self) -> None:
        """Hold the sweep after the point in flight."""
        self.measuring.pause()

    def resume_sweep(self) -> None:
        """Go on with a held sweep."""
        self.measuring.resume()

    def cancel_sweep(self) -> None:
        """End the sweep; what was measured is kept."""
        self.measuring.stop()

    @Slot(dict)
    def _on_sweep(self, parts: dict[str, Any]) -> None:
        self._set(sweep=replace(self.state.sweep, **parts))

    @Slot(object)
    def _on_measured(self, measurement: Measurement) -> None:
        self._set_contents(measurements=(*self.state.contents.measurements, measurement))
        if self.settled:
            self.measuring.on_settled()

    @Slot()
    def _reread_measurements(self) -> None:
        """Show what the project holds: a cancelled sweep may have stored more than it reported."""
        stored = self._project.measurements() if self._project is not None else ()
        if len(stored) > len(self.state.contents.measurements):
            self._set_contents(measurements=stored)

    @Slot(str)
    def _on_device_wanted(self, key: str) -> None:
        self.choose(device_key=key)

    # --- deriving -----------------------------------------------------------------------------------

    @property
    def settled(self) -> bool:
        """Whether everything shown is made from everything chosen."""
        return not self._fits.busy and not self._files.busy

    def _derive(self, *, urgent: bool = True) -> None:
        """Derive what is stale. What is not urgent (a measurement came in) waits for its turn."""
        if self._project is None:
            return
        now = Inputs(self.state.contents, self.state.choices)
        made = self._made
        if made is not None and not derivation.stale(made.inputs, now):
            self._fits.cancel()
            return
        if self._deriving is not None and (
            not urgent or not derivation.table_stale(self._deriving, now)
        ):
            # what is being made serves for this too, or this can wait: checked again when idle
            return
        if made is None or derivation.table_stale(made.inputs, now):
            self._set(busy="calculating")
        self._deriving = now
        job = Job(lambda: derivation.derive(now, made))
        job.returned.connect(self._on_derived)
        job.progressed.connect(self._on_deriving)
        job.failed.connect(self._on_fit_failed)
        self._submit(self._fits, job)

    @Slot(object)
    def _on_deriving(self, progress: Any) -> None:
        if self.state.busy:
            self._set(busy=progress.text)

    @Slot(object)
    def _on_derived(self, made: Derived) -> None:
        if self._at_once(made, self.state.choices):
            made = derivation.reframed(made, self.state.choices)
        self._made = made
        parts: dict[str, Any] = {"laws": made.laws, "table": made.table, "frame": made.frame}
        if made.notes != self.state.notes:
            parts["notes"] = made.notes
        if made.message:
            parts["message"] = made.message
        self._set(busy="", **parts)
        self.measuring.on_derived(self.state)

    @Slot()
    def _on_fits_idle(self) -> None:
        self._deriving = None
        if not self._fits_failed:
            self._derive()
        self._fits_failed = False
        if not self._fits.busy:
            if self.state.busy and not self._files.busy:
                self._set(busy="")
            self.measuring.on_settled()

    @Slot(object)
    def _on_fit_failed(self, _: BaseException) -> None:
        # the same inputs would fail the same way: wait for a change
        self._fits_failed = True

    # --- everything else ------------------------------------------------------------------------------

    def background(self, work: Callable[[], Steps[Any]], lane: str = "") -> Job:
        """Run a panel's own long work beside the fits; connect to the job's signals.

        Work of one `lane` runs one at a time; a short job that must not wait names a lane of its own.
        """
        if lane not in self._asides:
            self._asides[lane] = Lane(queue=True, parent=self)
        return self._submit(self._asides[lane], Job(work))

    def notify(self, message: str, news: bool = False) -> None:
        """Show one line about what went wrong, or news; an empty one removes it."""
        self._set(message=message, message_is_news=news)

    def set_others(self, others: Sequence[Other]) -> None:
        """Overlay these other projects on this one; they are not stored."""
        self._set(others=tuple(others))

    def set_devices(self, devices: Sequence[Device]) -> None:
        """Set the devices of this machine."""
        self._set(devices=tuple(devices))

    def _submit(self, lane: Lane, job: Job) -> Job:
        job.failed.connect(self._on_failed)
        return lane.submit(job)

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        if isinstance(error, Unusable):
            logger().warning("shown: %s", error)
            self._set(message=str(error), message_is_news=False, busy="")
        else:
            self._set(busy="")
            sys.excepthook(type(error), error, error.__traceback__)

    def _set(self, **parts: Any) -> None:
        parts.setdefault("can_undo", bool(self._past))
        parts.setdefault("can_redo", bool(self._future))
        self._replace(replace(self.state, **parts))

    def _replace(self, new: State) -> None:
        old, self.state = self.state, new
        self.changed.emit(new, old)


def unread_message(project: Project) -> str:
    """What of the file could not be read, the first of several; empty where all could."""
    unread = project.unread
    more = f"; {len(unread) - 1} more like it" if len(unread) > 1 else ""
    return f"{unread[0]}{more}; it stays in the file" if unread else ""


def read_only_message(project: Project) -> str:
    """Why choices are not kept; empty for a project that can be written."""
    if not project.read_only:
        return ""
    why = f" ({project.because})" if project.because else ""
    return f"{project.path} is read-only{why}; what you choose is not kept, save a copy to go on"
