"""Masks, fronts and live structures of a scene's limits, each made once and kept while it holds."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.pareto.front import front_indices, oriented
from core.pareto.live_front import LiveFront, prepare
from gui.plot.scene import LimitView, Scene


class LiveLimits:
    """What the limits of one scene leave. Built from the last one, it takes over what still holds."""

    def __init__(self, scene: Scene, last: LiveLimits | None = None) -> None:
        self.scene = scene
        self.x: Floats
        self.y: Floats
        before = None if last is None else last.scene
        if (
            last is not None
            and before is not None
            and before.x is scene.x
            and (before.x_axis.better == scene.x_axis.better)
        ):
            self.x = last.x
        else:
            self.x = oriented(scene.x, scene.x_axis.better or "lower")
        if (
            last is not None
            and before is not None
            and before.y is scene.y
            and (before.y_axis.better == scene.y_axis.better)
        ):
            self.y = last.y
        else:
            self.y = oriented(scene.y, scene.y_axis.better or "lower")
        self._allows: dict[Hashable, tuple[LimitView, Bools]] = {}
        self._live: dict[Hashable, tuple[tuple[object, ...], LiveFront]] = {}
        if last is not None:
            # what belongs to limits that are gone is dropped
            keys = {limit.key for limit in scene.limits}
            self._allows = {k: v for k, v in list(last._allows.items()) if k in keys}
            self._live = {k: v for k, v in list(last._live.items()) if k in keys}

    @property
    def has_goal(self) -> bool:
        """Whether both axes have a better direction, so that there is a front."""
        return bool(self.scene.x_axis.better and self.scene.y_axis.better)

    def mask(self, without: Hashable = None) -> Bools | None:
        """Points that pass every limit (but one); None where all do."""
        mask: Bools | None = None
        for limit in self.scene.limits:
            if limit.value is None or (without is not None and limit.key == without):
                continue
            allowed = self._allowed(limit)
            mask = allowed.copy() if mask is None else mask & allowed
        return mask

    def front(self, mask: Bools | None) -> Indices:
        """The scene's front: the one it was given, or the one that the mask leaves."""
        if self.scene.front is not None:
            given = self.scene.front
            return given[np.lexsort((self.y[given], self.x[given]))]
        if not self.has_goal:
            return np.empty(0, dtype=np.intp)
        if self.scene.eligible is not None:
            counted = self.scene.eligible if mask is None else mask & self.scene.eligible
            found = front_indices(self.x, self.y, counted)
            if len(found):
                return found
        return front_indices(self.x, self.y, mask)

    def live(self, limit: LimitView) -> LiveFront:
        """The live front while this limit moves and the others stay; made on first use."""
        if self.is_ready(limit):
            return self._live[limit.key][1]
        needs = self._needs(limit)
        others = self.mask(limit.key)
        made = prepare(self.x, self.y, limit.column, limit.side, others, self.scene.eligible)
        self._live[limit.key] = (needs, made)
        return made

    def is_ready(self, limit: LimitView) -> bool:
        """Whether `live` would answer without computing."""
        kept = self._live.get(limit.key)
        return kept is not None and _same(kept[0], self._needs(limit))

    def _needs(self, limit: LimitView) -> tuple[object, ...]:
        """What a live front depends on."""
        others = [
            part
            for other in self.scene.limits
            if other.key != limit.key and other.value is not None
            for part in (other.column, other.side, other.value)
        ]
        return (self.x, self.y, self.scene.eligible, limit.column, limit.side, *others)

    def _allowed(self, limit: LimitView) -> Bools:
        kept = self._allows.get(limit.key)
        if kept is not None:
            before, mask = kept
            if (before.column is limit.column) and (before.side, before.value) == (
                limit.side,
                limit.value,
            ):
                return mask
        assert limit.value is not None
        if limit.side == "<=":
            allowed: Bools = limit.column <= limit.value
        else:
            allowed = limit.column >= limit.value
        self._allows[limit.key] = (limit, allowed)
        return allowed


def _same(a: tuple[object, ...], b: tuple[object, ...]) -> bool:
    """Whether sides and values are equal and the columns the same objects."""
    return len(a) == len(b) and all(
        p is q or (isinstance(p, float | str) and p == q) for p, q in zip(a, b, strict=True)
    )


def same_limits(a: tuple[LimitView, ...], b: tuple[LimitView, ...]) -> bool:
    """Whether two sets of limits leave the same points."""

    def strict(limits: tuple[LimitView, ...]) -> list[LimitView]:
        return [limit for limit in limits if limit.value is not None]

    mine, theirs = strict(a), strict(b)
    return len(mine) == len(theirs) and all(
        p.column is q.column and p.side == q.side and p.value == q.value
        for p, q in zip(mine, theirs, strict=True)
    )
