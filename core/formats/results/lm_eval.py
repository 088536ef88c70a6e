"""lm-evaluation-harness `results_*.json`: accuracy and bits per byte, task by task, with errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.results.imported import inside, need, number, whole
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

# metrics of a task that count as its accuracy, best first
ACCURACIES = ("acc_norm", "acc", "exact_match", "pass@1", "f1", "mc2", "mc1")


def recognises(document: Document) -> bool:
    """True for an object with 'results' by task and one more key of lm-eval."""
    value = document.object
    tasks = value.get("results")
    if not isinstance(tasks, Mapping) or not tasks:
        return False
    marks = ("versions", "configs", "lm_eval_version", "n-shot", "n-samples", "higher_is_better")
    return any(key in value for key in marks) and all(
        isinstance(t, Mapping) for t in tasks.values()
    )


def read(document: Document) -> tuple[ImportedPoint, ...]:
    """One point: the mean over tasks, and each task by itself; groups stand for their subtasks."""
    value = document.object
    results = value["results"]
    config = inside(value, "config")
    notes: list[str] = list(document.notes)
    metrics: dict[str, Estimate] = {}
    members = _members(value, results)
    accuracies: dict[str, Estimate] = {}
    bits: dict[str, Estimate] = {}
    used: set[str] = set()
    for task, entry in results.items():
        if task in members:
            continue
        samples = _samples(value, task)
        found = _accuracy(entry, _directions(value, task), samples)
        if found is not None:
            accuracies[task] = found[1]
            used.add(found[0])
        rolling = _bits_per_byte(entry, samples)
        if rolling is not None:
            bits[task] = rolling
    for key, by_task in (("accuracy", accuracies), ("bits_per_byte", bits)):
        metrics |= {f"{key}:{task}": estimate for task, estimate in by_task.items()}
        if by_task:
            metrics[key] = _mean(list(by_task.values()))
            notes.append(f"{key} is the plain mean over {', '.join(by_task)}")
    if used:
        notes.append(f"metric per task: the first of {', '.join(ACCURACIES)} that is there")
    shots = [f"{t} {n}" for t, n in inside(value, "n-shot").items() if t in accuracies]
    if shots:
        notes.append("shots: " + ", ".join(shots))
    params = whole(config.get("model_num_parameters"))
    if params:
        metrics["params_total"] = Estimate(float(params), unit="count")
    point = ImportedPoint(
        _name(value, config),
        None,
        None,
        str(config.get("device") or ""),
        metrics if accuracies or bits else {},
        str(document.path),
        "lm-eval",
        str(value.get("lm_eval_version") or ""),
        tuple(notes),
    )
    return need([point], str(document.path), "numbers under " + ", ".join(ACCURACIES))


def _members(value: Mapping[str, Any], results: Mapping[str, Any]) -> set[str]:
    """Tasks inside a group that has a number of its own, which would be counted twice."""
    children = {
        group: [str(t) for t in tasks]
        for group, tasks in inside(value, "group_subtasks").items()
        if isinstance(tasks, list)
    }
    found: set[str] = set()
    todo = [
        child
        for group, tasks in children.items()
        if _accuracy(inside(results, group), {}, 0) is not None
        for child in tasks
    ]
    while todo:
        task = todo.pop()
        if task not in found:
            found.add(task)
            todo += children.get(task, [])
    return found


def _accuracy(
    entry: Mapping[str, Any], directions: Mapping[str, Any], samples: int
) -> tuple[str, Estimate] | None:
    for name in ACCURACIES:
        for key, raw in entry.items():
            metric, _, chosen = key.partition(",")
            value = number(raw)
            if metric != name or value is None or directions.get(metric) is False:
                continue
            error = number(entry.get(f"{metric}_stderr,{chosen}" if chosen else f"{metric}_stderr"))
            percent = 0.01 if value > 1 else 1.0
            value *= percent
            low = high = None
            if error is not None:
                half = 1.96 * error * percent
                low, high = max(value - half, 0.0), min(value + half, 1.0)
            return name, Estimate(value, low, high, samples, "", key)
    return None


def _bits_per_byte(entry: Mapping[str, Any], samples: int) -> Estimate | None:
    for key, raw in entry.items():
        value = number(raw)
        metric = key.partition(",")[0]
        if value is None or value <= 0:
            continue
        if metric == "bits_per_byte":
            return Estimate(value, n=samples, unit="bits/byte", statistic=key)
        if metric == "byte_perplexity" and "bits_per_byte,none" not in entry:
            return Estimate(
                math.log2(value), n=samples, unit="bits/byte", statistic=f"log2 of {key}"
            )
    return None


def _directions(value: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    return inside(inside(value, "higher_is_better"), task)


def _samples(value: Mapping[str, Any], task: str) -> int:
    return whole(inside(inside(value, "n-samples"), task).get("effective")) or 0


def _mean(parts: list[Estimate]) -> Estimate:
    value = sum(p.value for p in parts) / len(parts)
    halves = [(p.high - p.low) / 2 for p in parts if p.low is not None and p.high is not None]
    low = high = None
    if len(halves) == len(parts):
        # tasks are independent sets of questions
        half = math.sqrt(sum(h * h for h in halves)) / len(parts)
        low, high = value - half, value + half
    return Estimate(
        value, low, high, sum(p.n for p in parts), parts[0].unit, f"mean of {len(parts)} tasks"
    )


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
