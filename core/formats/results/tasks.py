"""Scores by task: which metric of a task is its accuracy, and the mean in which a group counts once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.formats.results.imported import number
from core.formats.results.shares import as_shares
from core.records.imported import Estimate

# metrics of a task that count as its accuracy, best first
ACCURACIES = (
    "acc_norm",
    "acc",
    "exact_match",
    "prompt_level_strict_acc",
    "pass@1",
    "pass_at_1",
    "f1",
    "mc2",
    "mc1",
    "truthfulqa_mc2",
    "truthfulqa_mc1",
    "qem",
    "quasi_exact_match",
    "pqem",
    "prefix_quasi_exact_match",
    "em",
    "extractive_match",
    "accuracy",
)
Z = 1.96


@dataclass(frozen=True, slots=True)
class TaskScore:
    """The accuracy of a task as its file writes it: the metric, the key, the value, its standard error
    (None: unknown) and the number of questions (0: unknown)."""

    metric: str
    key: str
    value: float
    error: float | None = None
    questions: int = 0


@dataclass(frozen=True, slots=True)
class Accuracies:
    """The accuracies by task and their mean, with notes on how they came about.

    `mean` is None without a task. `counted` are the tasks and groups in the mean.
    """

    by_task: Mapping[str, Estimate]
    mean: Estimate | None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = field(default=())


def best_metric(
    entry: Mapping[str, Any], directions: Mapping[str, Any], questions: int
) -> TaskScore | None:
    """The first of ACCURACIES in a task's entry, whose keys may name a filter after a comma."""
    for name in ACCURACIES:
        for key, raw in entry.items():
            metric, _, chosen = key.partition(",")
            value = number(raw)
            if metric != name or value is None or value != value:
                continue
            if directions.get(metric) is False:
                continue
            error = number(entry.get(f"{metric}_stderr,{chosen}" if chosen else f"{metric}_stderr"))
            return TaskScore(name, key, value, error, questions)
    return None


def metrics_of(entry: Mapping[str, Any]) -> str:
    """What a task holds instead of an accuracy."""
    names = [key.partition(",")[0] for key, raw in entry.items() if number(raw) is not None]
    shown = [n for n in dict.fromkeys(names) if not n.endswith("_stderr")]
    return f"no accuracy (it has {', '.join(shown[:3])})" if shown else "it holds no number"


def accuracies(scores: Mapping[str, TaskScore], groups: Mapping[str, Sequence[str]]) -> Accuracies:
    """Accuracies as shares, with a mean in which a group counts once, however many tasks it has.

    A group with a score of its own stands for its tasks; for another the mean of its tasks counts.
    """
    shares = as_shares({task: score.value for task, score in scores.items()})
    every = {
        task: _estimate(scores[task], value, shares.factor) for task, value in shares.values.items()
    }
    inside = {task for members in groups.values() for task in members}
    hidden = _below([group for group in groups if group in every], groups)
    by_task = {task: e for task, e in every.items() if task not in hidden}
    counted: dict[str, Estimate] = {}
    for task in dict.fromkeys((*by_task, *groups)):
        if task not in inside and (found := _value(task, every, groups, frozenset())) is not None:
            counted[task] = found
    for task, estimate in by_task.items():
        if task in inside and not _below([g for g in counted if g in groups], groups) & {task}:
            counted[task] = estimate
    notes = [shares.note] if shares.note else []
    if counted:
        names = [
            f"{name} (itself a mean of {len(groups[name])})"
            if name in groups and name not in every
            else name
            for name in counted
        ]
        notes.append(f"accuracy is the plain mean over {', '.join(names)}")
    stand = [f"{g} for {len(groups[g])}" for g in groups if g in every and g not in hidden]
    if stand:
        notes.append(f"groups stand for their tasks: {', '.join(stand)}")
    mean = mean_of(list(counted.values())) if counted else None
    return Accuracies(by_task, mean, tuple(notes), tuple(f"task {t}" for t in shares.left_out))


def _estimate(score: TaskScore, value: float, factor: float) -> Estimate:
    low = high = None
    if score.error is not None and score.error == score.error and score.error >= 0:
        half = Z * score.error * factor
        low, high = max(value - half, 0.0), min(value + half, 1.0)
    return Estimate(value, low, high, score.questions, "", score.key)


def _below(tops: Sequence[str], groups: Mapping[str, Sequence[str]]) -> set[str]:
    """All tasks inside these groups, however deep."""
    found: set[str] = set()
    todo = [task for group in tops for task in groups.get(group, ())]
    while todo:
        task = todo.pop()
        if task not in found:
            found.add(task)
            todo += groups.get(task, ())
    return found


def _value(
    task: str,
    every: Mapping[str, Estimate],
    groups: Mapping[str, Sequence[str]],
    above: frozenset[str],
) -> Estimate | None:
    """A task's own accuracy, else the mean of the tasks inside it; a file may name itself inside itself."""
    if task in every:
        return every[task]
    if task in above:
        return None
    parts = [_value(t, every, groups, above | {task}) for t in groups.get(task, ())]
    found = [p for p in parts if p is not None]
    return mean_of(found) if found else None


def mean_of(parts: Sequence[Estimate]) -> Estimate:
    """The plain mean, with an interval where every part has one: tasks are independent questions."""
    if len(parts) == 1:
        return parts[0]
    value = math.fsum(p.value for p in parts) / len(parts)
    halves = [(p.high - p.low) / 2 for p in parts if p.low is not None and p.high is not None]
    low = high = None
    if len(halves) == len(parts):
        half = math.sqrt(math.fsum(h * h for h in halves)) / len(parts)
        low, high = value - half, value + half
    return Estimate(
        value, low, high, sum(p.n for p in parts), parts[0].unit, f"mean of {len(parts)} tasks"
    )
