"""The one door between threads: long work runs off the GUI thread, its signals arrive on it.

Work is a generator ("Steps"): it yields `Progress` and results, returns its outcome, is closed to
cancel and raises to fail.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from core.records.progress import Progress, Steps

# a report of progress per frame would cost more than it is worth, and disturb what is being measured
PROGRESS_EVERY_S = 0.1
THREAD_NAME = "paretoscope job"


class Post(QObject):
    """Carries messages to the other thread. It has no parent, so it lives as long as the thread uses it."""

    posted = Signal(str, object)


class Job(QObject):
    """One run of Steps on a thread of its own.

    Signals arrive on the thread that made the job. `ended` is always the last one and always comes;
    after `cancel` it is the only one.
    """

    progressed = Signal(object)  # Progress, at most ten per second, and always the latest one
    yielded = Signal(object)  # every other value the work yields
    returned = Signal(object)
    failed = Signal(object)  # the exception
    ended = Signal(object)  # this job

    def __init__(self, work: Callable[[], Steps[Any]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._cancelled = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._post = Post()
        self._thread = threading.Thread(
            target=_run,
            args=(work, self._post, self._cancelled, self._running),
            name=THREAD_NAME,
            daemon=True,
        )
        # queued, so that what was posted before a cancel is dropped here
        self._post.posted.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Begin; may be called once."""
        self._thread.start()

    def cancel(self) -> None:
        """Close the work at its next step; from now on only `ended` arrives."""
        self._cancelled.set()
        self._running.set()

    def pause(self) -> None:
        """Hold the work before its next step."""
        self._running.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._running.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled.is_set()

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return not self._running.is_set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the thread has ended; False when it had not after the timeout."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @Slot(str, object)
    def _deliver(self, kind: str, value: object) -> None:
        if kind == "ended":
            self._thread.join()
            self.ended.emit(self)
        elif not self.cancelled:
            getattr(self, kind).emit(value)


def _run(
    work: Callable[[], Steps[Any]], post: Post, cancelled: threading.Event, running: threading.Event
) -> None:
    """The work of a job's thread, which knows the job only by its post."""
    try:
        _step_through(work(), post, cancelled, running)
    except BaseException as error:
        post.posted.emit("failed", error)
    post.posted.emit("ended", None)


def _step_through(
    steps: Steps[Any], post: Post, cancelled: threading.Event, running: threading.Event
) -> None:
    held: Progress | None = None
    last = -PROGRESS_EVERY_S
    while True:
        running.wait()
        if cancelled.is_set():
            steps.close()
            return
        try:
            value = next(steps)
        except StopIteration as stop:
            if held is not None:
                post.posted.emit("progressed", held)
            post.posted.emit("returned", stop.value)
            return
        if isinstance(value, Progress):
            held = value
            if time.monotonic() - last < PROGRESS_EVERY_S:
                continue
            last = time.monotonic()
        if held is not None:
            post.posted.emit("progressed", held)
            held = None
        if not isinstance(value, Progress):
            post.posted.emit("yielded", value)


class Lane(QObject):
    """Runs one job at a time. The newest job replaces the others, or waits its turn (`queue`)."""

    idle = Signal()

    def __init__(self, *, queue: bool = False, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self._waiting: deque[Job] = deque()
        self._job: Job | None = None

    @property
    def job(self) -> Job | None:
        """The job that runs, if any."""
        return self._job

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._job is not None

    def submit(self, job: Job) -> Job:
        """Run the job when its turn comes. A latest-wins lane cancels what runs and drops what waits."""
        job.setParent(self)
        job.ended.connect(self._on_ended)
        if not self._queue:
            self._drop_waiting()
            if self._job is not None:
                self._job.cancel()
        self._waiting.append(job)
        if self._job is None:
            self._start_next()
        return job

    def cancel(self) -> None:
        """Cancel what runs and drop what waits."""
        self._drop_waiting()
        if self._job is not None:
            self._job.cancel()

    def close(self, timeout_s: float = 30.0) -> bool:
        """Cancel everything and wait for the thread; False when it did not end in time."""
        self.cancel()
        return self._job is None or self._job.wait(timeout_s)

    def drain(self) -> None:
        """Run what is left to its end, blocking, without an event loop."""
        if self._job is not None:
            self._job.wait()
        while self._waiting:
            job = self._waiting.popleft()
            job.start()
            job.wait()

    def _drop_waiting(self) -> None:
        for job in self._waiting:
            job.cancel()
            job.ended.emit(job)
            job.deleteLater()
        self._waiting.clear()

    def _start_next(self) -> None:
        self._job = self._waiting.popleft() if self._waiting else None
        if self._job is None:
            self.idle.emit()
        else:
            self._job.start()

    @Slot(object)
    def _on_ended(self, job: Job) -> None:
        if job is self._job:
            job.deleteLater()
            self._start_next()
