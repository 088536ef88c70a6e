"""Offline benchmarks of one batch: vLLM `bench latency --output-json`, SGLang `bench_one_batch`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import (
    from_samples,
    from_summary,
    keep,
    need,
    number,
    single,
    workload,
)
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint


def recognises(document: Document) -> bool:
    """True for the keys of either tool."""
    return any(
        ("avg_latency" in row and ("latencies" in row or "percentiles" in row))
        or ("prefill_latency" in row and "median_decode_latency" in row)
        for row in document.objects[:5]
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """vLLM gives E2E, mostly of an unnamed workload; SGLang gives TTFT, TPOT and the workload."""
    points = [
        _vllm(row, document) if "avg_latency" in row else _sglang(row, document)
        for row in document.objects
        if "avg_latency" in row or "prefill_latency" in row
    ]
    return need(points, document, "latencies or avg_latency above 0")


def _vllm(row: Mapping[str, Any], document: Document) -> ImportedPoint:
    raw = row.get("latencies")
    samples = raw if isinstance(raw, list) else []
    percentiles = row.get("percentiles")
    given = {f"p{k}": v for k, v in percentiles.items()} if isinstance(percentiles, Mapping) else {}
    given |= {"mean": row.get("avg_latency"), "std": row.get("std_latency")}
    metrics: dict[str, Estimate | None] = {
        "e2e_s": from_samples(samples, "e2e_s") or from_summary(given, "e2e_s", 1.0, len(samples))
    }
    # vLLM 0.32 names the workload; earlier versions have no key for it
    model = row.get("model_id") or row.get("model")
    missing = (
        "batch, prompt and output length" if model else "model, batch, prompt and output length"
    )
    return ImportedPoint(
        str(model or document.path.stem),
        None,
        None,
        "",
        keep(metrics),
        str(document.path),
        "vLLM bench latency",
        "",
        (f"the file does not name {missing}; state them before comparing",),
    )


def _sglang(row: Mapping[str, Any], document: Document) -> ImportedPoint:
    batch, output = number(row.get("batch_size")), number(row.get("output_len"))
    total = number(row.get("total_latency"))
    metrics: dict[str, Estimate | None] = {
        "ttft_s": single(row.get("prefill_latency"), "ttft_s"),
        "tpot_s": single(row.get("median_decode_latency"), "tpot_s", statistic="median"),
        "e2e_s": single(total, "e2e_s"),
    }
    if batch and output and total and total > 0:
        metrics["tokens_per_s"] = single(
            batch * output / total, "tokens_per_s", statistic="batch x output / e2e"
        )
    return ImportedPoint(
        str(row.get("model_path") or row.get("run_name") or document.path.stem),
        workload(batch, row.get("input_len"), output),
        None,
        str(row.get("device") or ""),
        keep(metrics),
        str(document.path),
        "SGLang bench_one_batch",
        "",
    )


FORMAT = ResultFormat(
    title="vLLM bench latency, SGLang bench_one_batch",
    file="*.json, *.jsonl",
    checked_against="a file of vLLM 0.32.0; SGLang: documented keys",
    looked_for="'avg_latency' with 'percentiles' (vLLM bench latency), 'prefill_latency' (SGLang)",
    recognises=recognises,
    read=read,
)
