"""Records as plain dictionaries and back: for the project file, the child process and exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement
from core.records.training_runs import TrainingRuns


def architecture_to_dict(architecture: Architecture) -> dict[str, Any]:
    """All fields by name."""
    return asdict(architecture)


def architecture_from_dict(data: Mapping[str, Any]) -> Architecture:
    """The shape of `architecture_to_dict`; unknown keys are refused by name."""
    known = {f.name for f in fields(Architecture)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise ValueError(f"a shape has no field '{unknown[0]}'")
    return Architecture(**data)


def measurement_to_dict(measurement: Measurement) -> dict[str, Any]:
    """Everything but the row number, in values JSON can hold."""
    return {
        "architecture": asdict(measurement.architecture),
        "workload": asdict(measurement.workload),
        "runtime": asdict(measurement.runtime),
        "device": device_to_dict(measurement.device),
        "samples": {k: [list(block) for block in v] for k, v in measurement.samples.items()},
        "memory_bytes": dict(measurement.memory_bytes),
        "energy": dict(measurement.energy),
        "quality": dict(measurement.quality),
        "flags": list(measurement.flags),
        "message": measurement.message,
        "environment": dict(measurement.environment),
        "started_at": measurement.started_at,
        "model": measurement.model,
        "source": measurement.source,
    }


def measurement_from_dict(data: Mapping[str, Any], row: int = 0) -> Measurement:
    """The measurement of `measurement_to_dict`."""
    return Measurement(
        architecture=architecture_from_dict(data["architecture"]),
        workload=Workload(**data["workload"]),
        runtime=Runtime(**data["runtime"]),
        device=device_from_dict(data["device"]),
        samples={k: tuple(tuple(b) for b in v) for k, v in data["samples"].items()},
        memory_bytes=dict(data["memory_bytes"]),
        energy=dict(data["energy"]),
        quality=dict(data.get("quality", {})),
        flags=tuple(data["flags"]),
        message=data["message"],
        environment=dict(data["environment"]),
        started_at=data["started_at"],
        model=data["model"],
        source=data["source"],
        id=row,
    )


def device_to_dict(device: Device) -> dict[str, Any]:
    """All fields by name."""
    return {
        "kind": device.kind,
        "name": device.name,
        "memory_bytes": device.memory_bytes,
        "index": device.index,
        "host": device.host,
        "bandwidth_bytes_per_s": device.bandwidth_bytes_per_s,
        "peak_flops_per_s": dict(device.peak_flops_per_s),
    }


def device_from_dict(data: Mapping[str, Any]) -> Device:
    """The device of `device_to_dict`."""
    return Device(**{**data, "peak_flops_per_s": dict(data["peak_flops_per_s"])})


def runs_to_dict(runs: TrainingRuns) -> dict[str, Any]:
    """A suite of runs; NaN becomes None."""
    return {
        "suite": runs.suite,
        "names": list(runs.names),
        "columns": {
            k: [float(x) if np.isfinite(x) else None for x in v] for k, v in runs.columns.items()
        },
        "labels": {k: list(v) for k, v in runs.labels.items()},
        "loss_meaning": runs.loss_meaning,
        "loss_unit": runs.loss_unit,
        "source": runs.source,
        "licence": runs.licence,
    }


def runs_from_dict(data: Mapping[str, Any]) -> TrainingRuns:
    """The suite of `runs_to_dict`."""
    columns = {
        k: np.array([np.nan if x is None else x for x in v], np.float64)
        for k, v in data["columns"].items()
    }
    labels = {k: tuple(v) for k, v in data["labels"].items()}
    return TrainingRuns(
        data["suite"],
        tuple(data["names"]),
        columns,
        labels,
        data["loss_meaning"],
        data["loss_unit"],
        data["source"],
        data["licence"],
    )
