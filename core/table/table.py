"""The table of candidates: a column a metric, and for every number where it came from.

Columns are made when first asked for and kept; a million rows cost only what is looked at. Rows are
the described candidates, then what was measured beyond them (other shapes, local models).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.fit.latency_fit import LatencyFit
from core.fit.memory import MemoryFit
from core.model.architecture import Shapes
from core.model.workload import Runtime
from core.pareto.limits import STATISTICS
from core.records.measurement import Measurement, Point
from core.records.metrics import METRICS
from core.samples.repetitions import together
from core.samples.statistics import estimate
from core.space.candidates import Candidates, join
from core.table.estimates import (
    TIMED,
    Estimates,
    LossFit,
    certain,
    e2e_estimates,
    floor_estimates,
    frozen,
    inverse,
    law_metric,
    loss_columns,
    loss_estimates,
    memory_estimates,
    only_measured,
    timed_estimates,
)
from core.table.speculative import Drafting, Steps, draft_row, with_draft

Kept = TypeVar("Kept")
# what a draft model changes; the first token comes from the row's own model
DRAFTED = ("tpot_s", "e2e_s", "tokens_per_s", "tokens_per_s_user")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number came from: kind is exact, measured, predicted, published or unknown."""

    kind: str
    text: str


class Table:
    """Candidates with a column for every metric. Immutable; columns are cached on first use."""

    def __init__(
        self,
        candidates: Candidates | None,
        *,
        loss: LossFit | None = None,
        loss_text: str = "no loss law",
        latency: Sequence[LatencyFit] = (),
        memory: Sequence[MemoryFit] = (),
        measurements: Sequence[Measurement] = (),
        device_key: str = "",
        served_tokens: float = 0.0,
        drafting: Drafting | None = None,
    ) -> None:
        self.device_key = device_key or most_measured_device(measurements)
        usable = [m for m in measurements if not m.failed and m.device.key == self.device_key]
        self.described = len(candidates) if candidates is not None else 0
        self._loss = loss
        self._loss_text = loss_text
        self._served = served_tokens
        known = [m.device.bandwidth_bytes_per_s for m in usable if m.device.bandwidth_bytes_per_s]
        self._bandwidth = known[-1] if known else 0.0
        self._latency = {
            (fit.runtime, fit.metric): fit
            for fit in latency
            if fit.device_key == self.device_key and fit.ok
        }
        self._memory = {fit.runtime: fit for fit in memory if fit.device_key == self.device_key}
        self.candidates, self._measured_rows, self.names = _with_measured(
            candidates, list(together(usable))
        )
        self._cache: dict[Any, Any] = {}
        self.drafting = drafting
        self._draft = draft_row(self.candidates, drafting.draft) if drafting is not None else None

    def __len__(self) -> int:
        return len(self.candidates)

    # --- columns --------------------------------------------------------------------------------

    def column(self, key: str, statistic: str = "p50") -> Floats:
        """Values of a metric (read-only; NaN where unknown); 'high' gives the interval's upper end.

        Statistics other than the median exist for measured rows only.
        """
        if statistic in ("p50", ""):
            return self.estimates(key).value
        if statistic == "high":
            return self.estimates(key).high
        if statistic not in STATISTICS:
            raise KeyError(statistic)
        return self._kept(("statistic", key, statistic), lambda: self._statistic(key, statistic))

    def estimates(self, key: str) -> Estimates:
        """A metric with its 95 % interval and, for every row, whether it was measured."""
        if key not in METRICS:
            raise KeyError(key)
        return self._kept(("estimates", key), lambda: self._estimates(key))

    def loss_draws(self, rows: Indices) -> Floats:
        """Loss of some rows under every resample of the law, (resamples, rows); (0, rows) without."""
        if self._loss is None or not self._loss.ok:
            return np.empty((0, len(rows)))
        return self._loss.draws(loss_columns(self.candidates.take(rows)))

    def loss_drift(self, row: int, other: int) -> float:
        """Standard deviation of ln L that extrapolation adds to the difference of two rows."""
        if self._loss is None or not self._loss.ok:
            return 0.0
        return self._loss.drift(loss_columns(self.candidates.take(np.array([row, other]))))

    def latency_law(self, metric: str, row: int) -> LatencyFit | None:
        """The 'ttft' or 'tpot' law of how a row runs, on this device; None where there is none."""
        return self._latency.get((self.runtime_of(row), metric))

    def known(self, key: str) -> bool:
        """Whether any row has a value of this metric."""
        return bool(np.isfinite(self.column(key)).any())

    def source(self, key: str, row: int) -> Source:
        """Where one number came from, in words."""
        if key in EXACT or key == "lifetime_flops":
            return Source("exact", "counted from the shape")
        estimates = self.estimates(key)
        if not np.isfinite(estimates.value[row]):
            return Source("unknown", self._missing(key, row))
        if estimates.measured[row]:
            return Source("measured", measured_text(self._measured_rows[row], key))
        beyond = "; outside the range it was fitted on" if estimates.outside[row] else ""
        if key in DRAFTED and self.drafted[row]:
            return Source("predicted", self._drafted_text(key, row) + beyond)
        if key == "loss":
            return Source("predicted", self._loss_text + beyond)
        if key == "memory_bytes":
            return Source("predicted", memory_text(self._memory.get(self.runtime_of(row))))
        return Source("predicted", self._laws_text(key, row) + beyond)

    def _laws_text(self, key: str, row: int) -> str:
        laws = ("ttft", "tpot") if key in ("e2e_s", "tokens_per_s") else (law_metric(key),)
        fits = [self._latency.get((self.runtime_of(row), law)) for law in laws]
        return "; ".join(latency_text(fit) for fit in fits if fit is not None)

    def _drafted_text(self, key: str, row: int) -> str:
        assert self.drafting is not None and self._draft is not None
        with_it = (
            f"speculative decoding with {self.label(self._draft)} as draft,"
            f" {self.drafting.tokens} draft tokens an iteration, assumed acceptance rate"
            f" {self.drafting.acceptance:g} (closed form of arXiv 2211.17192)"
        )
        measured = self._measured_rows.get(row) if self.alone.measured[row] else None
        base = measured_text(measured, "tpot_s") if measured else self._laws_text(key, row)
        return f"{with_it}; a step alone: {base}" if base else with_it

    @property
    def alone(self) -> Estimates:
        """Time per output token without the draft model of a what-if."""
        return self._kept("alone", lambda: self._timed("tpot_s"))

    @property
    def drafted(self) -> Bools:
        """True where a draft model runs before the row's."""
        steps = self._steps
        return np.zeros(len(self), np.bool_) if steps is None else steps.drafted

    @property
    def _steps(self) -> Steps | None:
        drafting, draft = self.drafting, self._draft
        if drafting is None or draft is None:
            return None
        own = self.alone
        alone = (own.value, own.low, own.high, own.outside)
        return self._kept(
            "steps",
            lambda: with_draft(self.candidates, alone, self._latency, draft, drafting),
        )

    def measurement(self, row: int) -> Measurement | None:
        """The measurement behind a row, if there is one."""
        return self._measured_rows.get(row)

    @property
    def measured_rows(self) -> Mapping[int, Measurement]:
        """Row -> its latest measurement on this device."""
        return self._measured_rows

    def runtime_of(self, row: int) -> Runtime:
        """How a row runs."""
        return self.candidates.runtimes[int(self.candidates.runtime[row])]

    def point(self, row: int) -> Point:
        """What would be measured to know a row."""
        return self.candidates.point(row)

    def id_of(self, row: int) -> str:
        """The row's stable identity."""
        name = self.names.get(row)
        return f"{name}@{self.candidates.id_of(row)}" if name else self.candidates.id_of(row)

    def find(self, identity: str) -> int | None:
        """The row with this identity, or None."""
        name, _, rest = identity.rpartition("@")
        if name:
            return next(
                (r for r, n in self.names.items() if n == name and self.id_of(r) == identity), None
            )
        return self.candidates.find(rest)

    def label(self, row: int) -> str:
        """Short name of a row: the model's name, or layers x width."""
        shapes = self.candidates.shapes
        return self.names.get(row) or f"{shapes.n_layers[row]}x{shapes.d_model[row]}"

    def full_label(self, row: int) -> str:
        """The label with what else makes a shape: '10x1280 · kv5 · ffn1920'."""
        if row in self.names:
            return self.names[row]
        shapes = self.candidates.shapes
        return f"{self.label(row)} · kv{shapes.n_kv_heads[row]} · ffn{shapes.d_ff[row]}"

    # --- how columns are made ---------------------------------------------------------------------

    def _kept(self, key: Any, make: Callable[[], Kept]) -> Kept:
        if key not in self._cache:
            self._cache[key] = make()
        kept: Kept = self._cache[key]
        return kept

    def _estimates(self, key: str) -> Estimates:
        if key in EXACT:
            return certain(np.asarray(EXACT[key](self.candidates), np.float64))
        if key == "lifetime_flops":
            c = self.candidates
            serve = 2.0 * np.asarray(c.shapes.params_read_per_step, np.float64) * self._served
            return certain(self.column("train_flops") + serve)
        makers: dict[str, Callable[[], Estimates]] = {
            "loss": lambda: loss_estimates(
                self.candidates, self._loss, self._measured_rows, self.names
            ),
            "memory_bytes": lambda: memory_estimates(
                self.candidates, self._memory, self._measured_rows, self.device_key
            ),
            "e2e_s": lambda: e2e_estimates(
                self.candidates,
                self.estimates("ttft_s"),
                self.estimates("tpot_s"),
                self._measured_rows,
                self.drafted,
            ),
            "over_floor": lambda: floor_estimates(
                self.candidates, self.alone, self._measured_rows, self._bandwidth
            ),
            "tokens_per_s_user": lambda: inverse(self.estimates("tpot_s"), 1.0),
            "tokens_per_s": lambda: inverse(
                self.estimates("e2e_s"), self.candidates.batch * self.candidates.output_tokens
            ),
        }
        if key in makers:
            return makers[key]()
        if key == "tpot_s":
            return self._step_estimates()
        if key == "ttft_s":
            return self._timed(key)
        return only_measured(len(self), key, self._measured_rows)

    def _timed(self, key: str) -> Estimates:
        return timed_estimates(self.candidates, key, self._latency, self._measured_rows)

    def _step_estimates(self) -> Estimates:
        steps = self._steps
        if steps is None:
            return self.alone
        measured = self.alone.measured & ~steps.drafted
        return frozen(steps.value, steps.low, steps.high, measured, steps.outside)

    def _statistic(self, key: str, statistic: str) -> Floats:
        value = np.full(len(self), np.nan)
        phase = TIMED.get(key)
        for row, m in self._measured_rows.items():
            known = estimate(m, phase, statistic) if phase else None
            if known is not None and not (key in DRAFTED and self.drafted[row]):
                value[row] = known.value
        value.flags.writeable = False
        return value

    def _missing(self, key: str, row: int) -> str:
        if key == "loss":
            return self._loss_text if row not in self.names else "not measured; no text was given"
        if key == "launch_s":
            return "known of what was measured on a GPU"
        if key == "over_floor" and not self._bandwidth:
            return "the read bandwidth of this device was not measured"
        if key in (*TIMED, "tokens_per_s", "tokens_per_s_user", "over_floor"):
            return f"nothing measured yet with {self.runtime_of(row).label} on this device"
        return "not measured, and no law predicts it"


