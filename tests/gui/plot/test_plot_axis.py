"""Ticks are round, in range, in human units, and keep their distance."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QFont, QFontMetricsF

from core.units import parse_quantity
from gui.plot.axis import _fitting_ticks, tick_labels, tick_text
from gui.plot.scene import Axis

RANGES = st.tuples(st.floats(-9, 13), st.floats(0.01, 8)).map(
    lambda t: (10 ** t[0], 10 ** (t[0] + t[1]))
)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.002, "s", "2 ms"),
        (5e-4, "s", "500 µs"),
        (1.5e9, "count", "1.5B"),
        (2e10, "B", "20 GB"),
        (1.04e-3, "s", "1.04 ms"),
        (3.0, "s", "3 s"),
    ],
)
def test_tick_text(value, unit, text):
    assert tick_text(value, unit) == text


def test_a_linear_axis_shares_one_unit():
    labels, unit = tick_labels([0.0, 5e-4, 1e-3, 1.5e-3], Axis("t", "T", "s"))
    assert (labels, unit) == (["0.0", "0.5", "1.0", "1.5"], "ms")
    labels, unit = tick_labels([2.2, 2.25, 2.3], Axis("loss", "Loss", "nats/token"))
    assert (labels, unit) == (["2.20", "2.25", "2.30"], "nats/token")
    labels, unit = tick_labels([500.0, 1e4], Axis("s", "S", "tokens/s", log=True))
    assert (labels, unit) == (["500", "10k"], "tokens/s")
    labels, unit = tick_labels([1.0, 10.0, 1e7], Axis("x", "X", "", log=True))
    assert labels[0] == "1" and float(labels[2]) == 1e7 and unit == ""


@given(ends=RANGES, log=st.booleans(), length=st.integers(60, 2000), across=st.booleans())
@settings(max_examples=200, deadline=None)
@pytest.mark.parametrize("unit", ["s", "count", "nats/token"])
def test_labels_never_overlap_and_read_as_their_value(qapp, unit, ends, log, length, across):
    low, high = ends
    # a thousandth of a parameter or a million seconds are on nobody's axis
    assume(unit != "count" or low > 1e-3)
    assume(unit != "s" or high < 1e5)
    axis = Axis("k", "K", unit, log)
    metrics = QFontMetricsF(QFont())
    ticks, shared = _fitting_ticks(axis, low, high, length, metrics, across)
    start, end = (math.log10(low), math.log10(high)) if log else (low, high)
    previous = -math.inf
    for at, label in ticks:
        size = metrics.horizontalAdvance(label) if across else metrics.height()
        place = (at - start) / (end - start) * length
        assert place - size / 2 > previous
        previous = place + size / 2
        value = 10**at if log else at
        read = parse_quantity(label + (f" {shared}" if shared and unit == "s" else ""), unit)
        if unit == "count" and shared:
            read = parse_quantity(label + shared, unit)
        assert read == pytest.approx(value, rel=1e-6, abs=(high - low) * 1e-6)
    assert len({label for _, label in ticks}) == len(ticks)
    if length > 400:
        assert len(ticks) >= 2 or high / low < 1.2
