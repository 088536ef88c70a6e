"""A sweep as the window sees it: started, paused, cancelled; its results arrive one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from core.analysis.pipeline import heldout_error
from core.project.measure_into import sweep_into
from core.project.project import Project
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress, Steps
from gui.state.job import Job, Lane
from gui.state.state import State

# a refit that takes longer than this is not waited for
QUIET_AT_MOST_S = 10.0

Sweeper = Callable[..., Steps[Any]]


class Measuring(QObject):
    """Runs one sweep at a time in a lane of its own and reports its course by signals.

    Between two points it waits until the picture has been made again, so that no fit of this
    process disturbs the timing of the next point.
    """

    refused = Signal(str)  # why a request cannot be carried out
    changed = Signal(dict)  # parts of `gui.state.state.Sweep`
    measured = Signal(object)  # a Measurement, stored already
    stopped = Signal()  # it ended early: more may be stored than was reported
    failed = Signal(object)  # the exception
    wanted = Signal(str)  # the key of the device to show from now on

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lane = Lane(queue=True, parent=self)
        self.sweeper: Sweeper = partial(sweep_into, retry_failed=True)
        self._quiet = threading.Event()
        self._quiet.set()
        self._held: threading.Event | None = None
        self._device = ""
        self._to_show = ("", "")  # project and device measured on, until that is shown

    @property
    def running(self) -> bool:
        """Whether a sweep is under way or paused."""
        return self.lane.job is not None and not self.lane.job.cancelled

    def start(
        self, project: Project, points: Sequence[Point], device: Device, **options: Any
    ) -> None:
        """Begin a sweep of these points; refused with a message when it cannot be stored."""
        if self.running:
            return
        if not points and not project.read_only:
            self.refused.emit("there is nothing left to measure; describe more shapes or tick some")
            return
        sweeper, held = self.sweeper, threading.Event()

        def work(project: Project) -> Steps[Any]:
            return sweeper(project, tuple(points), device, pause=held, **options)

        self.run(project, work, device, len(points), held)

    def run(
        self,
        project: Project,
        work: Callable[[Project], Steps[Any]],
        device: Device,
        total: int = 1,
        held: threading.Event | None = None,
    ) -> bool:
        """Begin work that measures `total` points into the project; False, with a message, if it cannot.

        Setting `held` pauses it between two of them; without one it cannot be paused.
        """
        if self.running:
            return False
        if project.read_only:
            self.refused.emit(
                f"{project.path} is read-only; save a copy elsewhere to measure into it"
            )
            return False
        self._device = device.key
        self._to_show = (str(project.path), device.key)
        self._held, quiet = held, self._quiet
        job = Job(lambda: _between(work(project), quiet))
        job.progressed.connect(self._on_progress)
        job.yielded.connect(self._on_result)
        job.returned.connect(self._on_returned)
        job.failed.connect(self._on_failed)
        job.ended.connect(self._on_ended)
        self._change(
            running=True,
            paused=False,
            progress=Progress(0, total, "starting the measuring process"),
            message="",
            errors=(),
        )
        self.lane.submit(job)
        return True

    def pause(self) -> None:
        """Pause after the point in flight."""
        if self.running and self._held is None:
            self.refused.emit(
                "a single model is measured in one go; wait for it to end, or stop it"
            )
        elif self.running and self._held is not None:
            self._held.set()
            self._change(paused=True)

    def resume(self) -> None:
        """Go on."""
        if self.running and self._held is not None:
            self._held.clear()
            self._change(paused=False)

    def stop(self) -> None:
        """End the sweep; what was measured is kept."""
        if self.running and self.lane.job is not None:
            self.lane.job.cancel()
            self._quiet.set()
            self._change(message="stopping")

    def on_derived(self, state: State) -> None:
        """With new laws: show the device once it has one, and note the error on shapes left out."""
        error = heldout_error(state.laws, self._device)
        if error is None:
            return
        # on a busy machine the sweep may have ended before its law is there
        if self._to_show == (state.path, self._device):
            self._to_show = ("", "")
            others = any(m.device.key != self._device for m in state.contents.measurements)
            if others and state.choices.device_key != self._device:
                self.wanted.emit(self._device)
        if not self.running:
            return
        done = sum(
            1 for m in state.contents.measurements if m.device.key == self._device and not m.failed
        )
        if not state.sweep.errors or state.sweep.errors[-1] != (done, error):
            self._change(errors=(*state.sweep.errors, (done, error)))

    def on_settled(self) -> None:
        """Let the next point be timed, since no fit runs."""
        self._quiet.set()

    def _change(self, **parts: Any) -> None:
        self.changed.emit(parts)

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        self._change(progress=progress)

    @Slot(object)
    def _on_result(self, value: Any) -> None:
        if isinstance(value, Measurement):
            self.measured.emit(value)

    @Slot(object)
    def _on_returned(self, _: Any) -> None:
        self._change(message="finished")

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self._change(message=str(error))
        # points timed in turns are stored before they are reported
        self.stopped.emit()
        self.failed.emit(error)

    @Slot(object)
    def _on_ended(self, job: Job) -> None:
        if job.cancelled:
            self.stopped.emit()
            self._change(message="stopped; what was measured is kept")
        self._change(running=False, paused=False)


def _between(steps: Steps[Any], quiet: threading.Event) -> Steps[Any]:
    """The same steps, waiting after each result until the window has shown it."""
    try:
        value = next(steps)
        while True:
            if isinstance(value, Measurement):
                quiet.clear()
            yield value
            if isinstance(value, Measurement):
                quiet.wait(QUIET_AT_MOST_S)
            value = next(steps)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()
