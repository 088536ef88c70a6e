"""vLLM benchmarks in PyTorch's format (`*.pytorch.json`): one object for each metric of a run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from core.document import Document
from core.formats.results.bench_serving import is_result, point_of
from core.formats.results.imported import inside, need, number
from core.formats.results.readers import ResultFormat
from core.records.imported import ImportedPoint


def recognises(document: Document) -> bool:
    """True for objects with a benchmark, a model and a metric's values."""
    rows = document.objects[:5]
    return bool(rows) and all(
        "benchmark_values" in inside(row, "metric") and "benchmark" in row for row in rows
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per run: the metrics of one model under one set of arguments."""
    runs: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for row in document.objects:
        arguments = inside(inside(inside(row, "benchmark"), "extra_info"), "args")
        model = inside(row, "model").get("name")
        settings: dict[str, Any] = {**arguments, "model": model or arguments.get("model")}
        key = json.dumps(settings, sort_keys=True, default=str)
        gathered, _ = runs.setdefault(key, ({}, settings))
        values = inside(row, "metric").get("benchmark_values")
        found = [
            v for v in map(number, values if isinstance(values, list) else ()) if v is not None
        ]
        if found:
            gathered[str(inside(row, "metric").get("name"))] = float(np.median(found))
    points, left_out = [], []
    for metrics, settings in runs.values():
        if is_result(metrics):
            points.append(point_of(metrics, settings, document, "vLLM bench serve"))
        else:
            left_out.append(f"{settings['model'] or 'a run'}: {', '.join(metrics) or 'no metric'}")
    return need(points, document, "{mean,median}_{ttft,tpot,itl,e2el}_ms above 0", left_out)


FORMAT = ResultFormat(
    title="vLLM benchmarks in PyTorch's format",
    file="*.pytorch.json",
    checked_against="documented keys, files by hand",
    looked_for="'metric' with 'benchmark_values' (vLLM, PyTorch's format)",
    recognises=recognises,
    read=read,
    in_folders=("**/*.pytorch.json",),
)
