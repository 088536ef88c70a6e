"""How certain the drawn front is: a band along it, and the chance of each candidate to be on it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from core.analysis.frame import Frame, minimised
from core.arrays import Bools, Floats, Indices
from core.pareto.front import nondominated
from core.pareto.front_chance import FARTHEST, band_along_front, draws_from_intervals, ever_on_front
from core.pareto.limits import Limit, feasible
from core.records.metrics import METRICS, timed_parts
from core.table.ratio_interval import Z
from core.table.table import Table

DRAWS = 400
# candidates that could be on the front; with more, every one of which needs all draws, neither band
# nor chances are computed
MOST_CANDIDATES = 20_000
# points of the front at which the band is given; more would not be visible
MOST_PLACES = 400
# draws between two places at which the work can be stopped
AT_ONCE = 10


@dataclass(frozen=True, slots=True, eq=False)
class FrontUncertainty:
    """The uncertainty of one frame's front.

    `band` is x (m,), low and high y (m,). `chance` (rows of the table,) is 0 for rows that cannot be
    on the front and NaN for rows outside the limits, even those that some draws bring inside, for rows
    that do not count, and for published illustrations. Either is None where nothing is uncertain, or
    where too many candidates could be on the front.
    """

    front: Indices
    band: tuple[Floats, Floats, Floats] | None
    chance: Floats | None


def front_uncertainty(table: Table, frame: Frame) -> Generator[None, None, FrontUncertainty]:
    """Steps that return the uncertainty of a frame's front."""
    yield None
    band = frame_band(table, frame)
    yield None
    chance = yield from frame_chance(table, frame)
    return FrontUncertainty(frame.front, band, chance)


def frame_band(
    table: Table, frame: Frame, coverage: float = 0.9
) -> tuple[Floats, Floats, Floats] | None:
    """x (m,), low and high y (m,) of the front in the metrics' own units, x rising; each pair of y
    holds from its x to the next.

    A predicted loss is drawn for the candidates on the front, as the models that one would train
    (`core.fit.doubt`). Any other uncertain metric varies within its intervals, independently, and for
    all candidates that could be on the front. The horizontal metric counts as exact. None where the
    vertical metric is certain or there is no front, and along published illustrations, whose error
    nobody knows.
    """
    if len(frame.front) < 2 or not (METRICS[frame.x].better and METRICS[frame.y].better):
        return None
    if "loss" in (frame.x, frame.y) and table.illustrated[frame.front].any():
        return None
    x, y = minimised(table, frame.x), minimised(table, frame.y)
    estimates = table.estimates(frame.y)
    higher = METRICS[frame.y].better == "higher"
    low, high = (-estimates.high, -estimates.low) if higher else (estimates.low, estimates.high)
    low, high = np.fmin(low, y), np.fmax(high, y)
    draws = np.empty((0, 0))
    few = frame.front
    if frame.y == "loss":
        # of thousands of candidates some would be drawn lucky at every place: their best is not what
        # one who trains the front's candidates gets
        draws = table.loss_draws(few, DRAWS)
    if len(draws) < 2:
        few = ever_on_front(x, x, low, high, frame.counted)
    if len(few) > MOST_CANDIDATES or not (high[few] > low[few]).any():
        return None
    if len(draws) < 2:
        # the intervals hold 95 %
        draws = draws_from_intervals(y[few], low[few], high[few], DRAWS, 0, level=0.95)
    else:
        known = np.flatnonzero(estimates.measured[few])
        draws = np.array(draws)
        draws[:, known] = y[few][known]
    at = x[frame.front]
    if len(at) > MOST_PLACES:
        at = at[np.linspace(0, len(at) - 1, MOST_PLACES).round().astype(int)]
    below, above = band_along_front(np.broadcast_to(x[few], draws.shape), draws, at, coverage)
    if higher:
        below, above = -above, -below
    if METRICS[frame.x].better == "higher":
        # turned round, what is attained at an x holds down to the one before it
        at, below, above = -at[::-1], below[::-1], above[::-1]
        below, above = np.append(below[1:], below[-1]), np.append(above[1:], above[-1])
    return at, below, above


def frame_chance(
    table: Table, frame: Frame, draws: int = DRAWS, seed: int = 0
) -> Generator[None, None, Floats | None]:
    """Steps that return the share of draws in which each row (n,) is on the front.

    A predicted loss is drawn as the model that one would train (`core.fit.doubt`): the laws, their
    parameters and errors beyond the runs are common to all rows, the effect of a shape is its own. Every
    other uncertain metric varies within its interval. The error of a predicted time has two parts: that of the law's
    coefficients is common to all rows of the law, and that of the shape is common to rows of one
    depth, width and runtime, since a law errs alike on shapes so similar. Measurements err
    independently. A limit on the median of either axis is applied to the drawn values, so that a row
    just inside breaks it in some draws and a row just outside keeps it in some. All other limits are
    applied to the table's own values.
    """
    if not len(frame.front) or not (METRICS[frame.x].better and METRICS[frame.y].better):
        return None
    corners = [_corners(table, key) for key in (frame.x, frame.y)]
    drawn = [limit for limit in frame.limits if _is_drawn(limit, frame)]
    others = [limit for limit in frame.limits if not _is_drawn(limit, frame)]
    maybe = feasible(table.column, others, len(table))
    if frame.eligible is not None:
        maybe &= frame.eligible
    surely = maybe.copy()
    for limit in drawn:
        ends = corners[0] if limit.metric == frame.x else corners[1]
        allowed = [_allowed(limit, end) for end in ends]
        maybe &= allowed[0] | allowed[1]
        surely &= allowed[0] & allowed[1]
    few = ever_on_front(*corners[0], *corners[1], maybe, surely)
    certain = all(np.array_equal(best[few], worst[few]) for best, worst in corners)
    if certain or len(few) > MOST_CANDIDATES:
        return None
    yield None
    x = _draws(table, frame.x, few, draws, 2 * seed)
    yield None
    y = _draws(table, frame.y, few, draws, 2 * seed + 1)
    hits = np.zeros(len(few))
    for at in range(draws):
        kept = np.ones(len(few), np.bool_)
        for limit in drawn:
            kept &= _allowed(limit, x[at] if limit.metric == frame.x else y[at])
        hits[kept] += nondominated(np.column_stack([x[at][kept], y[at][kept]]))
        if at % AT_ONCE == 0:
            yield None
    chance = np.zeros(len(table))
    chance[few] = hits / draws
    chance[~frame.counted] = np.nan
    if "loss" in (frame.x, frame.y):
        # how sure an illustration is, is not known
        chance[table.illustrated] = np.nan
    chance.flags.writeable = False
    return chance


