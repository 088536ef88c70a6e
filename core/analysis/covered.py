"""The value of a front as one number: its hypervolume as a share of the box it lies in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analysis.frame import Frame, minimised
from core.arrays import Bools, Floats
from core.pareto.hypervolume import hypervolume
from core.records.metrics import METRICS
from core.table.table import Table


@dataclass(frozen=True, slots=True)
class Corner:
    """One axis of the box: from its best value on the front to the reference value."""

    metric: str
    best: float
    reference: float
    limited: bool  # the reference is the limit on this axis, else the worst feasible value
    log: bool


@dataclass(frozen=True, slots=True)
class Covered:
    """The hypervolume of a front.

    `value` is in the product of the two axes' units. `share` (0 to 1) is the part of the box that
    the front dominates, each axis on the scale its metric is drawn on by default.
    """

    value: float
    share: float
    x: Corner
    y: Corner

    @property
    def text(self) -> str:
        """E.g. 'The front covers 63 % of the box up to 8.00 ms (limit) and 3.912 nats/token (worst)'."""
        ends = " and ".join(
            f"{METRICS[c.metric].format(c.reference)} ({'limit' if c.limited else 'worst'})"
            for c in (self.x, self.y)
        )
        return f"The front covers {self.share:.0%} of the box up to {ends}.".replace("%", " %")

    @property
    def explanation(self) -> str:
        """How the number is computed, in a few sentences."""
        scales = ", ".join(
            f"{METRICS[c.metric].label.lower()} {'logarithmic' if c.log else 'linear'}"
            for c in (self.x, self.y)
        )
        starts = " and ".join(METRICS[c.metric].format(c.best) for c in (self.x, self.y))
        return (
            "Normalised hypervolume: the area that the front dominates, over the area of the box from"
            f" the best values under the limits ({starts}) to the reference point. An axis's limit is"
            " its reference; without one it is the worst value of a candidate that keeps the limits."
            f" Scales: {scales}. 100 % would be one candidate that is best in both; shares of two"
            " fronts compare only with the same box."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; `reference_is` is 'limit' or 'worst'."""
        return {
            "share": self.share,
            "value": self.value,
            "unit": " x ".join(METRICS[c.metric].unit or "1" for c in (self.x, self.y)),
            **{
                name: {
                    "metric": c.metric,
                    "best": c.best,
                    "reference": c.reference,
                    "reference_is": "limit" if c.limited else "worst",
                    "scale": "log" if c.log else "linear",
                }
                for name, c in (("x", self.x), ("y", self.y))
            },
        }


def covered(table: Table, frame: Frame) -> Covered | None:
    """The hypervolume of a frame's front.

    None where there is no box, as with a single candidate, or where an axis has no better direction.
    """
    if not len(frame.front) or not all(METRICS[key].better for key in (frame.x, frame.y)):
        return None
    both = frame.counted & np.isfinite(table.column(frame.x)) & np.isfinite(table.column(frame.y))
    corners = [_corner(table, frame, key, both) for key in (frame.x, frame.y)]
    if any(c is None for c in corners):
        return None
    x, y = (c for c in corners if c is not None)
    front = np.column_stack([minimised(table, c.metric)[frame.front] for c in (x, y)])
    signs = [-1.0 if METRICS[c.metric].better == "higher" else 1.0 for c in (x, y)]
    bound = np.array([s * c.reference for s, c in zip(signs, (x, y), strict=True)])
    inside = np.column_stack([_along(table.column(c.metric)[frame.front], c) for c in (x, y)])
    return Covered(hypervolume(front, bound), hypervolume(inside, np.ones(2)), x, y)


def _corner(table: Table, frame: Frame, key: str, both: Bools) -> Corner | None:
    """An axis of the box; None where the best value equals the reference or one of them is infinite."""
    metric = METRICS[key]
    values = table.column(key)[both]
    if not len(values):
        return None
    limit = next(
        (
            one.value
            for one in frame.limits
            if one.key == (key, "p50", metric.natural_side) and math.isfinite(one.value)
        ),
        None,
    )
    low, high = float(values.min()), float(values.max())
    best, worst = (high, low) if metric.better == "higher" else (low, high)
    reference = worst if limit is None else limit
    if best == reference:
        return None
    return Corner(key, best, reference, limit is not None, metric.log and min(best, reference) > 0)


def _along(values: Floats, corner: Corner) -> Floats:
    """Where values lie from the best (0) to the reference (1)."""
    best, reference = corner.best, corner.reference
    if corner.log:
        return np.asarray(np.log(values / best) / math.log(reference / best))
    return np.asarray((values - best) / (reference - best))
