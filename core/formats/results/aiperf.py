"""AIPerf and GenAI-Perf: summaries, confidence aggregates over runs, and parameter sweeps.

`profile_export_aiperf.json`, `profile_export_genai_perf.json`, `profile_export_aiperf_aggregate.json`
and `profile_export_aiperf_sweep.json`. Their inter-token latency is (request latency - TTFT) /
(output tokens - 1) per request, which is what this program calls TPOT.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.document import Document
from core.formats.results.imported import (
    from_summary,
    keep,
    need,
    number,
    si_factor,
    whole,
    workload,
)
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

AIPERF_KEYS = {
    "time_to_first_token": "ttft_s",
    "inter_token_latency": "tpot_s",
    "request_latency": "e2e_s",
    "output_token_throughput": "tokens_per_s",
    "output_token_throughput_per_user": "tokens_per_s_user",
}
LENGTHS = ("input_sequence_length", "output_sequence_length")
_STATISTIC = re.compile(r"(.+)_(avg|p\d+|std|min|max)")


def recognises(document: Document) -> bool:
    """True for any of the four files."""
    value = document.object
    if isinstance(value.get("per_combination_metrics"), list):
        return True
    return any(isinstance(_body(value).get(name), Mapping) for name in AIPERF_KEYS) or any(
        isinstance(_body(value).get(f"{name}_avg"), Mapping) for name in AIPERF_KEYS
    )


def _body(value: Mapping[str, Any]) -> Mapping[str, Any]:
    # an early build nested the metrics in 'records', aggregates nest them in 'metrics'
    for key in ("records", "metrics"):
        if isinstance(value.get(key), Mapping):
            return value[key]  # type: ignore[no-any-return]
    return value


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point, or one per combination of a sweep, with the intervals over repeated runs."""
    value = document.object
    version = str(value.get("aiperf_version") or value.get("version") or "")
    tool = "GenAI-Perf" if "genai_perf" in document.path.name else "AIPerf"
    settings = value.get("input_config")
    combinations = value.get("per_combination_metrics")
    points = []
    if isinstance(combinations, list):
        runs = whole(value.get("num_profile_runs")) or 0
        for entry in combinations:
            if isinstance(entry, Mapping) and isinstance(entry.get("metrics"), Mapping):
                given = entry.get("parameters")
                parameters = given if isinstance(given, Mapping) else {}
                trials = runs // max(len(combinations), 1)
                points.append(
                    _point(entry["metrics"], parameters, settings, document, tool, version, trials)
                )
    else:
        meta = value.get("metadata")
        runs = whole(meta.get("num_successful_runs")) or 0 if isinstance(meta, Mapping) else 0
        points.append(_point(_body(value), {}, settings, document, tool, version, runs))
    if value.get("was_cancelled") is True:
        points = [_noted(p, "the run was cancelled before its end") for p in points]
    if value.get("is_complete") is False:
        reason = str(value.get("incomplete_reason") or "no reason given")
        points = [_noted(p, f"the run is not complete: {reason}") for p in points]
    return need(points, document, f"finite values above 0 of {', '.join(AIPERF_KEYS)}")


def _noted(point: ImportedPoint, note: str) -> ImportedPoint:
    return replace(point, notes=(*point.notes, note))


def _point(
    body: Mapping[str, Any],
    parameters: Mapping[str, Any],
    settings: Any,
    document: Document,
    tool: str,
    version: str,
    runs: int,
) -> ImportedPoint:
    grouped = _by_metric(body)
    metrics: dict[str, Estimate | None] = {}
    for name, metric in AIPERF_KEYS.items():
        if name in grouped:
            metrics[metric] = _estimate(grouped[name], metric, f"{document.path}: {name}", runs)
    requests = grouped.get("request_count", {})
    completed = number((requests.get("") or requests.get("avg") or {}).get("avg")) or 0
    errors = grouped.get("error_request_count", {})
    failed = whole((errors.get("") or errors.get("avg") or {}).get("avg")) or 0
    lengths = [_middle(grouped.get(name, {})) for name in LENGTHS]
    by_name = {k.rpartition(".")[2]: v for k, v in parameters.items()}
    lengths[0] = lengths[0] or number(by_name.get("isl"))
    lengths[1] = lengths[1] or number(by_name.get("osl"))
    concurrency = by_name.get("concurrency", _concurrency(settings))
    model = next((m for k in ("model_names", "model", "models") if (m := _deep(settings, k))), None)
    if isinstance(model, Mapping):
        items = model.get("items")
        named = [i for i in items if isinstance(i, Mapping)] if isinstance(items, list) else []
        model = [i.get("name") for i in named]
    if isinstance(model, list):
        model = ", ".join(str(m) for m in model if m)
    model = model or document.path.stem
    words = ", ".join(f"{k} {v}" for k, v in by_name.items())
    notes: list[str] = []
    if completed:
        notes.append(f"{completed:.0f} requests")
    if number(concurrency) is None:
        notes.append("the concurrency is not in the file")
    return ImportedPoint(
        f"{model}, {words}" if words else str(model),
        workload(concurrency, *lengths),
        None,
        str(_deep(document.object.get("telemetry_data"), "gpu_name") or ""),
        keep(metrics),
        str(document.path),
        tool,
        version,
        tuple(notes),
        left_out=(f"{failed} of {completed + failed:.0f} requests, which failed",)
        if failed
        else (),
        failed_requests=failed,
    )


