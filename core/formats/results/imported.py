"""Building blocks of readers of other tools' results: numbers, units, estimates with intervals."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.document import Document
from core.errors import Unusable
from core.formats.results.plausible import in_range, trusted
from core.model.workload import SERVED, Runtime, Workload
from core.records.imported import Estimate, ImportedPoint
from core.samples.statistics import median_interval, student_t
from core.units import THOUSANDS, factor_of, plain_number, without_spread

# metric keys that a reader may give, with their unit; a suffix such as in 'accuracy:TASK' is allowed
UNITS: Mapping[str, str] = {
    "ttft_s": "s",
    "tpot_s": "s",
    "itl_s": "s",
    "e2e_s": "s",
    "tokens_per_s": "tokens/s",
    "tokens_per_s_user": "tokens/s",
    "memory_bytes": "B",
    "weight_bytes": "B",
    "energy_j_per_token": "J",
    "params_total": "count",
    "loss": "nats/token",
    "bits_per_byte": "bits/byte",
    "bits_per_byte_disjoint": "bits/byte",
    "accuracy": "",
}
# tools write a number that no server reaches where the requests in flight have no cap
NO_CAP = 1e6
_STATISTIC = re.compile(r"median|mean|std|min|max|p\d+")


def si_factor(unit: str, metric: str, what: str) -> float:
    """The factor from a number in `unit` to the unit of `metric`; Unusable for a wrong unit."""
    own_unit = UNITS[metric.partition(":")[0]]
    factor = factor_of(unit.strip(), own_unit)
    if factor is None:
        raise Unusable(
            f"{what}: unit {unit!r} is not one of {metric} (expected e.g. {own_unit or 'none'})"
        )
    return factor


def number(value: Any) -> float | None:
    """A finite float, or None for anything else; booleans are not numbers. Text is parsed as it stands in
    tables: '1,234.5', '84.6 ± 3.1'."""
    result = plain_number(value)
    if result is None and isinstance(value, str):
        word = without_spread(value)[0]
        result = plain_number(word.replace(",", "") if THOUSANDS.fullmatch(word) else word)
    # no real quantity is larger, and sums of such numbers would overflow
    return result if result is not None and abs(result) < 1e100 else None


def inside(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under a key; an empty one when there is none."""
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def whole(value: Any) -> int | None:
    """A count of at least 1 (and below 1e15), rounded; None for anything else."""
    found = number(value)
    return round(found) if found is not None and 0.5 <= found < 1e15 else None


def in_flight(value: Any) -> int | None:
    """A mean number of requests in flight as a batch: a server that is mostly idle still answers one
    request at a time. None for what is no count, and for a cap that stands for 'no cap'."""
    found = number(value)
    return max(1, round(found)) if found is not None and 0 < found < NO_CAP else None


def workload(batch: Any, prompt_tokens: Any, output_tokens: Any) -> Workload | None:
    """A Workload where all three numbers are known and positive, else None."""
    b, p, o = in_flight(batch), whole(prompt_tokens), whole(output_tokens)
    return Workload(b, p, o) if b and p and o else None


def from_samples(values: Iterable[Any], metric: str, factor: float = 1.0) -> Estimate | None:
    """The median of raw samples with a distribution-free 95 % interval; None without a sample.

    Six samples are the fewest whose order statistics can enclose the median with 95 %.
    """
    found = [v * factor for v in map(number, values) if v is not None and v >= 0]
    clean = np.sort(np.array(found, np.float64))
    if not clean.size or clean[-1] <= 0 or not math.isfinite(clean[-1]):
        return None
    low = high = None
    if clean.size >= 6:
        low, high = median_interval(clean)
    median, p90, p99 = (float(q) for q in np.quantile(clean, (0.5, 0.9, 0.99)))
    if median <= 0:
        return None
    rest = {"mean": float(clean.mean()), "p90": p90, "p99": p99}
    return Estimate(median, low, high, clean.size, UNITS[metric], "median", rest)


