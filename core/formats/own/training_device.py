"""The device that a training plan counts with: its peak, how much of it is reached, its price."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import Unusable

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
