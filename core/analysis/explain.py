"""The picture in sentences: what a choice gains and costs, and what moving a limit would bring.

Every sentence is computed from the table and states its uncertainty. Where the data cannot tell two
candidates apart, the sentence says that instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.analysis.frame import Frame, minimised
from core.analysis.not_counted import outside_sentences
from core.analysis.values_in_words import change_text, value_text
from core.arrays import Bools, Floats
from core.pareto.limits import feasible
from core.project.choices import Choices
from core.records.metrics import METRICS
from core.table.ratio_interval import TOGETHER, log_ratio
from core.table.table import Table
from core.units import plus_minus

KINDS = {"predicted": "predicted ", "published": "illustrated "}
SAME_SIZE = 0.05  # total parameters within 5 % count as one size
LOOSEN = 0.10


@dataclass(frozen=True, slots=True)
class Knee:
    """The front's row of sharpest bend: `bend` is its distance from the straight line between the
    front's ends, in widths of the front (0: no bend)."""

    row: int
    bend: float


def sentences(table: Table, frame: Frame, choices: Choices) -> tuple[str, ...]:
    """What the chosen candidate means, most important first; empty when nothing is feasible."""
    if frame.selected is None:
        return (nothing_feasible(table, frame),)
    found = [choice_sentence(table, frame, choices), illustration_sentence(table, frame)]
    found += outside_sentences(table, frame, choices)
    found.append(next_step_sentence(table, frame))
    found += loosening_sentences(table, frame)
    found.append(knee_sentence(table, frame))
    return tuple(s for s in found if s)


def illustration_sentence(table: Table, frame: Frame) -> str:
    """What is to be said of the chosen row where its loss is a published illustration."""
    row = frame.selected
    if row is None or "loss" not in (frame.x, frame.y) or not table.illustrated[row]:
        return ""
    return (
        f"The loss of {table.label(row)} with {table.runtime_of(row).below_16_bits} is a published"
        " illustration (arXiv 2411.04330): not measured here, and how far off it is, is not known."
    )


def nothing_feasible(table: Table, frame: Frame) -> str:
    """Which limit to loosen first when no candidate keeps them all."""
    for key in (frame.x, frame.y):
        if not table.known(key):
            return (
                f"No candidate has a value for {METRICS[key].label.lower()} yet:"
                f" {table.source(key, 0).text}."
            )
    if not frame.limits:
        return "No candidate has both values."
    free = [(count_without(table, frame, i), limit.label) for i, limit in enumerate(frame.limits)]
    most, label = max(free)
    if most:
        return f"No candidate keeps every limit. Without “{label}” there would be {most:,}."
    return "No candidate keeps every limit, and loosening one is not enough: loosen two."


def count_without(table: Table, frame: Frame, index: int) -> int:
    """How many rows are feasible when one limit is dropped."""
    others = [limit for i, limit in enumerate(frame.limits) if i != index]
    return int(np.count_nonzero(feasible(table.column, others, len(table))))


def choice_sentence(table: Table, frame: Frame, choices: Choices) -> str:
    """What the selected row gains and costs against the baseline, or the best row of its size."""
    row = frame.selected
    assert row is not None
    other = table.find(choices.baseline) if choices.baseline else None
    if other is None:
        other = same_size_reference(table, frame, row)
        if other is None or other == row:
            return alone_sentence(table, frame, row)
        name = f"the {table.candidates.shapes.n_layers[other]}-layer shape of the same size"
    elif other == row:
        return alone_sentence(table, frame, row)
    else:
        name = f"the baseline {table.label(other)}"
    speed = compare_cost(table, frame.x, row, other, name)
    quality = compare_value(table, frame.y, row, other)
    return f"{table.label(row)} {speed}; {quality}."


def same_size_reference(table: Table, frame: Frame, row: int) -> int | None:
    """The row with the best y among those of the same size, workload, runtime and training."""
    c = table.candidates
    params = np.asarray(table.column("params_total"))
    alike = np.abs(np.log(params / params[row])) <= np.log1p(SAME_SIZE)
    for column in (c.batch, c.prompt_tokens, c.output_tokens, c.runtime):
        alike &= column == column[row]
    per_parameter = c.train_tokens / params
    alike &= np.isclose(per_parameter, per_parameter[row], rtol=0.1) | np.isclose(
        c.train_tokens, c.train_tokens[row], rtol=1e-9
    )
    y = minimised(table, frame.y)
    usable = np.flatnonzero(alike & np.isfinite(y) & np.isfinite(table.column(frame.x)))
    if frame.eligible is not None and frame.eligible[usable].any():
        usable = usable[frame.eligible[usable]]
    return int(usable[np.argmin(y[usable])]) if len(usable) else None


