"""What a fit predicted of runs that it had not seen: each shape left out, and cuts by size and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from core.arrays import Floats, Indices


@dataclass(frozen=True, slots=True, eq=False)
class Guesses:
    """Losses in columns of one length: observed, predicted by the law, and predicted without a law.

    `nearest` and `power` are naive predictions from the same runs as the law's (see
    `core.fit.naive`). Errors are relative, predicted / observed - 1.
    """

    observed: Floats
    predicted: Floats
    nearest: Floats
    power: Floats

    def __len__(self) -> int:
        return len(self.observed)

    def take(self, places: Indices) -> Guesses:
        """The runs at these places."""
        return Guesses(
            self.observed[places], self.predicted[places], self.nearest[places], self.power[places]
        )

    @property
    def error(self) -> Floats:
        """The law's error on every run."""
        return self.predicted / self.observed - 1.0

    @property
    def rms(self) -> float:
        """Root mean square of the law's errors; NaN without runs."""
        return rms(self.error)

    @property
    def bias(self) -> float:
        """Mean of the law's errors: above zero where it promises too high a loss."""
        return float(np.mean(self.error))

    @property
    def naive_rms(self) -> dict[str, float]:
        """Root mean square errors of the naive predictions, by name."""
        return {
            "nearest run": rms(self.nearest / self.observed - 1.0),
            "plain power law": rms(self.power / self.observed - 1.0),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The law fitted to the runs below a size or a number of tokens, judged on the others.

    `column` is 'N' or 'D', `below` the smallest value left out, and `factor` the largest left out
    over the largest fitted. `places` are those of the runs left out in the columns of `LeftOut`.
    """

    column: str
    below: float
    factor: float
    places: Indices
    guesses: Guesses


@dataclass(frozen=True, slots=True, eq=False)
class LeftOut:
    """The runs that a law was fitted to, and what the law said of them when it had not seen them.

    `rows` are their places in the table that was given, `shapes` numbers their shapes, and `size` is
    N in the law's own count. `by_shape` holds every run predicted without its shape; it is None
    with too few shapes to leave one out. `variance` is that of the logarithm of the law's mean at
    every run, by the jackknife over shapes. `largest` is the cut below the largest size, None where
    that leaves too little.
    """

    rows: Indices
    shapes: Indices
    size: Floats
    tokens: Floats
    by_shape: Guesses | None = None
    variance: Floats = field(default_factory=lambda: np.zeros(0))
    largest: Cut | None = None
    cuts: tuple[Cut, ...] = ()


def rms(error: Floats) -> float:
    """Root mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(error**2))) if error.size else float("nan")
