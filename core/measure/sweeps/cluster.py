"""Sweeps on several machines through Dask: one slot per device, results streaming into one project.

Dask brings the scheduler, the workers and their launchers (`pip install 'paretoscope[cluster]'`);
this decides only which point goes to which slot, and what to do when a worker is lost. Workers need
this package and one thread each (`dask worker --nthreads 1 SCHEDULER`), one worker for each GPU.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import Unusable
from core.measure.timing.protocol import Settings
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress, Steps
from core.records.serial import from_plain, measurement_from_dict, measurement_to_dict, to_plain

ATTEMPTS = 3  # workers a point may take down with it before it is given up
POLL_S = 0.2
ASK_S = 120.0
WAIT_S = 60.0  # for a first worker
# what this keeps on a Dask worker
SESSION = "_paretoscope_session"
DEVICES = "_paretoscope_devices"


# one device of one machine: alike ones have one key, but are not one
Place = tuple[str, str, int]


def place_of(device: Device) -> Place:
    """Which device it is: its key, host and index."""
    return device.key, device.host, device.index


@dataclass(frozen=True, slots=True)
class ClusterSwept:
    """How a sweep on a cluster ended; `by_lane` counts results by 'host device'."""

    measured: int
    skipped: int
    left: int
    retried: int
    lost_workers: int
    by_lane: dict[str, int]
    seconds: float


@dataclass(slots=True)
class _Slot:
    """One worker with the device it measures on and what it is doing."""

    worker: str
    device_name: str
    device: Device | None = None
    future: Any = None
    point: Point | None = None
    results: int = 0

    @property
    def label(self) -> str:
        host = self.device.host if self.device else self.worker
        return f"{host} {self.device_name}"


@dataclass(slots=True)
class _Task:
    point: Point
    lost: list[str] = field(default_factory=list)  # workers that died with it


def cluster_sweep(
    points: Sequence[Point],
    *,
    client: Any,
    store: Callable[[Measurement], Measurement],
    already: Collection[Any] = frozenset(),
    device: str = "auto",
    budget_s: float | None = None,
    settings: Settings | None = None,
    threads: int = 0,
    per_host: int | None = None,
    probe: bool = True,
    wait_s: float = WAIT_S,
    place: Callable[[Point], Place | None] = lambda _: None,
) -> Steps[ClusterSwept]:
    """Steps: measure each point once, on whichever slot is free; yields Progress and stored results.

    `device` is 'auto' (a worker for each GPU of a host, else one for its CPU), 'cpu' or 'cuda';
    `per_host` limits the slots of one host (default: its GPUs, or 1). A point whose worker dies is
    given to another slot, at most three times, then flagged 'crashed'. Points whose key is in
    `already` on a device of the cluster are skipped. `place` may give the device that a point is
    to be measured on (`place_of`), which is kept to while a slot has it. Workers may come and go
    meanwhile. Raises Unusable when no usable worker appears within `wait_s`.
    """
    begun = time.monotonic()
    options = {
        "settings": to_plain(settings or Settings()),
        "threads": threads,
        "probe": probe,
    }
    queue = deque(_Task(p) for p in dict.fromkeys(points))
    total = len(queue)
    known = set(already)
    slots: dict[str, _Slot] = {}
    seen: dict[str, list[Device]] = {}  # devices of each worker that was asked
    tasks: dict[str, _Task] = {}  # by worker
    counts: Counter[str] = Counter()
    measured = skipped = retried = lost = 0
    alone_since = begun
    refusals: dict[str, str] = {}  # why a worker cannot measure
    try:
        while queue or tasks:
            now = time.monotonic()
            alive = set(client.scheduler_info(n_workers=-1)["workers"])
            for worker in sorted(set(slots) - alive):
                slot = slots.pop(worker)
                lost += 1
                task = tasks.pop(worker, None)
                if task is None:
                    continue
                # forgotten here, so that a late answer of a worker cut off is never stored
                slot.future.cancel()
                task.lost.append(worker)
                if len(task.lost) < ATTEMPTS:
                    retried += 1
                    queue.appendleft(task)
                    continue
                result = _given_up(task, slot)
                measured += 1
                yield store(result)
            if queue:
                _open_slots(client, slots, seen, refusals, alive, device, per_host)
            refused = next((refusals[w] for w in sorted(alive) if w in refusals), "")
            # a queue is waited for, but not when what comes out of it cannot measure
            patience = min(wait_s, WAIT_S) if refused else wait_s
            if slots:
                alone_since = now
            elif now - alone_since > patience:
                raise Unusable(refused or f"no Dask worker came within {wait_s:g} s; start one")
            over = budget_s is not None and now - begun >= budget_s
            for slot in slots.values():
                if over or slot.future is not None:
                    continue
                skipped += _drop_known(queue, slots, known)
                task = _next_for(queue, slot, slots, place)
                if task is None:
                    continue
                tasks[slot.worker] = task
                slot.point = task.point
                slot.future = client.submit(
                    _measure_there,
                    to_plain(task.point),
                    slot.device_name,
                    options,
                    workers=[slot.worker],
                    pure=False,
                    retries=0,
                )
            if over and not tasks:
                break
            for slot in [one for one in slots.values() if one.future is not None]:
                if not slot.future.done() or slot.worker not in alive:
                    continue
                task = tasks.pop(slot.worker)
                if slot.future.status != "finished":
                    # lost or cancelled by the scheduler: the next look at the workers shows which
                    reason = slot.future.exception() if slot.future.status == "error" else None
                    task.lost.append(slot.worker)
                    slot.future = None
                    if len(task.lost) < ATTEMPTS:
                        retried += 1
                        queue.appendleft(task)
                        continue
                    result = _given_up(task, slot, reason)
                else:
                    result = measurement_from_dict(slot.future.result())
                    slot.future = None
                slot.device = result.device
                slot.results += 1
                counts[slot.label] += 1
                known.add(task.point.key(result.device))
                measured += 1
                yield store(result)
            yield _progress(measured, total - skipped, tasks, slots, begun, refused)
            if tasks or queue:
                time.sleep(POLL_S)
        seconds = time.monotonic() - begun
        return ClusterSwept(measured, skipped, len(queue), retried, lost, dict(counts), seconds)
    finally:
        for slot in slots.values():
            if slot.future is not None:
                slot.future.cancel()
        # measuring processes must not outlive the sweep that asked for them
        with suppress(Exception):
            client.run(_end_session, workers=list(slots), wait=True, on_error="ignore")


def _open_slots(
    client: Any,
    slots: dict[str, _Slot],
    seen: dict[str, list[Device]],
    refusals: dict[str, str],
    alive: set[str],
    device: str,
    per_host: int | None,
) -> None:
    """Give each new worker a device of its host that no other worker has; who cannot measure is
    noted with the reason, and not asked again."""
    for worker in sorted(alive - set(slots) - set(refusals)):
        host = worker.rpartition(":")[0]
        here = [one.device_name for one in slots.values() if one.worker.rpartition(":")[0] == host]
        if worker not in seen:
            # as a task, not on the worker's event loop: it starts a process and waits for it
            asked = client.submit(_devices_there, workers=[worker], pure=False, retries=0)
            try:
                seen[worker] = [from_plain(Device, d) for d in asked.result(timeout=ASK_S)]
            except Exception as error:
                # any failure of the other machine's Python arrives here as it was raised there
                refusals[worker] = f"the worker {worker} cannot measure: {error}"
                continue
        found = seen[worker]
        gpus = [f"cuda:{d.index}" for d in found if d.kind == "cuda"]
        if device == "cuda" and not gpus:
            refusals[worker] = f"the worker {worker} sees no GPU"
            continue
        names = gpus if gpus and device != "cpu" else ["cpu"]
        limit = per_host if per_host is not None else len(names)
        if len(here) >= limit:
            continue
        # more slots than devices only where per_host asks for it
        name = min(names, key=here.count)
        slots[worker] = _Slot(worker, name)
        mine = next((d for d in found if f"{d.kind}:{d.index}" == name or d.kind == name), None)
        slots[worker].device = mine


def _drop_known(queue: deque[_Task], slots: dict[str, _Slot], known: set[Any]) -> int:
    """Take out of the queue what is known on a device of the cluster; how many."""
    devices = [one.device for one in slots.values() if one.device is not None]
    kept = [t for t in queue if not any(t.point.key(d) in known for d in devices)]
    dropped = len(queue) - len(kept)
    if dropped:
        queue.clear()
        queue.extend(kept)
    return dropped


def _next_for(
    queue: deque[_Task],
    slot: _Slot,
    slots: dict[str, _Slot],
    place: Callable[[Point], Place | None],
) -> _Task | None:
    """The first point whose place this is, or is nowhere, and that did not take this worker down
    before, or any that did when there is no other worker."""
    here = place_of(slot.device) if slot.device else None
    there = {place_of(one.device) for one in slots.values() if one.device}
    for task in queue:
        wanted = place(task.point)
        if wanted in there and wanted != here:
            continue
        if slot.worker not in task.lost or set(slots) <= set(task.lost):
            queue.remove(task)
            return task
    return None


def _given_up(task: _Task, slot: _Slot, reason: BaseException | None = None) -> Measurement:
    device = slot.device or Device("cpu", "a worker that was lost", 0, host=slot.worker)
    why = f" ({' '.join(str(reason).split())[:200]})" if reason else ""
    point = task.point
    return Measurement(
        point.architecture,
        point.workload,
        point.runtime,
        device,
        {},
        flags=("crashed",),
        message=f"{len(task.lost)} workers were lost while measuring it{why}",
        model=point.model,
    )


def _progress(
    measured: int,
    total: int,
    tasks: dict[str, _Task],
    slots: dict[str, _Slot],
    begun: float,
    refused: str,
) -> Progress:
    doing = ", ".join(f"{slots[w].label}: {t.point.label}" for w, t in tasks.items())
    left = (time.monotonic() - begun) / measured * (total - measured) if measured else None
    waiting = f"{len(slots)} workers" if slots else refused or "waiting for a worker"
    return Progress(measured, total, doing or waiting, left)


# --- what runs in a Dask worker --------------------------------------------------------------------


def _devices_there() -> list[dict[str, Any]]:
    """The devices of the worker's machine, named with its host; found once in a worker's life."""
    import socket

    from distributed import get_worker

    from core.measure.process.session import find_devices

    worker = get_worker()
    if not hasattr(worker, DEVICES):
        found = [replace(d, host=socket.gethostname()) for d in find_devices()]
        setattr(worker, DEVICES, [to_plain(d) for d in found])
    answer: list[dict[str, Any]] = getattr(worker, DEVICES)
    return answer


def _measure_there(point: dict[str, Any], device: str, options: dict[str, Any]) -> dict[str, Any]:
    """Measure one point in the worker's own measuring process, which it keeps for the next."""
    import socket

    from distributed import get_worker

    from core.measure.process.session import Session

    worker = get_worker()
    session = getattr(worker, SESSION, None)
    if session is None:
        settings = from_plain(Settings, options["settings"])
        session = Session(device, settings, threads=options["threads"], probe=options["probe"])
        setattr(worker, SESSION, session)
    steps = session.measure(from_plain(Point, point))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Measurement = end.value
            host = socket.gethostname()
            named = replace(found, device=replace(found.device, host=host))
            return measurement_to_dict(named)


def _end_session(dask_worker: Any) -> None:
    """Stop the measuring process of a worker."""
    session = getattr(dask_worker, SESSION, None)
    if session is not None:
        setattr(dask_worker, SESSION, None)
        session.close()
