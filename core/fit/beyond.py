"""How far a design lies beyond the runs that a law was fitted to, in N, D and R."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from core.arrays import Floats
from core.laws.columns import log_columns
from core.laws.law import Law


class Fitted(Protocol):
    """A law with the ranges of the runs that it was fitted to."""

    @property
    def definition(self) -> Law:
        """The law itself."""
        ...

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Lowest and highest N, D and R of the runs, where known."""
        ...

    @property
    def params(self) -> str:
        """Which parameters N counts."""
        ...


def axes(fit: Fitted) -> list[str]:
    """The columns along which a law is fitted: N and D, and R for a law of shape."""
    shape = fit.definition.has_shape_term
    return [n for n in ("N", "D", "R") if n in fit.ranges and (n != "R" or shape)]


def beyond(fit: Fitted, columns: Mapping[str, Floats]) -> dict[str, Floats]:
    """How far each row (n,) lies beyond the runs in ln N, ln D, ln R, with sign; 0 inside."""
    logs = log_columns(columns, axes(fit), fit.params)
    return {
        name: np.asarray(log - np.clip(log, *np.log(fit.ranges[name])))
        for name, log in logs.items()
    }
