"""What a device reads in a second, as far as all that was measured on it shows.

A probe made while something else reads too finds less than there is, and would pass for good. So the best
of all probes counts, and a model that was read faster than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from core.records.measurement import Measurement
from core.samples.statistics import estimate

# what a step reads beyond this comes from memory; less may lie in a cache, which is faster
CACHED_BYTES = 1 << 29


def with_best_bandwidth(measurements: tuple[Measurement, ...]) -> tuple[Measurement, ...]:
    """The measurements, each with the best bandwidth known of its device with its threads.

    One whose bandwidth was not probed stays without. Those that have the best, and the whole where all
    have it, stay the same objects.
    """
    best = best_bandwidths(measurements)
    changed = False
    found = []
    for m in measurements:
        known = m.device.bandwidth_bytes_per_s
        if known and best[_who(m)] > known:
            changed = True
            m = replace(m, device=replace(m.device, bandwidth_bytes_per_s=best[_who(m)]))
        found.append(m)
    return tuple(found) if changed else measurements


def best_bandwidths(measurements: Iterable[Measurement]) -> dict[Any, float]:
    """Bytes a second by device and threads."""
    best: dict[Any, float] = {}
    for m in measurements:
        probed = m.device.bandwidth_bytes_per_s
        if probed:
            best[_who(m)] = max(best.get(_who(m), 0.0), probed, _read_per_s(m))
    return best


def _who(m: Measurement) -> tuple[Any, ...]:
    # few threads do not read all that a processor can
    return m.device.key, m.environment.get("threads") if m.device.kind == "cpu" else None


def _read_per_s(m: Measurement) -> float:
    """What its decode steps read in a second; 0 where that may have come from a cache, or elsewhere."""
    if m.failed or m.runtime.served:
        return 0.0
    work, runtime = m.workload, m.runtime
    read = m.architecture.decode_bytes(
        work.mean_context, work.batch, runtime.weight_bytes, runtime.cache_bytes
    )
    if read < CACHED_BYTES:
        return 0.0
    tpot = estimate(m, "tpot")
    return float(read) / tpot.value if tpot is not None and tpot.value > 0 else 0.0
