"""Accuracies as shares between 0 and 1, whether a file writes shares or percents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shares:
    """The accuracies as shares, the factor that made them so, and what could not be read.

    `factor` is 0.01 for percents, else 1. `note` says that percents were read.
    """

    values: Mapping[str, float]
    factor: float
    note: str = ""
    left_out: tuple[str, ...] = ()


def as_shares(given: Mapping[str, float], percent: bool = False) -> Shares:
    """Accuracies of one file or column, by task or row, as shares.

    They are percents if one of them is above 1, or where `percent` says so. Among percents that nothing
    names, a value up to 1 could be a share as well; it is left out, as is what cannot be either.
    """
    stated, largest = percent, max(given.values(), default=0.0)
    percent = percent or largest > 1
    values: dict[str, float] = {}
    left_out = []
    for name, value in given.items():
        if not 0 <= value <= (100 if percent else 1):
            left_out.append(f"{name}: {value:g} is neither a share nor a percent")
        elif percent and not stated and 0 < value <= 1:
            left_out.append(
                f"{name}: {value:g} may be a share or a percent; the others are percents"
            )
        else:
            # so that 61.3 is the number that is written 0.613
            values[name] = value / 100 if percent else value
    if percent and not values and not stated:
        return Shares(values, 1.0, "", tuple(left_out))
    shown = max(values.values(), default=0.0)
    note = f"accuracy is read as percent: {100 * shown:g} is {shown:g}" if percent else ""
    return Shares(values, 0.01 if percent else 1.0, note, tuple(left_out))
