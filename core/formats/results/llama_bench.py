"""llama.cpp `llama-bench` output (`-o json`, `jsonl`, `csv`): one point per test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import (
    from_samples,
    from_summary,
    inverse,
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


def recognises(document: Document) -> bool:
    """True when rows hold n_prompt, n_gen and a time or a rate."""
    return any(
        "n_prompt" in row and "n_gen" in row and ("avg_ns" in row or "avg_ts" in row)
        for row in document.objects[:5]
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """Prompt tests (pp) give TTFT, generation tests (tg) give TPOT, mixed ones the whole answer."""
    what = str(document.path)
    points = [_point(row, document) for row in document.objects]
    return need(
        [p for p in points if p is not None], what, "n_prompt, n_gen, avg_ns or avg_ts above 0"
    )


def _point(row: Mapping[str, Any], document: Document) -> ImportedPoint | None:
    prompt, output = whole(row.get("n_prompt")) or 0, whole(row.get("n_gen")) or 0
    depth = whole(row.get("n_depth")) or 0
    if not prompt and not output:
        return None
    raw = row.get("samples_ns")
    samples = raw if isinstance(raw, list) else []
    n = len(samples)
    notes = ["without tokenisation and sampling, which llama-bench leaves out", *document.notes]

    def seconds(metric: str, tokens: int) -> Estimate | None:
        scale = 1e-9 / tokens
        found = from_samples(samples, metric, scale)
        if found is None:
            summary = {"mean": row.get("avg_ns"), "std": row.get("stddev_ns")}
            found = from_summary(summary, metric, scale, n)
        rate = number(row.get("avg_ts"))
        if found is None and rate:
            found = single((prompt + output) / tokens / rate, metric, statistic="tokens / avg_ts")
        return found

    metrics: dict[str, Estimate | None] = {}
    if prompt and not output:
        metrics["ttft_s"] = seconds("ttft_s", 1)
        work = workload(1, prompt + depth, 1)
        test = f"pp{prompt}"
    elif output and not prompt:
        metrics["tpot_s"] = seconds("tpot_s", output)
        metrics["tokens_per_s"] = inverse(metrics["tpot_s"], "tokens_per_s")
        # generation starts from an empty cache unless a depth is given
        work = workload(1, max(depth, 1), output)
        test = f"tg{output}"
    else:
        metrics["e2e_s"] = seconds("e2e_s", 1)
        work = workload(1, prompt + depth, output)
        test = f"pp{prompt}+tg{output}"
        whole_answer = metrics["e2e_s"]
        if whole_answer is not None:
            metrics["tokens_per_s"] = single(
                output / whole_answer.value, "tokens_per_s", statistic="output / e2e"
            )
    if not any(metrics.values()):
        return None
    metrics["weight_bytes"] = single(row.get("model_size"), "weight_bytes")
    metrics["params_total"] = single(row.get("model_n_params"), "params_total")
    kind = str(row.get("model_type") or "")
    weights = kind.rsplit(" ", 1)[-1]
    runtime = served(weights, row.get("type_k"))
    if runtime is None and weights:
        notes.append(f"weights {weights}, a precision this program does not model")
    if depth:
        test += f" @ d{depth}"
    accelerated = (whole(row.get("n_gpu_layers")) or 0) > 0 and row.get("gpu_info")
    return ImportedPoint(
        f"{kind or row.get('model_filename') or 'model'}, {test}",
        work,
        runtime,
        str(row.get("gpu_info") if accelerated else row.get("cpu_info") or ""),
        keep(metrics),
        str(document.path),
        "llama-bench",
        str(row.get("build_commit") or row.get("build_number") or ""),
        tuple(notes),
    )


FORMAT = ResultFormat(
    title="llama-bench",
    file="-o json, jsonl, csv",
    checked_against="documented keys, files by hand",
    looked_for="'n_prompt', 'n_gen' and 'avg_ns' or 'avg_ts' (llama-bench)",
    recognises=recognises,
    read=read,
)
