"""Everything the user picks, as one frozen value: undo is a stack of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.errors import Unusable
from core.pareto.limits import Limit
from core.records.metrics import METRICS

SHOWN = ("shown", "faded", "hidden")


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Changes to the described workload, tried without touching the space. None: as described."""

    batch: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    train_tokens: float | None = None
    served_tokens: float = 0.0  # over the model's life; 0: training cost only
    weights: str | None = None
    acceptance: float | None = None  # speculative decoding; None: off
    draft: str = ""  # candidate id of the draft model
    draft_tokens: int = 4


@dataclass(frozen=True, slots=True)
class Choices:
    """Axes, limits, law, what is shown, pins. A change is one new value; equal parts stay the same
    object, so that a view redraws only what changed."""

    x: str = "tpot_s"
    y: str = "loss"
    x_log: bool = True
    y_log: bool = False
    limits: tuple[Limit, ...] = ()
    loss_suite: str = "morph"
    loss_law: str = "inference-aware"
    loss_tied: str = "tied"
    loss_where: tuple[str, ...] = ()  # COLUMN=VALUE filters on the suite's rows
    loss_params: str = "total"
    loss_method: str = "least-squares"
    insist: bool = False  # use the shape term although the data cannot support it
    device_key: str = ""  # latency law's device; empty: the one with most measurements
    feasible_shown: str = "shown"
    front_shown: str = "shown"
    dominated_shown: str = "faded"
    chance_shown: bool = True  # marks of the front as full as they are likely to be on it
    selected: str = ""  # candidate id; empty: the best under the limits
    pins: tuple[str, ...] = ()
    baseline: str = ""
    what_if: WhatIf = WhatIf()
    parallel_axes: tuple[str, ...] = ("tpot_s", "ttft_s", "memory_bytes", "params_total", "loss")
    inverted_axes: tuple[str, ...] = ()
    scenes: tuple[tuple[str, str], ...] = ()  # title and choices as JSON, for the presenter

    def changed(self, **parts: Any) -> Choices:
        """These choices with some parts replaced."""
        return replace(self, **parts)


def choices_to_dict(choices: Choices) -> dict[str, Any]:
    """Values JSON can hold."""
    return asdict(choices)


def choices_from_dict(data: Mapping[str, Any]) -> Choices:
    """The choices of `choices_to_dict`. A missing key takes its default (an older file); an unknown
    one is refused by name, for it would be lost on saving."""
    known = {f.name for f in fields(Choices)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise Unusable(
            f"the project's choices hold '{unknown[0]}', which this version does not know"
        )
    parts = dict(data)
    if "limits" in parts:
        parts["limits"] = tuple(Limit(**limit) for limit in parts["limits"])
    if "what_if" in parts:
        parts["what_if"] = WhatIf(**parts["what_if"])
    for name in ("pins", "parallel_axes", "inverted_axes", "loss_where"):
        if name in parts:
            parts[name] = tuple(parts[name])
    if "scenes" in parts:
        parts["scenes"] = tuple((title, text) for title, text in parts["scenes"])
    for name in ("x", "y"):
        if parts.get(name, "loss") not in METRICS:
            raise Unusable(
                f"the project's {name} axis is '{parts[name]}', which is not a metric here"
            )
    return Choices(**parts)
