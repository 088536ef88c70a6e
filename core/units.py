"""Numbers and quantities as people write them: '8ms', '1.5B', '24 GB', '3e21' to SI numbers and back."""

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
    "J": {"MJ": 1e6, "Wh": 3.6e3, "kWh": 3.6e6},
    "tokens/s": {"tok/s": 1.0, "/s": 1.0},
    "W": {},
    "": {"%": 0.01},
}
# the same in words, as tables and other programs write them
WORDS: dict[str, dict[str, float]] = {
    "s": {
        **dict.fromkeys(("second", "seconds"), 1.0),
        **dict.fromkeys(("minute", "minutes"), 60.0),
        **dict.fromkeys(("hour", "hours"), 3600.0),
        **dict.fromkeys(("msec", "millisecond", "milliseconds"), 1e-3),
        **dict.fromkeys(("microsecond", "microseconds"), 1e-6),
        **dict.fromkeys(("nanosecond", "nanoseconds"), 1e-9),
    },
    "B": {"byte": 1.0, "bytes": 1.0},
    "count": {
        "thousand": 1e3,
        **dict.fromkeys(("mn", "million", "millions"), 1e6),
        **dict.fromkeys(("bn", "billion", "billions"), 1e9),
        **dict.fromkeys(("tn", "trillion", "trillions"), 1e12),
    },
    "": dict.fromkeys(("percent", "pct"), 0.01),
    "J": {"joule": 1.0, "joules": 1.0, "J/token": 1.0},
    "tokens/s": dict.fromkeys(
        (
            "tokens/sec",
            "tokens/second",
            "tokens/s/user",
            "tokens/sec/user",
            "tok/s/user",
            "tok/sec",
            "t/s",
        ),
        1.0,
    ),
}
NUMBER = re.compile(r"\s*([+-]?(?:\d[\d_,]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*$")
# "3,5" is three and a half to many people; read as 35 it would be a limit that nobody set
THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?(?:[eE][+-]?\d+)?")


# texts of empty cells in tables
MISSING = frozenset({"", "nan", "na", "n/a", "none", "null", "-", "--"})
PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SPACED = re.compile(r"[+-]?\d{1,3}( \d{3})+(\.\d+)?", re.ASCII)
# '84.6 ± 3.1', as papers and llama-bench write a mean and its spread
SPREAD = re.compile(r"(.*\S)\s*(?:±|\+/-|\+-)\s*(\d[\d.,]*(?:[eE][+-]?\d+)?)\s*(\D.*)?")


def factor_of(spelling: str, unit: str) -> float | None:
    """The factor from this spelling of a unit to `unit`; None for the spelling of another kind of unit.
    Case matters only where two spellings differ in nothing else (mJ and MJ)."""
    known = dict(SCALES.get(unit, ())) | SPELLINGS.get(unit, {}) | WORDS.get(unit, {})
    if spelling == unit and unit not in SCALES:
        return 1.0
    if spelling in known:
        return known[spelling]
    alike = {factor for name, factor in known.items() if name.lower() == spelling.lower()}
    return alike.pop() if len(alike) == 1 else None


def parse_quantity(text: str, unit: str = "") -> float:
    """The SI value of a number with an optional suffix of this unit; Unusable, naming the allowed
    suffixes, for any other text, and for a number that is too large."""
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
    factor = factor_of(suffix, unit) if suffix not in ("", unit) else 1.0
    # a plain metric may still be written with its own unit words, or with count suffixes
    if factor is None and unit not in SCALES:
        factor = dict(SCALES["count"]).get(suffix)
    if factor is not None:
        return float(number * Decimal(repr(factor)))
    known = (*dict(SCALES.get(unit, ())), *SPELLINGS.get(unit, {}))
    allowed = ", ".join(name for name in known if name) or "none"
    raise Unusable(f"'{suffix}' in '{text.strip()}' is not a unit known here (allowed: {allowed})")


def number(cell: object) -> float:
    """The value of a cell of a table: '1.5B', '30e9', '1,000,000', '84.6 ± 3.1', 3 or 3.5; NaN for an
    empty one.

    Suffixes are those of counts. Raises ValueError for anything else.
    """
    value = plain_number(cell)
    if value is not None:
        return value
    word = without_spread(str(cell))[0]
    if isinstance(cell, bool):
        raise ValueError(f"{cell} is not a number")
    if word.lower().lstrip("+-") in ("inf", "infinity"):
        return -math.inf if word.startswith("-") else math.inf
    return parse_quantity(word.replace(" ", "") if SPACED.fullmatch(word) else word, "count")


def without_spread(text: str) -> tuple[str, str]:
    """A cell without what follows '±', and the number that does: '84.6 ± 3.1 %' is '84.6 %' and '3.1'."""
    word = text.strip()
    match = SPREAD.fullmatch(word)
    return (f"{match[1]} {match[3] or ''}".strip(), match[2]) if match else (word, "")


def plain_number(cell: object) -> float | None:
    """The value of a cell that is a bare number or empty (NaN); None for any other text.

    Suffixes are not read here: '125M' in a column of names is a name.
    """
    if isinstance(cell, bool):
        return None
    if cell is None:
        return math.nan
    if isinstance(cell, (int, float)):
        try:
            return float(cell)
        except OverflowError:
            # a whole number too large for a float
            return math.inf if cell > 0 else -math.inf
    word = str(cell).strip()
    if word.lower() in MISSING:
        return math.nan
    return float(word) if PLAIN.fullmatch(word) else None


def whole_number(text: str) -> int | None:
    """The whole number of at least 1 that a text holds; None for any other text."""
    # no count is longer, and int() refuses 4300 digits; isdigit() alone accepts '²'
    if len(text) > 18 or not (text.isascii() and text.isdigit()):
        return None
    return int(text) or None


def scale_for(value: float, unit: str) -> tuple[str, float]:
    """The suffix and factor that fit a value of this unit."""
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


def plus_minus(share: float, unknown: str = "interval unknown") -> str:
    """'± 4.2 %' for half an interval, or an error, as a share of its value; `unknown` for more than 1.

    What may be off by more than itself is not known, and a number would look as if it were. NaN and
    infinity, which stand for no interval, are unknown as well.
    """
    return f"± {digits(100 * share, 2)} %" if 0 <= share <= 1 else unknown


def time_text(seconds: float) -> str:
    """A duration for reading: '40 s', '12 min', '1.5 h'."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