def most_measured_device(measurements: Sequence[Measurement]) -> str:
    """The key of the device with most usable measurements; empty when there are none."""
    keys = [m.device.key for m in measurements if not m.failed]
    return max(set(keys), key=lambda k: (keys.count(k), k)) if keys else ""


def measured_text(m: Measurement, key: str) -> str:
    """One line on how a measured number came about."""
    phase = TIMED.get(key)
    samples = sum(len(block) for block in m.samples.get(phase, ())) if phase else 0
    count = f"{samples:,} samples, " if samples else ""
    visits = m.environment.get("visits", 1)
    count += f"{visits} visits, " if visits > 1 else ""
    company = m.environment.get("company", 1)
    if company > 1:
        count += f"in turns with {company - 1} others and on their level, "
    software = m.environment.get("torch", "")
    flags = f"; {', '.join(m.flags)}" if m.flags else ""
    when = m.started_at[:16].replace("T", " ")
    return (
        f"{count}{m.device.name}, {m.runtime.label}"
        f"{', torch ' + str(software) if software else ''}, {when}{flags}"
    )


def latency_text(fit: LatencyFit) -> str:
    """One line on the law behind a predicted latency."""
    error = fit.heldout_error
    held = f", off by {error:.1%} on shapes left out" if error is not None else ""
    return (
        f"{fit.metric.upper()} law on {fit.n} measurements of {fit.n_shapes} shapes"
        f" ({fit.measured_on or fit.runtime.label}){held}"
    )