def from_summary(
    given: Mapping[str, Any], metric: str, factor: float = 1.0, n: int = 0
) -> Estimate | None:
    """An estimate from statistics by name ('median' or 'p50', 'mean' or 'avg', 'std', 'p99', ...).

    The value is the median if given, else the mean; an interval is given only for a mean with a
    standard deviation and n >= 2 (normal, widened as Student's t). None when neither is a number.
    """
    names = {"p50": "median", "avg": "mean", "stdev": "std", "std_dev": "std"}
    stats: dict[str, float] = {}
    for key, raw in given.items():
        name = names.get(key, key)
        value = number(raw)
        if value is not None and value >= 0 and _STATISTIC.fullmatch(name):
            stats.setdefault(name, value * factor)
    statistic = "median" if stats.get("median") else "mean"
    value = stats.get(statistic)
    if not value:
        return None
    low = high = None
    if statistic == "mean" and n >= 2 and "std" in stats:
        half = student_t(n) * stats["std"] / math.sqrt(n)
        low, high = max(value - half, 0.0), value + half
    rest = {k: v for k, v in stats.items() if k != statistic}
    return Estimate(value, low, high, n, UNITS[metric.partition(":")[0]], statistic, rest)


def inverse(estimate: Estimate | None, metric: str) -> Estimate | None:
    """The estimate of 1 / value (a rate from a time), with the ends of its interval swapped."""
    if estimate is None or estimate.value <= 0:
        return None
    low = 1 / estimate.high if estimate.high else None
    high = 1 / estimate.low if estimate.low else None
    return Estimate(
        1 / estimate.value, low, high, estimate.n, UNITS[metric], f"1 / {estimate.statistic}"
    )


def single(
    value: Any, metric: str, factor: float = 1.0, statistic: str = "value"
) -> Estimate | None:
    """One number without an interval; None when it is not finite and positive (an accuracy may be 0)."""
    found = number(value)
    if found is None or found < 0 or (found == 0 and not metric.startswith("accuracy")):
        return None
    return Estimate(found * factor, unit=UNITS[metric.partition(":")[0]], statistic=statistic)


def keep(metrics: Mapping[str, Estimate | None]) -> dict[str, Estimate]:
    """The usable metrics, with the speed per user added where TPOT is known."""
    found = {k: v for k, v in metrics.items() if v is not None}
    if "tpot_s" in found and "tokens_per_s_user" not in found:
        rate = inverse(found["tpot_s"], "tokens_per_s_user")
        if rate is not None:
            found["tokens_per_s_user"] = rate
    return found


def need(
    points: Sequence[ImportedPoint],
    document: Document,
    looked_for: str,
    left_out: Sequence[str] = (),
) -> tuple[ImportedPoint, ...]:
    """The points that hold a metric, with unique names and all that was left out of the file.

    Values that cannot be are left out, and points whose numbers contradict each other. Unusable, with
    what was looked for, if nothing stays or if most points contradict themselves.
    """
    what = str(document.path)
    checked = [in_range(point) for point in points]
    useful = [point for point in checked if point.metrics]
    if not useful:
        raise Unusable(f"{what}: no usable number found (looked for {looked_for})")
    sound = trusted(useful, what)
    empty = [f"{point.name}: no number that can be used" for point in checked if not point.metrics]
    told = dict.fromkeys((*document.left_out, *left_out, *empty))
    told |= dict.fromkeys(line for point in (*checked, *sound) for line in point.left_out)
    seen: dict[str, int] = {}
    result = []
    for point in sound:
        seen[point.name] = seen.get(point.name, 0) + 1
        again = seen[point.name]
        name = f"{point.name} ({again})" if again > 1 else point.name
        result.append(replace(point, name=name, left_out=tuple(told)))
    return tuple(result)


def precision(text: Any) -> str | None:
    """This program's name for a precision ('torch.bfloat16', 'F16', 'fp8_block' ...), or None."""
    word = re.sub(r"[^a-z0-9]", "", str(text or "").lower().replace("torch.", ""))
    words = {
        "float32": "fp32",
        "fp32": "fp32",
        "f32": "fp32",
        "allf32": "fp32",
        "bfloat16": "bf16",
        "bf16": "bf16",
        "float16": "fp16",
        "fp16": "fp16",
        "f16": "fp16",
        "half": "fp16",
        "fp8": "fp8",
        "fp8block": "fp8",
        "float8": "fp8",
        "int8": "int8",
        "q80": "int8",
    }
    return words.get(word)


def served(weights: Any, cache: Any = None) -> Runtime | None:
    """A 'served' runtime where the weight precision is one of this program's, else None."""
    weight = precision(weights)
    if weight is None:
        return None
    default = weight if weight not in ("fp8", "int8") else "bf16"
    return Runtime(SERVED, weight, precision(cache) or default)
