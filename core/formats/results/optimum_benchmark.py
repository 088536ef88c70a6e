"""optimum-benchmark: `benchmark.json`, or `benchmark_report.json` with `benchmark_config.json` beside.

Also the reports of versions 0.0.x, whose keys hold units ('mean(s)'), and the tables of the LLM-Perf
leaderboard, in which every key is a column ('report.prefill.latency.p50').
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.document import Document
from core.errors import Unusable
from core.formats.results.imported import (
    from_samples,
    from_summary,
    inside,
    keep,
    need,
    number,
    precision,
    si_factor,
    single,
    whole,
    workload,
)
from core.formats.results.readers import ResultFormat
from core.guarded import MOST_SETTINGS_BYTES, json_value, read_text
from core.model.workload import SERVED, Runtime
from core.records.imported import Estimate, ImportedPoint

WITH_UNIT = re.compile(r"(\w+)\((\w+)\)")
PHASES = ("prefill", "decode", "per_token", "generate", "forward", "load_model", "first_generate")
# the recorded peaks of memory, best first
MEMORIES = ("max_allocated", "max_reserved", "max_process_vram", "max_global_vram", "max_ram")
EXECUTIONS = {"pytorch": "transformers", "onnxruntime": "onnx"}


def recognises(document: Document) -> bool:
    """True for an object whose report (or itself) holds a phase with a latency, or a table of them."""
    if document.kind == "csv":
        return any(c.startswith("report.") and ".latency." in c for c in document.header)
    return bool(_phases(document.object))


def _phases(value: Mapping[str, Any]) -> Mapping[str, Any]:
    report = value.get("report", value)
    if not isinstance(report, Mapping):
        return {}
    known = {k: v for k, v in report.items() if k in PHASES and isinstance(v, Mapping)}
    return known if any("latency" in phase for phase in known.values()) else {}


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point, or one per row: TTFT from prefill, TPOT per token (or decode over the tokens), memory,
    energy."""
    if document.kind == "csv":
        points = []
        for row in document.rows:
            value = nested(row)
            points.append(_point(value, inside(value, "config"), [], document))
    else:
        config, notes = _config(document)
        points = [_point(document.object, config, notes, document)]
    looked_for = "report.prefill|decode|per_token.latency.values or .mean"
    return need(points, document, looked_for)


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """The objects that a table's dotted columns were: 'a.b.c' is c in b in a. Empty cells are left out."""
    whole_row: dict[str, Any] = {}
    for column, cell in row.items():
        if cell is None or str(cell).strip() == "":
            continue
        *above, last = column.split(".")
        place = whole_row
        for name in above:
            inner = place.setdefault(name, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place[last] = cell
    return whole_row


def _point(
    value: Mapping[str, Any], config: Mapping[str, Any], notes: list[str], document: Document
) -> ImportedPoint:
    what = str(document.path)
    phases = _phases(value)
    backend, scenario, environment = (
        inside(config, k) for k in ("backend", "scenario", "environment")
    )
    shapes = inside(scenario, "input_shapes")
    generate = inside(scenario, "generate_kwargs")
    batch = whole(shapes.get("batch_size"))
    prompt = whole(shapes.get("sequence_length"))
    output = whole(generate.get("max_new_tokens") or generate.get("min_new_tokens"))
    metrics: dict[str, Estimate | None] = {
        "ttft_s": _latency(phases, "prefill", "ttft_s", what),
        "tpot_s": _latency(phases, "per_token", "tpot_s", what),
        "e2e_s": _latency(phases, "generate", "e2e_s", what),
    }
    decode = _latency(phases, "decode", "e2e_s", what)
    if metrics["tpot_s"] is None and decode is not None and output and output > 1:
        metrics["tpot_s"] = _scaled(decode, 1 / (output - 1), f"decode / {output - 1} tokens")
    first = metrics["ttft_s"]
    if metrics["e2e_s"] is None and first is not None and decode is not None:
        metrics["e2e_s"] = Estimate(
            first.value + decode.value, unit="s", statistic="prefill + decode", n=decode.n
        )
    whole_answer = metrics["e2e_s"]
    if whole_answer is not None and batch and output:
        metrics["tokens_per_s"] = Estimate(
            batch * output / whole_answer.value, unit="tokens/s", statistic="batch x output / e2e"
        )
    metrics["memory_bytes"] = _memory(phases, what, notes)
    metrics["energy_j_per_token"] = _energy(phases, batch, output, what)
    weights = precision(backend.get("torch_dtype") or backend.get("dtype") or "float32")
    if backend.get("quantization_scheme"):
        notes.append(f"quantised: {backend['quantization_scheme']}")
        weights = None
    execution = EXECUTIONS.get(str(backend.get("name")), SERVED)
    if backend.get("torch_compile"):
        execution = "compile"
    cache = weights if weights in ("fp32", "bf16", "fp16") else "bf16"
    gpu = environment.get("gpu")
    on_gpu = str(backend.get("device", "")).startswith("cuda")
    device = (gpu if on_gpu or not environment.get("cpu") else environment.get("cpu")) or ""
    name = str(
        backend.get("model")
        or config.get("model")
        or config.get("name")
        or document.path.parent.name
    )
    if document.kind == "csv" and config.get("name") and config["name"] != name:
        name = f"{name}, {config['name']}"
    return ImportedPoint(
        name,
        workload(batch, prompt, output),
        Runtime(execution, weights, cache or "bf16") if weights and backend else None,
        ", ".join(map(str, device)) if isinstance(device, list) else str(device),
        keep(metrics),
        what,
        "optimum-benchmark",
        str(environment.get("optimum_benchmark_version") or ""),
        tuple(notes),
    )


def _config(document: Document) -> tuple[Mapping[str, Any], list[str]]:
    inside = document.object.get("config")
    if isinstance(inside, Mapping):
        return inside, []
    beside = document.path.with_name("benchmark_config.json")
    try:
        value = json_value(read_text(beside, MOST_SETTINGS_BYTES))
    except ValueError:
        return {}, ["no benchmark_config.json beside it: batch and lengths are unknown"]
    return (
        (value, []) if isinstance(value, Mapping) else ({}, ["benchmark_config.json is unusable"])
    )


def _latency(phases: Mapping[str, Any], phase: str, metric: str, what: str) -> Estimate | None:
    given = _plain(inside(inside(phases, phase), "latency"))
    if not given:
        return None
    factor = si_factor(str(given.get("unit", "s")), metric, f"{what}: report.{phase}.latency")
    values = given.get("values")
    if isinstance(values, list):
        found = from_samples(values, metric, factor)
        if found is not None:
            return found
    # 'stdev_' is a percentage; 'stdev' is not
    return from_summary(
        {k: v for k, v in given.items() if k in ("mean", "p50", "p90", "p95", "p99", "stdev")},
        metric,
        factor,
        whole(given.get("count")) or 0,
    )


def _plain(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keys of version 0.0.x without their unit, 'mean(s)', which is given as 'unit'."""
    found: dict[str, Any] = {}
    for key, value in given.items():
        match = WITH_UNIT.fullmatch(key)
        if match is None:
            found[key] = value
        else:
            found[match[1]] = value
            found["unit"] = match[2]
    return found


def _scaled(estimate: Estimate, factor: float, statistic: str) -> Estimate:
    return replace(
        estimate,
        value=estimate.value * factor,
        low=None if estimate.low is None else estimate.low * factor,
        high=None if estimate.high is None else estimate.high * factor,
        statistic=f"{estimate.statistic} {statistic}",
        statistics={k: v * factor for k, v in estimate.statistics.items()},
    )


def _memory(phases: Mapping[str, Any], what: str, notes: list[str]) -> Estimate | None:
    for name in MEMORIES:
        peaks = []
        for phase in ("prefill", "decode", "generate", "forward"):
            memory = _plain(inside(inside(phases, phase), "memory"))
            peak = number(memory.get(name))
            if peak:
                unit = str(memory.get("unit", "MB"))
                peaks.append(
                    peak * si_factor(unit, "memory_bytes", f"{what}: report.{phase}.memory")
                )
        if peaks:
            notes.append(f"memory is the largest {name} of all phases")
            return single(max(peaks), "memory_bytes", statistic="max")
    return None


def _energy(
    phases: Mapping[str, Any], batch: int | None, output: int | None, what: str
) -> Estimate | None:
    decode = inside(phases, "decode")
    efficiency = inside(decode, "efficiency")
    rate = number(efficiency.get("value"))
    if rate and str(efficiency.get("unit")).lower() == "tokens/kwh":
        return single(3.6e6 / rate, "energy_j_per_token", statistic="decode efficiency")
    energy = inside(decode, "energy")
    total = number(energy.get("total"))
    if not total or not batch or not output or output < 2:
        return None
    try:
        factor = si_factor(
            str(energy.get("unit", "kWh")), "energy_j_per_token", f"{what}: report.decode.energy"
        )
    except Unusable:
        return None
    return single(total * factor / (batch * (output - 1)), "energy_j_per_token", statistic="decode")


def _repeated(file: Path, files: Collection[Path]) -> bool:
    """True for the report alone where the whole benchmark lies beside it."""
    return file.name == "benchmark_report.json" and file.with_name("benchmark.json") in files


FORMAT = ResultFormat(
    title="optimum-benchmark",
    file="benchmark.json, benchmark_report.json",
    checked_against="source of 0.6.0, files by hand",
    looked_for="'report' with 'prefill' and 'decode' latencies (optimum-benchmark)",
    recognises=recognises,
    read=read,
    in_folders=(
        "**/benchmark.json",
        "**/benchmark_report.json",
    ),
    repeated=_repeated,
)
