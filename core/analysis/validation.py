"""How far the laws in use can be trusted: predicted beside measured, and a sentence in summary.

Every prediction here was made without the shape it is compared with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.analysis.contents import Contents
from core.analysis.frame import Frame
from core.arrays import Bools, Floats
from core.fit.doubt_facts import LEAST_COVERAGE
from core.fit.fit import Fit
from core.fit.latency_fit import LatencyFit
from core.fit.validate import trust, validation
from core.project.choices import Choices
from core.records.measurement import Measurement, Point
from core.records.metrics import of_phase
from core.records.progress import Steps
from core.table.table import Table
from core.units import plus_minus

# beyond these a law's sentence comes with a warning
LARGEST_ERROR = 0.10
LEAST_RANK = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class LatencyTrust:
    """One latency law against what was measured; columns of one length, one row per measurement.

    `predicted`, `low` and `high` are the prediction without the row's shape and its 95 % interval, in
    seconds. `points` are the points to measure again, None for a local model, whose folder is not
    kept. `error` is the mean absolute relative error, `bias` the mean relative error (above zero:
    predicted too slow), `rank` Spearman's correlation, `coverage` the share of measurements inside
    their interval, `worst` the row with the largest error. All are fractions, not percent.
    """

    fit: LatencyFit
    labels: tuple[str, ...]
    points: tuple[Point | None, ...]
    measured: Floats
    predicted: Floats
    low: Floats
    high: Floats
    error: float = math.nan
    bias: float = math.nan
    rank: float = math.nan
    coverage: float = math.nan
    worst: int | None = None

    @property
    def inside(self) -> Bools:
        """True where the measurement lies inside the interval made without its shape."""
        return (self.low <= self.measured) & (self.measured <= self.high)

    @property
    def title(self) -> str:
        """E.g. 'Time per output token, eager, fp32'."""
        return f"{of_phase(self.fit.metric).label}, {self.fit.runtime.label}"


def latency_trust(fit: LatencyFit) -> LatencyTrust:
    """A law against the measurements it was fitted to, each shape predicted from the others.

    A law that is not ok gives empty columns; its message says what is missing.
    """
    left_out = fit.left_out
    if left_out is None:
        return LatencyTrust(fit, (), (), *(np.zeros(0),) * 4)
    low, high = left_out.interval(fit.degrees_of_freedom)
    rank = left_out.rank
    return LatencyTrust(
        fit,
        tuple(label_of(m) for m in left_out.rows),
        tuple(
            None if m.model else Point(m.architecture, m.workload, m.runtime) for m in left_out.rows
        ),
        left_out.seconds,
        left_out.predicted,
        low,
        high,
        float(np.mean(np.abs(left_out.error))),
        float(np.mean(left_out.error)),
        math.nan if rank is None else rank,
        float(np.mean((low <= left_out.seconds) & (left_out.seconds <= high))),
        int(np.argmax(np.abs(left_out.error))),
    )


def latency_sentence(judged: LatencyTrust) -> tuple[str, bool]:
    """One sentence with the number that matters most, and whether to warn."""
    fit = judged.fit
    what = of_phase(fit.metric).label.lower()
    if not fit.ok:
        return f"No law for {what} ({fit.runtime.label}): {fit.message}.", True
    known = plus_minus(judged.error, "")
    text = f"Predicts {what} of shapes it has not seen to {known}"
    if not known:
        text = (
            f"Does not predict {what} of shapes it has not seen: it misses by more than the value"
        )
    if math.isfinite(judged.rank):
        text += f"; puts them in order with rank correlation {judged.rank:.2f}"
    text += f"; {100 * judged.coverage:.0f} % of measurements lie in their 95 % intervals"
    warn = (
        judged.error > LARGEST_ERROR or judged.rank < LEAST_RANK or judged.coverage < LEAST_COVERAGE
    )
    return f"{text} ({fit.n_shapes} shapes, {fit.runtime.label}).", warn


def judge_loss(contents: Contents, choices: Choices, fit: Fit) -> Steps[Fit]:
    """Steps: the loss law in use, judged on shapes and the largest size left out of the fit."""
    if "shape_rms" in fit.heldout or not fit.theta or fit.n == 0:
        return fit
    from core.fit.row_filter import kept

    runs = contents.suite(choices.loss.suite)
    used = kept(runs, choices.loss.where)
    return (yield from validation(fit, used))


def loss_sentence(fit: Fit | None, message: str) -> tuple[str, bool]:
    """The same for the loss law in use, or why there is none."""
    if fit is None:
        return f"No loss law: {message}." if message else "No loss law yet.", True
    return trust(fit)


def unmeasured_on_front(table: Table, frame: Frame) -> tuple[int, ...]:
    """Rows of the front whose times are only predicted, best y first: worth measuring next."""
    timed = table.estimates("tpot_s").measured | table.estimates("ttft_s").measured
    return tuple(int(row) for row in frame.front[::-1] if not timed[row])


def label_of(m: Measurement) -> str:
    """Short name of what was measured, with its workload."""
    return f"{m.model or m.architecture.label}, {m.workload.label}"
