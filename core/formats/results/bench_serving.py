"""Online benchmarks of vLLM and SGLang, which share most keys: one object per load point.

vLLM `bench serve --save-result` and its sweeps (`**/summary.json`), SGLang `bench_serving` JSON
lines, and llm-optimizer, which wraps SGLang's keys in 'results'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import (
    NO_CAP,
    from_samples,
    from_summary,
    keep,
    need,
    number,
    served,
    single,
    whole,
    workload,
)
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

# settings of the server, worth repeating in a point's name
PARAMETERS = (
    "request_rate",
    "max_concurrency",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "data_parallel_size",
    "tp_size",
    "dp_size",
    "max_num_seqs",
    "max_num_batched_tokens",
)
# a load that is held at a cap has this share of it in flight on average, start and end included
REACHED = 0.9
STATISTICS = ("mean", "median", "std", "p50", "p90", "p95", "p99")


def recognises(document: Document) -> bool:
    """True when an object (or its 'results') holds a TTFT or TPOT statistic in milliseconds."""
    return any(is_result(_inner(row)[0]) for row in document.objects[:5])


def is_result(row: Mapping[str, Any]) -> bool:
    """Whether an object holds a statistic of a time in milliseconds."""
    keys = ("ttft_ms", "tpot_ms", "e2el_ms", "e2e_latency_ms")
    return any(f"{s}_{k}" in row for s in ("mean", "median", "p99") for k in keys)


def _inner(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The result keys and the settings of one object; llm-optimizer keeps them apart."""
    results, config = row.get("results"), row.get("config")
    if isinstance(results, Mapping) and isinstance(config, Mapping):
        settings: dict[str, Any] = {}
        for part in ("client_args", "server_args"):
            if isinstance(config.get(part), Mapping):
                settings |= config[part]
        return results, settings
    return row, row


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per object; notes say how many requests failed and what the file leaves out."""
    points = []
    for row in document.objects:
        results, settings = _inner(row)
        if is_result(results):
            points.append(point_of(results, settings, document, _tool(row, results)))
    return need(points, document, "finite {mean,median}_{ttft,tpot,itl,e2el}_ms above 0")


def _latency(
    row: Mapping[str, Any], names: tuple[str, ...], metric: str, n: int
) -> Estimate | None:
    for name in names:
        given = {s: row.get(f"{s}_{name}_ms") for s in STATISTICS}
        found = from_summary(given, metric, 1e-3, n)
        if found is not None:
            return found
    return None


def _tool(row: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    """The tool that wrote an object."""
    if results is not row:
        return "llm-optimizer"
    sglang = "mean_e2e_latency_ms" in row or row.get("backend") == "sglang"
    return "SGLang bench_serving" if sglang else "vLLM bench serve"


def point_of(
    row: Mapping[str, Any], settings: Mapping[str, Any], document: Document, tool: str
) -> ImportedPoint:
    """The point of an object with vLLM's keys, whatever tool wrote it."""
    completed = whole(row.get("completed")) or 0
    notes: list[str] = []
    left_out = []
    requests = whole(row.get("num_prompts") or settings.get("num_prompts")) or 0
    failed = max(requests - completed, 0) if completed else 0
    if failed:
        left_out.append(f"{failed} of {requests} requests, which failed")
        notes.append(f"only {completed} of {requests} requests were completed")
    metrics: dict[str, Estimate | None] = {
        "ttft_s": _latency(row, ("ttft",), "ttft_s", completed),
        "tpot_s": _latency(row, ("tpot",), "tpot_s", completed),
        "itl_s": _latency(row, ("itl",), "itl_s", 0),
        "e2e_s": _latency(row, ("e2el", "e2e_latency"), "e2e_s", completed),
        "tokens_per_s": single(row.get("output_throughput"), "tokens_per_s", statistic="mean"),
    }
    ttfts = row.get("ttfts")
    if isinstance(ttfts, list):
        metrics["ttft_s"] = from_samples(_succeeded(ttfts, row), "ttft_s") or metrics["ttft_s"]
    for metric, samples in _each_request(row).items():
        metrics[metric] = from_samples(samples, metric) or metrics[metric]
    bad = [k for k in ("ttft", "tpot", "e2el") if _odd(row, k)]
    if bad:
        left_out.append(f"{', '.join(bad)}, not a positive finite number")
    rate = row.get("request_rate", settings.get("request_rate"))
    prompt, output = _lengths(row, settings, completed)
    cap = number(row.get("max_concurrency") or settings.get("max_concurrency"))
    cap = None if cap is None or cap >= NO_CAP else cap
    batch = _in_flight(row, completed, output)
    if batch is not None and cap is not None and batch >= REACHED * cap:
        # it starts and ends with fewer in flight, so the mean is a little below the cap it was held at
        batch = cap
    elif batch is not None:
        held = "" if cap is None else f"; its cap is {cap:g}"
        notes.append(f"batch is the mean number of requests in flight, {batch:.3g}{held}")
    batch = cap if batch is None else batch
    words = {k: row.get(k, settings.get(k)) for k in PARAMETERS}
    stated = ", ".join(
        f"{k} {v}"
        for k, v in words.items()
        if v not in (None, "", "None") and not (k == "max_concurrency" and cap is None)
    )
    server = row.get("server_info")
    server = server if isinstance(server, Mapping) else {}
    named = (row.get(k) or settings.get(k) or server.get(k) for k in _MODELS)
    model = next((str(m) for m in named if m), document.path.stem)
    limit = number(rate)
    if limit is not None and limit == limit and limit < NO_CAP:
        notes.append(f"open loop at {rate} requests/s: TTFT holds the queue")
    elif rate is not None and requests_at_once(cap, requests or completed):
        notes.append(f"TTFT is queue: all {requests or completed} requests were sent at once")
    return ImportedPoint(
        f"{model}, {stated}" if stated else model,
        workload(batch, prompt, output),
        served(settings.get("dtype") or server.get("dtype")),
        str(row.get("gpu") or settings.get("gpu") or ""),
        keep(metrics),
        str(document.path),
        tool,
        str(row.get("vllm_version") or row.get("version") or server.get("version") or ""),
        tuple(notes),
        left_out=tuple(left_out),
        failed_requests=failed,
    )


