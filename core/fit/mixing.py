"""Putting suites of runs together, or giving the reason why they do not belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.errors import Unusable
from core.records.training_runs import TrainingRuns

# between the names of suites that are fitted together
TOGETHER = " + "


def mixed(suites: Sequence[TrainingRuns]) -> TrainingRuns:
    """One suite of all the runs, with the label 'suite' telling them apart.

    Raises Unusable where the losses differ in meaning or unit, where no convention of N is known for
    all suites, and where one suite is given twice.
    """
    if not suites:
        raise Unusable("there are no suites to put together")
    first = suites[0]
    for other in suites[1:]:
        for what, ours, theirs in (
            ("meaning", first.loss_meaning, other.loss_meaning),
            ("unit", first.loss_unit, other.loss_unit),
        ):
            if ours != theirs:
                raise Unusable(
                    f"the loss of {first.suite} and of {other.suite} differ in {what} "
                    f"('{ours}' and '{theirs}'); fit them separately"
                )
    counts = [
        {c for c in ("params_total", "params_non_embedding") if c in s.columns} for s in suites
    ]
    if not set.intersection(*counts):
        raise Unusable(
            f"{' and '.join(s.suite for s in suites)} count parameters differently: "
            "one has only params_total, another only params_non_embedding"
        )
    names = [s.suite for s in suites]
    for name in names:
        if names.count(name) > 1:
            raise Unusable(f"{name} is given twice; its runs would count twice")
    shared = set.intersection(*(set(s.columns) for s in suites))
    # a column that one suite lacks is dropped: it would mix conventions from row to row
    columns = {
        name: np.concatenate([s.columns[name] for s in suites])
        for name in first.columns
        if name in shared
    }
    labels = {
        name: tuple(t for s in suites for t in s.labels[name])
        for name in first.labels
        if all(name in s.labels for s in suites)
    }
    labels["suite"] = tuple(s.suite for s in suites for _ in range(len(s)))
    return TrainingRuns(
        TOGETHER.join(names),
        tuple(n for s in suites for n in s.names),
        columns,
        labels,
        first.loss_meaning,
        first.loss_unit,
        "; ".join(dict.fromkeys(s.source for s in suites)),
        "; ".join(dict.fromkeys(s.licence for s in suites)),
    )
