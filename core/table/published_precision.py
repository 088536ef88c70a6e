"""A published illustration of the loss below 16 bits: drawn when asked for, never a prediction.

The form and constants are those of Kumar et al. 2024 (arXiv 2411.04330, `core.laws.precision`), whose
authors warn that the constants do not transfer. Their penalty is in nats per token and is added to the
loss of the law in use. How sure it is, is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import Bools, Floats
from core.errors import Unusable
from core.laws.precision import PRECISION
from core.model.workload import Runtime
from core.space.candidates import Candidates

# way -> what the candidates below 16 bits are taken to be; '' is no illustration
WAYS = {
    "": "unknown",
    "quantised": "weights quantised after training",
    "trained": "trained at that precision",
}
FORMULAS = {
    "quantised": "C D^gD / N^gN exp(-bits / g_post)",
    "trained": "A (N_eff^-alpha - N^-alpha), N_eff = N times the fractions kept at these bits",
}
UNIT = "nats/token"


@dataclass(frozen=True, slots=True)
class PublishedPrecision:
    """The illustration in one of WAYS ('': none), beside a law whose loss has a unit.

    Raises Unusable for another way.
    """

    way: str = ""
    unit: str = UNIT

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            known = ", ".join(f"'{way}'" for way in WAYS)
            raise Unusable(f"'{self.way}' is no published illustration of precision ({known})")

    def penalty(self, c: Candidates) -> Floats:
        """What is added to the law's loss of each row, (n,): 0 from 16 bits up, NaN where nothing was
        published or none is asked for.

        N leaves the embeddings out, which gives the larger penalty of the two counts.
        """
        low = c.below_16_bits
        added = np.where(low, np.nan, 0.0)
        if not self.way or self.unit != UNIT or not low.any():
            return added
        weight, cache = (
            8.0 * np.array([getattr(r, name) for r in c.runtimes])[c.runtime]
            for name in ("weight_bytes", "cache_bytes")
        )
        # more than 16 bits were not tried, and cost nothing here
        weight, cache = np.minimum(weight, 16.0), np.minimum(cache, 16.0)
        params = np.asarray(c.shapes.params_non_embedding, np.float64)
        if self.way == "trained":
            added[low] = PRECISION.training_loss(params, weight, cache)[low]
        else:
            low &= cache >= 16.0
            added[low] = PRECISION.quantisation_loss(params, c.train_tokens, weight)[low]
        return added

    def beyond(self, c: Candidates) -> Bools:
        """True where a row below 16 bits has more parameters or tokens than the published runs, (n,)."""
        params = np.asarray(c.shapes.params_non_embedding, np.float64)
        large = (params > PRECISION.most_params) | (c.train_tokens > PRECISION.most_tokens)
        return np.asarray(c.below_16_bits & large, np.bool_)

    def why_unknown(self, runtime: Runtime) -> str:
        """Why a row that runs so has no loss, and what to do."""
        low = runtime.below_16_bits
        text = f"what {low} cost in loss was not measured, and the loss law's runs do not tell"
        if not self.way:
            return (
                f"{text}; choose 16 bits or more, or ask for the published illustration"
                " (What if, --published-precision)"
            )
        if self.unit != UNIT:
            return f"{text}; the published penalty is in {UNIT}, this loss in {self.unit}"
        return f"{text}; {PRECISION.source} has no penalty for a cache quantised after training"

    def text(self, runtime: Runtime, added: float, beyond: bool) -> str:
        """How the loss of a row that runs so was illustrated, with what was added to the law's."""
        past = "; beyond the 1.7 B parameters and 26 B tokens of its runs" if beyond else ""
        return (
            f"published illustration, {PRECISION.source}, not measured here: {added:.2g} nats/token for"
            f" {runtime.below_16_bits}, {WAYS[self.way]} ({FORMULAS[self.way]}, 8 bits counted as an"
            f" integer's), whose constants do not transfer, added to the law's loss{past}"
        )