def _by_metric(body: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Metric -> statistic ('' for the summary itself) -> its object; sweeps write METRIC_STATISTIC."""
    grouped: dict[str, dict[str, Mapping[str, Any]]] = {}
    for key, given in body.items():
        if not isinstance(given, Mapping):
            continue
        match = _STATISTIC.fullmatch(key)
        name, statistic = (match[1], match[2]) if match and key not in AIPERF_KEYS else (key, "")
        grouped.setdefault(name, {})[statistic] = given
    return grouped


def _estimate(
    given: Mapping[str, Mapping[str, Any]], metric: str, what: str, runs: int
) -> Estimate | None:
    summary = given.get("")
    if summary is not None and "mean" not in summary:
        unit = str(summary.get("unit", "ms" if metric.endswith("_s") else "tokens/sec"))
        count = whole(summary.get("count")) or 0
        return from_summary(summary, metric, si_factor(unit, metric, what), count)
    # over runs: the mean of a statistic, with the interval the tool computed
    for statistic in ("p50", "avg", ""):
        over = given.get(statistic)
        value = number(over.get("mean")) if over is not None else None
        if over is None or value is None or value <= 0:
            continue
        factor = si_factor(str(over.get("unit", "ms")), metric, what)
        low, high = number(over.get("ci_low")), number(over.get("ci_high"))
        rest = {
            k: v * factor
            for k, o in given.items()
            if k not in ("", statistic) and (v := number(o.get("mean"))) is not None
        }
        return Estimate(
            value * factor,
            None if low is None else max(low, 0.0) * factor,
            None if high is None else high * factor,
            runs,
            "s" if metric in ("ttft_s", "tpot_s", "e2e_s") else "tokens/s",
            f"mean over runs of {statistic or 'mean'}",
            rest,
        )
    return None


def _middle(given: Mapping[str, Mapping[str, Any]]) -> float | None:
    for statistic in ("", "avg", "p50"):
        summary = given.get(statistic, {})
        value = number(summary.get("avg")) or number(summary.get("mean"))
        if value:
            return value
    return None


def _concurrency(settings: Any) -> Any:
    """The concurrency of the measured phase; in recent versions a run is a list of phases, warm-up first."""
    phases = settings.get("phases") if isinstance(settings, Mapping) else None
    for phase in phases if isinstance(phases, list) else ():
        if isinstance(phase, Mapping) and phase.get("kind", phase.get("name")) != "warmup":
            return phase.get("concurrency")
    return _deep(settings, "concurrency")


def _deep(value: Any, key: str) -> Any:
    """The first value of a key anywhere inside nested objects."""
    return next(_walk(value, key), None)


def _walk(value: Any, key: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        if value.get(key) not in (None, "", [], {}):
            yield value[key]
        for inner in value.values():
            yield from _walk(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, key)


def _repeated(file: Path, files: Collection[Path]) -> bool:
    """True for one run of a sweep: the summary of the sweep holds every run of it."""
    return file.name == "profile_export_aiperf.json" and any(
        f.name == "profile_export_aiperf_sweep.json" for f in files
    )


FORMAT = ResultFormat(
    title="AIPerf, GenAI-Perf",
    file="profile_export_*.json",
    checked_against="files dumped by the classes of AIPerf 0.13.0",
    looked_for="'time_to_first_token', 'inter_token_latency' with units (AIPerf, GenAI-Perf)",
    recognises=recognises,
    read=read,
    in_folders=(
        "**/profile_export_aiperf_sweep.json",
        "**/profile_export_aiperf.json",
        "**/profile_export_genai_perf.json",
    ),
    repeated=_repeated,
)
