"""lighteval `results_*.json`: accuracy task by task; 'all' and '_average' are summaries of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import inside, need
from core.formats.results.readers import ResultFormat
from core.formats.results.tasks import TaskScore, accuracies, best_metric, metrics_of
from core.records.imported import ImportedPoint

ALL = "all"
AVERAGE = "_average"


def recognises(document: Document) -> bool:
    """True for an object with 'config_general' beside 'results' by task."""
    value = document.object
    return isinstance(value.get("config_general"), Mapping) and bool(inside(value, "results"))


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point: the mean over tasks, and each task by itself; subsets of a task count once."""
    value = document.object
    results = {k: v for k, v in inside(value, "results").items() if isinstance(v, Mapping)}
    general = inside(value, "config_general")
    scores: dict[str, TaskScore] = {}
    left_out = []
    for task, entry in results.items():
        if task == ALL:
            continue
        score = best_metric(_plain(entry), {}, 0)
        if score is not None:
            scores[task] = score
        else:
            left_out.append(f"task {task}: {metrics_of(entry)}")
    found = accuracies(scores, _groups(results))
    metrics = {f"accuracy:{task}": estimate for task, estimate in found.by_task.items()}
    if found.mean is not None:
        metrics["accuracy"] = found.mean
    notes = [*found.notes]
    if ALL in results:
        notes.append(f"'{ALL}' is a summary of the file and not counted")
    model = general.get("model_name") or inside(general, "model_config").get("model_name")
    point = ImportedPoint(
        str(model or document.path.stem),
        None,
        None,
        "",
        metrics,
        str(document.path),
        "lighteval",
        str(general.get("lighteval_sha") or "").strip("?"),
        tuple(notes),
    )
    return need(
        [point], document, "accuracies such as 'acc' and 'qem'", (*left_out, *found.left_out)
    )


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with the settings of a metric cut off: 'pass@k:k=1&n=1' is pass@1, as in lm-eval."""
    renamed = {key.replace("pass@k:k=1", "pass@1"): raw for key, raw in entry.items()}
    return {key.partition(":")[0]: raw for key, raw in renamed.items()}


def _groups(results: Mapping[str, Any]) -> dict[str, list[str]]:
    """The subsets of each task that has several: 'leaderboard|mmlu:astronomy|5' is one of mmlu's."""
    families: dict[str, list[str]] = {}
    for task in results:
        before, colon, _ = task.partition(":")
        if colon:
            families.setdefault(before, []).append(task)
    groups = {}
    for family, tasks in families.items():
        average = [task for task in tasks if f":{AVERAGE}" in task]
        subsets = [task for task in tasks if task not in average]
        if average and subsets:
            groups[average[0]] = subsets
        elif family.rpartition("|")[2] in ("mmlu", "hendrycksTest") and len(subsets) > 1:
            groups[family] = subsets
    return groups


FORMAT = ResultFormat(
    title="lighteval",
    file="results_*.json",
    checked_against="documented keys, files by hand",
    looked_for="'config_general' and 'results' of tasks (lighteval)",
    recognises=recognises,
    read=read,
    in_folders=("**/results_*.json",),
)
