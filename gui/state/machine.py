"""Finding what this machine can measure on, without ever importing torch into the window."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.records.measurement import Device
from core.records.progress import Steps
from gui.state.job import Job
from gui.state.store import Store

MAKERS_WORDS = re.compile(r"\((R|TM)\)|\b(Processor|CPU)\b|@ [0-9.]+ ?GHz")


def find_processor(store: Store) -> Job:
    """Put the CPU into the store; finding it needs no measuring process."""

    def work() -> Steps[Any]:
        from core.measure.timing.devices import cpu_device

        yield from ()
        return (cpu_device(),)

    return _found(store, store.background(work, lane="devices"))


def find_devices(store: Store, python: str = "") -> Job:
    """Find all devices in a measuring process (of another Python, if one is named); takes seconds.

    The job yields one line on why no GPU is among them (empty for none) before it returns.
    """

    def work() -> Steps[Any]:
        from core.measure.process.session import ask_devices

        found, problem = ask_devices(python or None)
        yield problem
        return found

    return _found(store, store.background(work, lane="devices"))


def _found(store: Store, job: Job) -> Job:
    def take(found: tuple[Device, ...]) -> None:
        # what an earlier, wider search found stays when only the CPU is found now
        every = (*store.state.devices, *found)
        known = {(device.key, device.index, device.host): device for device in every}
        store.set_devices(tuple(known.values()))

    job.returned.connect(take)
    return job


def device_text(device: Device, among: Sequence[Device] = ()) -> str:
    """A device as text, e.g. 'NVIDIA H200, 140 GB'; numbered where there are several alike."""
    alike = sum(other.key == device.key for other in among) > 1
    number = f" (number {device.index})" if alike else ""
    return f"{short_name(device)}{number}, {device.memory_bytes / 1e9:.0f} GB"


def alike_gpus(devices: Sequence[Device]) -> tuple[tuple[Device, ...], ...]:
    """Groups of two and more GPUs of one kind, which can share a sweep."""
    groups: dict[str, list[Device]] = {}
    for device in devices:
        if device.kind != "cpu":
            groups.setdefault(device.key, []).append(device)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def short_name(device: Device) -> str:
    """A device's name without the decoration of its maker, e.g. 'Intel Xeon (2 cores)'."""
    return " ".join(MAKERS_WORDS.sub("", device.name).split())
