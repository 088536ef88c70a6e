"""What all writers share: the context of an export, the proof by reading back, and safe writing."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.model.architecture import Architecture
from core.model.workload import BYTES_PER_ELEMENT

SCHEMA_VERSION = 1
# how Hugging Face, vLLM and TensorRT-LLM call a precision; 8 bits are a quantisation of bfloat16
DTYPES = {
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8": "bfloat16",
    "int8": "bfloat16",
}


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What an export says beside the shape.

    `provenance` maps a quantity to where its number came from (a text, or value, unit and source).
    `max_batch` is the number of sequences a server is asked to hold at once.
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
        """The type that weights are stored or computed in, as Hugging Face writes it."""
        return DTYPES[self.weights]

    @property
    def folder(self) -> str:
        """The name with everything but letters, digits, '.', '_' and '-' replaced."""
        safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in self.name)
        return safe.strip("-.") or "model"


def proved(
    architecture: Architecture, text: str, read: Callable[[str], Architecture], target: str
) -> str:
    """The text, once it reads back to exactly the shape; Unusable names what would change."""
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
    """An Architecture from read values; Unusable, naming the field, when it cannot exist."""
    try:
        return Architecture(**values)
    except (TypeError, ValueError) as error:
        raise Unusable(f"{what} describes no shape that can exist: {error}") from error


def json_object(text: str, what: str) -> dict[str, Any]:
    """The one JSON object a text holds; Unusable says where it breaks off."""
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise Unusable(f"{what}: not complete JSON ({error})") from error
    if not isinstance(value, dict):
        raise Unusable(f"{what}: expected one JSON object, found {type(value).__name__}")
    return value


def key_of(values: Mapping[str, Any], key: str, what: str) -> Any:
    """values[key]; Unusable names the key that is missing."""
    if key not in values:
        raise Unusable(f"{what}: key '{key}' is missing")
    return values[key]


def plain(value: Any) -> Any:
    """The same with numpy scalars and arrays made plain, and None for what JSON cannot hold (NaN, inf)."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str | bytes):
        return value if isinstance(value, str) else value.decode(errors="replace")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any) -> str:
    """Indented JSON without NaN, ending in a line break."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def sidecar(architecture: Architecture, context: ExportContext, target: str) -> str:
    """`NAME.paretoscope.json`: the shape, its exact counts, and where every number came from."""
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


def check_target(path: Path, force: bool = False) -> None:
    """Unusable when `path` cannot be written: it exists (without force), is a folder, has no parent."""
    if path.is_dir():
        raise Unusable(f"{path} is a folder; name a file in it")
    if path.exists() and not force:
        raise Unusable(f"{path} exists already; choose another name or pass --force")
    if not path.parent.is_dir():
        raise Unusable(f"{path.parent}: there is no such folder; create it first")


def write_atomically(path: Path, data: str | bytes, force: bool = False) -> None:
    """Write a whole file or none: a temporary file beside it, synced, then renamed over it.

    Raises Unusable when the file exists (without force), or its folder is missing or not writable.
    """
    path = Path(path)
    check_target(path, force)
    content = data.encode() if isinstance(data, str) else data
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; an export is as readable as any new file
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise Unusable(f"{path}: cannot be written ({error.strerror or error})") from error
