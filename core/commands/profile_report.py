"""The output of `profile` when the sweep has ended: a table, the laws, and one JSON object."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.commands.measured import described, described_law
from core.records.measurement import Device, Measurement
from core.units import format_quantity, plus_minus

if TYPE_CHECKING:
    from core.fit.latency_fit import LatencyFit
    from core.project.project import Project


def report(
    options: argparse.Namespace,
    found: Sequence[Measurement],
    project: Project,
    ending: dict[str, Any],
) -> tuple[str, dict[str, Any]]:
    """The text and the JSON object of a finished sweep."""
    from core.fit.latency import fit_latency
    from core.records.serial import to_plain
    from core.samples.bandwidth import with_best_bandwidth

    stored = with_best_bandwidth(project.measurements())
    rows = {m.id: m for m in stored}
    found = [rows.get(m.id, m) for m in found]
    device: Device | None = found[-1].device if found else ending["device"]
    laws: tuple[LatencyFit, ...] = ()
    if device is not None:
        keys = {device.key, *(m.device.key for m in found)}
        laws = fit_latency([m for m in stored if m.device.key in keys])
    answer: dict[str, Any] = {
        "schema_version": 1,
        "project": str(options.project),
        **{k: v for k, v in ending.items() if k != "device"},
        "device": to_plain(device) if device is not None else None,
        "measured": len(found),
        "failed": sum(m.failed for m in found),
        "measurements": [described(m) for m in found],
        "laws": [described_law(law) for law in laws],
    }
    return human(answer, found), answer


def human(answer: dict[str, Any], found: Sequence[Measurement]) -> str:
    """The table for people, and a line for each law."""

    lines = []
    device = answer["device"]
    if device is not None:
        speed = device["bandwidth_bytes_per_s"]
        reads = f", reads {format_quantity(speed, 'B')}/s" if speed else ""
        lines.append(f"{device['name']}{reads}")
    if found:
        lines.append(
            f"{'shape':<14} {'runtime':<26} {'batch':>5} {'in':>5} {'out':>5} {'TTFT':>9} {'TPOT':>9}"
            f" {'95 %':>8} {'tokens/s':>9} {'floor':>6} {'memory':>9}  flags"
        )
    for m, row in zip(found, answer["measurements"], strict=True):
        lines.append(_row(m, row))
    lines.append("")
    reasons = dict.fromkeys(row["energy_unknown"] for row in answer["measurements"])
    lines += [f"energy is unknown: {why}" for why in reasons if why]
    skipped = f", {answer['skipped']} known already" if answer.get("skipped") else ""
    left = f", {answer['left']} left" if answer.get("left") else ""
    lines.append(
        f"{answer['measured']} measured ({answer['failed']} without a result){skipped}{left};"
        f" ended: {answer['reason']}"
    )
    for lane, count in answer.get("by_lane", {}).items():
        lines.append(f"{count} on {lane}")
    if answer.get("lost_workers"):
        lines.append(f"{answer['lost_workers']} workers lost, {answer['retried']} points retried")
    for law in answer["laws"]:
        name = f"law of {law['metric'].upper()} ({law['runtime']['execution']}, {law['runtime']['weights']})"
        if not law["ok"]:
            lines.append(f"{name}: {law['message']}")
        elif law["heldout_error"] is None:
            lines.append(f"{name}: {law['n_shapes']} shapes, too few to leave one out")
        else:
            lines.append(
                f"{name}: {law['n_shapes']} shapes, error on a left-out shape {law['heldout_error']:.1%}"
            )
    return "\n".join(lines)


def _row(m: Measurement, row: dict[str, Any]) -> str:

    def cell(metric: str, unit: str) -> str:
        known = row["metrics"].get(metric)
        return format_quantity(known["value"], unit) if known else "-"

    tpot = row["metrics"].get("tpot")
    half = "-"
    if tpot and tpot["low"] is not None:
        half = plus_minus((tpot["high"] - tpot["low"]) / 2 / tpot["value"], "unknown")
    speed = row["metrics"].get("tokens_per_s")
    rate = f"{speed['value']:.1f}" if speed else "-"
    ratio = f"{row['floor_ratio']:.2f}" if row["floor_ratio"] else "-"
    memory = m.memory_bytes.get("peak_allocated") or m.memory_bytes.get("needed")
    size = format_quantity(memory, "B") if memory else "-"
    name, work = m.model or m.architecture.label, m.workload
    note = ", ".join(m.flags) + (f": {m.message}" if m.failed and m.message else "")
    return (
        f"{name:<14} {m.runtime.label:<26} {work.batch:>5}"
        f" {work.prompt_tokens:>5} {work.output_tokens:>5} {cell('ttft', 's'):>9}"
        f" {cell('tpot', 's'):>9} {half:>8} {rate:>9}"
        f" {ratio:>6} {size:>9}  {note}"
    )
