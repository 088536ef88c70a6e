"""What the plot shows, as one frozen value. A part that is the same object is not redrawn."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from core.arrays import Bools, Floats, Indices
from core.units import format_quantity

# source code of a point: where its numbers came from
PREDICTED, MEASURED, EXACT, ILLUSTRATED = range(4)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: a metric in its own (SI) unit, drawn in human ones."""

    key: str
    label: str
    unit: str = ""
    log: bool = False
    better: str = "lower"  # 'lower', 'higher' or '' (no goal: then there is no front)
    significant: int = 3

    def format(self, value: float) -> str:
        """The value with a fitting unit."""
        return format_quantity(value, self.unit, self.significant)


@dataclass(frozen=True, slots=True, eq=False)
class LimitView:
    """One limit: `column` is judged by it; `axis` is 'x' or 'y' where it is a line, else ''.

    `key` is the caller's and comes back in signals. A value of None is no limit: on an axis it is
    drawn as a handle at the edge of the data, ready to be pulled in.
    """

    key: Hashable
    side: str
    value: float | None
    column: Floats
    axis: str = ""
    label: str = ""
    unit: str = ""
    significant: int = 3

    def format(self, value: float) -> str:
        """The value with a fitting unit."""
        return format_quantity(value, self.unit, self.significant)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Measured points with their intervals; `rows` are their indices among the points (-1: none)."""

    x: Floats
    y: Floats
    rows: Indices
    x_interval: tuple[Floats, Floats] | None = None
    y_interval: tuple[Floats, Floats] | None = None
    real: Bools | None = None  # a real model, not a design with random weights


@dataclass(frozen=True, slots=True, eq=False)
class Illustrated:
    """Points with a published illustration for a value, that would be on the front if they counted."""

    x: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Landmark:
    """A published model with its name; or, `measured` here, only the name of a real model's mark;
    or a place that a law `predicted`, drawn hollow."""

    x: float
    y: float
    text: str
    measured: bool = False
    predicted: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """How far the front may lie: low and high y at each x, in the metrics' units."""

    x: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """Points of another project, device or tool on the same axes, tagged by where they are from."""

    tag: str
    x: Floats
    y: Floats
    comparable: bool = True  # False: marked as such
    caution: str = ""  # why it is not comparable
    names: tuple[str, ...] = ()
    known: tuple[Mapping[str, float], ...] = ()  # what else is known of each, by metric


@dataclass(frozen=True, slots=True)
class Colours:
    """Colours by role, as '#rrggbb'; distinct in lightness as well as in hue."""

    background: str
    text: str
    quiet: str  # axes, ticks, second-rank text
    grid: str
    feasible: str
    infeasible: str
    front: str
    measured: str
    landmark: str
    limit: str
    selected: str
    card: str
    overlays: tuple[str, ...]


LIGHT = Colours(
    background="#ffffff",
    text="#1b1f24",
    quiet="#57606a",
    grid="#e3e7eb",
    feasible="#4f9bd9",
    infeasible="#b4bac1",
    front="#0b3d6b",
    measured="#d55e00",
    landmark="#5b2a86",
    limit="#a3154a",
    selected="#111111",
    card="#fbfcfd",
    overlays=("#00795c", "#9a6700", "#7a3b9a", "#6b7280"),
)
DARK = Colours(
    background="#14181d",
    text="#e8ecf0",
    quiet="#9aa5b1",
    grid="#262d35",
    feasible="#3d7fb8",
    infeasible="#4b535c",
    front="#9bd3ff",
    measured="#ff9a4d",
    landmark="#d0a8f5",
    limit="#ff7aa5",
    selected="#ffffff",
    card="#1d232a",
    overlays=("#3fc9a2", "#e3b341", "#c99ae6", "#9aa5b1"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything the plot shows. Columns are float64 in SI units, NaN where unknown.

    `front` None: the plot finds it itself from the limits, of `eligible` points as long as the limits
    leave one. `feasible_shown` is for points inside
    all limits but not on the front, `infeasible_shown` for those outside a limit.
    """

    x: Floats
    y: Floats
    x_axis: Axis
    y_axis: Axis
    limits: tuple[LimitView, ...] = ()
    source: Indices | None = None  # code of each point; None: all predicted
    measured: Measured | None = None
    illustrated: Illustrated | None = None
    landmarks: tuple[Landmark, ...] = ()
    front: Indices | None = None
    eligible: Bools | None = None  # points that count for the front; None: all
    band: Band | None = None
    chance: Floats | None = None  # of being on the front, drawn as opacity
    outside: Bools | None = None  # beyond what was measured: hatched
    overlays: tuple[Overlay, ...] = ()
    selected: int | None = None
    pinned: tuple[int, ...] = ()
    baseline: int | None = None
    feasible_shown: str = "shown"
    front_shown: str = "shown"
    infeasible_shown: str = "shown"
    colours: Colours = LIGHT
    card: Callable[[int], str] | None = None  # short rich text about a point, for hovering
    overlay_card: Callable[[int, int], str] | None = (
        None  # about an overlaid point (overlay, index)
    )
    large: bool = False  # presenter: larger type and strokes


@dataclass(frozen=True, slots=True, eq=False)
class LiveState:
    """What a limit leaves while it is dragged; the store changes only when it is released.

    `best` is the feasible front point with the best y, None where nothing is feasible.
    """

    key: Hashable
    side: str
    value: float | None
    front: Indices
    feasible: int
    total: int
    best: int | None
