"""A value and a difference of two values in words, each with its 95 % interval where one is known."""

from __future__ import annotations

import math

from core.records.metrics import METRICS
from core.table.ratio_interval import log_ratio
from core.table.table import Table
from core.units import digits, scale_for


def own_interval(table: Table, row: int, key: str) -> tuple[float, float] | None:
    """The 95 % interval of one value; None where it is exact or not known."""
    estimates = table.estimates(key)
    low, high = float(estimates.low[row]), float(estimates.high[row])
    return (low, high) if METRICS[key].exact is None and low < high else None


def value_text(table: Table, key: str, row: int) -> str:
    """'3.430 nats/token (95 %: 3.413 – 3.448)'; the value alone where it is exact or not sure."""
    metric, value = METRICS[key], float(table.column(key)[row])
    interval = own_interval(table, row, key)
    if interval is None:
        return metric.format(value)
    return f"{metric.format(value)} (95 %: {metric.format_range(value, *interval)})"


def change_text(table: Table, key: str, row: int, other: int) -> tuple[str, bool]:
    """How far two rows' values lie apart, as '0.035 ± 0.012 nats/token', and whether the interval tells
    them apart.

    Without an interval the difference stands alone, and counts as told apart.
    """
    metric = METRICS[key]
    here, there = (float(table.column(key)[r]) for r in (row, other))
    amount = abs(here - there)
    if not (here > 0 and there > 0):
        return metric.format_change(amount), True
    ratio = log_ratio(table, key, row, other)
    low, high = there * math.expm1(ratio.low), there * math.expm1(ratio.high)
    half = (high - low) / 2.0
    if not (math.isfinite(half) and half > 0):
        return metric.format_change(amount), True
    suffix, factor = scale_for(max(amount, half), metric.unit)
    # the last digit of the half-width is the last that the difference has
    if (half < amount) == (low > 0 or high < 0):
        sure = f"± {digits(half / factor, 2)}"
    else:
        # uneven around the difference, so that half the interval would mislead
        ends = (low, high) if here > there else (-high, -low)
        sure = f"(95 %: {' – '.join(_like(end / factor, half / factor) for end in ends)})"
    numbers = f"{_like(amount / factor, half / factor)} {sure}"
    text = f"({numbers}){suffix}" if metric.unit == "count" and suffix else f"{numbers} {suffix}"
    return text.rstrip(), low > 0 or high < 0


def _like(value: float, half_width: float) -> str:
    """A number to the place of the half-width's second digit, and at most three digits."""
    places = max(0, 1 - math.floor(math.log10(half_width)))
    shown = digits(value, 3)
    few = f"{value:,.{places}f}"
    return few if len(few) < len(shown) else shown
