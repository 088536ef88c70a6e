"""Whether a law misses by more than runs done again differ: the F test of lack of fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Floats, Indices

# above this chance of seeing as much under a right law, the law is not called wrong
SURE = 0.01


@dataclass(frozen=True, slots=True)
class LackOfFit:
    """The law's error beside that of runs done again, as standard deviations of ln L.

    `repeats` runs share their shape, training data, tokens and settings with another. `f` is the
    variance of the means about the law over that of repeats about their means, and `p` the chance
    of as large an F where the law is right and errors are normal.
    """

    repeats: int
    pure_error: float
    law_error: float
    f: float
    p: float

    @property
    def wrong(self) -> bool:
        """Whether the law, and not the scatter of runs, is what it misses by."""
        return self.p < SURE

    @property
    def text(self) -> str:
        """The test in one sentence without its full stop."""
        told = (
            f"repeats differ by {100 * self.pure_error:.2g} %, the law misses by"
            f" {100 * self.law_error:.2g} %"
        )
        if self.wrong:
            return f"{told}: the law is wrong, not the data"
        return f"{told}: no more than chance explains"


def lack_of_fit(left: Floats, condition: Indices, parameters: int) -> LackOfFit | None:
    """The test on what a law of so many free parameters leaves of ln L in every run (n,).

    `condition` numbers what was trained: runs of one number are one run done again. None without
    repeats, or with no more conditions than parameters. That repeats are compared by what the law
    leaves makes a difference of their tokens count for nothing.
    """
    rows = np.bincount(condition)
    inside = left.size - rows.size
    across = rows.size - parameters
    if inside < 1 or across < 1:
        return None
    mean = np.bincount(condition, left) / rows
    pure = float(((left - mean[condition]) ** 2).sum())
    lack = float((rows * mean**2).sum())
    if not (pure > 0 and np.isfinite(lack)):
        return None
    from scipy.special import fdtrc

    f = (lack / across) / (pure / inside)
    return LackOfFit(
        int(rows[rows > 1].sum()),
        float(np.sqrt(pure / inside)),
        float(np.sqrt((pure + lack) / (inside + across))),
        f,
        float(fdtrc(across, inside, f)),
    )