def alone_sentence(table: Table, frame: Frame, row: int) -> str:
    """The row's two values, for when there is nothing to compare it with."""
    x, y = (
        f"{METRICS[key].label.lower()} {value_text(table, key, row)}" for key in (frame.x, frame.y)
    )
    return f"{table.label(row)}: {x}, {y}."


def compare_cost(table: Table, key: str, row: int, other: int, name: str) -> str:
    """'is 1.84x faster than ...' for times, 'has 1.20x less ...' for other costs."""
    metric = METRICS[key]
    here, there = float(table.column(key)[row]), float(table.column(key)[other])
    better_lower = metric.better != "higher"
    if not (here > 0 and there > 0):
        return f"is compared with {name}"
    ratio = there / here if better_lower else here / there
    if not apart(table, key, row, other):
        return f"cannot be told apart from {name} in {metric.label.lower()}{judged(table, key, row, other)}"
    factor = ratio if ratio >= 1 else 1 / ratio
    if metric.unit == "s":
        return f"is {factor:.2f}x {'faster' if ratio >= 1 else 'slower'} than {name}"
    less = "fewer" if metric.unit == "count" else "less"
    word = less if (ratio >= 1) == better_lower else "more"
    return f"has {factor:.2f}x {word} {metric.label.lower()} than {name}"


def compare_value(table: Table, key: str, row: int, other: int) -> str:
    """'predicted loss 0.8 % higher (± 0.3 %)': difference in percent with its 95 % half-width."""
    metric = METRICS[key]
    here, there = float(table.column(key)[row]), float(table.column(key)[other])
    source = table.source(key, row).kind
    name = KINDS.get(source, "") + metric.label.lower()
    percent = 100 * (here / there - 1)
    width = difference_half_width(table, key, row, other)
    if np.isfinite(width) and not apart(table, key, row, other):
        ratio = log_ratio(table, key, row, other)
        # an interval need not lie evenly around the difference
        if ratio.high > np.log(2):
            # up to twice the value and more: no number would say anything
            return f"{name} cannot be told apart (the interval is wider than the value)"
        low, high = (f"{100 * np.expm1(end):+.1f}" for end in (ratio.low, ratio.high))
        text = f"{name} cannot be told apart ({percent:+.1f} %; 95 %: {low} to {high} %)"
        return text.replace("-", "−")
    sure = f" ({plus_minus(width / 100)})" if np.isfinite(width) and width > 0 else ""
    if abs(percent) < 0.05:
        return f"{name} the same{sure}"
    return f"{name} {abs(percent):.1f} % {'higher' if percent > 0 else 'lower'}{sure}"


def difference_half_width(table: Table, key: str, row: int, other: int) -> float:
    """Half the 95 % interval of the ratio in percent, by `core.table.ratio_interval`; NaN where there
    is none."""
    return 100 * log_ratio(table, key, row, other).half_width


def judged(table: Table, key: str, row: int, other: int) -> str:
    """' (both predicted by one law, their difference is known to ± 6.1 %)': the basis of a verdict that
    two rows cannot be told apart; empty where it is not known."""
    found = log_ratio(table, key, row, other)
    if not np.isfinite(found.half_width) or not found.half_width:
        return ""
    one = "both predicted by one law, " if found.how == TOGETHER else ""
    known = plus_minus(found.half_width, "")
    return f" ({one}their difference is {f'known to {known}' if known else 'not known'})"


def apart(table: Table, key: str, row: int, other: int) -> bool:
    """Whether the 95 % interval of the ratio excludes 1; True where the interval is not known."""
    found = log_ratio(table, key, row, other)
    return not np.isfinite(found.half_width) or found.low > 0 or found.high < 0


