"""The memory floor of a measurement: the bytes a step must read over the measured bandwidth."""

from __future__ import annotations

from core.records.measurement import Measurement
from core.records.metrics import launch_overhead
from core.samples.statistics import estimate, median_of


def floor_s(measurement: Measurement) -> float | None:
    """Seconds in which the device could read all that a decode step reads, at the average context.

    Weights once and the cache of every sequence, at the read bandwidth measured on this device; None
    where that was not measured. A model that fits into a cache may be faster than this.
    """
    bandwidth = measurement.device.bandwidth_bytes_per_s
    if not bandwidth:
        return None
    work, runtime = measurement.workload, measurement.runtime
    read = measurement.architecture.decode_bytes(
        work.mean_context, work.batch, runtime.weight_bytes, runtime.cache_bytes
    )
    return float(read / bandwidth)


def floor_ratio(measurement: Measurement) -> float | None:
    """Measured time per token over the floor; 1 means full bandwidth. None where unknown."""
    floor, tpot = floor_s(measurement), estimate(measurement, "tpot")
    return None if floor is None or tpot is None else tpot.value / floor


def launch_overhead_s(measurement: Measurement) -> float | None:
    """Wall time per token in which no kernel ran, in seconds; None where kernels were not counted."""
    found = launch_overhead(measurement, median_of(measurement))
    return None if found is None else found.value
