"""Any table with named columns: each column is matched to a metric and a unit, or named as left out.

`guess_columns` proposes the matching that a column mapper shows; `read` applies it or another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.document import Document, words_of
from core.errors import Unusable
from core.formats.results.imported import (
    UNITS,
    from_samples,
    keep,
    need,
    number,
    served,
    si_factor,
    whole,
    workload,
)
from core.formats.results.no_results import why_no_results
from core.formats.results.readers import ResultFormat
from core.formats.results.row_names import row_names
from core.formats.results.shares import as_shares
from core.formats.vocabulary import VALUES, NamedColumn, read_name
from core.records.imported import Estimate, ImportedPoint
from core.units import MISSING, parse_quantity, without_spread

# what a column may be besides a metric
ROLES = ("name", "batch", "prompt_tokens", "output_tokens", "device", "weights")
FIELDS: Mapping[str, str] = {**dict.fromkeys(ROLES, ""), **UNITS}
# columns that only a table with one row for each request has
REQUEST_MARKS = frozenset({"requestid", "requestindex", "requestnumber", "reqid", "requestnum"})
ERROR_MARKS = frozenset({"error", "errorcode", "errormessage", "errormsg"})
IN_CELLS = "in the cells"


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """What a column holds: a role or a metric, and for a metric the unit of its numbers and the
    statistic that its name says ('' where it says none)."""

    target: str
    unit: str = ""
    statistic: str = ""


def guess_columns(
    header: Sequence[str], rows: Sequence[Mapping[str, Any]] = ()
) -> dict[str, ColumnMeaning]:
    """The columns whose names say what they hold, with a unit in the name or in the cells of `rows`.

    A role has one column. A metric has at most one for each statistic. Of several the name without
    unknown words before it wins; where two have such words, neither is believed.
    """
    offers: dict[tuple[str, str], list[tuple[str, NamedColumn, str]]] = {}
    for column in header:
        named = read_name(column, FIELDS)
        if named is None:
            continue
        unit = _unit(named, column, rows)
        if unit is not None:
            statistic = "" if named.field in ROLES else named.statistic
            offers.setdefault((named.field, statistic), []).append((column, named, unit))
    found: dict[str, ColumnMeaning] = {}
    for (field, statistic), columns in offers.items():
        # measured requests in flight before a setting: 'concurrency_mean' before 'max_concurrency'
        columns.sort(key=lambda c: (c[1].passed, field in ROLES and not c[1].statistic, c[1].place))
        column, named, unit = columns[0]
        if named.passed and len(columns) > 1:
            continue
        found[column] = ColumnMeaning(field, unit, statistic)
    return {column: found[column] for column in header if column in found}


def _unit(named: NamedColumn, column: str, rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The unit of a column, '' for a role; None where it has a wrong one or where none is written."""
    field, unit = named.field, named.unit
    if field in ROLES:
        return ""
    own = UNITS[field]
    if not unit and own in ("s", "B", "J"):
        # a time or a size without a unit is a guess nobody should make, but cells may hold '80 ms'
        cells = [row.get(column) for row in rows]
        filled = [c for c in cells if isinstance(c, str) and c.strip()]
        return IN_CELLS if filled and all(_with_unit(c, own) is not None for c in filled) else None
    if not unit:
        return own
    try:
        si_factor(unit, field, "")
    except Unusable:
        return None
    return unit


def _with_unit(cell: str, own: str) -> float | None:
    """The value of a cell that holds its unit, such as '80 ms'; None for any other."""
    word = without_spread(cell)[0]
    if number(word) is not None:
        return None
    try:
        return parse_quantity(word, own)
    except Unusable:
        return None


def recognises(document: Document) -> bool:
    """True for a table in which at least one column is a metric with a known unit."""
    if document.kind not in ("csv", "jsonl") and not isinstance(document.value, list):
        return False
    rows = document.objects
    return not why_no_results(document) and any(
        m.target not in ROLES and m.statistic in VALUES
        for m in guess_columns([str(k) for k in rows[0]] if rows else [], rows).values()
    )


