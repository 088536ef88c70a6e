"""Everything the user picks, as one frozen value: undo is a stack of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.errors import Unusable
from core.pareto.limits import Limit
from core.records.metrics import METRICS
from core.records.serial import from_plain, to_plain
from core.table.published_precision import WAYS

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
    precision: str = ""  # published illustration of the loss below 16 bits: one of WAYS
    acceptance: float | None = None  # speculative decoding; None: off
    draft: str = ""  # candidate id of the draft model
    draft_tokens: int = 4


@dataclass(frozen=True, slots=True)
class LossChoice:
    """Which loss law is fitted, to which runs, and how. Equal choices give the same fit."""

    suite: str = "morph"
    law: str = "inference-aware"
    tied: str = "tied"
    where: tuple[str, ...] = ()  # COLUMN=VALUE filters on the suite's rows
    params: str = "total"
    method: str = "least-squares"
    insist: bool = False  # use the law although the runs leave a term open


@dataclass(frozen=True, slots=True)
class Choices:
    """Axes, limits, law, what is shown, pins. A change is one new value; equal parts stay the same
    object, so that a view redraws only what changed."""

    x: str = "tpot_s"
    y: str = "loss"
    x_log: bool = True
    y_log: bool = False
    limits: tuple[Limit, ...] = ()
    loss: LossChoice = LossChoice()
    device_key: str = ""  # latency law's device; empty: the one with most measurements
    feasible_shown: str = "shown"
    front_shown: str = "shown"
    dominated_shown: str = "faded"
    chance_shown: bool = True  # marks of the front as full as they are likely to be on it
    outside_counts: bool = False  # whether rows outside the loss law's runs may be on the front
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
    found: dict[str, Any] = to_plain(choices)
    return found


def choices_from_dict(data: Any) -> Choices:
    """The choices of `choices_to_dict`, or of an older version. A missing key takes its default.

    Raises Unusable, by name, for a key that is not known (it would be lost on saving), a value of
    another type, and an axis that is no metric.
    """
    try:
        if not isinstance(data, Mapping):
            raise ValueError(f"they are {type(data).__name__} and not an object")
        found = from_plain(Choices, _with_loss(data))
    except (ValueError, TypeError, OverflowError) as error:
        raise Unusable(f"the project's choices cannot be read by this version: {error}") from error
    if found.what_if.precision not in WAYS:
        raise Unusable(
            f"the project's illustration of precision is '{found.what_if.precision}', which is not known"
        )
    for name, key in (("x", found.x), ("y", found.y)):
        if key not in METRICS:
            raise Unusable(f"the project's {name} axis is '{key}', which is not a metric here")
    return found


# what earlier versions stored beside the axes: the parts of the choice of a loss law
EARLIER_LOSS = {
    "loss_suite": "suite",
    "loss_law": "law",
    "loss_tied": "tied",
    "loss_where": "where",
    "loss_params": "params",
    "loss_method": "method",
    "insist": "insist",
}


def _with_loss(data: Mapping[str, Any]) -> dict[str, Any]:
    earlier = {part: data[key] for key, part in EARLIER_LOSS.items() if key in data}
    others = {key: value for key, value in data.items() if key not in EARLIER_LOSS}
    return others | {"loss": earlier} if earlier else others
