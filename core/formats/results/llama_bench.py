"""llama.cpp `llama-bench` output (`-o json`, `jsonl`, `csv`): one point per test.

A test may begin behind a prefilled context of `n_depth` tokens. The time of a prompt is then that of its
last tokens alone, which is no time to first token of anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
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
from core.formats.results.row_names import row_names
from core.records.imported import Estimate, ImportedPoint

# spellings in tables that people make of the output
DEPTHS = ("n_depth", "starting_depth", "depth")
MODELS = ("model_type", "model_filename", "model", "model_name")
# columns of llama-bench itself, and what is made of them; any other column tells rows apart
OWN = frozenset(
    (*DEPTHS, *MODELS, "model_size", "model_n_params", "n_prompt", "n_gen", "avg_ns", "stddev_ns",
     "avg_ts", "stddev_ts", "samples_ns", "samples_ts", "build_commit", "build_number", "cpu_info",
     "gpu_info", "backends", "n_gpu_layers", "type_k", "type_v", "test_time")
)  # fmt: skip


def recognises(document: Document) -> bool:
    """True when rows hold n_prompt, n_gen and a time or a rate."""
    return any(
        "n_prompt" in row and "n_gen" in row and ("avg_ns" in row or "avg_ts" in row)
        for row in document.objects[:5]
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """Prompt tests (pp) give TTFT, generation tests (tg) give TPOT, mixed ones the whole answer."""
    return points_of(document.objects, document)


def points_of(rows: Sequence[Mapping[str, Any]], document: Document) -> tuple[ImportedPoint, ...]:
    """The points of llama-bench's rows; a row of which nothing can be made is named as left out."""
    left_out, kept = [], []
    others = list(dict.fromkeys(key for row in rows for key in row if key not in OWN))
    telling, _ = row_names(rows, None, others)
    for row, words in zip(rows, telling, strict=True):
        test = _test(row)
        if test and " @ d" in test and test.startswith("pp"):
            left_out.append(f"{_model(row)}, {test}: the time of tokens behind a context, no TTFT")
            continue
        found = _point(row, document, "" if words.startswith("row ") else words) if test else None
        if found is None:
            left_out.append(f"{_model(row)}, {test or 'a row without a test'}: no time")
        else:
            kept.append(found)
    return need(kept, document, "n_prompt, n_gen, avg_ns or avg_ts above 0", left_out)


def _model(row: Mapping[str, Any]) -> str:
    return next((str(row[key]) for key in MODELS if row.get(key)), "model")


def _depth(row: Mapping[str, Any]) -> int:
    return next((found for key in DEPTHS if (found := whole(row.get(key)))), 0)


def _test(row: Mapping[str, Any]) -> str:
    """The test's name as llama-bench prints it: 'pp512', 'tg128 @ d4096'; empty for a row without one."""
    prompt, output = whole(row.get("n_prompt")), whole(row.get("n_gen"))
    test = "+".join(f"{kind}{n}" for kind, n in (("pp", prompt), ("tg", output)) if n)
    depth = _depth(row)
    return f"{test} @ d{depth}" if test and depth else test


def _point(row: Mapping[str, Any], document: Document, words: str) -> ImportedPoint | None:
    prompt, output = whole(row.get("n_prompt")) or 0, whole(row.get("n_gen")) or 0
    depth = _depth(row)
    raw = row.get("samples_ns")
    samples = raw if isinstance(raw, list) else []
    n = len(samples)
    notes = ["without tokenisation and sampling, which llama-bench leaves out"]

    def seconds(metric: str, tokens: int) -> Estimate | None:
        scale = 1e-9 / tokens
        found = from_samples(samples, metric, scale)
        if found is None:
            summary = {"mean": row.get("avg_ns"), "std": row.get("stddev_ns")}
            found = from_summary(summary, metric, scale, n)
        rate = number(row.get("avg_ts"))
        if found is None and rate:
            found = single((prompt + output) / tokens / rate, metric, statistic="tokens / avg_ts")
            spread = number(row.get("stddev_ts"))
            if found is not None and spread is not None and spread > 0:
                found = replace(found, statistics={"std": found.value * spread / rate})
        return found

    metrics: dict[str, Estimate | None] = {}
    if prompt and not output:
        metrics["ttft_s"] = seconds("ttft_s", 1)
        work = workload(1, prompt, 1)
    elif output and not prompt:
        metrics["tpot_s"] = seconds("tpot_s", output)
        metrics["tokens_per_s"] = inverse(metrics["tpot_s"], "tokens_per_s")
        # generation starts from an empty cache unless a depth is given
        work = workload(1, max(depth, 1), output)
    else:
        metrics["e2e_s"] = seconds("e2e_s", 1)
        work = workload(1, prompt, output)
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
        notes.append(f"weights of {kind}, a precision this program does not model")
    accelerated = (whole(row.get("n_gpu_layers")) or 0) > 0 and row.get("gpu_info")
    return ImportedPoint(
        ", ".join(word for word in (_model(row), _test(row), words) if word),
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
