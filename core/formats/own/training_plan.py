"""A training plan for the chosen candidates: shape, tokens, FLOPs, time and cost on a stated device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core.errors import Unusable
from core.files import json_object, key_of, to_json
from core.formats.configs.writing import SCHEMA_VERSION
from core.formats.own.own_formats import OwnFormat
from core.formats.own.selection import Row
from core.formats.own.training_device import TrainingDevice
from core.model.architecture import Architecture
from core.records.serial import from_plain

FORMAT = OwnFormat(
    key="plan",
    title="Training plan",
    file="plan.json",
    checked_against="read back",
    write=lambda content: write(content.rows, content.provenance, content.training),
)
KIND = "paretoscope training plan"


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
