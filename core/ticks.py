"""Round values along an axis, for every picture: the plot, small charts and the report."""

from __future__ import annotations

import math


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values in [low, high], steps of 1, 2 or 5 times a power of ten."""
    if not (high > low) or most < 1:
        return []
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (1, 2, 5, 10, 20, 50):
        first = math.ceil(low / (step * power) - 1e-9)
        last = math.floor(high / (step * power) + 1e-9)
        if last - first + 1 <= most:
            return [float(f"{k * step * power:.12g}") for k in range(first, last + 1)]
    return []


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` round values in [low, high] > 0: decades, then 1-2-5, then all digits; a range
    within less than a factor of three takes linear steps."""
    if not (high > low > 0):
        return []
    if high / low < 3:
        return [value for value in linear_ticks(low, high, most) if value > 0]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    best: list[float] = []
    for digits_of_decade in ((1,), (1, 3), (1, 2, 5), tuple(range(1, 10))):
        ticks = [
            float(f"{d}e{p}")
            for p in range(first, last + 1)
            for d in digits_of_decade
            if low * (1 - 1e-9) <= d * 10.0**p <= high * (1 + 1e-9)
        ]
        if len(ticks) > most:
            break
        best = ticks
    if len(best) < 2 and high / low < 10:
        # within a decade, where all digits are too many, an even step can give more ticks than 1-2-5
        even = [value for value in linear_ticks(low, high, most) if value > 0]
        best = even if len(even) > len(best) else best
    if best:
        return best
    every = math.ceil((last - first + 1) / max(1, most))
    return [10.0**p for p in range(first, last + 1, every) if low <= 10.0**p <= high]
