"""NVIDIA AIConfigurator `pareto.csv` and `best_config_topn.csv`: predictions, not measurements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import keep, need, number, served, single, whole, workload
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint


def recognises(document: Document) -> bool:
    """True for a table with the columns of AIConfigurator."""
    return document.kind == "csv" and {"isl", "osl", "ttft", "tpot"} <= set(document.header)


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per row; latencies are in milliseconds, memory in GiB."""
    points = [_point(row, document) for row in document.rows]
    return need(points, document, "ttft, tpot, tokens/s above 0")


def _point(row: Mapping[str, Any], document: Document) -> ImportedPoint:
    metrics: dict[str, Estimate | None] = {
        "ttft_s": single(row.get("ttft"), "ttft_s", 1e-3, "predicted"),
        "tpot_s": single(row.get("tpot"), "tpot_s", 1e-3, "predicted"),
        "e2e_s": single(row.get("request_latency"), "e2e_s", 1e-3, "predicted"),
        "tokens_per_s": single(row.get("tokens/s"), "tokens_per_s", 1.0, "predicted"),
        "tokens_per_s_user": single(
            row.get("tokens/s/user"), "tokens_per_s_user", 1.0, "predicted"
        ),
        "memory_bytes": single(
            row.get("memory", row.get("(d)memory")), "memory_bytes", 2.0**30, "predicted"
        ),
    }
    gpus = whole(row.get("num_total_gpus")) or 1
    if metrics["tokens_per_s"] is None:
        rate = number(row.get("tokens/s/gpu"))
        metrics["tokens_per_s"] = single(
            rate * gpus if rate else None, "tokens_per_s", 1.0, "predicted"
        )
    system = str(row.get("system") or row.get("(d)system") or "")
    parallel = str(row.get("parallel") or row.get("(d)parallel") or f"tp {row.get('tp', '?')}")
    notes = ("predicted by AIConfigurator, not measured", "memory is of one GPU")
    return ImportedPoint(
        f"{row.get('model') or 'model'}, {parallel}, concurrency {row.get('concurrency', '?')}",
        workload(
            row.get("concurrency") or row.get("global_bs") or row.get("bs"),
            row.get("isl"),
            row.get("osl"),
        ),
        served(row.get("gemm"), row.get("kvcache")),
        f"{gpus} x {system}" if system and gpus > 1 else system,
        keep(metrics),
        str(document.path),
        "AIConfigurator",
        str(row.get("version") or ""),
        notes,
    )


FORMAT = ResultFormat(
    title="AIConfigurator",
    file="pareto.csv, best_config_topn.csv",
    checked_against="documented keys, files by hand",
    looked_for="columns 'isl', 'osl', 'ttft', 'tpot', 'tokens/s/gpu' (AIConfigurator)",
    recognises=recognises,
    read=read,
    in_folders=("**/pareto.csv",),
)
