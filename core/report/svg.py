"""The front as a plain SVG drawing: the report's picture, made without a window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

import numpy as np

from core.analysis.frame import Frame
from core.analysis.illustrated import illustrated
from core.arrays import Bools, Floats
from core.pareto.front import staircase
from core.pareto.limits import Limit
from core.project.choices import Choices
from core.records.metrics import METRICS
from core.report.svg_marks import (
    FRONT,
    illustrated_beside,
    illustrated_marks,
    mark_title,
    measured_marks,
)
from core.table.table import Table
from core.ticks import linear_ticks, log_ticks
from core.units import SCALES, scale_for

WIDTH, HEIGHT = 960, 560
LEFT, RIGHT, TOP, BOTTOM = 92, 26, 22, 62
MARGIN = 0.05
# of either axis
MOST_TICKS = 9
# side of the squares in which candidates are counted, so that a million of them make a small file
CELL = 3
STRENGTHS = (0.28, 0.5, 0.8)
MOST_FRONT_MARKS = 200
FONT = "Inter, 'Helvetica Neue', Arial, sans-serif"
INK, QUIET, GRID = "#1b1f24", "#57606a", "#e3e7eb"
INSIDE, OUTSIDE = "#4f9bd9", "#b4bac1"
LIMIT, FORBIDDEN = "#a3154a", "#fbf1f4"


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis: from values to pixels, with its ticks."""

    key: str
    log: bool
    low: float  # in the scale's own coordinate
    high: float
    start: float  # pixel of low
    end: float  # pixel of high
    label: str = ""  # the metric's own where it is empty

    def pixels(self, values: Floats) -> Floats:
        """Pixel of every value; NaN where it cannot be placed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.log10(np.where(values > 0, values, np.nan)) if self.log else values
        placed: Floats = self.start + (at - self.low) / (self.high - self.low) * (
            self.end - self.start
        )
        return placed

    def pixel(self, value: float) -> float:
        """Pixel of one value."""
        return float(self.pixels(np.array([value], np.float64))[0])

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Pixels and texts of the ticks: 1, 2 and 5 times powers of ten, all in one unit."""
        values = self._values()
        unit = METRICS[self.key].unit
        middle = values[len(values) // 2] if values else 1.0
        _, factor = tick_scale(middle, unit)
        return tuple((self.pixel(v), short(v / factor)) for v in values)

    def _values(self) -> list[float]:
        if self.log:
            return log_ticks(10**self.low, 10**self.high, MOST_TICKS)
        return linear_ticks(self.low, self.high, MOST_TICKS)

    @property
    def title(self) -> str:
        """The metric's name with the unit of the ticks."""
        metric = METRICS[self.key]
        values = self._values()
        suffix, _ = tick_scale(values[len(values) // 2] if values else 1.0, metric.unit)
        label = self.label or metric.label
        return f"{label} ({suffix})" if suffix else label


def front_svg(
    table: Table, frame: Frame, choices: Choices, named: Sequence[tuple[int, str]] = ()
) -> str:
    """The candidates, the measured ones, the limits and the front as one SVG of 960 x 560.

    `named` are rows to be marked with a number each. Deterministic: the same table gives the same
    text.
    """
    x, y = table.column(frame.x), table.column(frame.y)
    # a zero or negative value has no place on a logarithmic axis
    logs = [
        log and bool((known[np.isfinite(known)] > 0).all())
        for log, known in ((choices.x_log, x), (choices.y_log, y))
    ]
    both = np.isfinite(x) & np.isfinite(y)
    across = scale(frame.x, x[both], logs[0], LEFT, WIDTH - RIGHT)
    up = scale(frame.y, y[both], logs[1], HEIGHT - BOTTOM, TOP)
    across = replace(across, label=table.axis_label(frame.x))
    up = replace(up, label=table.axis_label(frame.y))
    px, py = across.pixels(x), up.pixels(y)
    # an illustration is no dot like the others
    drawn = illustrated(table, frame.x, frame.y)
    metric_x, metric_y = METRICS[frame.x], METRICS[frame.y]
    title = f"{metric_y.label} against {metric_x.label.lower()} of {int(both.sum()):,} candidates"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f' width="{WIDTH}" height="{HEIGHT}" font-family="{FONT}" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *forbidden(frame, across, up),
        *axes(across, up),
        *cloud(px, py, frame.feasible & both, OUTSIDE, INSIDE, both & ~drawn),
        *illustrated_beside(table, frame, px, py),
        *measured_marks(table, frame, px, py),
        *limit_lines(frame, across, up),
        *front_line(table, frame, px, py, across, up),
        *names(px, py, named),
        *chosen(table, frame, px, py),
        "</svg>",
    ]
    return "\n".join(parts)


def scale(key: str, values: Floats, log: bool, start: float, end: float) -> Scale:
    """An axis that shows all values with a little room."""
    if not len(values):
        values = np.array([1.0, 10.0])
    coordinates = np.log10(values) if log else values
    low, high = float(coordinates.min()), float(coordinates.max())
    if high <= low:
        reach = abs(low) * 0.1 or 0.5
        low, high = low - reach, high + reach
    room = (high - low) * MARGIN
    return Scale(key, log, low - room, high + room, start, end)


def tick_scale(value: float, unit: str) -> tuple[str, float]:
    """The suffix and factor that all ticks of an axis are written with."""
    suffix, factor = scale_for(value, unit)
    if unit == "count":
        words = {"k": "thousands", "M": "millions", "B": "billions", "T": "trillions"}
        return words.get(suffix, ""), factor
    return (suffix, factor) if unit in SCALES else (unit, 1.0)


def short(value: float) -> str:
    """A tick's number."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-4):
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:.6g}" if abs(value) < 1000 else f"{value:,.0f}"


def forbidden(frame: Frame, across: Scale, up: Scale) -> list[str]:
    """A tint over what each limit on an axis excludes."""
    found = []
    for limit in frame.limits:
        box = _excluded(limit, frame, across, up)
        if box is not None:
            x0, y0, x1, y1 = box
            found.append(
                f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}"'
                f' fill="{FORBIDDEN}"/>'
            )
    return found


def _excluded(
    limit: Limit, frame: Frame, across: Scale, up: Scale
) -> tuple[float, float, float, float] | None:
    left, right = float(LEFT), float(WIDTH - RIGHT)
    top, bottom = float(TOP), float(HEIGHT - BOTTOM)
    if limit.metric == frame.x:
        at = min(max(across.pixel(limit.value), left), right)
        box = (at, top, right, bottom) if limit.side == "<=" else (left, top, at, bottom)
    elif limit.metric == frame.y:
        at = min(max(up.pixel(limit.value), top), bottom)
        box = (left, top, right, at) if limit.side == "<=" else (left, at, right, bottom)
    else:
        return None
    usable = all(math.isfinite(v) for v in box) and box[2] > box[0] and box[3] > box[1]
    return box if usable else None


def axes(across: Scale, up: Scale) -> list[str]:
    """Grid, ticks, titles, and at each axis which way is better."""
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    lines, texts = [], []
    for at, text in across.ticks():
        lines.append(f"M{at:.1f} {top}V{bottom}")
        texts.append(f'<text x="{at:.1f}" y="{bottom + 19}" text-anchor="middle">{text}</text>')
    for at, text in up.ticks():
        lines.append(f"M{left} {at:.1f}H{right}")
        texts.append(f'<text x="{left - 9}" y="{at + 4.5:.1f}" text-anchor="end">{text}</text>')
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    return [
        f'<path d="{"".join(lines)}" stroke="{GRID}" fill="none"/>',
        f'<g fill="{QUIET}">',
        *texts,
        "</g>",
        f'<g fill="{INK}" font-size="14" text-anchor="middle">',
        f'<text x="{middle_x:.0f}" y="{HEIGHT - 14}">{escape(across.title + goal(across.key))}</text>',
        f'<text transform="translate(22 {middle_y:.0f}) rotate(-90)">'
        f"{escape(up.title + goal(up.key))}</text>",
        "</g>",
        f'<path d="M{left} {top}V{bottom}H{right}" stroke="{QUIET}" fill="none"/>',
    ]


def goal(key: str) -> str:
    """', lower is better' and the like."""
    better = METRICS[key].better
    return f", {better} is better" if better else ""


def cloud(
    px: Floats,
    py: Floats,
    feasible: Bools,
    outside: str,
    inside: str,
    known: Bools,
) -> list[str]:
    """All candidates as squares of a few pixels, stronger where there are more of them."""
    found = []
    for mask, colour in ((known & ~feasible, outside), (known & feasible, inside)):
        rows = np.flatnonzero(mask)
        if not len(rows):
            continue
        columns = (px[rows] / CELL).astype(np.int64)
        lines = (py[rows] / CELL).astype(np.int64)
        cells, counts = np.unique(lines * WIDTH + columns, return_counts=True)
        level = np.minimum(np.log2(counts).astype(np.int64), len(STRENGTHS) - 1)
        if len(rows) < 3000:
            level[:] = len(STRENGTHS) - 1
        for k, strength in enumerate(STRENGTHS):
            here = cells[level == k]
            if not len(here):
                continue
            moves = "".join(
                f"M{CELL * (c % WIDTH)} {CELL * (c // WIDTH) + CELL / 2:g}h{CELL}"
                for c in here.tolist()
            )
            found.append(
                f'<path d="{moves}" stroke="{colour}" stroke-width="{CELL}"'
                f' stroke-opacity="{strength}" fill="none"/>'
            )
    return found


def limit_lines(frame: Frame, across: Scale, up: Scale) -> list[str]:
    """A line for every limit on an axis, with its text."""
    found = []
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM
    style = f'stroke="{LIMIT}" stroke-width="1.8" stroke-dasharray="7 4"'
    for limit in frame.limits:
        text = escape(limit.label)
        if limit.metric == frame.x and left <= (at := across.pixel(limit.value)) <= right:
            anchor, dx = ("end", -7) if at > (left + right) / 2 else ("start", 7)
            found.append(f'<path d="M{at:.1f} {top}V{bottom}" {style}/>')
            found.append(
                f'<text x="{at + dx:.1f}" y="{top + 14}" fill="{LIMIT}" text-anchor="{anchor}">'
                f"{text}</text>"
            )
        elif limit.metric == frame.y and top <= (at := up.pixel(limit.value)) <= bottom:
            found.append(f'<path d="M{left} {at:.1f}H{right}" {style}/>')
            found.append(
                f'<text x="{right - 8}" y="{at - 7:.1f}" fill="{LIMIT}" text-anchor="end">'
                f"{text}</text>"
            )
    return found


def front_line(
    table: Table, frame: Frame, px: Floats, py: Floats, across: Scale, up: Scale
) -> list[str]:
    """The front as a staircase, with a mark at each configuration: full measured, hollow predicted, a
    hollow triangle that points down for a published illustration."""
    rows = frame.front[np.isfinite(px[frame.front]) & np.isfinite(py[frame.front])]
    if not len(rows):
        return []
    # on the page y grows downwards, so better and worse change places there
    ways = tuple(METRICS[k].better or "lower" for k in (frame.x, frame.y))
    down = "higher" if ways[1] == "lower" else "lower"
    ends = (
        float(WIDTH - RIGHT) if ways[0] == "lower" else float(LEFT),
        float(TOP) if ways[1] == "lower" else float(HEIGHT - BOTTOM),
    )
    ends = _limit_ends(frame, across, up, ends)
    sx, sy = staircase(px[rows], py[rows], (ways[0], down), ends)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(sx, sy, strict=True))
    found = [
        f'<polyline points="{points}" fill="none" stroke="#ffffff" stroke-width="5"/>',
        f'<polyline points="{points}" fill="none" stroke="{FRONT}" stroke-width="2.4"/>',
    ]
    if len(rows) > MOST_FRONT_MARKS:
        return found
    x, y = table.estimates(frame.x), table.estimates(frame.y)
    drawn = illustrated(table, frame.x, frame.y)
    for row in rows.tolist():
        full = bool(x.measured[row] or y.measured[row])
        if drawn[row]:
            found += illustrated_marks(table, frame, [row], px, py)
            continue
        found.append(
            f'<circle cx="{px[row]:.1f}" cy="{py[row]:.1f}" r="3.6"'
            f' fill="{FRONT if full else "#ffffff"}" stroke="{FRONT}" stroke-width="1.7">'
            f"<title>{mark_title(table, frame, row)}</title></circle>"
        )
    return found


def _limit_ends(
    frame: Frame, across: Scale, up: Scale, ends: tuple[float, float]
) -> tuple[float, float]:
    """Where the staircase stops: at a limit on the worse side of an axis, else at the page's edge."""
    found = list(ends)
    for limit in frame.limits:
        if limit.side != _worse_side(limit.metric):
            continue
        for k, (axis, key) in enumerate(((across, frame.x), (up, frame.y))):
            at = axis.pixel(limit.value) if limit.metric == key else math.nan
            if math.isfinite(at):
                first, last = sorted((axis.start, axis.end))
                found[k] = min(max(at, first), last)
    return found[0], found[1]


def _worse_side(key: str) -> str:
    return ">=" if METRICS[key].better == "higher" else "<="


def names(px: Floats, py: Floats, named: Sequence[tuple[int, str]]) -> list[str]:
    """A ring with a number around each named row."""
    found = []
    for row, text in named:
        if not (math.isfinite(px[row]) and math.isfinite(py[row])):
            continue
        x, y = float(px[row]), float(py[row])
        found.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="none" stroke="{INK}" stroke-width="1.5"/>'
            f'<text x="{x + 10:.1f}" y="{y - 8:.1f}" fill="{INK}" font-weight="600"'
            f' stroke="#ffffff" stroke-width="3" paint-order="stroke">{escape(text)}</text>'
            f'<text x="{x + 10:.1f}" y="{y - 8:.1f}" fill="{INK}" font-weight="600">'
            f"{escape(text)}</text>"
        )
    return found


def chosen(table: Table, frame: Frame, px: Floats, py: Floats) -> list[str]:
    """A star on the chosen row."""
    row = frame.selected
    if row is None or not (math.isfinite(px[row]) and math.isfinite(py[row])):
        return []
    points = " ".join(
        f"{px[row] + radius * math.cos(turn):.1f},{py[row] + radius * math.sin(turn):.1f}"
        for radius, turn in (
            (10 if k % 2 == 0 else 4.4, math.pi * (k / 5 - 0.5)) for k in range(10)
        )
    )
    return [
        f'<polygon points="{points}" fill="{LIMIT}" stroke="#ffffff" stroke-width="1.4">'
        f"<title>{escape(table.label(row))}</title></polygon>"
    ]
