"""inference-perf `summary_lifecycle_metrics.json` and its stages: one point per file.

Its time per output token is (last token - first token) / (output tokens - 1) per request, in seconds.
"""

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
KEPT = ("mean", "median", "p90", "p95", "p99", "min", "max")


def recognises(document: Document) -> bool:
    """True for a summary of requests that succeeded, with their latencies."""
    value = document.object
    return "load_summary" in value and bool(inside(inside(value, "successes"), "latency"))


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point; the requests in flight are those that were held, else by Little's law."""
    value = document.object
    good, load = inside(value, "successes"), inside(value, "load_summary")
    count = whole(good.get("count")) or 0
    failed = whole(inside(value, "failures").get("count")) or 0
    latency, rates = inside(good, "latency"), inside(good, "throughput")
    metrics: dict[str, Estimate | None] = {}
    for name, metric in TIMES.items():
        given = {k: inside(latency, name).get(k) for k in KEPT}
        metrics[metric] = from_summary(given, metric, 1.0, count)
    metrics["tokens_per_s"] = single(
        rates.get("output_tokens_per_sec"), "tokens_per_s", statistic="mean"
    )
    notes = [f"{count} requests"] if count else []
    batch = number(load.get("concurrency"))
    mean = number(inside(latency, "request_latency").get("mean"))
    per_second = number(rates.get("requests_per_sec"))
    if not batch and mean and per_second:
        batch = per_second * mean
        notes.append(f"batch is the mean number of requests in flight, {batch:.3g}")
    rate = number(load.get("requested_rate"))
    if rate:
        notes.append(f"open loop at {rate:g} requests/s: TTFT holds the queue")
    point = ImportedPoint(
        f"{document.path.stem}, {rate:g} requests/s" if rate else document.path.stem,
        workload(batch, _length(good, "prompt"), _length(good, "output")),
        None,
        "",
        keep(metrics),
        str(document.path),
        "inference-perf",
        "",
        tuple(notes),
        left_out=(f"{failed} of {count + failed} requests, which failed",) if failed else (),
        failed_requests=failed,
    )
    return need([point], document, f"successes.latency.{{{', '.join(TIMES)}}} above 0")


def _length(good: Mapping[str, Any], side: str) -> float | None:
    """Mean tokens of a request: 'prompt_len' in the first versions, 'prompt_tokens' since."""
    for key in (f"{side}_tokens", f"{side}_len"):
        if found := number(inside(good, key).get("mean")):
            return found
    return None


FORMAT = ResultFormat(
    title="inference-perf",
    file="*_lifecycle_metrics.json",
    checked_against="source of its report, files by hand",
    looked_for="'load_summary' and 'successes' with 'latency' (inference-perf)",
    recognises=recognises,
    read=read,
    in_folders=("**/*_lifecycle_metrics.json",),
)
