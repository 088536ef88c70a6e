"""A training plan for the chosen candidates: shape, tokens, FLOPs, time and cost on a stated device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import Unusable
from core.files import json_object, key_of, to_json
from core.formats.configs.writing import SCHEMA_VERSION
from core.formats.own.own_formats import OwnFormat
from core.formats.own.selection import Row
from core.model.architecture import Architecture
from core.records.serial import from_plain

FORMAT = OwnFormat(key="plan", title="Training plan", file="plan.json", checked_against="read back")
KIND = "paretoscope training plan"
# dense bf16 peaks of the makers' data sheets, FLOP/s
PEAKS: Mapping[str, float] = {
    "A100": 312e12,
    "H100": 989.4e12,
    "H200": 989.4e12,
    "B200": 2250e12,
    "MI300X": 1307.4e12,
    "L40S": 362e12,
}


@dataclass(frozen=True, slots=True)
class TrainingDevice:
    """The device of a plan. `utilisation` is the share of the peak that training reaches (MFU).

    Every field is an assumption of the user, written into the plan. `price_per_hour` is the price of
    one device, in any currency; None leaves the cost out.
    """

    name: str = "H100"
    count: int = 8
    utilisation: float = 0.4
    peak_flops_per_s: float | None = None  # None: the data sheet's, for a name in PEAKS
    price_per_hour: float | None = None
    currency: str = "USD"

    @property
    def peak(self) -> float:
        """Dense bf16 FLOP/s of one device; Unusable when neither given nor known."""
        if self.peak_flops_per_s is not None:
            return self.peak_flops_per_s
        if self.name not in PEAKS:
            raise Unusable(
                f"the peak of '{self.name}' is not known; state it (known: {', '.join(PEAKS)})"
            )
        return PEAKS[self.name]

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 < self.utilisation <= 1 or self.peak <= 0:
            raise Unusable(
                "a training device needs a count of at least 1, a utilisation in (0, 1] and a peak"
            )
        if self.price_per_hour is not None and self.price_per_hour < 0:
            raise Unusable("a price per hour cannot be negative")


def write(
    rows: Sequence[Row],
    provenance: Mapping[str, Any] | None = None,
    device: TrainingDevice | None = None,
) -> str:
    """The plan as JSON: 6 N D FLOPs (N without the input embedding), time = FLOPs / (count x peak x
    utilisation), cost = time x count x price."""
    device = device or TrainingDevice()
    runs = []
    for row in rows:
        tokens = row.values.get("train_tokens")
        if tokens is None or tokens.value <= 0:
            raise Unusable(
                f"{row.label}: no training tokens are known; set them in the space or in what-if"
            )
        flops = float(row.architecture.train_flops(tokens.value))
        seconds = flops / (device.count * device.peak * device.utilisation)
        price = device.price_per_hour
        runs.append(
            {
                "id": row.identity,
                "label": row.label,
                "architecture": asdict(row.architecture),
                "params_total": row.architecture.params_total,
                "params_non_embedding": row.architecture.params_non_embedding,
                "train_tokens": tokens.value,
                "tokens_per_param": tokens.value / row.architecture.params_total,
                "train_flops": flops,
                "time_s": seconds,
                "device_hours": seconds * device.count / 3600,
                "cost": None if price is None else seconds * device.count / 3600 * price,
                "expected": {
                    k: asdict(v)
                    for k, v in row.values.items()
                    if k in ("loss", "accuracy", "tpot_s", "ttft_s", "memory_bytes")
                },
            }
        )
    return to_json(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            "device": {**asdict(device), "peak_flops_per_s": device.peak},
            "assumptions": [
                "FLOPs are 6 x parameters (without the input embedding) x tokens; attention over "
                "the context and recomputation are left out",
                f"{device.utilisation:.0%} of the dense bf16 peak is reached",
                "no restarts, evaluation or waiting",
            ],
            "total": {
                "train_flops": sum(r["train_flops"] for r in runs),
                "time_s": sum(r["time_s"] for r in runs),
                "cost": None
                if device.price_per_hour is None
                else sum(r["cost"] or 0.0 for r in runs),
            },
            "provenance": dict(provenance or {}),
            "runs": runs,
        }
    )


def read(text: str) -> tuple[tuple[Architecture, float], ...]:
    """The shapes of a plan with their training tokens; Unusable names the key that is wrong."""
    what = "training plan"
    value = json_object(text, what)
    if value.get("kind") != KIND or value.get("schema_version") != SCHEMA_VERSION:
        raise Unusable(
            f"{what}: 'kind' and 'schema_version' must be '{KIND}' and {SCHEMA_VERSION}, not "
            f"{value.get('kind')!r} and {value.get('schema_version')!r}"
        )
    try:
        return tuple(
            (from_plain(Architecture, run["architecture"]), float(run["train_tokens"]))
            for run in key_of(value, "runs", what)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unusable(f"{what}: a run is incomplete ({error})") from error
