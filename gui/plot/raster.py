"""The cloud of candidates as one image that follows a moving limit at frame rate.

Each point's cell is found once per pan or zoom. Feasible and infeasible points are counted per
cell; while a limit moves only the points it crosses change a count. Cells become one byte (class
and density), dots are widened, and a table turns bytes into colours in a buffer that a QImage wraps
once. Nothing here knows about metrics: points come in view coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QImage

from core.arrays import Bools, Floats, Indices

# a byte of the image: six bits of density, then two flags
LEVELS = 64
FEASIBLE = 64
OUTSIDE = 128
# how strongly a group is drawn in each of its three states
STRENGTH = {"shown": 1.0, "faded": 0.3, "hidden": 0.0}


@dataclass(frozen=True, slots=True)
class View:
    """The part of view coordinates that an image covers, and its size in pixels."""

    left: float
    right: float
    bottom: float
    top: float
    width: int
    height: int


def _levels() -> NDArray[np.uint8]:
    """Density level of a count: logarithmic, so that one point and a thousand both show."""
    counts = np.arange(4096)
    level = np.rint(np.log1p(counts) / np.log1p(4095) * (LEVELS - 1))
    level[1:] = np.maximum(level[1:], 1)
    levels: NDArray[np.uint8] = level.astype(np.uint8)
    return levels


def colour_table(
    feasible: QColor,
    infeasible: QColor,
    faintest: float = 0.45,
    feasible_state: str = "shown",
    infeasible_state: str = "shown",
) -> NDArray[np.uint32]:
    """Premultiplied ARGB for every byte: opacity grows with density from `faintest` to solid.

    Points outside the measured range are drawn weaker on the stripes of a hatch.
    """
    share = np.linspace(0, 1, LEVELS)
    opacity = faintest + (1 - faintest) * share
    opacity[0] = 0.0
    table = np.zeros(256, dtype=np.uint32)
    for flag, colour, state in (
        (0, infeasible, infeasible_state),
        (FEASIBLE, feasible, feasible_state),
    ):
        for stripe in (0, OUTSIDE):
            alpha = opacity * STRENGTH[state] * (0.35 if stripe else 1.0)
            parts = [np.rint(alpha * 255)]
            parts += [np.rint(alpha * c) for c in (colour.red(), colour.green(), colour.blue())]
            a, r, g, b = (part.astype(np.uint32) for part in parts)
            table[flag + stripe : flag + stripe + LEVELS] = (a << 24) | (r << 16) | (g << 8) | b
    # a dilated cell holds at least one point, so level 0 of a group never shows
    return table


class CloudRaster:
    """Counts per cell, kept in step with a moving limit, and the image made of them."""

    def __init__(self) -> None:
        self._level = _levels()
        self._feasible_level = np.where(
            self._level > 0, self._level + np.uint8(FEASIBLE), 0
        ).astype(np.uint8)
        self._dot = 2
        self.view: View | None = None
        self._cells: NDArray[np.int32] = np.empty(0, np.int32)
        self._total: Indices = np.zeros(0, np.intp)
        self._inside: Indices = np.zeros(0, np.intp)
        self._code: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._total_code: NDArray[np.uint8] = np.empty(0, np.uint8)
        self._pixels: NDArray[np.uint32] = np.empty((0, 0), np.uint32)
        self._hatch: NDArray[np.uint8] | None = None
        self._ordered: NDArray[np.int32] = np.empty(0, np.int32)
        self._position = 0
        self._pairs: NDArray[np.uint64] = np.zeros(65536, np.uint64)
        self.set_colours(np.zeros(256, np.uint32))

    def place(
        self, u: Floats, v: Floats, view: View, outside: Bools | None = None, dot: int = 2
    ) -> None:
        """Find every point's cell. Points with a non-finite coordinate must hold -inf there."""
        # an even width lets two pixels be coloured by one look-up
        width = view.width + view.width % 2
        stride = width + 2
        self._dot = max(1, dot)
        # a border of one cell takes what lies outside the view
        column = np.subtract(u, view.left)
        column *= view.width / (view.right - view.left)
        column += 1
        np.clip(column, 0, width + 1, out=column)
        row = np.subtract(view.top, v)
        row *= view.height / (view.top - view.bottom)
        row += 1
        np.clip(row, 0, view.height + 1, out=row)
        cells = row.astype(np.int32)
        cells *= stride
        cells += column.astype(np.int32)
        self._cells = cells
        size = stride * (view.height + 2)
        self._total = np.bincount(cells, minlength=size)
        self._total_code = self._level[np.minimum(self._total, 4095)]
        shape = (view.height, width)
        if self._pixels.shape != shape:
            self._code = np.zeros(size, np.uint8)
            self._wide = np.zeros(shape, np.uint8)
            self._wider = np.zeros(shape, np.uint8)
            self._pixels = np.zeros(shape, np.uint32)
            self._image = QImage(
                self._pixels.data, width, view.height, QImage.Format.Format_ARGB32_Premultiplied
            )
        self.view = view
        self._hatch = None if outside is None else self._stripes(outside)
        self.set_feasible(None)

    def set_colours(self, table: NDArray[np.uint32]) -> None:
        """Use a table of `colour_table`."""
        pairs = np.empty((256, 256, 2), np.uint32)
        pairs[:, :, 0] = table[None, :]
        pairs[:, :, 1] = table[:, None]
        self._pairs = pairs.reshape(65536, 2).view(np.uint64).ravel()

    def set_feasible(self, mask: Bools | None) -> None:
        """Count the points of the mask as feasible; None: all of them."""
        if self.view is None:
            return
        size = len(self._total)
        if mask is None:
            self._inside = self._total.copy()
        else:
            self._inside = np.bincount(self._cells[mask], minlength=size)
        self._ordered = np.empty(0, np.int32)
        self._position = 0
        self._recode()

    def follow(self, order: Indices, position: int) -> None:
        """Begin a drag: the feasible points are the first `position` of `order`, and wherever the
        limit goes they are the first ones of it."""
        self._ordered = self._cells[order]
        self._position = position
        self._inside = np.bincount(self._ordered[:position], minlength=len(self._total))
        self._recode()

    def move(self, position: int) -> int:
        """The first `position` points of the order are feasible now; returns how many changed."""
        before, self._position = self._position, position
        low, high = min(before, position), max(before, position)
        crossed = self._ordered[low:high]
        if len(crossed) == 0:
            return 0
        # sorted, so that each cell is touched once however many points share it
        crossed = np.sort(crossed)
        first = np.flatnonzero(np.concatenate([[True], crossed[1:] != crossed[:-1]]))
        cells = crossed[first]
        change = np.diff(first, append=len(crossed))
        inside = self._inside[cells] + (change if position > before else -change)
        self._inside[cells] = inside
        code = self._feasible_level[np.minimum(inside, 4095)]
        self._code[cells] = np.maximum(code, self._total_code[cells])
        return high - low

    def image(self) -> QImage:
        """The picture of the counts as they are; valid until the next call changes it."""
        assert self.view is not None
        picture = self._dilated(self._without_border(self._code))
        if self._hatch is not None:
            np.bitwise_or(picture, self._hatch, out=picture)
        np.take(
            self._pairs,
            picture.view(np.uint16),
            out=self._pixels.view(np.uint64),
            mode="clip",
        )
        return self._image

    def counts(self) -> tuple[Indices, Indices]:
        """Feasible and all points per cell (height, width), without the border."""
        assert self.view is not None
        width = self.view.width
        inside, total = self._without_border(self._inside), self._without_border(self._total)
        return inside[:, :width], total[:, :width]

    def _without_border(self, flat: NDArray[Any]) -> NDArray[Any]:
        height, width = self._pixels.shape
        return flat.reshape(height + 2, width + 2)[1:-1, 1:-1]

    def _recode(self) -> None:
        """Every cell's byte from its counts."""
        inside = self._feasible_level[np.minimum(self._inside, 4095)]
        np.maximum(inside, self._total_code, out=self._code)

    def _dilated(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Every cell widened to a dot; the feasible byte, being higher, wins a shared pixel."""
        a, b = self._wide, self._wider
        np.copyto(a, picture)
        grown = 1
        while grown < self._dot:
            step = min(grown, self._dot - grown)
            # to either side in turn, so that dots stay centred on their point
            if grown % 2:
                b[:, :-step] = np.maximum(a[:, :-step], a[:, step:])
                b[:, -step:] = a[:, -step:]
                a[:-step] = np.maximum(b[:-step], b[step:])
                a[-step:] = b[-step:]
            else:
                b[:, step:] = np.maximum(a[:, step:], a[:, :-step])
                b[:, :step] = a[:, :step]
                a[step:] = np.maximum(b[step:], b[:-step])
                a[:step] = b[:step]
            grown += step
        return a

    def _stripes(self, outside: Bools) -> NDArray[np.uint8]:
        """The OUTSIDE flag on diagonal stripes wherever only points outside were counted."""
        known = np.bincount(self._cells[~outside], minlength=len(self._total)) > 0
        near = self._dilated(self._without_border(known).astype(np.uint8))
        rows, columns = np.ogrid[: near.shape[0], : near.shape[1]]
        stripe = ((rows + columns) % 8) < 4
        return np.where(stripe & (near == 0), np.uint8(OUTSIDE), np.uint8(0))
