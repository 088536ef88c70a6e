"""lm-evaluation-harness `results_*.json`: accuracy and bits per byte, task by task, with errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import inside, need, number, whole
from core.formats.results.readers import ResultFormat
from core.formats.results.tasks import (
    ACCURACIES,
    TaskScore,
    accuracies,
    best_metric,
    mean_of,
    metrics_of,
)
from core.records.imported import Estimate, ImportedPoint

# its rolling windows share one token
DISJOINT = "bits_per_byte_disjoint"
# tasks of old versions that are the parts of one benchmark, which no key says
FAMILIES = ("hendrycksTest-",)


def recognises(document: Document) -> bool:
    """True for an object with 'results' by task and one more key of lm-eval."""
    value = document.object
    tasks = value.get("results")
    if not isinstance(tasks, Mapping) or not tasks or "config_general" in value:
        return False
    marks = ("versions", "configs", "lm_eval_version", "n-shot", "n-samples", "higher_is_better")
    return any(key in value for key in marks) and all(
        isinstance(t, Mapping) for t in tasks.values()
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point: the mean over tasks, and each task by itself. Every task without a number that is an
    accuracy or bits per byte is named."""
    value = document.object
    results = value["results"]
    config = inside(value, "config")
    groups = _groups(value, results)
    scores: dict[str, TaskScore] = {}
    bits: dict[str, Estimate] = {}
    left_out = []
    for task, entry in results.items():
        samples = _samples(value, task)
        score = best_metric(entry, inside(inside(value, "higher_is_better"), task), samples)
        if score is not None:
            scores[task] = score
        rolling = _bits_per_byte(entry, samples)
        if rolling is not None:
            bits[task] = rolling
        if score is None and rolling is None and task not in groups:
            left_out.append(f"task {task}: {metrics_of(entry)}")
    found = accuracies(scores, groups)
    metrics = {f"accuracy:{task}": estimate for task, estimate in found.by_task.items()}
    if found.mean is not None:
        metrics["accuracy"] = found.mean
    notes = list(found.notes)
    metrics |= {f"{DISJOINT}:{task}": estimate for task, estimate in bits.items()}
    if bits:
        metrics[DISJOINT] = mean_of(list(bits.values()))
        notes.append(f"{DISJOINT} is the plain mean over {', '.join(bits)}")
    if scores:
        used = {score.metric for score in scores.values()}
        order = ", ".join(name for name in ACCURACIES if name in used)
        notes.append(f"metric per task: the first of {order} that is there")
    shots = [f"{t} {n}" for t, n in inside(value, "n-shot").items() if t in found.by_task]
    if shots:
        notes.append("shots: " + ", ".join(shots))
    params = whole(config.get("model_num_parameters"))
    if params and metrics:
        metrics["params_total"] = Estimate(float(params), unit="count")
    point = ImportedPoint(
        _name(value, config),
        None,
        None,
        str(config.get("device") or ""),
        metrics,
        str(document.path),
        "lm-eval",
        str(value.get("lm_eval_version") or ""),
        tuple(notes),
    )
    return need(
        [point],
        document,
        "numbers under " + ", ".join(ACCURACIES[:8]),
        (*left_out, *found.left_out),
    )


def _groups(value: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, list[str]]:
    """The tasks of each group."""
    groups = {
        str(group): [str(t) for t in tasks]
        for group, tasks in inside(value, "group_subtasks").items()
        if isinstance(tasks, list) and tasks
    }
    for family in FAMILIES:
        members = [task for task in results if task.startswith(family)]
        name = family.rstrip("-_")
        if len(members) > 1 and name not in groups:
            groups[name] = members
    return groups


def _bits_per_byte(entry: Mapping[str, Any], samples: int) -> Estimate | None:
    for key, raw in entry.items():
        value = number(raw)
        metric = key.partition(",")[0]
        if value is None or not value > 0:
            continue
        if metric == "bits_per_byte":
            return Estimate(value, n=samples, unit="bits/byte", statistic=key)
        if metric == "byte_perplexity" and "bits_per_byte,none" not in entry:
            return Estimate(
                math.log2(value), n=samples, unit="bits/byte", statistic=f"log2 of {key}"
            )
    return None


def _samples(value: Mapping[str, Any], task: str) -> int:
    return whole(inside(inside(value, "n-samples"), task).get("effective")) or 0


def _name(value: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    if value.get("model_name"):
        return str(value["model_name"])
    arguments = config.get("model_args")
    if isinstance(arguments, Mapping):
        arguments = ",".join(f"{k}={v}" for k, v in arguments.items())
    for part in str(arguments or "").split(","):
        key, _, word = part.partition("=")
        if key.strip() in ("pretrained", "model") and word:
            return word.strip()
    return str(config.get("model") or "model")


FORMAT = ResultFormat(
    title="lm-eval",
    file="results_*.json",
    checked_against="documented keys, files by hand",
    looked_for="'results' of tasks with keys such as 'acc,none' (lm-eval)",
    recognises=recognises,
    read=read,
    in_folders=("**/results_*.json",),
)
