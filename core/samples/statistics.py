"""Statistics of a measurement: values with intervals, where its samples suffice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, erfc

import numpy as np

from core.arrays import Floats
from core.records.measurement import Measurement
from core.records.metric import Median

PHASES = ("ttft", "tpot", "itl", "e2e", "tokens_per_s")
STATISTICS = ("p50", "mean", "p90", "p95", "p99")
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
# a percentile is given only when at least this many samples lie beyond it
BEYOND = 3
RESAMPLES = 400
# with fewer blocks Student's t is used, and their correlation is not estimated
FEW_BLOCKS = 6
# correlation of neighbouring blocks is capped here: beyond, intervals of few blocks would grow without
# holding the truth more often (simulated: 89 % of the time for 6 blocks with a correlation of 0.6)
MOST_DEPENDENCE = 0.7
# two-sided 95 % points of Student's t for 1, 2, ... degrees of freedom
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its 95 % interval and the number of samples behind it."""

    value: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the interval over the value: 0.02 is +-2 %."""
        return (self.high - self.low) / 2 / self.value if self.value else float("inf")


def estimate(
    measurement: Measurement, metric: str, statistic: str = "p50", device_time: bool = False
) -> Estimate | None:
    """A metric of one measurement in seconds (tokens_per_s: tokens per second of the whole batch).

    'tpot' is per request, (e2e - ttft) / (output_tokens - 1), every request counting once; 'itl' is
    the gap between tokens, every token counting once. The blocks of a measurement are the unit of
    the interval, since samples within one are correlated. They are corrected for drift where it is
    known (`corrected`). None without samples, or with too few for the percentile (three must lie
    beyond it). With `device_time` the device's own clock is used. Raises ValueError for an unknown
    metric or statistic.
    """
    if metric not in PHASES or statistic not in STATISTICS:
        raise ValueError(f"no such metric or statistic: {metric}:{statistic}")
    # samples never change, and laws, columns and panels need the same few statistics of them
    known: dict[tuple[str, str, bool], Estimate | None] = measurement.estimated
    key = (metric, statistic, device_time)
    if key not in known:
        known[key] = _estimated(measurement, metric, statistic, device_time)
    return known[key]


def _estimated(
    measurement: Measurement, metric: str, statistic: str, device_time: bool
) -> Estimate | None:
    blocks = metric_blocks(measurement, metric, "_device" if device_time else "")
    if not blocks:
        return None
    if metric == "tokens_per_s" and statistic not in ("p50", "mean"):
        # the slow tail of a speed is its low side: the 95th percentile is what 95 % exceed
        lowered = summarise([-b for b in blocks], statistic)
        return lowered and Estimate(-lowered.value, -lowered.high, -lowered.low, lowered.n)
    return summarise(blocks, statistic)


def median_of(measurement: Measurement) -> Median:
    """The median of a phase of a measurement in seconds, by the phase's name."""

    def median(phase: str) -> float | None:
        found = estimate(measurement, phase)
        return None if found is None else found.value

    return median


def metric_blocks(measurement: Measurement, metric: str, suffix: str = "") -> list[Floats]:
    """Samples of a metric, one array per block."""
    if measurement.failed:
        return []
    work = measurement.workload
    samples = corrected(measurement)
    tokens = [b for b in samples.get("tpot" + suffix, []) if b.size]
    if metric == "itl":
        return tokens
    if metric == "tpot":
        each = work.output_tokens - 1
        if each > 0 and tokens and all(b.size % each == 0 for b in tokens):
            return [b.reshape(-1, each).mean(1) for b in tokens]
        return tokens
    if metric == "tokens_per_s":
        total = work.batch * work.output_tokens
        # a server may handle requests one after another, so the whole round is the time of a batch
        whole = samples.get("round" + suffix) or samples.get("e2e" + suffix, [])
        return [total / b for b in whole if b.size and np.all(b > 0)]
    return [b for b in samples.get(metric + suffix, []) if b.size]


def corrected(measurement: Measurement) -> dict[str, list[Floats]]:
    """Samples by phase and block, each block divided by its drift factor where one is known.

    The factors are `timing.drift_factors` (`core.samples.drift_correction`); the samples themselves are
    kept as the clock gave them.
    """
    known = measurement.timing.drift_factors
    found = {}
    for phase, blocks in measurement.samples.items():
        factors = known.get(phase) or (1.0,) * len(blocks)
        found[phase] = [
            np.asarray(b, float) / factor for b, factor in zip(blocks, factors, strict=True)
        ]
    return found


def summarise(blocks: Sequence[Floats], statistic: str) -> Estimate | None:
    """A statistic over all samples with an interval from the blocks; None where there are too few."""
    pooled = np.concatenate(list(blocks))
    n = int(pooled.size)
    if statistic == "p50":
        medians = np.array([np.median(b) for b in blocks])
        value = float(np.median(medians))
        low, high = ordered_interval(medians)
        return Estimate(value, low, high, n)
    if statistic == "mean":
        centres = np.array([b.mean() for b in blocks])
        value = float(pooled.mean())
        low, high = _student(centres, value)
    else:
        part = QUANTILES[statistic]
        if n * (1 - part) < BEYOND - 1e-9:
            return None
        centres = np.array([np.quantile(b, part) for b in blocks])
        value = float(np.quantile(pooled, part))
        low, high = (
            _student(centres, value) if len(blocks) < FEW_BLOCKS else _bootstrap(blocks, part)
        )
    low, high = _widened(low, high, value, dependence(centres))
    return Estimate(value, low, high, n)


