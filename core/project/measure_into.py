"""Sweeps into a project: what it holds already counts, and each result is stored as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from core.project.project import Project
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Steps
from core.samples.repetitions import repetitions_made

if TYPE_CHECKING:
    from core.measure.sweeps.adaptive import Adapted
    from core.measure.sweeps.sweep import Swept

Start = Callable[[Iterable[Point], Device | str], "Steps[Swept]"]


def sweep_into(
    project: Project,
    points: Sequence[Point],
    device: Device | str,
    *,
    others: Sequence[Device] = (),
    again: bool = False,
    retry_failed: bool = False,
    **how: Any,
) -> Steps[Swept]:
    """Steps: the points measured in a child process, each result stored before the next point starts.

    Repetitions that the project holds count, unless all is to be measured `again`; with
    `retry_failed` what failed for good is tried once more. `others` are devices that work beside the
    first, each with a sweep of its own. `how` is what `core.measure.sweeps.sweep.sweep` takes beside
    that: budget_s, python, pause, repetitions, interleave, threads, energy_s, seed.
    """
    from core.measure.sweeps.several_devices import sweep_on_all

    start = _starter(project, _known(project, again, retry_failed), how)
    if not others:
        return (yield from start(points, device))
    if isinstance(device, str):
        raise ValueError("several devices are given as they were found, not by name")
    return (yield from sweep_on_all(points, (device, *others), start))


def adapt_into(
    project: Project,
    points: Sequence[Point],
    device: Device,
    *,
    target_error: float,
    budget_s: float | None = None,
    again: bool = False,
    interleave: int = 1,
    **how: Any,
) -> Steps[Adapted]:
    """Steps: the points that teach most measured, until the laws' held-out error is below the target.

    What the project holds of this device is used and not repeated. The rest is as in `sweep_into`.
    """
    from core.measure.sweeps.adaptive import BATCH, adaptive

    known = _known(project, again, False)
    start = _starter(project, known, {**how, "budget_s": budget_s, "interleave": interleave})
    return adaptive(
        points,
        lambda some: start(some, device),
        measured=[m for m in known if m.device.key == device.key],
        target_error=target_error,
        budget_s=budget_s or float("inf"),
        batch=max(BATCH, interleave),
    )


def _known(project: Project, again: bool, retry_failed: bool) -> tuple[Measurement, ...]:
    """The measurements of the project that count."""
    if again:
        return ()
    return tuple(m for m in project.measurements() if not (retry_failed and m.failed))


def _starter(project: Project, known: Sequence[Measurement], how: dict[str, Any]) -> Start:
    """What begins a sweep of some points on a device."""
    from core.measure.sweeps.sweep import sweep

    made = repetitions_made(known)

    def start(points: Iterable[Point], device: Device | str) -> Steps[Swept]:
        return sweep(points, device=device, store=project.put_measurement, already=made, **how)

    return start
