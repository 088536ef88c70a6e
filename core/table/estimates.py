"""How each column of the table is made: exact, from a law, or from what was measured.

Every maker returns one `Estimates` over all candidates; a measurement stands before a law.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from core.arrays import Bools, Floats
from core.fit.latency_fit import LatencyFit
from core.fit.memory import PEAKS, MemoryFit
from core.model.workload import Runtime
from core.records.measurement import Measurement
from core.samples.roofline import floor_s, launch_overhead_s
from core.samples.statistics import estimate
from core.space.candidates import Candidates

# metric -> name of the measured phase it is read from
TIMED = {"ttft_s": "ttft", "tpot_s": "tpot", "e2e_s": "e2e"}


class LossFit(Protocol):
    """What the table needs of a fitted (or published) loss law."""

    @property
    def ok(self) -> bool:
        """Whether it can predict at all."""
        ...

    def predict(self, columns: Mapping[str, Floats]) -> Floats:
        """Loss of every row."""
        ...

    def draws(self, columns: Mapping[str, Floats]) -> Floats:
        """Loss of every row under every resample."""
        ...

    def interval(self, columns: Mapping[str, Floats], level: float = 0.95) -> tuple[Floats, Floats]:
        """Lower and upper end for every row."""
        ...

    def drift(self, columns: Mapping[str, Floats]) -> float:
        """Standard deviation of ln L that extrapolation adds to the difference of two rows."""
        ...

    def outside(self, columns: Mapping[str, Floats]) -> Bools:
        """True where a row lies outside the fitted range."""
        ...


@dataclass(frozen=True, slots=True)
class Estimates:
    """A column with its interval and what each row is: exact, measured or predicted."""

    value: Floats
    low: Floats
    high: Floats
    measured: Bools
    outside: Bools


def loss_estimates(
    c: Candidates,
    law: LossFit | None,
    measured_rows: Mapping[int, Measurement],
    names: Mapping[int, str],
) -> Estimates:
    """Loss by the law; of the named rows, which are real models, as measured or not at all."""
    rows = len(c)
    value, low, high = np.full((3, rows), np.nan)
    outside = np.zeros(rows, np.bool_)
    if law is not None and law.ok:
        # a measured shape was trained on no stated number of tokens
        trained = np.isfinite(c.train_tokens)
        columns = {k: v[trained] for k, v in loss_columns(c).items()}
        value[trained] = law.predict(columns)
        low[trained], high[trained] = law.interval(columns)
        outside[trained] = law.outside(columns)
    measured = np.zeros(rows, np.bool_)
    for row in names:
        # a real model has the loss it was measured to have, or none
        quality = measured_rows[row].quality
        value[row] = quality.get("loss", np.nan)
        low[row] = quality.get("loss_low", value[row])
        high[row] = quality.get("loss_high", value[row])
        measured[row] = "loss" in quality
        outside[row] = False
    return frozen(value, low, high, measured, outside)


def timed_estimates(
    c: Candidates,
    key: str,
    latency: Mapping[tuple[Runtime, str], LatencyFit],
    measured_rows: Mapping[int, Measurement],
) -> Estimates:
    """A latency, s, by the law of each row's runtime or as it was measured."""
    rows = len(c)
    value, low, high = np.full((3, rows), np.nan)
    outside = np.zeros(rows, np.bool_)
    for index, runtime in enumerate(c.runtimes):
        fit = latency.get((runtime, law_metric(key)))
        mask = c.runtime == index
        if fit is None or not mask.any():
            continue
        whole = bool(mask.all())
        part = c if whole else c.take(mask)
        asked = (part.shapes, part.batch, part.prompt_tokens, part.output_tokens)
        value[mask] = fit.predict(*asked)
        low[mask], high[mask] = fit.interval(*asked)
        outside[mask] = fit.outside(*asked)
    measured = np.zeros(rows, np.bool_)
    for row, m in measured_rows.items():
        known = estimate(m, TIMED[key], "p50")
        if known is not None:
            value[row], low[row], high[row] = known.value, known.low, known.high
            measured[row] = True
            outside[row] = False
    return frozen(value, low, high, measured, outside)


def e2e_estimates(
    c: Candidates,
    ttft: Estimates,
    tpot: Estimates,
    measured_rows: Mapping[int, Measurement],
    drafted: Bools,
) -> Estimates:
    """The whole answer, s: first token and the steps after it, or as it was measured."""
    steps = c.output_tokens - 1.0
    value = ttft.value + steps * tpot.value
    low, high = ttft.low + steps * tpot.low, ttft.high + steps * tpot.high
    measured = np.zeros(len(c), np.bool_)
    for row, m in measured_rows.items():
        known = estimate(m, "e2e", "p50")
        # what was measured without a draft says nothing of the end with one
        if known is not None and not drafted[row]:
            value[row], low[row], high[row] = known.value, known.low, known.high
            measured[row] = True
    return frozen(value, low, high, measured, ttft.outside | tpot.outside)


