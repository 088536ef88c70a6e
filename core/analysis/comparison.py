"""Candidates beside a baseline: differences in percent, with intervals and a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.analysis.contents import Contents
from core.analysis.pipeline import Laws, make_table
from core.analysis.values_in_words import own_interval
from core.fit.fit import Fit
from core.fit.optimum import crossing, crossing_text
from core.project.choices import Choices
from core.records.metrics import METRICS
from core.table.estimates import loss_columns
from core.table.ratio_interval import log_ratio
from core.table.speculative import draft_rows
from core.table.table import Table
from core.units import digits

# a larger difference is shown as a factor
LARGEST_PERCENT = 400.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of a candidate against the baseline.

    `percent` is 100 (value / base - 1); `low` and `high` its 95 % interval, NaN where either value
    has none. `verdict` is 'better' or 'worse' only where the interval excludes zero, else 'cannot
    tell apart'; 'differs' for a metric that has no better side, 'same' or 'unknown'. `kind` and
    `base_kind` are 'exact', 'measured', 'predicted', 'published' (an illustration) or 'unknown'. `note` holds, one per line, how the
    difference was judged and other remarks, or why the value is unknown; it may be empty.
    """

    metric: str
    value: float
    base: float
    percent: float
    low: float
    high: float
    verdict: str
    kind: str
    base_kind: str
    note: str = ""
    interval: tuple[float, float] | None = None

    @property
    def value_text(self) -> str:
        """E.g. '3.430 nats/token (3.413 – 3.448)'."""
        metric = METRICS[self.metric]
        if self.interval is None:
            return metric.format(self.value)
        return f"{metric.format(self.value)} ({metric.format_range(self.value, *self.interval)})"

    @property
    def text(self) -> str:
        """E.g. '-3.2 % (-4.1 to -2.3)'; 'same' or 'unknown' where there is no difference to show."""
        if self.verdict in ("same", "unknown"):
            return self.verdict
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            return f"{percent_text(self.percent)} (interval unknown)"
        if self.low == self.high:
            return percent_text(self.percent)
        ends = f"{percent_text(self.low, False)} to {percent_text(self.high, False)}"
        return f"{percent_text(self.percent)} ({ends})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidates beside a baseline.

    `differences` has one row per candidate and one column per metric; the baseline's own row holds
    'same' throughout. `missing` are identities no longer in the table.
    """

    baseline: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    details: tuple[str, ...]
    metrics: tuple[str, ...]
    differences: tuple[tuple[Difference, ...], ...]
    warnings: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    crossings: tuple[str, ...] = ()  # one sentence per candidate that crosses the baseline


def percent_text(percent: float, unit: bool = True) -> str:
    """A signed percentage with two significant digits: '-3.2 %', '+0.31 %', '+140 %'; the factor,
    '×7.3', from five times the baseline."""
    if percent >= LARGEST_PERCENT:
        return f"×{digits(1.0 + percent / 100.0, 2 if percent < 900 else 3)}"
    size = abs(percent)
    places = 0 if size >= 99.5 else 1 if size >= 0.95 else 2
    number = f"{percent:+.{places}f}".replace("-", "−")
    if not float(f"{percent:.{places}f}"):
        number = "0"
    return f"{number} %" if unit else number


def compared_metrics(choices: Choices) -> tuple[str, ...]:
    """The metrics that a comparison shows, where any of its candidates has a value."""
    served = choices.what_if.served_tokens
    return tuple(
        key
        for key, row in METRICS.items()
        if row.compared and (served or not row.needs_served_tokens)
    )


def compare_rows(
    contents: Contents,
    laws: Laws,
    choices: Choices,
    table: Table,
    identities: Sequence[str],
    baseline: str = "",
) -> Comparison:
    """The candidates of these identities against the baseline (default: the first of them).

    Only these rows are computed, so a table of a million costs no more than a small one. Intervals
    of differences come from `core.table.ratio_interval`.
    """
    wanted = list(dict.fromkeys(identities))
    if baseline and baseline not in wanted:
        wanted.insert(0, baseline)
    found = [name for name in wanted if table.find(name) is not None]
    missing = tuple(name for name in wanted if name not in found)
    if not found:
        return Comparison("", (), (), (), (), (), (), missing)
    if baseline not in found:
        baseline = found[0]
    few = few_rows(contents, laws, choices, table, found)
    rows = [_row(few, name) for name in found]
    base = rows[found.index(baseline)]
    shown = [
        key
        for key in compared_metrics(choices)
        if any(np.isfinite(few.estimates(key).value[row]) for row in rows)
    ]
    differences = tuple(tuple(difference(few, row, base, key) for key in shown) for row in rows)
    return Comparison(
        baseline,
        tuple(found),
        distinct_labels(few, rows),
        tuple(detail(few, row) for row in rows),
        tuple(shown),
        differences,
        (*unlike_rows(few, rows, base), *outside_runs(table, found)),
        missing,
        crossings(few, rows, base, laws.loss),
    )


def few_rows(
    contents: Contents, laws: Laws, choices: Choices, table: Table, identities: Sequence[str]
) -> Table:
    """A table of just these candidates (and what was measured), made as the whole one was.

    Under speculative decoding it also holds the rows of the draft, on which the others depend.
    """
    rows = [row for name in identities if (row := table.find(name)) is not None]
    if table.drafting is not None:
        rows += draft_rows(table.candidates, table.drafting.draft)
    # measurements beyond the space are in every table
    described = [row for row in dict.fromkeys(rows) if row < table.described]
    few = table.candidates.take(np.array(described, np.intp))
    return make_table(contents, laws, choices.changed(device_key=table.device_key), few)


def difference(
    table: Table,
    row: int,
    base: int,
    key: str,
) -> Difference:
    """One metric of one row against another row of a table."""
    return replace(_difference(table, row, base, key), interval=own_interval(table, row, key))


def _difference(table: Table, row: int, base: int, key: str) -> Difference:
    estimates = table.estimates(key)
    value, at = float(estimates.value[row]), float(estimates.value[base])
    kinds = (kind_of(table, row, key), kind_of(table, base, key))
    why = table.source(key, row).text if kinds[0] == "unknown" else ""
    if row == base:
        zero = math.nan if why else 0.0
        verdict = "unknown" if why else "same"
        return Difference(key, value, at, zero, zero, zero, verdict, *kinds, why)
    if not (math.isfinite(value) and math.isfinite(at) and value > 0 and at > 0):
        nothing = (math.nan,) * 3
        return Difference(key, value, at, *nothing, "unknown", *kinds, why)
    if value == at and "measured" not in kinds:
        # one prediction of one thing: the same shape under the same load
        return Difference(key, value, at, 0.0, 0.0, 0.0, "same", *kinds)
    ratio = log_ratio(table, key, row, base)
    low, high = math.exp(ratio.low), math.exp(ratio.high)
    notes = [ratio.how] if ratio.how else []
    percent = 100.0 * (value / at - 1.0)
    ends = (100.0 * (low - 1.0), 100.0 * (high - 1.0))
    return Difference(
        key, value, at, percent, *ends, _verdict(key, percent, *ends), *kinds, "\n".join(notes)
    )


def kind_of(table: Table, row: int, key: str) -> str:
    """'exact', 'measured', 'predicted', 'published' or 'unknown'."""
    estimates = table.estimates(key)
    if not np.isfinite(estimates.value[row]):
        return "unknown"
    if METRICS[key].exact is not None:
        return "exact"
    if key == "loss" and table.illustrated[row]:
        return "published"
    return "measured" if estimates.measured[row] else "predicted"


def distinct_labels(table: Table, rows: Sequence[int]) -> tuple[str, ...]:
    """Names of the rows: the short one, or the full one where several rows share the short one."""
    short = [table.label(row) for row in rows]
    return tuple(
        name if short.count(name) == 1 else table.full_label(row)
        for row, name in zip(rows, short, strict=True)
    )


def detail(table: Table, row: int) -> str:
    """What else distinguishes a candidate from similar ones: heads, FFN, workload, how it runs."""
    c = table.candidates
    shapes = c.shapes
    work = f"batch {c.batch[row]}, {c.prompt_tokens[row]:,} in, {c.output_tokens[row]:,} out"
    shape = (
        f"{shapes.n_heads[row]} heads, {shapes.n_kv_heads[row]} for keys and values,"
        f" FFN {shapes.d_ff[row]:,}"
    )
    return f"{shape}; {work}; {table.runtime_of(row).label}"


def crossings(table: Table, rows: Sequence[int], base: int, law: Fit | None) -> tuple[str, ...]:
    """Where the loss of each candidate crosses the baseline's as both are trained on more tokens.

    The law predicts designs only, of 16 bits and more, not trained models. A design that does not cross the baseline has
    no sentence.
    """
    low = table.candidates.below_16_bits
    if law is None or not law.ok or base in table.names or low[base]:
        return ()
    found = []
    names = dict(zip(rows, distinct_labels(table, rows), strict=True))
    for row in rows:
        if row == base or row in table.names or low[row]:
            continue
        there, here = (
            {k: float(v[0]) for k, v in loss_columns(table.candidates.take(np.array([i]))).items()}
            for i in (base, row)
        )
        met = crossing(law, here, there)
        if met.tokens is not None:
            found.append(crossing_text(met, names[row], names[base]))
    return tuple(found)


def unlike_rows(table: Table, rows: Sequence[int], base: int) -> tuple[str, ...]:
    """Warnings where the compared rows differ in workload, runtime or the meaning of the loss."""
    c = table.candidates
    notes = []
    columns = {"batch": c.batch, "prompt": c.prompt_tokens, "answer": c.output_tokens}
    unlike = [name for name, column in columns.items() if len({int(column[r]) for r in rows}) > 1]
    if unlike:
        notes.append(f"The workloads differ ({', '.join(unlike)}): times are not of the same task.")
    if len({table.runtime_of(row) for row in rows}) > 1:
        notes.append("They do not all run the same way: execution or precision differs.")
    losses = [row for row in rows if np.isfinite(table.estimates("loss").value[row])]
    if len({row in table.names for row in losses}) > 1:
        notes.append(
            "Losses of local models were measured on a text of yours, the others are predicted by a"
            " law: compare them with care."
        )
    drawn = [row for row in losses if table.illustrated[row]]
    if drawn:
        names = ", ".join(table.label(row) for row in drawn)
        notes.append(
            f"A published illustration below 16 bits, not measured here: the loss of {names}."
        )
    return tuple(notes)


def outside_runs(table: Table, identities: Sequence[str]) -> tuple[str, ...]:
    """A warning that names the candidates outside what the runs behind the loss law had, and in what.

    Judged in the whole table: a few rows hold constant what all of them vary.
    """
    found: dict[tuple[str, ...], list[str]] = {}
    for identity in identities:
        row = _row(table, identity)
        if names := table.outside_columns("loss", row):
            found.setdefault(names, []).append(table.label(row))
    each = [f"{', '.join(labels)} in {', '.join(names)}" for names, labels in found.items()]
    return (f"Outside the runs behind the loss law: {'; '.join(each)}.",) if each else ()


# -----------------------------------------------------------------------------------------------


def _row(table: Table, identity: str) -> int:
    row = table.find(identity)
    if row is None:  # it was in the whole table before
        raise LookupError(identity)
    return row


def _verdict(key: str, percent: float, low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return "cannot tell apart"
    if low == high == 0.0 or (low == high and abs(percent) < 1e-9):
        return "same"
    if low <= 0.0 <= high:
        return "cannot tell apart"
    better = METRICS[key].better
    if not better:
        return "differs"
    return "better" if (percent < 0) == (better == "lower") else "worse"