def read(
    document: Document, columns: Mapping[str, ColumnMeaning] | None = None
) -> tuple[ImportedPoint, ...]:
    """One point per row, under the given matching or the guessed one, or one point of a table of requests.

    The median of a metric comes before its mean; the other statistics are kept beside it. Columns
    without a meaning that tell rows apart are kept in the names; all others are named as left out.
    """
    what = str(document.path)
    rows = document.objects
    header = [str(k) for k in rows[0]] if rows else []
    columns = guess_columns(header, rows) if columns is None else columns
    table = _Table(rows, columns, what)
    passed = [c for c in header if c not in table.used]
    if {"".join(words_of(c)) for c in header} & REQUEST_MARKS:
        return need([_of_requests(table, document)], document, "times of single requests")
    names, kept = row_names(rows, table.roles.get("name"), passed)
    passed = [c for c in passed if c not in kept]
    left_out = [f"columns {', '.join(passed)}"] if passed else []
    accuracies, notes = table.shares(names)
    left_out += table.unread()
    points = [
        ImportedPoint(
            names[index],
            table.workload(row),
            served(table.cell(row, "weights")),
            str(table.cell(row, "device") or ""),
            keep(table.metrics(row, accuracies.get(index))),
            what,
            "table",
            "",
            notes,
        )
        for index, row in enumerate(rows)
    ]
    left_out += [line for line in table.left_out if line not in left_out]
    return need(points, document, "numbers above 0 in " + ", ".join(table.used), left_out)


class _Table:
    """Rows under a matching of columns."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Mapping[str, ColumnMeaning],
        what: str,
    ) -> None:
        self.rows = rows
        self.used = list(columns)
        self.left_out: list[str] = []
        self.roles = {m.target: c for c, m in columns.items() if m.target in ROLES}
        self.of: dict[str, list[tuple[str, ColumnMeaning, float | None]]] = {}
        header = [str(k) for k in rows[0]] if rows else []
        for column, meaning in columns.items():
            if column not in header:
                raise Unusable(f"{what}: there is no column '{column}' (found {', '.join(header)})")
            if meaning.target in ROLES:
                continue
            own = UNITS.get(meaning.target.partition(":")[0])
            if own is None:
                known = ", ".join((*ROLES, *UNITS))
                raise Unusable(f"{what}: '{meaning.target}' is not a metric (known: {known})")
            factor: float | None = 1.0
            if meaning.unit == IN_CELLS:
                factor = None
            elif meaning.unit != own:
                factor = si_factor(meaning.unit, meaning.target, f"{what}: column '{column}'")
            self.of.setdefault(meaning.target, []).append((column, meaning, factor))
        for target, found in self.of.items():
            found.sort(
                key=lambda c: VALUES.index(c[1].statistic) if c[1].statistic in VALUES else 9
            )
            if found[0][1].statistic not in VALUES:
                self.left_out.append(
                    f"columns {', '.join(c[0] for c in found)}: no mean or median of {target}"
                )

    def cell(self, row: Mapping[str, Any], role: str) -> Any:
        return row.get(self.roles[role]) if role in self.roles else None

    def workload(self, row: Mapping[str, Any]) -> Any:
        return workload(*(self.cell(row, k) for k in ("batch", "prompt_tokens", "output_tokens")))

    def value(self, cell: Any, target: str, factor: float | None) -> float | None:
        """The value of a cell in the metric's own unit; None where it is no number."""
        own = UNITS[target.partition(":")[0]]
        found = number(cell)
        if found is not None and found == found:
            return None if factor is None else found * factor
        return _with_unit(cell, own) if isinstance(cell, str) and cell.strip() else None

    def metrics(self, row: Mapping[str, Any], accuracy: float | None) -> dict[str, Estimate | None]:
        found: dict[str, Estimate | None] = {}
        for target, columns in self.of.items():
            unit = UNITS[target.partition(":")[0]]
            first, *others = columns
            if first[1].statistic not in VALUES:
                continue
            value = self.value(row.get(first[0]), target, first[2])
            if target == "accuracy":
                value = accuracy
            if value is None or value < 0 or (value == 0 and target != "accuracy"):
                continue
            rest = {
                meaning.statistic or "value": number_there
                for column, meaning, factor in others
                if (number_there := self.value(row.get(column), target, factor)) is not None
            }
            spread = without_spread(str(row.get(first[0])))[1]
            scale = first[2]
            if spread and scale is not None and (half := number(spread)) is not None:
                rest["plus_minus"] = half * scale
            statistic = first[1].statistic or "value"
            found[target] = Estimate(value, unit=unit, statistic=statistic, statistics=rest)
        return found

    def shares(self, names: Sequence[str]) -> tuple[dict[int, float], tuple[str, ...]]:
        """The accuracies by row as shares, and the note of how they were read."""
        if "accuracy" not in self.of:
            return {}, ()
        column, _, factor = self.of["accuracy"][0]
        percent = factor == 0.01
        cells = {
            index: value
            for index, row in enumerate(self.rows)
            if (value := self.value(row.get(column), "accuracy", 1.0)) is not None
        }
        if "score" in words_of(column) and not percent and 1 < max(cells.values(), default=0) <= 10:
            # MT-Bench and others give points out of 10
            self.left_out.append(f"column {column}: scores up to 10, neither shares nor percents")
            return {}, ()
        found = as_shares({f"{index} {names[index]}": v for index, v in cells.items()}, percent)
        self.left_out += [f"{column} of {line.partition(' ')[2]}" for line in found.left_out]
        note = (found.note,) if found.note else ()
        return {int(key.partition(" ")[0]): v for key, v in found.values.items()}, note

    def unread(self) -> list[str]:
        """The columns with cells that are neither empty nor a number."""
        told = []
        for target, columns in self.of.items():
            for column, _, factor in columns:
                bad = [
                    str(cell).strip()[:20]
                    for row in self.rows
                    if (cell := row.get(column)) is not None
                    and str(cell).strip().lower() not in MISSING
                    and self.value(cell, target, factor) is None
                ]
                if bad:
                    told.append(
                        f"column {column}: {len(bad)} cells that hold no number ({bad[0]!r})"
                    )
        return told


