"""Results of other tools: points with workload, source and, where their files allow it, intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value in SI units with its 95 % interval where the file allows one (else None).

    `statistic` says what the value is ('median', 'mean', 'p99', 'max', 'value'); `n` is the number of
    samples behind it (0: unknown); `statistics` keeps the others the file gave, e.g. {'p99': 0.012}.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int = 0
    unit: str = ""
    statistic: str = "value"
    statistics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImportedPoint:
    """One result of another tool. What the file lacks is None or empty, and noted.

    `left_out` says what its file holds that is in no point: rows, tasks, columns, tests.
    `failed_requests` counts the requests behind it that did not succeed, which are in no metric.
    `scores` are the scores of single questions of one task by the question's id, for comparing
    models question by question; empty where the file has none.
    """

    name: str
    workload: Workload | None
    runtime: Runtime | None
    device: str
    metrics: Mapping[str, Estimate]
    source: str
    tool: str
    tool_version: str = ""
    notes: tuple[str, ...] = ()
    architecture: Architecture | None = None
    left_out: tuple[str, ...] = ()
    failed_requests: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)


def left_out(points: Iterable[ImportedPoint]) -> tuple[str, ...]:
    """Every line on what files hold that is in none of these points, once."""
    return tuple(dict.fromkeys(line for point in points for line in point.left_out))
