"""What the runs behind a law varied, and in which columns a design lies outside it.

A law is fitted to runs of some sizes, training lengths and shapes. It says nothing about a column
that the runs held constant, such as the FFN ratio: a table that varies it changes costs under a loss
that stays the same. So every column of a design is held against the range that the runs had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from core.arrays import Bools, Floats
from core.laws.columns import params_column

Columns = Mapping[str, Floats]
Ranges = Mapping[str, tuple[float, float]]

# constants from elsewhere whose range nobody states
UNSTATED = "parameters and tokens (their range is not known)"


@dataclass(frozen=True, slots=True)
class DesignColumn:
    """A column of designs: `key` in the ranges of a fit, `label` for people.

    `made` makes the values from the columns it `needs`. A value beyond the range by no more than the
    share `tolerance` counts as inside, and a table in which the largest value is above the smallest by
    no more than the share `spread` holds the column constant: rounding an FFN width to a multiple is no choice of a ratio.
    """

    key: str
    label: str
    needs: tuple[str, ...]
    made: Callable[..., Floats]
    tolerance: float = 1e-9
    spread: float = 1e-9
    text: Callable[[float], str] = "{:.3g}".format

    def values(self, columns: Columns) -> Floats | None:
        """One value per row; None where a column that it needs is missing."""
        if not all(name in columns for name in self.needs):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.made(*(columns[name] for name in self.needs)), np.float64)

    def between(self, low: float, high: float) -> str:
        """A range in words."""
        first, last = self.text(low), self.text(high)
        return first if first == last else f"{first} to {last}"


def _same(values: Floats) -> Floats:
    return values


def _yes_or_no(value: float) -> str:
    return "yes" if value else "no"


def fitted_columns(params: str) -> tuple[DesignColumn, ...]:
    """The columns that laws are made of, N in this convention: a row beyond them is outside always."""
    return (
        DesignColumn("N", "parameters", (params_column(params),), _same),
        DesignColumn("D", "training tokens", ("tokens",), _same),
        DesignColumn("R", "width over depth", ("d_model", "n_layers"), np.divide),
    )


# the size of a head is none of them: it changes neither a count nor a predicted cost
DESIGN_COLUMNS = (
    DesignColumn(
        "ffn_ratio", "FFN ratio", ("d_ff", "d_model"), np.divide, tolerance=0.05, spread=0.25
    ),
    DesignColumn("kv_groups", "KV groups", ("n_heads", "n_kv_heads"), np.divide),
    # one tokenizer is padded to unlike multiples
    DesignColumn(
        "vocab_size", "vocabulary", ("vocab_size",), _same, 0.01, 0.01, text="{:,.0f}".format
    ),
    DesignColumn(
        "tied_embeddings", "tied embeddings", ("tied_embeddings",), _same, text=_yes_or_no
    ),
    DesignColumn("gated_ffn", "gated FFN", ("gated_ffn",), _same, text=_yes_or_no),
)


def known_ranges(columns: Columns, params: str, usable: Bools) -> dict[str, tuple[float, float]]:
    """Lowest and highest value that the usable runs had in each column that they record."""
    found = {}
    for column in (*fitted_columns(params), *DESIGN_COLUMNS):
        values = column.values(columns)
        known = np.empty(0) if values is None else values[usable]
        known = known[np.isfinite(known)]
        if column.key in ("N", "D", "R"):
            known = known[known > 0]
        if known.size:
            found[column.key] = (float(known.min()), float(known.max()))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """Where the rows of a table lie outside what the runs had.

    `outside` has one mask (n,) for every column in which some row lies outside, by the column's name.
    `constant` tells, in a few words each, what the table holds constant outside the runs' range.
    """

    outside: Mapping[str, Bools] = field(default_factory=dict)
    constant: tuple[str, ...] = ()

    def names(self, row: int) -> tuple[str, ...]:
        """The columns in which one row lies outside; empty inside."""
        return tuple(name for name, mask in self.outside.items() if mask[row])

    def anywhere(self, count: int) -> Bools:
        """True where a row of the `count` lies outside in any column."""
        found = np.zeros(count, np.bool_)
        for mask in self.outside.values():
            found |= mask
        return found

    def spread(self, over: Bools) -> Reach:
        """The same for a larger table, of which the mask `over` has these rows; False elsewhere."""
        masks = {}
        for name, mask in self.outside.items():
            masks[name] = np.zeros(len(over), np.bool_)
            masks[name][over] = mask
        return Reach(masks, self.constant)

    def without(self, name: str) -> Reach:
        """The same without one column."""
        return Reach({k: mask for k, mask in self.outside.items() if k != name}, self.constant)

    def like_the_runs(self, among: Bools) -> Bools | None:
        """True for rows (n,) that are inside in every column in which some row of `among` is inside.

        A column in which all of them lie outside cannot choose between them. None where that leaves
        every row, or none of `among`.
        """
        inside = np.ones(len(among), np.bool_)
        for mask in self.outside.values():
            if not mask[among].all():
                inside &= ~mask
        return inside if inside[among].any() and not inside.all() else None


def reach_of(ranges: Ranges, params: str, columns: Columns) -> Reach:
    """Where rows of columns (n,) lie outside the ranges that the runs had.

    A row is outside in parameters, tokens or width over depth beyond their range. In any other column
    it is outside when the table varies the column and the value is beyond the runs' range. A column
    that the table varies and the runs do not record has every row outside. What the table holds
    constant cannot choose between its rows, and is told of instead; a single row is held against every
    range there is. Without a range of the parameters all rows are outside.
    """
    count = len(columns["tokens"])
    if "N" not in ranges:
        return Reach({UNSTATED: np.ones(count, np.bool_)})
    found, constant = {}, []
    fitted = fitted_columns(params)
    for column in (*fitted, *DESIGN_COLUMNS):
        values = column.values(columns)
        if values is None or not count:
            continue
        known = ranges.get(column.key)
        varies = bool(values.max() > values.min() * (1.0 + column.spread))
        if known is None:
            if varies:
                found[f"{column.label} (not recorded)"] = np.ones(count, np.bool_)
            continue
        low, high = known
        slack = column.tolerance
        beyond = (values < low * (1.0 - slack)) | (values > high * (1.0 + slack))
        if not beyond.any():
            continue
        if varies or count == 1 or column in fitted:
            found[column.label] = beyond
        else:
            here = column.between(float(values.min()), float(values.max()))
            constant.append(f"{column.label} {here}, in the runs {column.between(*known)}")
    return Reach(found, tuple(constant))
