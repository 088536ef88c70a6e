"""What a point is called, and the form in which it travels to the measuring process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Point
from core.records.serial import architecture_from_dict


def model_name(point: Point) -> str:
    """Name of the real model, or '' for a design with random weights."""
    return Path(point.folder).name if point.folder else ""


def point_label(point: Point) -> str:
    """E.g. '24x768, eager, fp32, batch 1, 128 in, 256 out'."""
    name = model_name(point) or point.architecture.label
    return f"{name}, {point.runtime.label}, {point.workload.label}"


def point_key(point: Point, device: Device) -> tuple[Any, ...]:
    """The `key` its measurement on a device will have."""
    return (model_name(point), point.architecture, point.workload, point.runtime, device.key)


def point_to_dict(point: Point) -> dict[str, Any]:
    """All fields, in values JSON can hold."""
    return asdict(point)


def point_from_dict(data: Mapping[str, Any]) -> Point:
    """The point of `point_to_dict`."""
    return Point(
        architecture_from_dict(data["architecture"]),
        Workload(**data["workload"]),
        Runtime(**data["runtime"]),
        data["folder"],
    )
