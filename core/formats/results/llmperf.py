"""llmperf (`token_benchmark_ray.py`): the summary of a run, or its single requests.

Its inter-token latency is the whole answer over the output tokens, so it holds the time to first token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.document import Document
from core.formats.results.imported import (
    from_samples,
    from_summary,
    keep,
    need,
    number,
    single,
    whole,
    workload,
)
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

REQUEST = {"ttft_s", "end_to_end_latency_s", "number_output_tokens"}
SUMMARY = {"results_ttft_s_mean", "results_end_to_end_latency_s_mean"}
ITL_TOLD = "inter_token_latency_s, which holds the time to first token"


def recognises(document: Document) -> bool:
    """True for rows of single requests, or an object of a run's summary."""
    return bool(_requests(document)) or set(document.object) >= SUMMARY


def _requests(document: Document) -> list[Mapping[str, Any]]:
    return [row for row in document.objects if set(row) >= REQUEST]


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point. Of single requests: the medians of those that succeeded, with the others counted."""
    requests = _requests(document)
    point = _of_requests(requests, document) if requests else _of_summary(document)
    return need([point], document, "ttft_s, end_to_end_latency_s above 0", (ITL_TOLD,))


def _of_requests(rows: list[Mapping[str, Any]], document: Document) -> ImportedPoint:
    good = [
        row
        for row in rows
        if row.get("error_code") in (None, "", 0) and (number(row.get("ttft_s")) or 0) > 0
    ]
    failed = len(rows) - len(good)
    lengths = [
        _mean(row.get(f"number_{side}_tokens") for row in good) for side in ("input", "output")
    ]
    metrics: dict[str, Estimate | None] = {
        "ttft_s": from_samples((row.get("ttft_s") for row in good), "ttft_s"),
        "e2e_s": from_samples((row.get("end_to_end_latency_s") for row in good), "e2e_s"),
        "tpot_s": from_samples(_tpots(good), "tpot_s"),
    }
    codes = dict.fromkeys(str(r["error_code"]) for r in rows if r.get("error_code"))
    why = f" (error {', '.join(codes)})" if codes else ""
    return ImportedPoint(
        _name(document.path),
        workload(None, *lengths),
        None,
        "",
        keep(metrics),
        str(document.path),
        "llmperf",
        "",
        (
            f"medians of {len(good)} requests of about {_count(lengths[0])} tokens in,"
            f" {_count(lengths[1])} out",
            "the requests in flight are not in the file; they are in the summary beside it",
        ),
        left_out=(f"{failed} of {len(rows)} requests, which failed{why}",) if failed else (),
        failed_requests=failed,
    )


def _tpots(rows: list[Mapping[str, Any]]) -> list[float]:
    """(whole answer - TTFT) / (output tokens - 1) of each request."""
    found = []
    for row in rows:
        first, answer = number(row.get("ttft_s")), number(row.get("end_to_end_latency_s"))
        tokens = whole(row.get("number_output_tokens")) or 0
        if first is not None and answer is not None and tokens > 1 and answer > first:
            found.append((answer - first) / (tokens - 1))
    return found


def _of_summary(document: Document) -> ImportedPoint:
    row = document.object
    failed = whole(row.get("results_number_errors")) or 0
    completed = whole(row.get("results_num_completed_requests")) or 0
    metrics: dict[str, Estimate | None] = {
        "ttft_s": _summary(row, "ttft_s", "ttft_s", completed),
        "e2e_s": _summary(row, "end_to_end_latency_s", "e2e_s", completed),
        "tokens_per_s": single(
            row.get("results_mean_output_throughput_token_per_s"), "tokens_per_s", statistic="mean"
        ),
    }
    lengths = [
        number(row.get(f"results_number_{side}_tokens_mean"))
        or number(row.get(f"mean_{side}_tokens"))
        for side in ("input", "output")
    ]
    model, batch = row.get("model") or _name(document.path), row.get("num_concurrent_requests")
    return ImportedPoint(
        f"{model}, concurrency {batch}" if batch else str(model),
        workload(batch, *lengths),
        None,
        "",
        keep(metrics),
        str(document.path),
        "llmperf",
        str(row.get("version") or ""),
        (f"{completed} requests",) if completed else (),
        left_out=(f"{failed} requests, which failed",) if failed else (),
        failed_requests=failed,
    )


def _summary(row: Mapping[str, Any], name: str, metric: str, n: int) -> Estimate | None:
    begin = f"results_{name}_"
    given = {
        key.removeprefix(begin).removeprefix("quantiles_").replace("stddev", "std"): value
        for key, value in row.items()
        if key.startswith(begin)
    }
    return from_summary(given, metric, 1.0, n)


def _name(path: Path) -> str:
    return path.stem.removesuffix("_individual_responses").removesuffix("_summary")


def _mean(values: Any) -> float | None:
    found = [v for v in map(number, values) if v is not None and v > 0]
    return float(np.mean(found)) if found else None


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def _repeated(file: Path, files: Collection[Path]) -> bool:
    """True for single requests whose summary lies beside them, which also says how many were in flight."""
    return file.with_name(file.name.replace("_individual_responses", "_summary")) != file and (
        file.with_name(file.name.replace("_individual_responses", "_summary")) in files
    )


FORMAT = ResultFormat(
    title="llmperf",
    file="*_summary.json, *_individual_responses.json",
    checked_against="documented keys, files by hand",
    looked_for="'results_ttft_s_mean' (llmperf), rows with 'ttft_s' and 'number_output_tokens'",
    recognises=recognises,
    read=read,
    in_folders=("**/*_individual_responses.json", "**/*_summary.json"),
    repeated=_repeated,
)