def _is_drawn(limit: Limit, frame: Frame) -> bool:
    """Whether a limit is applied to the drawn values; percentiles and interval ends are not drawn."""
    return limit.metric in (frame.x, frame.y) and limit.statistic in ("p50", "")


def _allowed(limit: Limit, minimised_values: Floats) -> Bools:
    """True where a value, turned so that smaller is better, keeps a limit."""
    higher = METRICS[limit.metric].better == "higher"
    return limit.allows(-minimised_values if higher else minimised_values)


def chance_text(chance: float) -> str:
    """In words: 'On the front in 73 % of the draws.'; empty where it is not known."""
    if np.isnan(chance):
        return ""
    if 0 < chance < 0.01:
        return "On the front in less than 1 % of the draws."
    if 0.99 < chance < 1:
        return "On the front in more than 99 % of the draws."
    return f"On the front in {100 * chance:.0f} % of the draws."


def _turned(table: Table, key: str, rows: Indices | slice) -> tuple[Floats, Floats, Floats]:
    """Middle, low and high of a metric with smaller better, where low <= middle <= high."""
    estimates = table.estimates(key)
    middle = minimised(table, key)[rows]
    low, high = estimates.low[rows], estimates.high[rows]
    if METRICS[key].better == "higher":
        low, high = -high, -low
    return middle, np.fmin(low, middle), np.fmax(high, middle)


def _corners(table: Table, key: str) -> tuple[Floats, Floats]:
    """The best and the worst value that any draw can give each row."""
    middle, low, high = _turned(table, key, slice(None))
    with np.errstate(invalid="ignore"):
        return middle - FARTHEST * (middle - low), middle + FARTHEST * (high - middle)


def _draws(table: Table, key: str, rows: Indices, draws: int, seed: int) -> Floats:
    """Draws (S, rows) of a metric with smaller better."""
    middle, low, high = _turned(table, key, rows)
    if key == "loss":
        resampled = table.loss_draws(rows, draws, seed)
        if len(resampled) >= 2:
            known = np.flatnonzero(table.estimates(key).measured[rows])
            resampled[:, known] = middle[known]
            return resampled
    c = table.candidates
    shapes = c.shapes
    # measurements err independently, but alike for all rows that share one
    own = np.full(len(rows), -1)
    stands: dict[int, int] = {}
    for at in np.flatnonzero(table.estimates(key).measured[rows]).tolist():
        row = int(rows[at])
        own[at] = stands.setdefault(id(table.measurement(row)), row)
    alike = np.column_stack([shapes.n_layers[rows], shapes.d_model[rows], c.runtime[rows], own])
    groups, of = np.unique(alike, axis=0, return_inverse=True)
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((draws, len(groups)))[:, of.ravel()]
    for (shared, weight), law in _law_errors(table, key, rows, rng, draws):
        z[:, law] = shared + weight * z[:, law]
    # the intervals hold 95 %; cut where `_corners` says that draws end
    shift = np.clip(z / Z, -FARTHEST, FARTHEST)
    drawn: Floats = middle + np.where(shift < 0, shift * (middle - low), shift * (high - middle))
    return drawn


def _law_errors(
    table: Table, key: str, rows: Indices, rng: np.random.Generator, draws: int
) -> Iterator[tuple[tuple[Floats, Floats], Indices]]:
    """Per latency law that predicts some of the rows: the shared part of their errors (draws, n), from
    its coefficients, the weight (n,) of a shape's own error, and which rows they are (n,).

    Both parts together have unit variance: with `LatencyFit.factors` F and o, the error is
    (F z + o e) / sqrt(|F|^2 + o^2) in units of its interval. An end-to-end time uses the TPOT law,
    which makes up most of it.
    """
    parts = timed_parts(key)
    name = parts[-1].law if parts else ""
    predicted = ~(table.estimates(key).measured[rows] | table.drafted[rows])
    runs = table.candidates.runtime[rows]
    for runtime in np.unique(runs[predicted]):
        of = np.flatnonzero(predicted & (runs == runtime))
        law = table.latency_law(name, int(rows[of[0]]))
        if law is None:
            continue
        c = table.candidates.take(rows[of])
        shared, own = law.factors(c.shapes, c.batch, c.prompt_tokens, c.output_tokens)
        size = np.sqrt((shared**2).sum(axis=1) + own**2)
        common = rng.standard_normal((draws, shared.shape[1]))
        yield (common @ (shared / size[:, None]).T, own / size), of
