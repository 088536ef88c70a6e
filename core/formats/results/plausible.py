"""What a point of another tool says against itself: values that cannot be, columns that contradict.

Benchmark files often hold the same fact twice: a rate and a time, a whole answer and its parts. Where
the two are far apart, a unit or a column is not what it is called.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.errors import Unusable
from core.records.imported import Estimate, ImportedPoint
from core.units import format_quantity

# the least and most that a metric can be in its own unit; wide, so that only nonsense is outside
RANGES: Mapping[str, tuple[float, float]] = {
    "ttft_s": (1e-6, 1e5),
    "tpot_s": (1e-7, 1e4),
    "itl_s": (1e-7, 1e4),
    "e2e_s": (1e-6, 1e6),
    "tokens_per_s": (1e-5, 1e9),
    "tokens_per_s_user": (1e-4, 1e7),
    "memory_bytes": (1e3, 1e16),
    "weight_bytes": (1e3, 1e16),
    "energy_j_per_token": (1e-9, 1e7),
    "params_total": (1e2, 1e15),
    "loss": (1e-3, 30.0),
    "bits_per_byte": (1e-3, 30.0),
    "bits_per_byte_disjoint": (1e-3, 30.0),
    "accuracy": (0.0, 1.0),
}
# medians do not add up and a mean of rates is not the rate of the mean, but a wrong unit is 60 or more
APART = 3.0


def in_range(point: ImportedPoint) -> ImportedPoint:
    """The point without values that cannot be, each of which is named among what was left out."""
    kept: dict[str, Estimate] = {}
    wrong = []
    for key, estimate in point.metrics.items():
        low, high = RANGES[key.partition(":")[0]]
        if not math.isfinite(estimate.value):
            continue
        if low <= estimate.value <= high:
            kept[key] = _sound(estimate)
        elif estimate.value:
            shown = format_quantity(estimate.value, estimate.unit)
            wrong.append(f"{point.name}: {key} {shown}, which cannot be")
    return replace(point, metrics=kept, left_out=(*point.left_out, *wrong))


def _sound(estimate: Estimate) -> Estimate:
    """The estimate without an interval that does not hold its value, or statistics that are no number."""
    low, high = estimate.low, estimate.high
    holds = (
        low is not None
        and high is not None
        and math.isfinite(low)
        and math.isfinite(high)
        and low <= estimate.value <= high
    )
    finite = {k: v for k, v in estimate.statistics.items() if math.isfinite(v)}
    return replace(
        estimate, low=low if holds else None, high=high if holds else None, statistics=finite
    )


def trusted(points: Sequence[ImportedPoint], what: str) -> tuple[ImportedPoint, ...]:
    """The points that do not contradict themselves; the others are named on those that stay.

    Unusable, with the first contradiction, where half of the points or more contradict themselves: then
    no column of the file can be believed.
    """
    found = {i: text for i, point in enumerate(points) if (text := contradiction(point))}
    if found and 2 * len(found) >= len(points):
        raise Unusable(f"{what}: {next(iter(found.values()))}; a unit is wrong, so it is not read")
    told = tuple(f"{points[i].name}: {text}" for i, text in found.items())
    kept = [_output_rate(point) for i, point in enumerate(points) if i not in found]
    return tuple(replace(point, left_out=(*point.left_out, *told)) for point in kept)


def contradiction(point: ImportedPoint) -> str:
    """What two numbers of a point say against each other; empty where nothing does."""
    metrics, work = point.metrics, point.workload
    tpot, rate = metrics.get("tpot_s"), metrics.get("tokens_per_s_user")
    if tpot and rate and not rate.statistic.startswith("1 /") and _apart(tpot.value * rate.value):
        return (
            f"TPOT is {format_quantity(tpot.value, 's')} but {rate.value:g} tokens/s per user mean"
            f" {format_quantity(1 / rate.value, 's')}"
        )
    first, whole = metrics.get("ttft_s"), metrics.get("e2e_s")
    if first and tpot and whole and work is not None:
        parts = first.value + (work.output_tokens - 1) * tpot.value
        if _apart(whole.value / parts):
            return (
                f"the whole answer is {format_quantity(whole.value, 's')} but TTFT and TPOT add up to"
                f" {format_quantity(parts, 's')}"
            )
    return ""


def _apart(ratio: float) -> bool:
    return not 1 / APART <= ratio <= APART


def _output_rate(point: ImportedPoint) -> ImportedPoint:
    """The point without a throughput that is more than its requests can give: by Little's law a batch
    gives batch x output tokens in the time of one answer. Less is possible: the batch is rounded up."""
    rate, whole, work = (
        point.metrics.get("tokens_per_s"),
        point.metrics.get("e2e_s"),
        point.workload,
    )
    if rate is None or whole is None or work is None:
        return point
    most = work.batch * work.output_tokens / whole.value
    both = most * (work.prompt_tokens + work.output_tokens) / work.output_tokens
    counts_prompt = both > 1.5 * most and abs(rate.value / both - 1) < 0.2
    if rate.value <= APART * most and not counts_prompt:
        return point
    why = "prompt tokens are counted in it" if counts_prompt else "its batch cannot give that"
    shown = format_quantity(rate.value, "tokens/s")
    return replace(
        point,
        metrics={k: v for k, v in point.metrics.items() if k != "tokens_per_s"},
        left_out=(*point.left_out, f"{point.name}: throughput {shown}, {why}"),
    )