def next_step_sentence(table: Table, frame: Frame) -> str:
    """What the next better point of the front costs and gains, in plain units."""
    row = frame.selected
    if row is None or row not in frame.front:
        return ""
    x, y = table.column(frame.x), table.column(frame.y)
    position = int(np.flatnonzero(frame.front == row)[0])
    for other in frame.front[position + 1 :]:
        # shapes that are equal on both axes lie at the same point
        if x[other] != x[row] and y[other] != y[row]:
            return _step(table, frame, row, int(other))
    return ""


def _step(table: Table, frame: Frame, row: int, to: int) -> str:
    x = METRICS[frame.x]
    dx = abs(float(table.column(frame.x)[to] - table.column(frame.x)[row]))
    direction = "more" if x.better != "higher" else "less"
    amount, apart = change_text(table, frame.y, to, row)
    gain = f"gives {gain_text(frame.y, amount, apart)}"
    return (
        f"The next step up the front ({table.label(to)}) takes {x.format_change(dx)} {direction}"
        f" {x.label.lower()} and {gain}."
    )


def gain_text(key: str, amount: str, apart: bool) -> str:
    """'0.035 ± 0.012 nats/token lower loss', and that it cannot be told from none where it cannot."""
    metric = METRICS[key]
    word = "lower" if metric.better != "higher" else "higher"
    text = f"{amount} {word} {metric.label.lower()}"
    return text if apart else f"{text}, which cannot be told from none"


def loosening_sentences(table: Table, frame: Frame) -> list[str]:
    """For each limit, the gain in y from loosening it by 10 %, if any."""
    if frame.best is None:
        return []
    y = minimised(table, frame.y)
    found = []
    for i, limit in enumerate(frame.limits):
        factor = 1 + LOOSEN if (limit.side == "<=") == (limit.value > 0) else 1 - LOOSEN
        looser = replace(limit, value=limit.value * factor)
        limits = [looser if j == i else old for j, old in enumerate(frame.limits)]
        inside = feasible(table.column, limits, len(table))
        if frame.eligible is not None:
            inside &= frame.eligible
        to = best_of(y, inside)
        gain = "nothing"
        if to is not None and y[to] < y[frame.best]:
            gain = gain_text(frame.y, *change_text(table, frame.y, to, frame.best))
        found.append(f"Loosening “{limit.label}” by 10 % would bring {gain}.")
    return found


def best_of(y: Floats, inside: Bools) -> int | None:
    """The row of the smallest known value among the feasible rows; None when there is none."""
    rows = np.flatnonzero(inside & np.isfinite(y))
    return int(rows[np.argmin(y[rows])]) if len(rows) else None


def knee(table: Table, frame: Frame) -> Knee | None:
    """The point where the front bends most: the farthest from the line between the front's ends.

    Both axes are scaled to the front's own extent, in logs where the metric is logarithmic. None below
    three points.
    """
    front = frame.front
    if len(front) < 3:
        return None
    x = _scaled(table.column(frame.x)[front], METRICS[frame.x].log)
    y = _scaled(minimised(table, frame.y)[front], METRICS[frame.y].log)
    if x is None or y is None:
        return None
    # the front runs from (0, 1) to (1, 0), and bends below the line between them
    if x[0] > x[-1]:
        x = 1 - x
    distance = (1 - x - y) / np.sqrt(2)
    at = int(np.argmax(distance))
    return Knee(int(front[at]), float(distance[at]))


def _scaled(values: Floats, log: bool) -> Any:
    positive = bool((values > 0).all())
    v = np.log(values) if log and positive else values
    extent = float(np.ptp(v))
    return (v - v.min()) / extent if extent > 0 else None


def knee_sentence(table: Table, frame: Frame) -> str:
    """Names the knee and the reason, from the slopes of the front on either side."""
    found = knee(table, frame)
    if found is None or found.bend < 0.05:
        return ""
    row = found.row
    at = int(np.flatnonzero(frame.front == row)[0])
    x, y = METRICS[frame.x], METRICS[frame.y]
    front_x, front_y = table.column(frame.x)[frame.front], table.column(frame.y)[frame.front]
    if abs(front_y[at] - front_y[0]) <= abs(front_y[-1] - front_y[at]):
        return ""
    before, _ = change_text(table, frame.y, row, int(frame.front[0]))
    after, _ = change_text(table, frame.y, int(frame.front[-1]), row)
    return (
        f"The knee is {table.label(row)} at {x.format(float(front_x[at]))}: up to there the front gains"
        f" {before} in {y.label.lower()}, from there on only {after}."
    )