def memory_text(fit: MemoryFit | None) -> str:
    """One line on how a peak of memory was predicted."""
    counted = "weights + cache + activations, by arithmetic"
    if fit is None or not fit.n:
        return f"{counted}; no measured peak says how far off it is"
    held = f", off by {fit.error:.1%} on shapes left out" if fit.error is not None else ""
    return f"{counted}, corrected on {fit.n} measured peaks ({fit.runtime.label}){held}"


EXACT: dict[str, Callable[[Candidates], Any]] = {
    "params_total": lambda c: c.shapes.params_total,
    "params_non_embedding": lambda c: c.shapes.params_non_embedding,
    "weight_bytes": lambda c: c.shapes.params_total * _per_row(c, "weight_bytes"),
    "cache_bytes": lambda c: (
        c.shapes.cache_elements_per_token()
        * _per_row(c, "cache_bytes")
        * c.batch
        * (c.prompt_tokens + c.output_tokens)
    ),
    "train_tokens": lambda c: c.train_tokens,
    "train_flops": lambda c: c.shapes.train_flops(c.train_tokens),
    "decode_flops": lambda c: c.shapes.decode_flops(c.prompt_tokens + c.output_tokens / 2),
    "n_layers": lambda c: c.shapes.n_layers,
    "d_model": lambda c: c.shapes.d_model,
    "aspect_ratio": lambda c: c.shapes.aspect_ratio,
    "ffn_ratio": lambda c: c.shapes.d_ff / c.shapes.d_model,
    "kv_heads": lambda c: c.shapes.n_kv_heads,
    "batch": lambda c: c.batch,
    "prompt_tokens": lambda c: c.prompt_tokens,
    "output_tokens": lambda c: c.output_tokens,
}


