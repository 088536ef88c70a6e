"""Shared by all writers of configurations: the context of an export and the check by reading back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.files import to_json
from core.model.architecture import Architecture
from core.model.workload import BYTES_PER_ELEMENT

SCHEMA_VERSION = 1
# names of precisions in Hugging Face, vLLM and TensorRT-LLM; 8 bits are a quantisation of bfloat16
DTYPES = {
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8": "bfloat16",
    "int8": "bfloat16",
}


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What an export states besides the shape.

    `provenance` maps a quantity to its source (a text, or value, unit and source). `max_batch` is the
    largest number of sequences that a server handles at once.
    """

    name: str = "model"
    train_tokens: float | None = None
    weights: str = "bf16"
    cache: str = "bf16"
    max_context: int = 4096
    max_batch: int = 1
    rope_theta: float = 10_000.0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word in (self.weights, self.cache):
            if word not in BYTES_PER_ELEMENT:
                raise Unusable(f"'{word}' is not a precision ({', '.join(BYTES_PER_ELEMENT)})")
        if self.max_context < 1 or self.max_batch < 1:
            raise Unusable("the longest context and the batch must be at least 1")

    @property
    def dtype(self) -> str:
        """The type that weights are stored or computed in, as Hugging Face names it."""
        return DTYPES[self.weights]

    @property
    def folder(self) -> str:
        """The name with everything but letters, digits, '.', '_' and '-' replaced."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in self.name)
        return safe.strip("-.") or "model"


def proved(
    architecture: Architecture, text: str, read: Callable[[str], Architecture], target: str
) -> str:
    """The text, if it reads back to exactly the shape; Unusable names what would change."""
    back = read(text)
    unlike = [
        f"{f.name} would become {getattr(back, f.name)!r} instead of {getattr(architecture, f.name)!r}"
        for f in fields(Architecture)
        if getattr(back, f.name) != getattr(architecture, f.name)
    ]
    if unlike:
        raise Unusable(f"{target} cannot express this shape: {', '.join(unlike)}")
    return text


def shape_from(values: Mapping[str, Any], what: str) -> Architecture:
    """An Architecture from the values read; Unusable, naming the field, when it cannot exist."""
    try:
        return Architecture(**values)
    except (TypeError, ValueError) as error:
        raise Unusable(f"{what} describes no shape that can exist: {error}") from error


def sidecar(architecture: Architecture, context: ExportContext, target: str) -> str:
    """`NAME.paretoscope.json`: the shape, its exact counts, and the source of every number."""
    return to_json(
        {
            "schema_version": SCHEMA_VERSION,
            "kind": "paretoscope export",
            "format": target,
            "name": context.name,
            "architecture": asdict(architecture),
            "params_total": architecture.params_total,
            "params_non_embedding": architecture.params_non_embedding,
            "cache_bytes_per_token": architecture.cache_bytes_per_token(
                BYTES_PER_ELEMENT[context.cache]
            ),
            "train_tokens": context.train_tokens,
            "weights": context.weights,
            "cache": context.cache,
            "max_context": context.max_context,
            "provenance": context.provenance,
        }
    )


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of an export lies: 'config.json' has 'config.json.paretoscope.json'."""
    return path.with_name(path.name + ".paretoscope.json")