def memory_estimates(
    c: Candidates,
    memory: Mapping[Runtime, MemoryFit],
    measured_rows: Mapping[int, Measurement],
    device_key: str,
) -> Estimates:
    """Peak memory, bytes, by arithmetic corrected on what was measured, or as it was measured."""
    value, low, high = np.full((3, len(c)), np.nan)
    for index, runtime in enumerate(c.runtimes):
        mask = c.runtime == index
        if mask.any():
            part = c.take(mask)
            fit = memory.get(runtime, MemoryFit(runtime, device_key))
            asked = (part.shapes, part.batch, part.prompt_tokens, part.output_tokens)
            value[mask] = fit.predict(*asked)
            low[mask], high[mask] = fit.interval(*asked)
    measured = np.zeros(len(c), np.bool_)
    for row, m in measured_rows.items():
        peak = next((m.memory_bytes[k] for k in PEAKS if m.memory_bytes.get(k)), None)
        if peak:
            value[row] = low[row] = high[row] = peak
            measured[row] = True
    return frozen(value, low, high, measured, np.zeros(len(c), np.bool_))


def floor_estimates(
    c: Candidates,
    tpot: Estimates,
    measured_rows: Mapping[int, Measurement],
    bandwidth_bytes_per_s: float,
) -> Estimates:
    """Time per output token over the memory floor (`core.samples.roofline`), of every row.

    A measured row is held against the bandwidth of its own day, the others against the one given.
    """
    runtimes = c.runtimes
    weights, cache = (
        np.array([getattr(r, name) for r in runtimes])[c.runtime]
        for name in ("weight_bytes", "cache_bytes")
    )
    context = c.prompt_tokens + c.output_tokens / 2
    read = np.asarray(c.shapes.decode_bytes(context, c.batch, weights, cache), np.float64)
    floor = read / (bandwidth_bytes_per_s or np.nan)
    for row, m in measured_rows.items():
        known = floor_s(m)
        if known is not None:
            floor[row] = known
    return frozen(
        tpot.value / floor, tpot.low / floor, tpot.high / floor, tpot.measured, tpot.outside
    )


def only_measured(rows: int, key: str, measured_rows: Mapping[int, Measurement]) -> Estimates:
    """Metrics no law predicts here: known where they were measured."""
    value, low, high = np.full((3, rows), np.nan)
    measured = np.zeros(rows, np.bool_)
    for row, m in measured_rows.items():
        found = {
            "energy_j_per_token": m.energy.get("joules_per_token"),
            "launch_s": launch_overhead_s(m),
            "bits_per_byte": m.quality.get("bits_per_byte"),
            "accuracy": m.quality.get("accuracy"),
        }.get(key)
        if found is not None:
            name = {"bits_per_byte": "bits_per_byte", "accuracy": "accuracy"}.get(key, "")
            value[row] = found
            low[row] = m.quality.get(f"{name}_low", found)
            high[row] = m.quality.get(f"{name}_high", found)
            measured[row] = True
    return frozen(value, low, high, measured, np.zeros(rows, np.bool_))


def loss_columns(candidates: Candidates) -> dict[str, Floats]:
    """The columns loss laws ask for."""
    s = candidates.shapes
    return {
        "params_total": np.asarray(s.params_total, np.float64),
        "params_non_embedding": np.asarray(s.params_non_embedding, np.float64),
        "tokens": candidates.train_tokens,
        "d_model": s.d_model.astype(np.float64),
        "n_layers": s.n_layers.astype(np.float64),
        "ffn_to_attention": np.asarray(s.ffn_to_attention, np.float64),
    }


def law_metric(key: str) -> str:
    """The latency law that a metric is read from."""
    return "ttft" if key == "ttft_s" else "tpot"


def certain(value: Floats) -> Estimates:
    """A column that is counted, not estimated."""
    no = np.zeros(len(value), np.bool_)
    return frozen(value, value, value, no, no)


def inverse(of: Estimates, amount: Any) -> Estimates:
    """An amount over a time; the ends of the interval change places."""
    # an interval that reaches down to no time at all is one up to any speed
    with np.errstate(divide="ignore"):
        turned = amount / of.value, amount / of.high, amount / of.low
    return frozen(*turned, of.measured, of.outside)


def frozen(value: Floats, low: Floats, high: Floats, measured: Bools, outside: Bools) -> Estimates:
    """These columns, made read-only."""
    for column in (value, low, high, measured, outside):
        column.flags.writeable = False
    return Estimates(value, low, high, measured, outside)
