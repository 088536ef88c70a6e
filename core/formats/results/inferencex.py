"""InferenceX (once InferenceMAX) aggregates: the keys of vLLM `bench serve` in seconds, without a suffix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.bench_serving import point_of
from core.formats.results.imported import need, number, whole
from core.formats.results.readers import ResultFormat
from core.records.imported import ImportedPoint

STATISTICS = ("mean", "median", "std", "p90", "p95", "p99")
TIMES = ("ttft", "tpot", "itl", "e2el")
# its names of what vLLM calls otherwise
RENAMED = {
    "conc": "max_concurrency",
    "model": "model_id",
    "hw": "gpu",
    "precision": "dtype",
    "isl": "random_input_len",
    "osl": "random_output_len",
    "tp": "tp_size",
}


def recognises(document: Document) -> bool:
    """True for objects with times by statistic that have no unit in their names."""
    return document.kind != "csv" and any(_is_result(row) for row in document.objects[:5])


def _is_result(row: Mapping[str, Any]) -> bool:
    return any(
        number(row.get(f"{s}_{t}")) is not None
        for s in ("mean", "median", "p99")
        for t in ("ttft", "tpot", "e2el")
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per object; a rate per GPU is taken times the GPUs."""
    points = [_point(row, document) for row in document.objects if _is_result(row)]
    return need(points, document, "seconds in {mean,median}_{ttft,tpot,itl,e2el} above 0")


def _point(row: Mapping[str, Any], document: Document) -> ImportedPoint:
    changed = {RENAMED.get(key, key): value for key, value in row.items()}
    for time in TIMES:
        for statistic in STATISTICS:
            seconds = number(row.get(f"{statistic}_{time}"))
            if seconds is not None:
                changed[f"{statistic}_{time}_ms"] = seconds * 1e3
    per_gpu = number(row.get("output_tput_per_gpu"))
    gpus = whole(row.get("num_gpus")) or whole(row.get("tp")) or 1
    if per_gpu is not None:
        changed["output_throughput"] = per_gpu * gpus
    return point_of(changed, changed, document, "InferenceX")


FORMAT = ResultFormat(
    title="InferenceX",
    file="agg_*.json",
    checked_against="source of its aggregation, files by hand",
    looked_for="'median_ttft', 'median_tpot' in seconds (InferenceX)",
    recognises=recognises,
    read=read,
    in_folders=("**/agg_*.json",),
)
