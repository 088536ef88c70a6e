"""Every backend there is, one line each, and what is asked of them by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from typing import Any

from core.errors import Unsupported, Unusable
from core.measure.backends import onnx_backend, served, torch_backend, transformers_backend
from core.measure.backends.backend import Backend, BenchContext, Runner
from core.records.measurement import Point

BACKENDS: dict[str, Backend] = {
    row.name: row
    for row in (
        torch_backend.EAGER,
        torch_backend.GRAPH,
        torch_backend.COMPILE,
        transformers_backend.BACKEND,
        onnx_backend.BACKEND,
        served.BACKEND,
    )
}


def backend_of(point: Point) -> Backend:
    """The backend of a point. Raises Unusable, naming those there are, for an unknown one."""
    check_names([point.runtime.execution])
    return BACKENDS[point.runtime.execution]


def check_names(names: Iterable[Any]) -> None:
    """Raises Unusable for the first name that no backend has."""
    for name in names:
        if name not in BACKENDS:
            raise Unusable(f"execution must be one of {', '.join(BACKENDS)}, not {name!r}")


def sweepable() -> tuple[str, ...]:
    """Names of the backends that a sweep can start."""
    return tuple(name for name, row in BACKENDS.items() if row.start is not None)


def for_folders() -> tuple[Backend, ...]:
    """The backends that run model folders, those that run any of them first."""
    rows = (row for row in BACKENDS.values() if row.folders)
    return tuple(sorted(rows, key=lambda row: row.folders != "any"))


def needed_bytes(point: Point) -> dict[str, int]:
    """Predicted bytes by part ('weights', 'cache', 'work', 'total'), as its backend needs them."""
    return backend_of(point).memory(point)


def refusal(point: Point, kind: str) -> str:
    """Why a point cannot run on a kind of device ('cpu' or 'cuda'); '' where nothing is known."""
    row, runtime = backend_of(point), point.runtime
    if row.start is None:
        return f"{row.label} is not started by a sweep; it is measured through its address"
    if kind not in row.devices:
        return f"{row.label} needs {' or '.join(_DEVICES.get(d, d) for d in row.devices)}"
    if runtime.weights not in row.weights:
        return f"{row.label} runs weights in {', '.join(row.weights)}, not {runtime.weights}"
    if runtime.cache not in row.caches:
        offered = ", ".join(row.caches)
        return f"{row.label} offers no {runtime.cache} cache; use {offered}"
    if point.folder and not row.folders:
        names = " or ".join(f"'{other.name}'" for other in for_folders())
        return f"{row.label} runs no model folders; measure it with {names}"
    return ""


_DEVICES = {"cpu": "a CPU", "cuda": "a CUDA device"}


def start_runner(point: Point, context: BenchContext, shared: Any = None) -> Runner:
    """The point loaded by its backend; raises Unsupported with the reason where it cannot run.

    Runs in the measuring process. `shared` is what `Backend.shared` made for a point of this shape.
    """
    row = backend_of(point)
    reason = refusal(point, context.device.kind)
    if reason or row.start is None:
        raise Unsupported(reason)
    for name in row.needs:
        if importlib.util.find_spec(name) is None:
            raise Unsupported(f"{name} is not installed; pip install 'paretoscope[{row.extra}]'")
    return row.start(point, context, shared)