def ordered_interval(values: Floats) -> tuple[float, float]:
    """`median_interval` of values in the order of time, widened by the correlation of neighbours."""
    low, high = median_interval(values)
    return _widened(low, high, float(np.median(values)), dependence(values))


def dependence(values: Floats) -> float:
    """By how much an interval of values in the order of time is wider than if they were independent.

    A machine that is slow for some seconds makes neighbouring blocks alike: n of them are worth
    n (1 - r) / (1 + r) independent ones (Bayley and Hammersley 1946), r being the correlation of
    neighbours, whose estimate is too small by (1 + 4 r) / n (Marriott and Pope 1954). 1 below six
    values, and where neighbours do not agree.
    """
    n = len(values)
    if n < FEW_BLOCKS:
        return 1.0
    rest = values - np.median(values)
    total = float(rest @ rest)
    if total <= 0:
        return 1.0
    seen = float(rest[1:] @ rest[:-1]) / total
    r = min(MOST_DEPENDENCE, max(0.0, seen + (1 + 4 * seen) / n))
    return float(((1 + r) / (1 - r)) ** 0.5)


def _widened(low: float, high: float, value: float, factor: float) -> tuple[float, float]:
    if factor == 1.0:
        return low, high
    wide = value - factor * (value - low), value + factor * (high - value)
    # a time cannot be negative, nor a negated speed positive
    return (max(0.0, wide[0]), wide[1]) if value >= 0 else (wide[0], min(0.0, wide[1]))


def median_interval(values: Floats) -> tuple[float, float]:
    """A 95 % interval for the median of independent values.

    From six values on it consists of order statistics, free of any distribution. Below it is Student's
    t, and for one value (0, inf), since nothing is known.
    """
    n = len(values)
    if n < FEW_BLOCKS:
        return _student(values, float(np.median(values)))
    rank = _rank(n)
    ordered = np.sort(values)
    return float(ordered[rank]), float(ordered[n - 1 - rank])


@lru_cache(maxsize=256)
def _rank(n: int) -> int:
    """Largest r so that the r-th smallest and largest of n enclose the median with 95 %."""
    if n > 200:
        # normal approximation of the binomial; exact below
        return max(0, int(n / 2 - 0.98 * n**0.5) - 1)
    rank, tail = 0, 0.0
    while True:
        tail += comb(n, rank) / 2**n
        if 2 * tail > 0.05:
            return max(0, rank - 1)
        rank += 1


def student_t(n: int) -> float:
    """The two-sided 95 % point of Student's t for n values, to three digits.

    Beyond the table by the Cornish-Fisher expansion: a measuring process need not have SciPy.
    """
    degrees = n - 1
    if degrees <= len(STUDENT_T):
        return STUDENT_T[degrees - 1]
    return 1.96 + 2.372 / degrees + 2.823 / degrees**2


def _student(centres: Floats, value: float) -> tuple[float, float]:
    n = len(centres)
    if n < 2:
        return (0.0, float("inf")) if value >= 0 else (float("-inf"), 0.0)
    half = float(student_t(n) * centres.std(ddof=1) / n**0.5)
    # a time cannot be negative
    low = max(0.0, value - half) if value >= 0 else value - half
    return low, value + half if value >= 0 else min(0.0, value + half)


def _bootstrap(blocks: Sequence[Floats], part: float) -> tuple[float, float]:
    """Interval of a quantile from resampling whole blocks; the same samples give the same interval.

    The expanded percentile interval (Hesterberg 2015, section 5.1.3): resamples of few blocks are too
    much alike, and their plain percentiles contain the truth too rarely.
    """
    rng = np.random.default_rng(0)
    count = len(blocks)
    values = [
        np.quantile(np.concatenate([blocks[i] for i in rng.integers(0, count, count)]), part)
        for _ in range(RESAMPLES)
    ]
    tail = 0.5 * erfc((count / (count - 1)) ** 0.5 * student_t(count) / 2**0.5)
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def scatter(blocks: Sequence[Sequence[float]], period: int = 1) -> float:
    """IQR over median of all samples, after removing the dependence on the position in a request.

    A decode step slows as its context grows. With `period` samples per request that trend is removed
    first, so that the rest is noise.
    """
    pooled = np.concatenate([np.asarray(b, float) for b in blocks if len(b)] or [np.zeros(0)])
    if pooled.size < 4:
        return 0.0
    median = float(np.median(pooled))
    if period > 1 and pooled.size % period == 0 and pooled.size // period >= 3:
        requests = pooled.reshape(-1, period)
        pooled = (requests - np.median(requests, 0)[None] + median).ravel()
    low, high = np.quantile(pooled, [0.25, 0.75])
    return float((high - low) / median) if median > 0 else float("inf")
