"""Tables of the Open LLM Leaderboard: one point per model, with the mean accuracy over its tasks.

The first leaderboard gives accuracies in percent. The second gives scores between chance and perfect in
percent, which are no accuracies, and the accuracies themselves in columns called 'Raw'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import UNITS, need, number, served
from core.formats.results.readers import ResultFormat
from core.formats.results.tasks import TaskScore, accuracies
from core.records.imported import Estimate, ImportedPoint

FIRST = ("ARC", "HellaSwag", "MMLU", "TruthfulQA", "Winogrande", "GSM8K")
SECOND = ("IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO")
FEWEST = 3
TAG = re.compile(r"<[^>]*>")


def recognises(document: Document) -> bool:
    """True for a table with several of either leaderboard's tasks beside an average."""
    header = set(document.header)
    average = any(name.startswith("Average") for name in header)
    return average and any(
        sum(task in header for task in tasks) >= FEWEST for tasks in (FIRST, SECOND)
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point per model. The leaderboard's own average is not taken: it is over normalised scores."""
    header = set(document.header)
    second = sum(task in header for task in SECOND) >= FEWEST
    columns = {t: f"{t} Raw" if second else t for t in (SECOND if second else FIRST)}
    columns = {task: column for task, column in columns.items() if column in header}
    points = [_point(row, columns, second, document) for row in document.rows]
    looked = "columns such as 'BBH Raw' (the others are normalised, no accuracies)"
    return need(points, document, looked if second else "accuracies of tasks")


def _point(
    row: Mapping[str, Any], columns: Mapping[str, str], second: bool, document: Document
) -> ImportedPoint:
    scores = {
        task: TaskScore(column, column, value if second else value / 100)
        for task, column in columns.items()
        if (value := number(row.get(column))) is not None and value == value
    }
    found = accuracies(scores, {})
    missing = [task for task in columns if task not in found.by_task]
    metrics = {f"accuracy:{task}": e for task, e in found.by_task.items()}
    if found.mean is not None:
        metrics["accuracy"] = found.mean
        params = next((p for k in ("#Params (B)", "Params (B)") if (p := number(row.get(k)))), None)
        if params and params > 0:
            metrics["params_total"] = Estimate(params * 1e9, unit=UNITS["params_total"])
    told = next((row[k] for k in ("fullname", "model_name_for_query", "Model") if row.get(k)), "")
    name = TAG.sub("", str(told)).strip() or "model"
    lacks = (f"{name}: no value for {', '.join(missing)}",) if missing and found.by_task else ()
    return ImportedPoint(
        name,
        None,
        served(row.get("Precision")),
        "",
        metrics,
        str(document.path),
        "Open LLM Leaderboard 2" if second else "Open LLM Leaderboard 1",
        "",
        found.notes,
        left_out=(*lacks, *found.left_out),
    )


FORMAT = ResultFormat(
    title="Open LLM Leaderboard",
    file="*.csv",
    checked_against="documented columns, files by hand",
    looked_for="'Average ⬆' beside 'IFEval', 'BBH', ... or 'ARC', 'HellaSwag', ... (Open LLM Leaderboard)",
    recognises=recognises,
    read=read,
)
