"""Every candidate's step time with a draft model, for trying out speculative decoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats
from core.errors import Unusable
from core.fit.latency_fit import LatencyFit
from core.laws.speculative import expected_tokens
from core.model.workload import Runtime
from core.space.candidates import IDENTITY, Candidates

Laws = Mapping[tuple[Runtime, str], LatencyFit]


@dataclass(frozen=True, slots=True)
class Drafting:
    """Which candidate drafts (its identity), the chance that one of its tokens is accepted, and how
    many tokens it proposes per iteration. Raises Unusable for impossible values."""

    draft: str
    acceptance: float
    tokens: int

    def __post_init__(self) -> None:
        if not 0.0 <= self.acceptance <= 1.0 or self.tokens < 1:
            raise Unusable("an acceptance rate lies in 0 to 1, and a draft has at least 1 token")


@dataclass(frozen=True, slots=True, eq=False)
class DraftedTimes:
    """Seconds per token with the draft, (rows,) each; `drafted` is True where it runs."""

    value: Floats
    low: Floats
    high: Floats
    outside: Bools
    drafted: Bools


def draft_rows(candidates: Candidates, identity: str) -> list[int]:
    """All rows of the drafting shape under any workload and runtime; empty where there is none."""
    match = IDENTITY.fullmatch(identity.rpartition("@")[2])
    if match is None:
        return []
    s = candidates.shapes
    columns = (
        s.n_layers, s.d_model, s.n_heads, s.d_head, s.n_kv_heads, s.d_ff, s.vocab_size
    )  # fmt: skip
    mask = np.ones(len(candidates), np.bool_)
    for column, text in zip(columns, match.groups()[:7], strict=True):
        mask &= column == int(text)
    shape = identity.rpartition("@")[2].partition("-b")[0]
    rows = np.flatnonzero(mask).tolist()
    return [r for r in rows if candidates.id_of(r).partition("-b")[0] == shape]


def draft_row(candidates: Candidates, identity: str) -> int | None:
    """A row of the drafting shape, under the chosen workload or any other."""
    return next(iter(draft_rows(candidates, identity)), None)


def with_draft(
    candidates: Candidates,
    alone: tuple[Floats, Floats, Floats, Bools],
    laws: Laws,
    row: int,
    drafting: Drafting,
) -> DraftedTimes:
    """Step times with the shape of a row as draft: (k d + v t) / E, as in `core.laws.speculative`.

    `alone` is value, low and high of each row's own step t in seconds, and where they are
    extrapolated. d is the draft's step under the row's workload. v is a pass over k + 1 tokens relative
    to one over a single token, by the row's law (1 without a law). E is the expected number of tokens
    per iteration. The draft runs where it shares the vocabulary and is faster. The interval assumes
    that errors of draft and target go together, and excludes uncertainty of the acceptance rate.
    """
    value, low, high, outside = alone
    c, k = candidates, drafting.tokens
    d, d_low, d_high = np.full((3, len(c)), np.nan)
    verify = np.ones(len(c))
    beyond = outside.copy()
    shape = c.shapes.row(row)
    for index, runtime in enumerate(c.runtimes):
        law, mask = laws.get((runtime, "tpot")), c.runtime == index
        if law is None or not mask.any():
            continue
        part = c if bool(mask.all()) else c.take(mask)
        work = (part.prompt_tokens, part.output_tokens)
        d[mask] = law.predict(shape, part.batch, *work)
        d_low[mask], d_high[mask] = law.interval(shape, part.batch, *work)
        beyond[mask] |= law.outside(shape, part.batch, *work)
        many = law.predict(part.shapes, part.batch * (k + 1), *work)
        verify[mask] = np.maximum(many / law.predict(part.shapes, part.batch, *work), 1.0)
    for same, known in _draft_as_candidate(c, row):
        if np.isfinite(value[known]):
            d[same], d_low[same], d_high[same] = value[known], low[known], high[known]
            beyond[same] = outside[same] | outside[known]
    with np.errstate(invalid="ignore"):
        drafted = (c.shapes.vocab_size == shape.vocab_size) & (d < value)
    gained = float(expected_tokens(drafting.acceptance, k))

    def together(draft: Floats, own: Floats) -> Floats:
        return np.where(drafted, (k * draft + verify * own) / gained, own)

    return DraftedTimes(
        together(d, value),
        together(d_low, low),
        together(d_high, high),
        np.where(drafted, beyond, outside),
        drafted,
    )


def _draft_as_candidate(c: Candidates, row: int) -> list[tuple[Bools, int]]:
    """For each workload and runtime, its rows and a row of the draft's shape under the same."""
    s, shape = c.shapes, c.shapes.row(row)
    alike = np.flatnonzero((s.n_layers == shape.n_layers) & (s.d_model == shape.d_model))
    found = {}
    for i in alike.tolist():
        run = (c.batch[i], c.prompt_tokens[i], c.output_tokens[i], c.runtime[i])
        if run not in found and s.row(i) == shape:
            found[run] = i
    columns = (c.batch, c.prompt_tokens, c.output_tokens, c.runtime)
    return [
        (np.logical_and.reduce([a == b for a, b in zip(columns, run, strict=True)]), i)
        for run, i in found.items()
    ]
