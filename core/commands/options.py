"""Types of values that options of several commands take."""

from __future__ import annotations

import argparse

from core.errors import Unusable
from core.units import parse_quantity


def whole(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} must be at least 1")
    return value


def count(text: str) -> float:
    """A positive count with an optional suffix: 1.5B, 30e9."""
    return _positive(text, "count")


def seconds(text: str) -> float:
    """A positive time with an optional suffix: 8ms, 2s, 5min."""
    return _positive(text, "s")


def _positive(text: str, unit: str) -> float:
    try:
        value = parse_quantity(text, unit)
    except Unusable as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not value > 0:
        raise argparse.ArgumentTypeError(f"'{text}' must be positive")
    return value


def add_outside(parser: argparse.ArgumentParser) -> None:
    """The switch that lets candidates outside the runs behind the loss law count."""
    parser.add_argument(
        "--outside",
        action="store_true",
        help="let candidates count that lie outside what the loss law's runs had",
    )
