"""Two models on the same questions: the mean difference of their scores, question by question.

Hard questions are hard for both, so the difference is known better than either model's own share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from core.records.imported import ImportedPoint
from core.samples.statistics import student_t

FEWEST = 10
MOST_PAIRS = 20


@dataclass(frozen=True, slots=True)
class PairedScores:
    """The mean of (score of `first` - score of `second`) over the questions that both answered, with its
    95 % interval by Student's t; None where no question tells them apart."""

    task: str
    first: str
    second: str
    questions: int
    difference: float
    low: float | None = None
    high: float | None = None

    @property
    def text(self) -> str:
        """The comparison in one line."""
        interval = (
            ""
            if self.low is None or self.high is None
            else f" ({self.low:+.3f} to {self.high:+.3f})"
        )
        return (
            f"{self.task}, {self.questions} questions of both: {self.first} - {self.second} ="
            f" {self.difference:+.3f}{interval}"
        )


def paired_scores(
    points: Sequence[ImportedPoint], among: Sequence[ImportedPoint]
) -> tuple[PairedScores, ...]:
    """Each pair of models with scores of the same task, at least one of them in `among`.

    Two files have the same task where it has the same name and at least 10 questions are in both.
    """
    wanted = {id(point) for point in among}
    scored = [point for point in points if point.scores]
    found = []
    for one, two in combinations(scored, 2):
        if not {id(one), id(two)} & wanted or _task(one) != _task(two):
            continue
        shared = [question for question in one.scores if question in two.scores]
        if len(shared) >= FEWEST and _model(one) != _model(two):
            found.append(_paired(one, two, shared))
    return tuple(found[:MOST_PAIRS])


def _paired(one: ImportedPoint, two: ImportedPoint, shared: Sequence[str]) -> PairedScores:
    apart = np.array([one.scores[q] - two.scores[q] for q in shared])
    n, mean = len(shared), float(apart.mean())
    low = high = None
    if np.ptp(apart) > 0:
        half = student_t(n) * float(apart.std(ddof=1)) / math.sqrt(n)
        low, high = mean - half, mean + half
    return PairedScores(_task(one), _model(one), _model(two), n, mean, low, high)


def _model(point: ImportedPoint) -> str:
    """A point of single questions is called 'model, task'."""
    return point.name.rpartition(", ")[0] or point.source


def _task(point: ImportedPoint) -> str:
    return point.name.rpartition(", ")[2]
