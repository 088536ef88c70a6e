"""Cells of a run table as numbers, tokens that follow from others, and numbers that cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.arrays import Floats
from core.formats.runs.columns import WHOLE, ColumnGuess
from core.formats.runs.oddities import SIZES
from core.units import number


def cell(guess: ColumnGuess, cell: Any) -> tuple[float, str]:
    """A cell's value in base units, and what is wrong with it."""
    try:
        value = number(cell)
    except ValueError:
        return math.nan, f"{guess.field} is '{str(cell)[:40]}', not a number"
    if guess.transform == "ln":
        if value <= 0:
            return math.nan, f"perplexity is {value:g}"
        value = math.log(value)
    # exact for counts written with a scale: 1.1 billion is 1100000000
    scaled = value * guess.scale
    if guess.scale >= 1e3 and math.isfinite(scaled):
        scaled = float(round(scaled))
    return scaled, ""


def derive(arrays: dict[str, Floats]) -> list[str]:
    """Tokens from FLOPs (C = 6 N D) or from tokens per parameter, where no column holds them."""
    if "tokens" in arrays:
        return []
    size = next(f for f in SIZES if f in arrays)
    with np.errstate(divide="ignore", invalid="ignore"):
        if "tokens_per_parameter" in arrays:
            arrays["tokens"] = arrays["tokens_per_parameter"] * arrays[size]
            return [f"tokens: tokens per parameter times {size}"]
        arrays["tokens"] = arrays["flops"] / (6.0 * arrays[size])
        return [f"tokens: training FLOPs / (6 {size})"]


def impossible(
    chosen: Mapping[str, ColumnGuess],
    arrays: Mapping[str, Floats],
    problems: dict[int, str],
    counts: dict[str, int],
) -> None:
    """Mark rows with an impossible number; size and shape may be missing, tokens and loss may not."""
    needed = {"tokens", "loss"} | (
        {f for f in SIZES if f in chosen} if _one_size(arrays) else set()
    )
    for name, values in arrays.items():
        for index in np.flatnonzero(~(values > 0) | np.isinf(values)):
            row, value = int(index) + 1, float(values[index])
            if row in problems or (math.isnan(value) and name not in needed):
                continue
            if math.isnan(value):
                counts["missing"] += 1
                problems[row] = f"{name} is missing"
            else:
                problems[row] = f"{name} is {value:g}"
        if name in WHOLE:
            for index in np.flatnonzero(values != np.round(values)):
                if not math.isnan(values[index]):
                    text = f"{name} is {values[index]:g}, not a whole number"
                    problems.setdefault(int(index) + 1, text)
    if all(f in arrays for f in SIZES):
        for index in np.flatnonzero(arrays["params_non_embedding"] > arrays["params_total"]):
            text = "params_non_embedding is above params_total"
            problems.setdefault(int(index) + 1, text)


def _one_size(arrays: Mapping[str, Floats]) -> bool:
    return sum(f in arrays for f in (*SIZES, "n_layers")) == 1
