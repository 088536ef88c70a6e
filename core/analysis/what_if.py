"""What a what-if changes: the best candidate before and after, and what a draft model would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.analysis.contents import Contents
from core.analysis.explain import nothing_feasible
from core.analysis.frame import Frame, make_frame
from core.analysis.pipeline import Laws, make_table
from core.analysis.values_in_words import own_interval
from core.errors import Unusable
from core.fit.latency_fit import LatencyFit
from core.laws.speculative import MAX_LOOKAHEAD, best_lookahead, expected_tokens, speedup
from core.pareto.front import front_indices
from core.project.choices import Choices, WhatIf
from core.records.metrics import METRICS
from core.table.table import Table

SHOWN = (
    "loss", "tpot_s", "ttft_s", "e2e_s", "tokens_per_s", "memory_bytes", "params_total",
    "train_flops", "lifetime_flops",
)  # fmt: skip
# acceptance rates that published speculative decoding reports lie in (arXiv 2211.17192, table 1)
PUBLISHED_ACCEPTANCE = (0.5, 0.9)
# a draft is worth naming when a step of it takes at most this share of the target's
LARGEST_DRAFT = 0.5
MOST_DRAFTS = 12


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The best candidate under the limits: its name, its metrics (NaN: unknown), and how many rows
    keep the limits and are on the front. `intervals` holds what is known of the metrics' 95 %
    intervals."""

    label: str
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    feasible: int
    front: int


def snapshot(table: Table, frame: Frame) -> Snapshot:
    """The best row of a frame; without one the values are empty."""
    row = frame.best
    counts = int(frame.feasible.sum()), len(frame.front)
    if row is None:
        return Snapshot("none", {}, {}, *counts)
    values = {key: float(table.column(key)[row]) for key in SHOWN}
    known = {key: own_interval(table, row, key) for key in SHOWN}
    intervals = {key: ends for key, ends in known.items() if ends is not None}
    return Snapshot(table.label(row), values, intervals, *counts)


def why_nothing(table: Table, frame: Frame) -> str:
    """Why there is no best candidate: the limits, or metrics without a value under this what-if."""
    reasons = [
        f"No described candidate has a value for {METRICS[key].label.lower()} like this:"
        f" {table.source(key, 0).text}."
        for key in dict.fromkeys((frame.x, frame.y))
        if table.described and not np.isfinite(table.column(key)[: table.described]).any()
    ]
    return " ".join(reasons) or nothing_feasible(table, frame)


def as_described(contents: Contents, laws: Laws, choices: Choices) -> Snapshot:
    """The best candidate without any what-if, under the same limits and axes."""
    plain = choices.changed(what_if=WhatIf(), selected="")
    table = make_table(contents, laws, plain)
    return snapshot(table, make_frame(table, plain))


def percent_change(before: float, after: float) -> float:
    """100 (after / before - 1); NaN where it has no meaning."""
    if not (math.isfinite(before) and math.isfinite(after)) or before <= 0:
        return math.nan
    return 100.0 * (after / before - 1.0)


# --- speculative decoding ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speculation:
    """A draft model with a target: seconds per token, alone and together.

    `verify_s` is a target pass over the draft tokens and one more. It comes from the latency law, as
    a batch of that many rows (which overstates its cache a little), or is a plain step where there is
    no law. `break_even` is the acceptance rate above which drafting pays, None where it never does.
    """

    draft: str
    draft_step_s: float
    target_step_s: float
    verify_s: float
    tokens: float  # expected tokens of an iteration
    speedup: float
    tpot_s: float
    best_draft_tokens: int
    best_speedup: float
    break_even: float | None

    @property
    def text(self) -> str:
        """One sentence."""
        if self.best_draft_tokens == 0:
            return f"With {self.draft} as draft nothing is gained at this acceptance rate."
        return (
            f"With {self.draft} as draft: {self.speedup:.2f} times as fast, {self.tokens:.2f} tokens"
            f" per iteration; best with {self.best_draft_tokens} draft tokens"
            f" ({self.best_speedup:.2f} times)."
        )


def drafts_for(table: Table, row: int, most: int = MOST_DRAFTS) -> tuple[int, ...]:
    """Rows that could draft for a row, fastest first. They share its vocabulary, workload and runtime
    and take at most half its step time; none is both slower and of higher loss than another."""
    c = table.candidates
    step = table.alone.value
    same = (
        (c.shapes.vocab_size == c.shapes.vocab_size[row])
        & (c.batch == c.batch[row])
        & (c.prompt_tokens == c.prompt_tokens[row])
        & (c.output_tokens == c.output_tokens[row])
        & (c.runtime == c.runtime[row])
        & (step <= LARGEST_DRAFT * step[row])
    )
    rows = np.flatnonzero(same)
    if not len(rows):
        return ()
    loss = table.column("loss")[rows]
    if np.isfinite(loss).any():
        rows = rows[front_indices(step[rows], loss, np.isfinite(loss))]
    rows = rows[np.argsort(step[rows], kind="stable")]
    step_by = max(1, -(-len(rows) // most))
    return tuple(int(r) for r in rows[::step_by])


def speculation(
    table: Table, laws: Laws, row: int, draft: int, acceptance: float, draft_tokens: int
) -> Speculation:
    """The effect of a draft row on a target row. Raises Unusable where a step time is not known."""
    step = table.alone.value
    target_s, draft_s = float(step[row]), float(step[draft])
    if not (math.isfinite(target_s) and math.isfinite(draft_s)):
        raise Unusable("the time per token of the target or the draft is not known")
    if not 0.0 <= acceptance <= 1.0 or draft_tokens < 1:
        raise Unusable("an acceptance rate lies in 0 to 1, and a draft has at least 1 token")
    costs = _verify_costs(table, laws.latency, row)
    share = draft_s / target_s

    def cost(k: int) -> float:
        return float(costs[min(k, len(costs) - 1)])

    gain = float(speedup(acceptance, draft_tokens, share, cost(draft_tokens)))
    best, best_gain = best_lookahead(acceptance, share, cost)
    return Speculation(
        table.label(draft),
        draft_s,
        target_s,
        target_s * cost(draft_tokens),
        float(expected_tokens(acceptance, draft_tokens)),
        gain,
        target_s / gain,
        best,
        best_gain,
        _break_even(draft_tokens, share, cost(draft_tokens)),
    )


def _verify_costs(table: Table, fits: Sequence[LatencyFit], row: int) -> list[float]:
    """The cost of a target pass over k + 1 tokens, in passes over a single token, for k = 0, 1, ..."""
    runtime = table.runtime_of(row)
    law = next(
        (
            f
            for f in fits
            if f.ok
            and f.metric == "tpot"
            and f.runtime == runtime
            and f.device_key == table.device_key
        ),
        None,
    )
    if law is None:
        return [1.0]
    point = table.point(row)
    work = point.workload
    rows = work.batch * np.arange(1, MAX_LOOKAHEAD + 2, dtype=np.float64)
    times = law.predict(point.architecture, rows, work.prompt_tokens, work.output_tokens)
    return [float(v) for v in np.maximum(times / times[0], 1.0)]


def _break_even(draft_tokens: int, share: float, verify_cost: float) -> float | None:
    """The acceptance rate at which the draft neither gains nor loses."""
    if float(speedup(1.0, draft_tokens, share, verify_cost)) <= 1.0:
        return None
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        if float(speedup(middle, draft_tokens, share, verify_cost)) < 1.0:
            low = middle
        else:
            high = middle
    return high
