"""The limit lines of a scene, which of them has the keyboard focus, and what the user does on them."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QFont

from gui.plot.limit_line import LimitLine
from gui.plot.plane import view_coordinates
from gui.plot.scene import LimitView, Scene


class LimitLines(QObject):
    """Keeps one line for every limit on an axis; its signals are those of the lines with their key
    and side."""

    moved = Signal(object, str, object)
    released = Signal(object, str, object)
    grabbed = Signal(object)

    def __init__(self, view: pg.ViewBox, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.by_key: dict[Hashable, LimitLine] = {}
        self.focused: LimitLine | None = None
        self._view = view

    def refresh(self, scene: Scene, font: QFont) -> None:
        """Show the limits of the scene; a line that is dragged keeps its value."""
        wanted = {limit.key: limit for limit in scene.limits if limit.axis}
        for key, line in list(self.by_key.items()):
            if key not in wanted or wanted[key].axis != line.limit.axis:
                self._remove(key)
        for key, limit in wanted.items():
            axis = scene.x_axis if limit.axis == "x" else scene.y_axis
            line = self.by_key.get(key) or self._new(limit, scene)
            line.colours, line.font = scene.colours, font
            if limit.column is not line.limit.column or line.axis != axis or not line.edged:
                placed = view_coordinates(limit.column, axis)
                known = placed[np.isfinite(placed)]
                if len(known):
                    line.set_edges(float(known.min()), float(known.max()))
            line.set_limit(limit, axis)
        lines = tuple(self.by_key.values())
        for line in lines:
            line.crossing = tuple(other for other in lines if other.vertical != line.vertical)

    @property
    def in_hand(self) -> bool:
        """Whether a line is being dragged."""
        return any(line.dragging for line in self.by_key.values())

    def focus(self, line: LimitLine | None) -> None:
        """Give the keyboard focus to one line, or to none."""
        self.focused = line
        for one in self.by_key.values():
            one.focused = one is line
            one.update()

    def focus_next(self, forward: bool) -> bool:
        """Give the keyboard focus to the next line; False where there is none, and then none has it."""
        lines = list(self.by_key.values())
        at = lines.index(self.focused) if self.focused in lines else (-1 if forward else len(lines))
        at += 1 if forward else -1
        found = 0 <= at < len(lines)
        self.focus(lines[at] if found else None)
        return found

    def _new(self, limit: LimitView, scene: Scene) -> LimitLine:
        axis = scene.x_axis if limit.axis == "x" else scene.y_axis
        line = LimitLine(self._view, limit, axis)
        key, side = limit.key, limit.side
        line.moved.connect(lambda value: self.moved.emit(key, side, value))
        line.released.connect(lambda value: self.released.emit(key, side, value))
        line.grabbed.connect(lambda: self._on_grabbed(key))
        self.by_key[key] = line
        return line

    def _on_grabbed(self, key: Hashable) -> None:
        self.focus(self.by_key.get(key))
        self.grabbed.emit(key)

    def _remove(self, key: Hashable) -> None:
        line = self.by_key.pop(key)
        if line is self.focused:
            self.focused = None
        scene = line.scene()
        if scene is not None:
            scene.removeItem(line)
