"""The cheapest model over its life at a candidate's quality, in the metrics the picture is drawn in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import Unusable
from core.fit.fit import Fit
from core.fit.life_optimum import Cheapest, life_optimum
from core.laws.columns import params_column
from core.records.metrics import METRICS
from core.table.estimates import loss_columns
from core.table.table import Table

# the metrics of a model with a size and training tokens but no exact shape
PLACED = ("loss", "params_total", "train_tokens", "train_flops", "lifetime_flops")
# few runs support a law beyond this; a law fitted below overstates the gain of long training
MANY_TOKENS_PER_PARAMETER = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class CheapestLife:
    """The optimum at the quality of the candidate `label`, by the law's mean. `values` holds the metrics of PLACED.

    The law has its own count of parameters. Total parameters and FLOPs are in the same proportion to
    it as in the candidate. `saved` is relative to the cost of the candidate, and
    `saved_on_training_optimum` to the cost of the size that is cheapest to train to the same loss.
    """

    label: str
    served_tokens: float
    found: Cheapest
    values: Mapping[str, float]
    params_interval: tuple[float, float] | None
    saved: float
    saved_on_training_optimum: float

    @property
    def mark(self) -> str:
        """The text beside the mark on the plot."""
        return f"cheapest to train and serve: {self._size}"

    @property
    def _size(self) -> str:
        return METRICS["params_total"].format(self.values["params_total"])

    @property
    def caution(self) -> str:
        """The reason to doubt the answer; empty where there is none."""
        if self.found.outside:
            return "outside the range the law was fitted on"
        ratio = self.found.tokens / self.found.params
        if ratio > MANY_TOKENS_PER_PARAMETER:
            return (
                f"{ratio:.0f} tokens per parameter, where laws overstate what long training of small"
                " models gains"
            )
        return ""

    @property
    def text(self) -> str:
        """One sentence, with intervals of the law's mean."""
        count = METRICS["params_total"].format

        def sure(interval: tuple[float, float] | None) -> str:
            return f" ({count(interval[0])} to {count(interval[1])})" if interval else ""

        caution = "; intervals are of the law's mean" if self.params_interval else ""
        caution += f"; {self.caution}" if self.caution else ""
        return (
            f"With {count(self.served_tokens)} tokens served, the loss of {self.label} is cheapest"
            f" over a life with {self._size} parameters{sure(self.params_interval)} trained on"
            f" {count(self.found.tokens)} tokens{sure(self.found.tokens_interval)}:"
            f" {METRICS['lifetime_flops'].format(self.values['lifetime_flops'])},"
            f" {100 * self.saved:.0f} % less than {self.label} and"
            f" {100 * self.saved_on_training_optimum:.0f} % less than the size that is cheapest to"
            f" train{caution}."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "at_the_loss_of": self.label,
            "served_tokens": self.served_tokens,
            "metrics": dict(self.values),
            "params_interval": self.params_interval,
            "tokens_interval": self.found.tokens_interval,
            "saved": self.saved,
            "saved_on_training_optimum": self.saved_on_training_optimum,
            "caution": self.caution,
        }


def cheapest_life(
    fit: Fit | None, table: Table, row: int | None, intervals: bool = True
) -> CheapestLife | None:
    """The optimum at a row's predicted quality; faster without intervals.

    None where no tokens are served, the row has no predicted loss, or the law has no such optimum.
    """
    served = table.columns.served_tokens
    if row is None or fit is None or not served > 0:
        return None
    if table.source("loss", row).kind != "predicted":
        return None
    taken = loss_columns(table.candidates.take(np.array([row])))
    design = {name: float(values[0]) for name, values in taken.items()}
    try:
        found = life_optimum(fit, design, served, intervals)
    except Unusable:
        return None
    known = {key: float(table.column(key)[row]) for key in PLACED}
    counted, tokens = design[params_column(fit.params)], design["tokens"]

    def life(n: float, d: float) -> float:
        return n * (6.0 * d + 2.0 * served)

    # FLOPs of a parameter as the law counts it, in the candidate
    each = known["lifetime_flops"] / life(counted, tokens)
    cost = each * life(found.params, found.tokens)
    size = known["params_total"] / counted
    interval = found.params_interval
    values = {
        "loss": known["loss"],
        "params_total": size * found.params,
        "train_tokens": found.tokens,
        "train_flops": each * 6.0 * found.params * found.tokens,
        "lifetime_flops": cost,
    }
    return CheapestLife(
        table.label(row),
        served,
        found,
        values,
        (size * interval[0], size * interval[1]) if interval is not None else None,
        1.0 - cost / known["lifetime_flops"],
        1.0 - cost / (each * life(found.trained_params, found.trained_tokens)),
    )
