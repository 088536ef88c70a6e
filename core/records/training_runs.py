"""A suite of training runs as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Floats

LOSS_MEANINGS = ("validation", "train average", "unknown")
LOSS_UNITS = ("nats/token", "bits/token", "bits/byte")


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRuns:
    """A suite of runs as columns: shapes trained on some tokens to some loss.

    `columns` holds float64 columns of one length: 'tokens' and 'loss', where known 'n_layers',
    'd_model', 'n_heads', 'd_ff', 'vocab_size', 'params_total' and 'params_non_embedding', and any
    further numeric column (e.g. 'error_17_tasks'). Missing values are NaN. `labels` holds text
    columns. `loss_meaning` is 'train average', 'validation' or 'unknown'; suites that differ in
    meaning or unit are never fitted together.
    """

    suite: str
    names: tuple[str, ...]
    columns: Mapping[str, Floats]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    loss_meaning: str = "unknown"
    loss_unit: str = "nats/token"
    source: str = ""
    licence: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: NDArray[Any]) -> TrainingRuns:
        """The runs at the given indices or under the given mask."""
        keep = np.arange(len(self.names))[indices]
        return TrainingRuns(
            self.suite,
            tuple(self.names[i] for i in keep),
            {k: v[keep] for k, v in self.columns.items()},
            {k: tuple(v[i] for i in keep) for k, v in self.labels.items()},
            self.loss_meaning,
            self.loss_unit,
            self.source,
            self.licence,
        )
