"""One measurement or law as commands print it: lines of text and JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from core.measure.sweeps.real_model import RANDOM
from core.records.measurement import ENERGY_UNKNOWN, Measurement
from core.units import format_quantity, plus_minus

if TYPE_CHECKING:
    from core.fit.latency_fit import LatencyFit


def one_line(m: Measurement) -> str:
    """One measurement as a line of text."""
    from core.samples.statistics import estimate

    name = f"{m.model or m.architecture.label}, {m.runtime.label}, {m.workload.label}"
    if m.failed:
        return f"{name}: {', '.join(m.flags)} ({m.message})"
    parts = []
    for metric in ("ttft", "tpot"):
        e = estimate(m, metric)
        if e is not None:
            value = format_quantity(e.value, "s")
            parts.append(
                f"{metric.upper()} {value} {plus_minus(e.half_width, '(interval unknown)')}"
            )
    flags = f"  [{', '.join(m.flags)}]" if m.flags else ""
    return f"{name}: {', '.join(parts)}{flags}"


def described(m: Measurement) -> dict[str, Any]:
    """One measurement for JSON: values with intervals, flags, the ratio to the memory floor."""
    from core.samples.roofline import floor_ratio, launch_overhead_s
    from core.samples.statistics import PHASES, estimate

    metrics: dict[str, Any] = {}
    for metric in PHASES:
        e = estimate(m, metric)
        if e is not None:
            metrics[metric] = {
                "value": e.value,
                # one block has no interval
                "low": e.low if e.high < float("inf") else None,
                "high": e.high if e.high < float("inf") else None,
                "n": e.n,
            }
            for tail in ("p90", "p95", "p99"):
                t = estimate(m, metric, tail)
                if t is not None:
                    metrics[metric][tail] = t.value
    return {
        "id": m.id,
        "model": m.model,
        "shape": dataclasses.asdict(m.architecture),
        "params_total": int(m.architecture.params_total),
        "workload": dataclasses.asdict(m.workload),
        "runtime": dataclasses.asdict(m.runtime),
        "metrics": metrics,
        "floor_ratio": floor_ratio(m),
        "launch_overhead_s": launch_overhead_s(m),
        "memory_bytes": dict(m.memory_bytes),
        "energy": dict(m.energy) or None,
        "energy_unknown": m.environment.get(ENERGY_UNKNOWN),
        "flags": list(m.flags),
        "message": m.message,
        "stopped_by": m.environment.get("stopped_by"),
    }


def described_law(law: LatencyFit) -> dict[str, Any]:
    """One latency law for JSON; held-out numbers only where it could be fitted."""
    return {
        "metric": law.metric,
        "device_key": law.device_key,
        "runtime": dataclasses.asdict(law.runtime),
        "ok": law.ok,
        "n": law.n,
        "n_shapes": law.n_shapes,
        "terms": dict(law.terms),
        "heldout_error": law.heldout_error,
        "heldout": dict(law.heldout),
        "message": law.message,
    }


def measured_lines(found: Measurement) -> list[str]:
    """One line per timed metric with its interval, or the reason where the measurement failed."""
    from core.samples.statistics import estimate

    # the folder has this among its notes already
    notes = "; ".join(part for part in found.message.split("; ") if part and part != RANDOM)
    if found.failed:
        return [f"  no timing: {', '.join(found.flags)} ({notes})"]
    lines = []
    rows = (
        ("ttft", "first token", "s"),
        ("tpot", "per output token", "s"),
        ("itl", "between tokens", "s"),
        ("e2e", "whole answer", "s"),
        ("tokens_per_s", "tokens a second", "count"),
    )
    for metric, name, unit in rows:
        middle = estimate(found, metric)
        if middle is None:
            continue
        text = f"  {name:<17}{format_quantity(middle.value, unit):>10}"
        if not middle.half_width <= 1:
            text += "  (interval unknown)"
        else:
            low, high = (format_quantity(v, unit) for v in (middle.low, middle.high))
            text += f"  (95 %: {low} to {high})"
        tail = estimate(found, metric, "p95")
        if tail is not None:
            text += f", p95 {format_quantity(tail.value, unit)}"
        lines.append(text)
    sizes = (
        ("weights", "weights"),
        ("peak_allocated", "peak memory"),
        ("process", "process memory"),
    )
    for key, name in sizes:
        if found.memory_bytes.get(key):
            lines.append(f"  {name:<17}{format_quantity(found.memory_bytes[key], 'B'):>10}")
    if why := found.environment.get(ENERGY_UNKNOWN):
        lines.append(f"  energy is unknown: {why}")
    if found.flags:
        lines.append(f"  flags: {', '.join(found.flags)}")
    if notes:
        lines.append(f"  {notes}")
    return lines


def quality_lines(found: Measurement) -> list[str]:
    """Loss and bits per byte with their intervals and the text they were measured on."""
    quality = found.quality
    if not quality:
        return []
    lines = []
    kind = "_disjoint" if "loss_disjoint" in found.quality else ""
    of_kind = {f"loss{kind}": "loss, nats/token", f"bits_per_byte{kind}": "bits per byte"}
    for key, name in of_kind.items():
        text = f"  {name:<17}{quality[key]:>10.4f}"
        if f"{key}_low" in quality:
            text += f"  (95 %: {quality[f'{key}_low']:.4f} to {quality[f'{key}_high']:.4f})"
        lines.append(text)
    lines.append(
        f"  on {quality['tokens']:,.0f} tokens of {found.environment['text']}, windows of "
        f"{quality['context']:.0f} every {quality['stride']:.0f}"
    )
    if f"loss{kind}_low" not in quality:
        lines.append("  the text is too short for an interval (it fills fewer than eight windows)")
    return lines
