"""Measurements stored by earlier versions, converted to the current form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# what version 1 kept in `environment` and version 2 has in `timing`
MOVED = frozenset({"levels", "company", "visits", "ended_early", "anchor_s", "kernel_s_per_token"})


def measurement_1_to_2(record: Mapping[str, Any]) -> dict[str, Any]:
    """Version 2 keeps in `timing` what version 1 kept in `environment` under other names."""
    environment = dict(record["environment"])
    levels = environment.pop("levels", None) or {}
    timing = {
        "drift_factors": {phase: factors for phase, factors in levels.items() if factors},
        "interleaved_with": environment.pop("company", 1) - 1,
        "repetitions": environment.pop("visits", 1),
        "ended_early": bool(environment.pop("ended_early", False)),
        "anchor_s": environment.pop("anchor_s", None) or None,
        "kernel_s_per_token": environment.pop("kernel_s_per_token", None) or None,
    }
    return {**record, "environment": environment, "timing": timing}
