"""The requests that a model serves (Workload) and how it runs (Runtime)."""

from __future__ import annotations

import re
from dataclasses import dataclass

BYTES_PER_ELEMENT = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0}
# the names of backends are defined in core.measure.backends.registry
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
SERVED = "served"


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of request: `batch` sequences of `prompt_tokens`, answered with `output_tokens` each."""

    batch: int = 1
    prompt_tokens: int = 128
    output_tokens: int = 256

    def __post_init__(self) -> None:
        for name in ("batch", "prompt_tokens", "output_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")

    @property
    def mean_context(self) -> float:
        """Cache length of an average decode step (the first token comes from prefill)."""
        return self.prompt_tokens + self.output_tokens / 2

    @property
    def label(self) -> str:
        """E.g. 'batch 1, 128 in, 256 out'."""
        return f"batch {self.batch}, {self.prompt_tokens} in, {self.output_tokens} out"


@dataclass(frozen=True, slots=True)
class Runtime:
    """How a model runs. A law never mixes measurements of different runtimes."""

    execution: str = "eager"  # name of a backend, or `SERVED`
    weights: str = "fp32"
    cache: str = "fp32"
    threads: int = 0  # 0: the device's default (physical cores on CPU, not used on GPU)

    def __post_init__(self) -> None:
        if not isinstance(self.execution, str) or not NAME.fullmatch(self.execution):
            raise ValueError(f"execution must be the name of a backend, not {self.execution!r}")
        for name in ("weights", "cache"):
            if getattr(self, name) not in BYTES_PER_ELEMENT:
                raise ValueError(
                    f"{name} must be one of {', '.join(BYTES_PER_ELEMENT)}, not {getattr(self, name)!r}"
                )

    @property
    def served(self) -> bool:
        """Whether requests went to a server: its queue and batching are timed with the model."""
        return self.execution == SERVED

    @property
    def weight_bytes(self) -> float:
        """Bytes per stored weight."""
        return BYTES_PER_ELEMENT[self.weights]

    @property
    def cache_bytes(self) -> float:
        """Bytes per cache entry."""
        return BYTES_PER_ELEMENT[self.cache]

    @property
    def below_16_bits(self) -> str:
        """What is stored in fewer than 16 bits, e.g. 'int8 weights and an fp8 cache'; '' for nothing."""
        low = [f"{self.weights} weights"] if self.weight_bytes < 2 else []
        if self.cache_bytes < 2:
            low.append(f"an {self.cache} cache")
        return " and ".join(low)

    @property
    def label(self) -> str:
        """E.g. 'eager, fp32'."""
        return f"{self.execution}, {self.weights}" + (
            "" if self.cache == self.weights else f" (cache {self.cache})"
        )
