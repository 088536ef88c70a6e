"""Quantities as people write them: '8ms', '1.5B', '24 GB', '3e21' to SI numbers and back."""

from __future__ import annotations

import math
import re
from decimal import Decimal, DecimalException

from core.errors import Unusable

# unit kind -> (suffix, factor), ascending; a number is shown with the largest factor it reaches
SCALES: dict[str, tuple[tuple[str, float], ...]] = {
    "s": (("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)),
    "B": (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)),
    "count": (("", 1.0), ("k", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12)),
    "J": (("µJ", 1e-6), ("mJ", 1e-3), ("J", 1.0), ("kJ", 1e3)),
    "tokens/s": (("tokens/s", 1.0), ("k tokens/s", 1e3), ("M tokens/s", 1e6)),
    "W": (("W", 1.0), ("kW", 1e3)),
}
# further spellings accepted on input
SPELLINGS: dict[str, dict[str, float]] = {
    "s": {"us": 1e-6, "sec": 1.0, "min": 60.0, "h": 3600.0},
    "B": {"b": 1.0, "KB": 1e3, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
    "count": {"K": 1e3, "m": 1e6, "b": 1e9, "G": 1e9, "t": 1e12},
    "J": {},
    "tokens/s": {"tok/s": 1.0, "/s": 1.0},
    "W": {},
}
NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
# "3,5" is three and a half to many readers; taken for 35 it would be a limit nobody set
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?(?:[eE][+-]?\d+)?")


def parse_quantity(text: str, unit: str = "") -> float:
    """The SI value of a number with an optional suffix of this unit; Unusable names what is allowed,
    and a number too large to be kept."""
    try:
        value = _parsed(text, unit)
    except (DecimalException, OverflowError):
        value = math.inf
    if not math.isfinite(value):
        raise Unusable(f"'{text.strip()}' is too large a number")
    return value


def _parsed(text: str, unit: str) -> float:
    match = NUMBER.fullmatch(text)
    if match is None:
        raise Unusable(f"'{text.strip()}' is not a number")
    if "," in match[1] and not THOUSANDS.fullmatch(match[1]):
        raise Unusable(
            f"the comma in '{text.strip()}' is not between thousands; write a decimal point, 3.5"
        )
    # decimal, so that 9ms is 0.009 and not the product of two rounded numbers
    number = Decimal(match[1].replace(",", "").replace("_", ""))
    suffix = match[2]
    if not suffix or suffix == unit:
        return float(number)
    if suffix == "%" and not unit:
        return float(number / 100)
    known = dict(SCALES.get(unit, ())) | SPELLINGS.get(unit, {})
    if suffix in known:
        return float(number * Decimal(repr(known[suffix])))
    folded = {name.lower(): factor for name, factor in known.items()}
    if unit != "count" and suffix.lower() in folded:
        return float(number * Decimal(repr(folded[suffix.lower()])))
    # a plain metric may still be written with its own unit words, or with count suffixes
    if unit not in SCALES and suffix in dict(SCALES["count"]):
        return float(number * Decimal(repr(dict(SCALES["count"])[suffix])))
    allowed = ", ".join(name for name in known if name) or "none"
    raise Unusable(f"'{suffix}' in '{text.strip()}' is not a unit known here (allowed: {allowed})")


def scale_for(value: float, unit: str) -> tuple[str, float]:
    """The suffix and factor that suit a value of this unit."""
    scales = SCALES.get(unit)
    if scales is None:
        return unit, 1.0
    size = abs(value)
    chosen = scales[0]
    if not math.isfinite(size) or size == 0:
        return next((s for s in scales if s[1] == 1.0), scales[0])
    for name, factor in scales:
        # 999.95 would be rounded to 1000 of the smaller unit
        if size >= factor * 0.99995:
            chosen = (name, factor)
    return chosen


def digits(value: float, significant: int = 3) -> str:
    """A number with this many significant digits and no exponent between 1e-4 and 1e6."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e6 or size < 1e-4:
        return (
            f"{value:.{significant - 1}e}".replace("e+0", "e")
            .replace("e-0", "e-")
            .replace("e+", "e")
        )
    rounded = float(f"{value:.{significant - 1}e}")
    places = max(0, significant - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{places}f}"


def format_quantity(value: float, unit: str = "", significant: int = 3) -> str:
    """Short text with a fitting suffix: 0.0082 s -> '8.20 ms', 1.5e9 count -> '1.50B'."""
    if not math.isfinite(value):
        return digits(value)
    if not unit and value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    suffix, factor = scale_for(value, unit)
    number = digits(value / factor, significant)
    if unit == "count":
        return number + suffix
    return f"{number} {suffix}".rstrip()


def time_text(seconds: float) -> str:
    """A stretch of time as people say it: '40 s', '12 min', '1.5 h'."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