def _of_requests(table: _Table, document: Document) -> ImportedPoint:
    """One point of a table that has a row for each request: the medians of those that succeeded."""
    errors = [c for c in table.rows[0] if "".join(words_of(str(c))) in ERROR_MARKS]
    good = [r for r in table.rows if not any(_failed(r.get(column)) for column in errors)]
    failed = len(table.rows) - len(good)
    metrics: dict[str, Estimate | None] = {}
    for target, columns in table.of.items():
        column, _, factor = columns[0]
        values = (table.value(row.get(column), target, factor) for row in good)
        if target in ("ttft_s", "tpot_s", "itl_s", "e2e_s"):
            metrics[target] = from_samples(values, target)
    lengths = [_median(table, good, role) for role in ("prompt_tokens", "output_tokens")]
    named = [str(n) for row in good[:1] if (n := table.cell(row, "name"))]
    return ImportedPoint(
        named[0] if named else document.path.stem,
        workload(_median(table, good, "batch"), *lengths),
        None,
        str(table.cell(good[0], "device") or "") if good else "",
        keep(metrics),
        str(document.path),
        "table",
        "",
        (f"one row a request: the medians of {len(good)} requests",),
        left_out=(f"{failed} of {len(table.rows)} requests, which failed",) if failed else (),
        failed_requests=failed,
    )


def _failed(cell: Any) -> bool:
    return str(cell if cell is not None else "").strip().lower() not in (
        "",
        "none",
        "null",
        "nan",
        "0",
        "false",
    )


def _median(table: _Table, rows: Sequence[Mapping[str, Any]], role: str) -> float | None:
    counts = sorted(c for row in rows if (c := whole(table.cell(row, role))) is not None)
    return float(counts[len(counts) // 2]) if counts else None


FORMAT = ResultFormat(
    title="any table",
    file="*.csv, *.jsonl",
    checked_against="column names with units",
    looked_for="columns such as 'ttft_ms', 'tpot_s', 'latency (ms)', 'accuracy' (any table)",
    recognises=recognises,
    read=read,
    general=True,
)