_MODELS = ("model_id", "model", "model_path", "served_model_name", "tokenizer_id")


def _in_flight(row: Mapping[str, Any], completed: int, output: float | None) -> float | None:
    """The mean number of requests in flight: as measured, else by Little's law (arrival rate x mean time
    of an answer, which may be put together from its parts); None where nothing says it."""
    measured = number(row.get("concurrency"))
    if measured is not None and measured > 0:
        return measured
    seconds = number(row.get("duration"))
    mean = number(row.get("mean_e2el_ms") or row.get("mean_e2e_latency_ms"))
    first, each = (number(row.get(f"mean_{k}_ms")) for k in ("ttft", "tpot"))
    if not mean and first and each and output:
        mean = first + (output - 1) * each
    if not completed or not seconds or not mean or not (seconds > 0 and mean > 0):
        return None
    return completed / seconds * mean / 1e3


def requests_at_once(cap: float | None, requests: int) -> bool:
    """Whether a load without a rate sends every request in the first moment."""
    return requests > 1 and (cap is None or cap >= requests)


def _odd(row: Mapping[str, Any], name: str) -> bool:
    given = [row[k] for s in ("mean", "median") if (k := f"{s}_{name}_ms") in row]
    return bool(given) and not any((number(v) or 0) > 0 for v in given)


def _succeeded(values: list[Any], row: Mapping[str, Any]) -> list[Any]:
    errors = row.get("errors")
    if isinstance(errors, list) and len(errors) == len(values):
        return [v for v, error in zip(values, errors, strict=True) if not error]
    return [v for v in values if (number(v) or 0) > 0]


def _each_request(row: Mapping[str, Any]) -> dict[str, list[float]]:
    """E2E and TPOT of each request, as `--save-detailed` keeps them since vLLM 0.32."""
    columns = [row.get(k) for k in ("ttfts", "latencies", "output_lens", "errors")]
    if not all(isinstance(c, list) and len(c) == len(columns[0] or ()) for c in columns):
        return {}
    requests = [
        (first, whole_s, tokens)
        for first, whole_s, tokens, error in zip(*columns, strict=True)
        if not error and all((number(v) or 0) > 0 for v in (first, whole_s, tokens))
    ]
    return {
        "e2e_s": [whole_s for _, whole_s, _ in requests],
        "tpot_s": [(w - first) / (tokens - 1) for first, w, tokens in requests if tokens > 1],
    }


def _lengths(
    row: Mapping[str, Any], settings: Mapping[str, Any], completed: int
) -> tuple[float | None, float | None]:
    """Mean prompt and output tokens per request: as counted where possible, else as requested."""
    counted = tuple(
        number(row.get(f"total_{side}_tokens")) if completed else None
        for side in ("input", "output")
    )
    reported = tuple(
        number(row.get(f"random_{side}_len", settings.get(f"random_{side}_len")))
        for side in ("input", "output")
    )
    prompt, output = (
        c / completed if c is not None else t for c, t in zip(counted, reported, strict=True)
    )
    return prompt, output


FORMAT = ResultFormat(
    title="vLLM bench serve, SGLang bench_serving, llm-optimizer",
    file="*.json, **/summary.json, *.jsonl",
    checked_against="a file of vLLM 0.32.0; the others: documented keys",
    looked_for="'mean_ttft_ms', 'median_tpot_ms', ... (vLLM bench serve, SGLang, llm-optimizer)",
    recognises=recognises,
    read=read,
    in_folders=("**/summary.json",),
)
