"""Exact parameter counts, precisions and shards from safetensors headers, quantised models included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from core.errors import Unusable
from core.measure.backends.folder import DTYPES, tensor_headers

INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """What weight files hold: numbers stored by precision (packed quantised values count once)."""

    shards: int
    tensors: int
    numbers: Mapping[str, int]
    stored_bytes: int

    @property
    def total(self) -> int:
        """Numbers of every precision together."""
        return sum(self.numbers.values())


def read_stored(path: Path | str) -> Stored:
    """What a .safetensors file, an index, or a folder of either holds, without reading a weight.

    Unusable, naming the file, when there is none, a shard is missing, or a header is damaged.
    """
    path = Path(path)
    files = _files(path)
    numbers: dict[str, int] = {}
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for file in files:
        tensors |= tensor_headers(file)
    size = 0
    for dtype, shape in tensors.values():
        width, name = DTYPES[dtype]
        numbers[name] = numbers.get(name, 0) + prod(shape)
        size += width * prod(shape)
    return Stored(len(files), len(tensors), dict(sorted(numbers.items())), size)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        if (path / INDEX).is_file():
            path = path / INDEX
        else:
            files = sorted(path.glob("*.safetensors"))
            if not files:
                raise Unusable(f"{path}: no .safetensors file in this folder")
            return files
    if path.name.endswith(".json"):
        try:
            names = sorted(
                {str(v) for v in json.loads(path.read_text("utf-8"))["weight_map"].values()}
            )
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise Unusable(f"{path}: is not a readable safetensors index ({error!r})") from error
        if not names or any(Path(n).name != n for n in names):
            raise Unusable(f"{path}: names no file, or one outside its folder")
        missing = [n for n in names if not (path.parent / n).is_file()]
        if missing:
            raise Unusable(
                f"{path}: {len(missing)} of {len(names)} shards are missing ({missing[0]})"
            )
        return [path.parent / n for n in names]
    if not path.is_file():
        raise Unusable(f"{path}: there is no such file")
    return [path]
