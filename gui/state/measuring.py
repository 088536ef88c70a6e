"""A sweep as the window sees it: started, held, cancelled; its results arrive one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Slot

from core.analysis.pipeline import Laws
from core.project.project import Project
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress, Steps
from gui.state.job import Job, Lane

if TYPE_CHECKING:
    from gui.state.store import Store

# a refit that takes longer than this is not waited for
QUIET_AT_MOST_S = 10.0

Sweeper = Callable[..., Steps[Any]]


class Measuring(QObject):
    """Runs one sweep at a time in a lane of its own and tells the store what came of it.

    Between two points it waits until the picture has been made again, so that no fit of this
    process disturbs the timing of the next point.
    """

    def __init__(self, store: Store, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.lane = Lane(queue=True, parent=self)
        self.sweeper: Sweeper = sweep_steps
        self._quiet = threading.Event()
        self._quiet.set()
        self._held: threading.Event | None = None
        self._device = ""

    @property
    def running(self) -> bool:
        """Whether a sweep is under way or held."""
        return self.lane.job is not None and not self.lane.job.cancelled

    def start(self, points: Sequence[Point], device: Device, **options: Any) -> None:
        """Begin a sweep of these points; refused with a message when it cannot be stored."""
        if self._store.project is None or self.running:
            return
        if not points and not self._store.project.read_only:
            self._store.tell("there is nothing left to measure; describe more shapes or tick some")
            return
        sweeper, held = self.sweeper, threading.Event()

        def work(project: Project) -> Steps[Any]:
            return sweeper(project, tuple(points), device, pause=held, **options)

        self.run(work, device, len(points), held)

    def run(
        self,
        work: Callable[[Project], Steps[Any]],
        device: Device,
        total: int = 1,
        held: threading.Event | None = None,
    ) -> bool:
        """Begin what measures `total` things into the project; False, with a message, if it cannot.

        Setting `held` makes it wait between two of them; without one it cannot be held.
        """
        project = self._store.project
        if project is None or self.running:
            return False
        if project.read_only:
            self._store.tell(
                f"{project.path} is read-only; save a copy elsewhere to measure into it"
            )
            return False
        self._device = device.key
        self._held, quiet = held, self._quiet
        job = Job(lambda: _between(work(project), quiet))
        job.progressed.connect(self._on_progress)
        job.yielded.connect(self._on_result)
        job.returned.connect(self._on_returned)
        job.failed.connect(self._on_failed)
        job.ended.connect(self._on_ended)
        self._store.set_sweep(
            running=True,
            paused=False,
            progress=Progress(0, total, "starting the measuring process"),
            message="",
            errors=(),
        )
        self.lane.submit(job)
        return True

    def pause(self) -> None:
        """Hold after the point in flight."""
        if self.running and self._held is None:
            self._store.tell("a single model is measured in one go; let it end, or stop it")
        elif self.running and self._held is not None:
            self._held.set()
            self._store.set_sweep(paused=True)

    def resume(self) -> None:
        """Go on."""
        if self.running and self._held is not None:
            self._held.clear()
            self._store.set_sweep(paused=False)

    def stop(self) -> None:
        """End the sweep; what was measured is kept."""
        if self.running and self.lane.job is not None:
            self.lane.job.cancel()
            self._quiet.set()
            self._store.set_sweep(message="stopping")

    def on_derived(self) -> None:
        """New laws are there: note how well they predict shapes left out, as it falls."""
        state = self._store.state
        error = heldout_error(state.laws, self._device)
        if not self.running or error is None:
            return
        others = any(m.device.key != self._device for m in state.contents.measurements)
        if others and state.choices.device_key != self._device:
            # there is a law of this device now: show what was asked to be measured
            self._store.choose(device_key=self._device)
        done = sum(
            1 for m in state.contents.measurements if m.device.key == self._device and not m.failed
        )
        if not state.sweep.errors or state.sweep.errors[-1] != (done, error):
            self._store.set_sweep(errors=(*state.sweep.errors, (done, error)))

    def on_settled(self) -> None:
        """No fit runs: the next point may be timed."""
        self._quiet.set()

    @Slot(object)
    def _on_progress(self, progress: Progress) -> None:
        self._store.set_sweep(progress=progress)

    @Slot(object)
    def _on_result(self, value: Any) -> None:
        if isinstance(value, Measurement):
            self._store.add_measurement(value)
        if self._store.settled:
            self._quiet.set()

    @Slot(object)
    def _on_returned(self, _: Any) -> None:
        self._store.set_sweep(message="finished")

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self._store.set_sweep(message=str(error))
        self._store._on_failed(error)

    @Slot(object)
    def _on_ended(self, job: Job) -> None:
        if job.cancelled:
            self._store.reread_measurements()
            self._store.set_sweep(message="stopped; what was measured is kept")
        self._store.set_sweep(running=False, paused=False)


def sweep_steps(
    project: Project,
    points: Sequence[Point],
    device: Device,
    *,
    pause: threading.Event,
    budget_s: float | None = None,
    python: str | None = None,
    threads: int = 0,
    again: bool = False,
    repetitions: int = 1,
    interleave: int = 1,
    others: Sequence[Device] = (),
) -> Steps[Any]:
    """The engine's sweep in a child process; results are stored before the next point starts.

    Repetitions that the project holds already count, unless all is to be measured `again`. `others` are
    devices that work beside the first, each with a sweep of its own.
    """
    from core.measure.sweeps.several_devices import sweep_on_all
    from core.measure.sweeps.sweep import sweep
    from core.samples.repetitions import repetitions_made

    made = repetitions_made(() if again else (m for m in project.measurements() if not m.failed))

    def start(points: Sequence[Point], device: Device) -> Any:
        return sweep(
            points,
            device=device,
            budget_s=budget_s,
            store=project.add_measurement,
            already=made,
            repetitions=repetitions,
            interleave=interleave,
            python=python,
            pause=pause,
            threads=threads,
        )

    if others:
        return (yield from sweep_on_all(points, (device, *others), start))
    return (yield from start(points, device))


def heldout_error(laws: Laws | None, device_key: str) -> float | None:
    """The error on left-out shapes of the device's law of the time per token."""
    if laws is None:
        return None
    fits = [f for f in laws.latency if f.device_key == device_key and f.metric == "tpot" and f.ok]
    known = [f for f in fits if f.heldout_error is not None]
    return max(known, key=lambda f: f.n).heldout_error if known else None


def _between(steps: Steps[Any], quiet: threading.Event) -> Steps[Any]:
    """The same steps, waiting after each result until the window has drawn it."""
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