def _per_row(candidates: Candidates, name: str) -> Floats:
    return np.array([getattr(r, name) for r in candidates.runtimes])[candidates.runtime]


def _with_measured(
    candidates: Candidates | None, measurements: list[Measurement]
) -> tuple[Candidates, dict[int, Measurement], dict[int, str]]:
    """Rows of the candidates, then a row for each measurement none of them describes."""
    rows: dict[int, Measurement] = {}
    beyond: list[Measurement] = []
    for m in measurements:
        found = [] if m.model or candidates is None else _rows_of(candidates, m)
        rows |= {row: m for row in found}
        if not found:
            beyond.append(m)
    parts = [candidates] if candidates is not None else []
    start = len(candidates) if candidates is not None else 0
    if beyond:
        parts.append(_rows_for(beyond))
    if not parts:
        raise ValueError("a table needs a described space or a measurement")
    rows |= {start + i: m for i, m in enumerate(beyond)}
    names = {start + i: m.model for i, m in enumerate(beyond) if m.model}
    return join(parts), rows, names


def _rows_of(c: Candidates, m: Measurement) -> list[int]:
    if m.runtime not in c.runtimes:
        return []
    a, w = m.architecture, m.workload
    # depth and width first: they leave few rows for the rest
    rows = np.flatnonzero((c.shapes.n_layers == a.n_layers) & (c.shapes.d_model == a.d_model))
    keep = (
        (c.batch[rows] == w.batch)
        & (c.prompt_tokens[rows] == w.prompt_tokens)
        & (c.output_tokens[rows] == w.output_tokens)
        & (c.runtime[rows] == c.runtimes.index(m.runtime))
    )
    return [int(row) for row in rows[keep] if c.shapes.row(int(row)) == a]


def _rows_for(measurements: list[Measurement]) -> Candidates:
    runtimes = tuple(dict.fromkeys(m.runtime for m in measurements))
    count = len(measurements)
    return Candidates(
        Shapes.of(m.architecture for m in measurements),
        np.fromiter((m.workload.batch for m in measurements), np.int64, count),
        np.fromiter((m.workload.prompt_tokens for m in measurements), np.int64, count),
        np.fromiter((m.workload.output_tokens for m in measurements), np.int64, count),
        np.full(count, np.nan),
        np.array([runtimes.index(m.runtime) for m in measurements], np.int16),
        runtimes,
    )
