"""Numbers as people write them in tables and on the command line: 1.5B, 30e9, 1,000, 2.5s."""

from __future__ import annotations

import math
import re

SUFFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_PLAIN = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}([,_ ]\d{3})+(\.\d+)?")
MISSING = frozenset({"", "nan", "na", "n/a", "none", "null", "-", "--"})


def number(text: object) -> float:
    """The value of '1.5B', '30e9', '1,000,000', 3 or 3.5; NaN for an empty cell or NaN.

    Suffixes k, M, B (or G) and T count thousands to trillions. Raises ValueError for anything else.
    """
    if isinstance(text, bool):
        raise ValueError(f"{text} is not a number")
    if isinstance(text, (int, float)):
        return _float(text)
    if text is None:
        return math.nan
    word = str(text).strip()
    if word.lower() in MISSING:
        return math.nan
    if word.lower().lstrip("+-") in ("inf", "infinity"):
        return -math.inf if word.startswith("-") else math.inf
    if _GROUPED.fullmatch(word):
        return float(re.sub(r"[,_ ]", "", word))
    if _PLAIN.fullmatch(word):
        return float(word)
    scale = SUFFIXES.get(word[-1].lower())
    if scale is not None and _PLAIN.fullmatch(word[:-1].strip()):
        value = float(word[:-1]) * scale
        # 1.1B is 1100000000, not 1100000000.0000001
        return float(round(value)) if abs(value - round(value)) < 1e-6 else value
    raise ValueError(f"'{word}' is not a number")


def plain_number(text: object) -> float | None:
    """The value of a cell that is a bare number or empty (NaN); None for any other text.

    Suffixes are not read here: '125M' in a column of names is a name.
    """
    if isinstance(text, bool):
        return None
    if text is None or isinstance(text, (int, float)):
        return math.nan if text is None else _float(text)
    word = text.strip() if isinstance(text, str) else str(text)
    if word.lower() in MISSING:
        return math.nan
    return float(word) if _PLAIN.fullmatch(word) else None


def _float(value: float) -> float:
    """A float; infinite for whole numbers too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
