"""The table of candidates: one column per metric, and the source of every number.

Columns are computed on first use and kept, so a million rows cost only the columns in use. Rows are
the described candidates, then measurements beyond them (other shapes, local models).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from core.arrays import Bools, Floats, Indices
from core.fit.latency_fit import LatencyFit
from core.fit.memory import MemoryFit
from core.fit.reach import Reach
from core.laws.unseen import OF_RUNNING
from core.model.architecture import Shapes
from core.model.workload import Runtime
from core.pareto.limits import STATISTICS
from core.records.measurement import Measurement, Point
from core.records.metric import Metric
from core.records.metrics import METRICS, NOT_TRAINED, of_phase
from core.samples.repetitions import together
from core.samples.statistics import estimate
from core.space.candidates import Candidates, join
from core.table.columns import RowColumns
from core.table.estimates import (
    PRECISION,
    Estimates,
    LossFit,
    certain,
    frozen,
    loss_columns,
    loss_estimates,
    made_estimates,
    memory_estimates,
    only_measured,
    timed_estimates,
)
from core.table.published_precision import PublishedPrecision
from core.table.scored_texts import ON_TEXT, scored_texts
from core.table.speculative import DraftedTimes, Drafting, draft_row, with_draft

Kept = TypeVar("Kept")

# why a real model has no quality below 16 bits
OTHER_TEXT = "it was scored on {other}; shown are losses on {shown}"
LOW_MODEL = "it was scored in a higher precision; what {low} cost in quality was not measured"


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
        loss_unseen: str = "",
        latency: Sequence[LatencyFit] = (),
        memory: Sequence[MemoryFit] = (),
        measurements: Sequence[Measurement] = (),
        device_key: str = "",
        served_tokens: float = 0.0,
        drafting: Drafting | None = None,
        precision: PublishedPrecision | None = None,
    ) -> None:
        self.device_key = device_key or most_measured_device(measurements)
        usable = [m for m in measurements if not m.failed and m.device.key == self.device_key]
        self.described = len(candidates) if candidates is not None else 0
        self._loss = loss
        self._loss_text = loss_text
        self._loss_unseen = loss_unseen
        self._precision = precision or PublishedPrecision()
        known = [m.device.bandwidth_bytes_per_s for m in usable if m.device.bandwidth_bytes_per_s]
        self._latency = {
            (fit.runtime, fit.metric): fit
            for fit in latency
            if fit.device_key == self.device_key and fit.ok
        }
        self._memory = {fit.runtime: fit for fit in memory if fit.device_key == self.device_key}
        self.candidates, self._measured_rows, self.names = _with_measured(
            candidates, list(together(usable))
        )
        # by metric the text of the losses shown, and the models that were scored on another one
        self.scored = {key: scored_texts(self._measured_rows, key) for key in ON_TEXT}
        self.columns = RowColumns(
            self.candidates, self._measured_rows, served_tokens, known[-1] if known else 0.0
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
        return self._of(METRICS[key])

    def loss_draws(self, rows: Indices, count: int, seed: int = 0) -> Floats:
        """Losses (count, rows) of the models that one would train, drawn together from the loss law.

        Rows of one shape share that shape's own effect, and rows of one shape and number of training
        tokens are one model. (0, rows) where the law has no resamples.
        """
        if self._loss is None or not self._loss.ok:
            return np.empty((0, len(rows)))
        some = self.candidates.take(rows)
        shape = some.shapes.numbers()
        model = np.unique(np.stack([shape, some.train_tokens]), axis=1, return_inverse=True)[1]
        columns = loss_columns(some)
        drawn = self._loss.predictive_draws(columns, shape, model.reshape(-1), count, seed)
        return drawn + self._precision.penalty(some)

    @property
    def illustrated(self) -> Bools:
        """True where the loss is a published illustration: designs below 16 bits, if asked for."""
        return self._kept("illustrated", self._illustrated)

    def latency_law(self, metric: str, row: int) -> LatencyFit | None:
        """The 'ttft' or 'tpot' law of how a row runs, on this device; None where there is none."""
        return self._latency.get((self.runtime_of(row), metric))

    def known(self, key: str) -> bool:
        """Whether any row has a value of this metric."""
        return bool(np.isfinite(self.column(key)).any())

    def source(self, key: str, row: int) -> Source:
        """Where one number came from, in words."""
        metric = METRICS[key]
        estimates = self.estimates(key)
        if not np.isfinite(estimates.value[row]):
            return Source("unknown", self._missing(metric, row))
        if metric.exact is not None:
            return Source("exact", "counted from the shape")
        if estimates.measured[row]:
            return Source("measured", measured_text(self._measured_rows[row], key))
        if metric.law == "loss" and self.illustrated[row]:
            return Source("published", self._illustrated_text(row) + self._beyond(key, row))
        beyond = self._beyond(key, row)
        if self.drafted[row] and changed_by_draft(metric):
            return Source("predicted", self._drafted_text(metric, row) + beyond)
        return Source("predicted", self._predicted_text(metric, row) + beyond)

    @property
    def reach(self) -> Reach:
        """Where rows lie outside what the runs behind the loss law had."""
        return self._loss_and_reach[1]

    @property
    def _loss_and_reach(self) -> tuple[Estimates, Reach]:
        """Both at once, as they are made from the same columns."""
        return self._kept(
            "loss and reach",
            lambda: loss_estimates(
                self.candidates,
                METRICS["loss"],
                self._loss,
                self.scored["loss"].comparable(self._measured_rows),
                self.names,
                self._precision,
            ),
        )

    @property
    def like_runs(self) -> Bools | None:
        """True for rows whose loss the runs can speak for, as far as the columns tell them apart.

        A measured loss and rows without one count as such. None where all rows are alike in that.
        """

        def find() -> Bools | None:
            loss = self.estimates("loss")
            return self.reach.like_the_runs(np.isfinite(loss.value) & ~loss.measured)

        return self._kept("like runs", find)

    @property
    def worth_illustrating(self) -> Bools:
        """True for illustrated rows that `like_runs` keeps, or keeps apart for their precision alone."""
        drawn = self.illustrated
        if not drawn.any():
            return drawn
        like = self.reach.without(PRECISION).like_the_runs(np.isfinite(self.column("loss")))
        return drawn if like is None else drawn & like

    def outside_columns(self, key: str, row: int) -> tuple[str, ...]:
        """The columns in which a row lies outside what the runs behind its loss had; empty for a
        metric that is not a loss."""
        of_loss = METRICS[key].law == "loss" and self.estimates(key).outside[row]
        return self.reach.names(row) if of_loss else ()

    def _beyond(self, key: str, row: int) -> str:
        """The end of a source's text where the number is an extrapolation."""
        if METRICS[key].law != "loss":
            outside = self.estimates(key).outside[row]
            return "; outside the range it was fitted on" if outside else ""
        names = self.outside_columns(key, row)
        notes = [f"outside the runs in {', '.join(names)}"] if names else []
        return "".join(f"; {note}" for note in (*notes, *self.reach.constant))

    def _predicted_text(self, metric: Metric, row: int) -> str:
        if metric.law == "loss":
            return "; ".join(filter(None, (self._loss_text, self._loss_unseen)))
        if metric.law == "memory":
            return memory_text(self._memory.get(self.runtime_of(row)))
        if metric.made_of:
            parts = [METRICS[key] for key in metric.made_of]
            texts = [self._predicted_text(part, row) for part in parts if part.exact is None]
            return "; ".join(text for text in dict.fromkeys(texts) if text)
        fit = self.latency_law(metric.law, row)
        return latency_text(fit) if fit is not None else ""

    def _illustrated_text(self, row: int) -> str:
        one = self.candidates.take(np.array([row]))
        added, beyond = self._precision.penalty(one)[0], self._precision.beyond(one)[0]
        told = self._precision.text(self.runtime_of(row), float(added), bool(beyond))
        return f"{told}: {self._predicted_text(METRICS['loss'], row)}"

    def _drafted_text(self, metric: Metric, row: int) -> str:
        assert self.drafting is not None and self._draft is not None
        with_it = (
            f"speculative decoding with {self.label(self._draft)} as draft,"
            f" {self.drafting.tokens} draft tokens per iteration, assumed acceptance rate"
            f" {self.drafting.acceptance:g} (closed form of arXiv 2211.17192)"
        )
        measured = self._measured_rows.get(row) if self.alone.measured[row] else None
        base = measured_text(measured, "tpot_s") if measured else self._predicted_text(metric, row)
        return f"{with_it}; a step alone: {base}" if base else with_it

    @property
    def alone(self) -> Estimates:
        """Time per output token without the draft model of a what-if."""
        return self._of(of_phase("tpot"), alone=True)

    @property
    def drafted(self) -> Bools:
        """True where a draft model runs before the row's."""
        steps = self._steps
        return np.zeros(len(self), np.bool_) if steps is None else steps.drafted

    @property
    def _steps(self) -> DraftedTimes | None:
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
        """The point to measure for a row."""
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

    def axis_label(self, key: str) -> str:
        """The metric's name, with the text where all of its values are losses of models on that."""
        metric = METRICS[key]
        scored = self.scored[key].shown if metric.on_text else None
        if scored is None:
            return metric.label
        found = self.estimates(key)
        every = bool(found.measured[np.isfinite(found.value)].all())
        return f"{metric.label} on {scored.label}" if every else metric.label

    def full_label(self, row: int) -> str:
        """The label with the rest of the shape: '10x1280 · kv5 · ffn1920'."""
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

    def _of(self, metric: Metric, alone: bool = False) -> Estimates:
        """A metric's column; with `alone`, without the draft model."""
        alone = alone or metric.without_draft
        return self._kept(("estimates", metric.key, alone), lambda: self._make(metric, alone))

    def _illustrated(self) -> Bools:
        low = self.candidates.below_16_bits
        if not low.any():
            # a million losses need not be known for that
            return low
        loss = self.estimates("loss")
        return low & np.isfinite(loss.value) & ~loss.measured

    def _make(self, metric: Metric, alone: bool) -> Estimates:
        c, measured = self.candidates, self._measured_rows
        if metric.exact is not None:
            return certain(np.asarray(metric.exact(self.columns), np.float64))
        if metric.made_of:
            return self._put_together(metric, alone)
        if metric.law == "loss":
            return self._loss_and_reach[0]
        if metric.law == "memory":
            return memory_estimates(c, self._memory, measured, self.device_key)
        if metric.on_text:
            measured = dict(self.scored[metric.key].comparable(measured))
        if not metric.phase:
            return only_measured(len(self), metric, measured)
        if changed_by_draft(metric) and not alone:
            return self._step_estimates()
        return timed_estimates(c, metric, self._latency, measured)

    def _put_together(self, metric: Metric, alone: bool) -> Estimates:
        rows = self._measured_rows
        if metric.phase and changed_by_draft(metric) and not alone:
            # an end-to-end time measured without a draft does not hold with one
            rows = {row: m for row, m in rows.items() if not self.drafted[row]}
        kinds = [METRICS[key] for key in metric.made_of]
        parts = [self._of(kind, alone) for kind in kinds]
        estimated = [part for part, kind in zip(parts, kinds, strict=True) if kind.exact is None]
        return made_estimates(metric, self.columns, parts, estimated, rows)

    def _step_estimates(self) -> Estimates:
        steps = self._steps
        if steps is None:
            return self.alone
        measured = self.alone.measured & ~steps.drafted
        return frozen(steps.value, steps.low, steps.high, measured, steps.outside)

    def _statistic(self, key: str, statistic: str) -> Floats:
        value = np.full(len(self), np.nan)
        metric = METRICS[key]
        for row, m in self._measured_rows.items():
            known = estimate(m, metric.phase, statistic) if metric.phase else None
            if known is not None and not (self.drafted[row] and changed_by_draft(metric)):
                value[row] = known.value
        value.flags.writeable = False
        return value

    def _missing(self, metric: Metric, row: int) -> str:
        """Why a row has no value: the first reason among the metrics it is made of, or its own."""
        for part in (METRICS[key] for key in metric.made_of):
            if not np.isfinite(self._of(part).value[row]):
                return self._missing(part, row)
        why = metric.unknown_because
        scored = self.scored.get(metric.key)
        if scored is not None and scored.shown is not None and row in scored.apart:
            other, shown = scored.apart[row], scored.shown
            return OTHER_TEXT.format(other=other.label, shown=shown.label)
        if metric.group == "Quality" and row in self._measured_rows:
            m = self._measured_rows[row]
            if m.quality and not m.scored_as_it_runs:
                return LOW_MODEL.format(low=m.runtime.below_16_bits)
        if row in self.names and metric.model_unknown_because:
            why = metric.model_unknown_because
        elif metric.law == "loss" and self._loss is not None and self._loss.ok:
            run = self.runtime_of(row)
            why = self._precision.why_unknown(run) if run.below_16_bits else NOT_TRAINED
        return why.format(runtime=self.runtime_of(row).label, loss_law=self._loss_text)


