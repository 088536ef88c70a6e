"""Several devices of one machine at once: each has an ordinary sweep in a thread of its own.

Devices that are alike share the points, so that all repetitions of a point are on one of them; unlike ones
each measure every point. Results stream in as they come. For GPUs: two sweeps on one processor would
time each other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from core.measure.process.session import device_name
from core.measure.sweeps.sweep import Swept
from core.records.measurement import Device, Point
from core.records.progress import Progress, Steps

LOOK_S = 0.2


@dataclass(slots=True)
class _DeviceSweep:
    """One device, its points, and how far it is."""

    device: Device
    points: tuple[Point, ...]
    progress: Progress | None = None
    swept: Swept | None = None
    error: BaseException | None = None

    @property
    def over(self) -> bool:
        return self.swept is not None or self.error is not None


def shares(points: Sequence[Point], devices: Sequence[Device]) -> list[tuple[Point, ...]]:
    """The points of each device: those of alike devices are dealt out in turn, heaviest first.

    Dealing by weight keeps sweeps about equally long; the sweep shuffles each share again.
    """
    from core.measure.backends.registry import needed_bytes

    dealt = sorted(points, key=lambda p: -needed_bytes(p)["total"])
    found = []
    for i, device in enumerate(devices):
        alike = [j for j, other in enumerate(devices) if other.key == device.key]
        found.append(tuple(dealt[alike.index(i) :: len(alike)]))
    return found


def sweep_on_all(
    points: Sequence[Point],
    devices: Sequence[Device],
    start: Callable[[Sequence[Point], Device], Iterator[Any]],
) -> Steps[Swept]:
    """Steps: `start` a sweep for each device and follow them together; returns what they came to.

    A sweep that fails leaves the others to their work; its error is raised when they are through.
    Closing ends every sweep, and with it its measuring process.
    """
    news: SimpleQueue[tuple[_DeviceSweep, Any]] = SimpleQueue()
    over = threading.Event()
    sweeps = [
        _DeviceSweep(device, share)
        for device, share in zip(devices, shares(points, devices), strict=True)
        if share
    ]

    def run(each: _DeviceSweep) -> None:
        steps: Any = start(each.points, each.device)
        try:
            while not over.is_set():
                news.put((each, next(steps)))
        except StopIteration as end:
            news.put((each, end.value))
        except BaseException as error:
            news.put((each, error))
        finally:
            steps.close()

    threads = [threading.Thread(target=run, args=(each,), daemon=True) for each in sweeps]
    for thread in threads:
        thread.start()
    try:
        while not all(each.over for each in sweeps):
            try:
                each, step = news.get(timeout=LOOK_S)
            except Empty:
                continue
            if isinstance(step, BaseException):
                each.error = step
            elif isinstance(step, Swept):
                each.swept = step
            elif isinstance(step, Progress):
                each.progress = step
                yield _progress(sweeps)
            else:
                yield step
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for each in sweeps:
        if each.error is not None:
            raise each.error
    return _sum([each.swept for each in sweeps if each.swept is not None])


def _progress(sweeps: Sequence[_DeviceSweep]) -> Progress:
    """All sweeps in one line."""
    known = [each.progress for each in sweeps if each.progress is not None]
    doing = [
        f"{device_name(each.device)}: {each.progress.text}"
        for each in sweeps
        if each.progress is not None and each.progress.text and not each.over
    ]
    left = [p.seconds_left for p in known if p.seconds_left is not None]
    return Progress(
        sum(p.done for p in known),
        sum(p.total for p in known),
        "; ".join(doing),
        max(left) if len(left) == len(sweeps) else None,
    )


def _sum(swept: Sequence[Swept]) -> Swept:
    return Swept(
        sum(s.measured for s in swept),
        sum(s.skipped for s in swept),
        sum(s.left for s in swept),
        next((s.device for s in swept), None),
        max((s.seconds for s in swept), default=0.0),
    )
