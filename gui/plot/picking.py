"""Which point lies under the mouse."""

from __future__ import annotations

import numpy as np

from core.arrays import Floats, Indices
from gui.plot.plane import Plane, view_coordinates
from gui.plot.scene import Scene

# pixels within which the mouse counts as on a point
MARK_REACH, CLOUD_REACH = 11.0, 7.0


def nearest(
    scene: Scene, plane: Plane, u: Floats, v: Floats, front: Indices, x: float, y: float
) -> int | None:
    """Index of the point drawn nearest to pixel (x, y); None where none is within reach.

    What is drawn on top is taken first: the selected, the pinned, the measured and the front.
    """
    marked = [np.array([i for i in (scene.selected, *scene.pinned) if i is not None], np.intp)]
    if scene.measured is not None:
        rows = scene.measured.rows
        marked.append(rows[rows >= 0])
    if scene.front_shown != "hidden":
        marked.append(front)
    found = _nearest_of(np.concatenate(marked), plane, u, v, x, y, MARK_REACH)
    if found is not None or (scene.feasible_shown == scene.infeasible_shown == "hidden"):
        return found
    width = CLOUD_REACH / plane.width * (plane.right - plane.left)
    height = CLOUD_REACH / plane.height * (plane.top - plane.bottom)
    # two passes over the columns: a million points take about a millisecond
    near = np.abs(u - plane.u(x)) <= width
    near &= np.abs(v - plane.v(y)) <= height
    return _nearest_of(np.flatnonzero(near), plane, u, v, x, y, CLOUD_REACH)


def nearest_laid_over(scene: Scene, plane: Plane, x: float, y: float) -> tuple[int, int] | None:
    """Overlay and index of the overlaid point nearest to pixel (x, y); None where none is in reach."""
    best: tuple[float, int, int] | None = None
    for layer, overlay in enumerate(scene.overlays):
        u = view_coordinates(overlay.x, scene.x_axis)
        v = view_coordinates(overlay.y, scene.y_axis)
        if not len(u):
            continue
        away = np.hypot(plane.px(u) - x, plane.py(v) - y)
        away[~np.isfinite(away)] = np.inf
        at = int(np.argmin(away))
        if away[at] <= CLOUD_REACH and (best is None or away[at] < best[0]):
            best = (float(away[at]), layer, at)
    return None if best is None else best[1:]


def _nearest_of(
    rows: Indices, plane: Plane, u: Floats, v: Floats, x: float, y: float, reach: float
) -> int | None:
    rows = rows[rows < len(u)]
    if len(rows) == 0:
        return None
    away = np.hypot(plane.px(u[rows]) - x, plane.py(v[rows]) - y)
    away[~np.isfinite(away)] = np.inf
    best = int(np.argmin(away))
    return int(rows[best]) if away[best] <= reach else None
