"""GuideLLM `benchmarks.json` or `.yaml`, format versions 1 and 2: one point per load strategy.

Its time_per_output_token_ms counts the first token too; its inter_token_latency_ms is what this
program calls TPOT.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.document import Document
from core.errors import Unusable
from core.formats.results.imported import from_summary, inside, keep, need, number, whole, workload
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

VERSIONS = (1, 2)
GUIDELLM_KEYS = {
    "time_to_first_token_ms": ("ttft_s", 1e-3),
    "inter_token_latency_ms": ("tpot_s", 1e-3),
    "request_latency": ("e2e_s", 1.0),
    "output_tokens_per_second": ("tokens_per_s", 1.0),
}


def recognises(document: Document) -> bool:
    """True for an object with a list of benchmarks that hold metrics."""
    benchmarks = document.object.get("benchmarks")
    return isinstance(benchmarks, list) and any(
        isinstance(b, Mapping) and isinstance(b.get("metrics"), Mapping) for b in benchmarks
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per benchmark, of its successful requests; Unusable names another format version."""
    what = str(document.path)
    value = document.object
    given = value.get("metadata")
    metadata: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    version = metadata.get("version")
    if version not in VERSIONS:
        raise Unusable(
            f"{what}: GuideLLM format 'metadata.version' {version!r} is not known here "
            f"(known: {', '.join(map(str, VERSIONS))})"
        )
    points = [
        _point(benchmark, value, document, str(metadata.get("guidellm_version") or ""))
        for benchmark in value["benchmarks"]
        if isinstance(benchmark, Mapping) and isinstance(benchmark.get("metrics"), Mapping)
    ]
    return need(points, document, f"metrics.{{{', '.join(GUIDELLM_KEYS)}}}.successful above 0")


def _point(
    benchmark: Mapping[str, Any], whole_file: Mapping[str, Any], document: Document, version: str
) -> ImportedPoint:
    measured = benchmark["metrics"]
    metrics: dict[str, Estimate | None] = {}
    for name, (metric, factor) in GUIDELLM_KEYS.items():
        given = _successful(measured, name)
        percentiles = given.get("percentiles")
        summary = {k: given.get(k) for k in ("median", "mean", "std_dev", "min", "max")}
        if isinstance(percentiles, Mapping):
            summary |= {k: percentiles.get(k) for k in ("p90", "p95", "p99")}
        if metric == "tokens_per_s":
            # a rate over the run: its mean is the throughput, its median that of one moment
            summary = {"mean": given.get("mean")}
        count = whole(given.get("count")) or 0
        found = from_summary(summary, metric, factor, 0 if len(summary) == 1 else count)
        metrics[metric] = _with_interval(found, given, factor)
    lengths = [
        number(_successful(measured, f"{side}_token_count").get("mean"))
        for side in ("prompt", "output")
    ]
    concurrency = number(_successful(measured, "request_concurrency").get("mean"))
    config = benchmark.get("config")
    strategy = config.get("strategy") if isinstance(config, Mapping) else None
    kind, detail = "", ""
    if isinstance(strategy, Mapping):
        kind = str(strategy.get("type_") or strategy.get("type") or "")
        detail = _detail(kind, strategy)
    notes: list[str] = []
    left_out: list[str] = []
    failed = 0
    totals = measured.get("request_totals")
    if isinstance(totals, Mapping):
        failed = (whole(totals.get("errored")) or 0) + (whole(totals.get("incomplete")) or 0)
        if failed:
            told = f"{failed} of {totals.get('total')} requests"
            notes.append(f"{told} failed or did not finish")
            left_out.append(f"{told}, which failed or did not finish")
    if concurrency is not None:
        notes.append(f"batch is the mean number of requests in flight, {concurrency:.3g}")
    return ImportedPoint(
        f"{_model(benchmark, whole_file) or document.path.stem}, {kind}{detail}".rstrip(", "),
        workload(concurrency, *lengths),
        None,
        "",
        keep(metrics),
        str(document.path),
        "GuideLLM",
        version,
        tuple(notes),
        left_out=tuple(left_out),
        failed_requests=failed,
    )


def _detail(kind: str, strategy: Mapping[str, Any]) -> str:
    """What tells one load from another of its kind: the rate of a steady one, the streams of another."""
    rate, streams = number(strategy.get("rate")), number(strategy.get("streams"))
    if kind in ("constant", "poisson", "async") and rate:
        return f" {rate:g} requests/s"
    held = streams or number(strategy.get("max_concurrency")) or rate
    return f" {held:g}" if held else ""


def _with_interval(
    found: Estimate | None, given: Mapping[str, Any], factor: float
) -> Estimate | None:
    """The estimate with GuideLLM's own interval for its statistic, where the file has one."""
    if found is None:
        return None
    inner = inside(given, "percentile_cis")
    interval = inside(inner, "p50") if found.statistic == "median" else inside(given, "mean_ci")
    low, high = number(interval.get("lower")), number(interval.get("upper"))
    if low is None or high is None:
        return found
    return replace(found, low=low * factor, high=high * factor)


def _successful(measured: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = measured.get(name)
    found = given.get("successful") if isinstance(given, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _model(benchmark: Mapping[str, Any], whole_file: Mapping[str, Any]) -> str:
    for part in (benchmark.get("config"), whole_file.get("config"), whole_file.get("args")):
        if not isinstance(part, Mapping):
            continue
        backend = part.get("backend")
        for place in (part, backend, part.get("backend_kwargs")):
            if isinstance(place, Mapping) and isinstance(place.get("model"), str):
                return str(place["model"])
    return ""


FORMAT = ResultFormat(
    title="GuideLLM",
    file="benchmarks.json, .yaml",
    checked_against="source of 0.8.1 (format 2); format 1 by hand",
    looked_for="'benchmarks' of 'metrics' beside 'metadata.version' (GuideLLM)",
    recognises=recognises,
    read=read,
    in_folders=("**/benchmarks.json",),
)
