"""A measurement in lines of text; a value that is unknown is reported as unknown."""

from __future__ import annotations

from core.records.measurement import ENERGY_UNKNOWN, Measurement
from core.records.metric import Metric
from core.records.metrics import METRICS
from core.samples.roofline import floor_ratio, floor_s, launch_overhead_s
from core.samples.statistics import estimate
from core.units import format_quantity, plus_minus

MEMORY = {
    "weights": "weights", "cache": "cache", "peak_allocated": "most allocated",
    "peak_reserved": "most reserved", "process": "the process", "device_used": "the device",
}  # fmt: skip


def summary_lines(m: Measurement) -> tuple[str, ...]:
    """Lines on times with their 95 % intervals, repetitions, the memory floor, launch overhead, memory
    by part and energy; none for a failed measurement."""
    if m.failed:
        return ()
    lines = [line for row in METRICS.values() if row.phase and (line := _time(m, row))]
    rest = (_repetitions(m), _floor(m), _launching(m), _memory(m), _energy(m))
    return tuple(line for line in (*lines, *rest) if line)


def _time(m: Measurement, metric: Metric) -> str:
    found = estimate(m, metric.phase)
    if found is None:
        return ""
    sure = plus_minus(found.half_width)
    sure = f" {sure} (95 %)" if sure[0] == "±" else f", {sure}"
    return f"{metric.label}: {metric.format(found.value)}{sure}"


def _repetitions(m: Measurement) -> str:
    repetitions, others = m.timing.repetitions, m.timing.interleaved_with
    if repetitions == 1 and not others:
        return ""
    often = "once" if repetitions == 1 else f"{repetitions} times"
    beside = f", interleaved with {others} others" if others else ""
    return f"Measured {often}{beside}" + (" and corrected for drift" if beside else "")


def _floor(m: Measurement) -> str:
    ratio, floor = floor_ratio(m), floor_s(m)
    if ratio is None or floor is None or not m.device.bandwidth_bytes_per_s:
        return "Memory floor: unknown, the read bandwidth was not measured"
    speed = format_quantity(m.device.bandwidth_bytes_per_s, "B")
    return (
        f"Memory floor: {ratio:.2f} times the {format_quantity(floor, 's')} that reading weights and"
        f" cache takes at {speed}/s"
    )


def _launching(m: Measurement) -> str:
    overhead = launch_overhead_s(m)
    if overhead is None:
        return "Launch overhead: unknown, kernels are counted on GPUs only"
    return f"Launch overhead: {format_quantity(overhead, 's')} per token in which nothing ran"


def _memory(m: Measurement) -> str:
    parts = [
        f"{words} {format_quantity(m.memory_bytes[key], 'B')}"
        for key, words in MEMORY.items()
        if m.memory_bytes.get(key)
    ]
    return f"Memory: {', '.join(parts) if parts else 'unknown'}"


def _energy(m: Measurement) -> str:
    joules, idle = m.energy.get("joules_per_token"), m.energy.get("idle_watts")
    if joules is None:
        why = m.environment.get(ENERGY_UNKNOWN)
        return f"Energy: unknown, {why}" if why else "Energy: not measured"
    apart = f"; {format_quantity(idle, 'W')} when idle, not subtracted" if idle is not None else ""
    return f"Energy: {format_quantity(joules, 'J')} per token{apart}"