def changed_by_draft(metric: Metric) -> bool:
    """Whether a draft model changes a metric: the time per token, and metrics made of it."""
    if metric.without_draft:
        return False
    return metric.law == "tpot" or any(changed_by_draft(METRICS[key]) for key in metric.made_of)


def most_measured_device(measurements: Sequence[Measurement]) -> str:
    """The key of the device with the most usable measurements; empty when there are none."""
    keys = [m.device.key for m in measurements if not m.failed]
    return max(set(keys), key=lambda k: (keys.count(k), k)) if keys else ""


def measured_text(m: Measurement, key: str) -> str:
    """One line on how a measured number came about."""
    phase = METRICS[key].phase
    samples = sum(len(block) for block in m.samples.get(phase, ())) if phase else 0
    count = f"{samples:,} samples, " if samples else ""
    repetitions, others = m.timing.repetitions, m.timing.interleaved_with
    count += f"{repetitions} repetitions, " if repetitions > 1 else ""
    count += f"interleaved with {others} others and corrected for drift, " if others else ""
    if METRICS[key].group == "Quality":
        count = scored_text(m)
    software = m.environment.get("torch", "")
    flags = f"; {', '.join(m.flags)}" if m.flags else ""
    when = m.started_at[:16].replace("T", " ")
    return (
        f"{count}{m.device.name}, {m.runtime.label}"
        f"{', torch ' + str(software) if software else ''}, {when}{flags}"
    )


def scored_text(m: Measurement) -> str:
    """How a real model's quality came about, and what it does not depend on."""
    tokens = m.quality.get("tokens")
    on = f" on {tokens:,.0f} tokens of {m.environment.get('text', 'a text')}" if tokens else ""
    return (
        f"scored in {m.environment.get('scored_in') or m.runtime.weights}{on}; {OF_RUNNING} leave it as"
        " it is; timed on "
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
    """One line on how peak memory was predicted."""
    counted = "weights + cache + activations, by arithmetic"
    if fit is None or not fit.n:
        return f"{counted}; not checked against any measured peak"
    held = f", off by {fit.error:.1%} on shapes left out" if fit.error is not None else ""
    return f"{counted}, corrected on {fit.n} measured peaks ({fit.runtime.label}){held}"


def _with_measured(
    candidates: Candidates | None, measurements: list[Measurement]
) -> tuple[Candidates, dict[int, Measurement], dict[int, str]]:
    """Rows of the candidates, then a row for each measurement outside them."""
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
