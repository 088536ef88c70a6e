"""llm-d benchmark reports (YAML or JSON, versions 0.1 and 0.2): one point per report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import (
    from_summary,
    inside,
    keep,
    need,
    number,
    si_factor,
    single,
    whole,
    workload,
)
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

TIMES = {
    "time_to_first_token": "ttft_s",
    "time_per_output_token": "tpot_s",
    "inter_token_latency": "itl_s",
    "request_latency": "e2e_s",
}
KEPT = ("mean", "p50", "p90", "p95", "p99", "min", "max", "stddev")


def recognises(document: Document) -> bool:
    """True for a scenario beside requests, throughput and latency."""
    body = _body(document.object)
    return "scenario" in document.object and "requests" in body and bool(inside(body, "latency"))


def _body(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The numbers: in 'metrics' in version 0.1, deep in 'results' since."""
    performance = inside(inside(value, "results"), "request_performance")
    return inside(performance, "aggregate") or inside(value, "metrics")


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point; the requests in flight are those that were held, else by Little's law."""
    value = document.object
    body, scenario = _body(value), inside(value, "scenario")
    requests, rates, latency = (inside(body, k) for k in ("requests", "throughput", "latency"))
    total, failed = whole(requests.get("total")) or 0, whole(requests.get("failures")) or 0
    metrics: dict[str, Estimate | None] = {}
    for name, metric in TIMES.items():
        given = inside(latency, name)
        unit = str(given.get("units", "s")).removesuffix("/token")
        factor = si_factor(unit, metric, f"{document.path}: {name}") if given else 1.0
        summary = {k.replace("stddev", "std"): given.get(k) for k in KEPT}
        metrics[metric] = from_summary(summary, metric, factor, max(total - failed, 0))
    rate = rates.get("output_tokens_per_sec", inside(rates, "output_token_rate").get("mean"))
    metrics["tokens_per_s"] = single(rate, "tokens_per_s", statistic="mean")
    load = inside(inside(scenario, "load"), "standardized")
    notes = [f"{total} requests"] if total else []
    batch = number(load.get("concurrency"))
    per_second = number(
        rates.get("requests_per_sec", inside(rates, "request_rate").get("mean"))
        or inside(rates, "requests_rate").get("mean")
    )
    mean = metrics["e2e_s"].statistics.get("mean") if metrics["e2e_s"] else None
    if metrics["e2e_s"] and metrics["e2e_s"].statistic == "mean":
        mean = metrics["e2e_s"].value
    if not batch and per_second and mean:
        batch = per_second * mean
        notes.append(f"batch is the mean number of requests in flight, {batch:.3g}")
    lengths = [number(inside(requests, f"{k}_length").get("mean")) for k in ("input", "output")]
    model, device = _stack(scenario)
    asked = number(load.get("rate_qps"))
    point = ImportedPoint(
        f"{model or document.path.stem}, {asked:g} requests/s" if asked else model,
        workload(batch, *lengths),
        None,
        device,
        keep(metrics),
        str(document.path),
        "llm-d benchmark",
        str(value.get("version") or ""),
        tuple(notes),
        left_out=(f"{failed} of {total} requests, which failed",) if failed else (),
        failed_requests=failed,
    )
    return need([point], document, f"latency.{{{', '.join(TIMES)}}} above 0")


def _stack(scenario: Mapping[str, Any]) -> tuple[str, str]:
    """The model's name and the accelerator, with how many."""
    parts = scenario.get("stack")
    for part in parts if isinstance(parts, list) else ():
        known = inside(part, "standardized") if isinstance(part, Mapping) else {}
        name = inside(known, "model").get("name")
        if name:
            chip = inside(known, "accelerator")
            count, kind = whole(chip.get("count")) or 1, str(chip.get("model") or "")
            return str(name), f"{count} x {kind}" if kind and count > 1 else kind
    chips = inside(scenario, "host").get("accelerator")
    first = chips[0] if isinstance(chips, list) and chips else {}
    kind = str(first.get("model") or "") if isinstance(first, Mapping) else ""
    return str(inside(scenario, "model").get("name") or "llm-d"), kind


FORMAT = ResultFormat(
    title="llm-d benchmark",
    file="benchmark_report*.yaml, .json",
    checked_against="its example of version 0.2, files by hand",
    looked_for="'scenario' beside 'requests', 'throughput' and 'latency' (llm-d)",
    recognises=recognises,
    read=read,
    in_folders=("**/benchmark_report*.yaml", "**/benchmark_report,*.yaml"),
)
