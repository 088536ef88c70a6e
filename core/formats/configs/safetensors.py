"""Exact parameter counts, precisions and shards from safetensors headers, quantised models included."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from core.errors import Unusable
from core.files import json_object
from core.guarded import MOST_SETTINGS_BYTES, is_file, is_folder, json_value, opened, read_text

INDEX = "model.safetensors.index.json"
# bytes and this program's name for each safetensors dtype
DTYPES = {
    "F64": (8, "fp64"),
    "F32": (4, "fp32"),
    "F16": (2, "fp16"),
    "BF16": (2, "bf16"),
    "F8_E4M3": (1, "fp8"),
    "F8_E5M2": (1, "fp8"),
    "I64": (8, "int64"),
    "I32": (4, "int32"),
    "I16": (2, "int16"),
    "I8": (1, "int8"),
    "U8": (1, "uint8"),
    "BOOL": (1, "bool"),
}
MOST_HEADER_BYTES = 100_000_000  # the limit of the safetensors format itself


@dataclass(frozen=True, slots=True)
class Stored:
    """Count of stored numbers by precision (packed quantised values count once)."""

    shards: int
    tensors: int
    numbers: Mapping[str, int]
    stored_bytes: int

    @property
    def total(self) -> int:
        """Count over all precisions."""
        return sum(self.numbers.values())


def read_stored(path: Path | str) -> Stored:
    """The content of a .safetensors file, an index or a folder of either, without reading a weight.

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


def tensor_headers(file: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of each tensor of one safetensors file, from its header alone.

    Unusable where the header is damaged or the file ends before its last tensor.
    Format: https://github.com/huggingface/safetensors (8 bytes of length, JSON, then data).
    """
    with opened(file) as (stream, size):
        first = stream.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
        if not 2 <= length <= min(MOST_HEADER_BYTES, size - 8):
            raise Unusable(f"{file}: not a safetensors file, or its start is damaged")
        data = stream.read(length)
    try:
        header = json_value(data.decode("utf-8"))
    except ValueError as error:
        raise Unusable(f"{file}: its safetensors header is damaged ({error})") from error
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    end = 0
    try:
        for name, row in header.items():
            if name == "__metadata__":
                continue
            dtype, shape = str(row["dtype"]), tuple(row["shape"])
            start, stop = row["data_offsets"]
            if not all(type(n) is int for n in (*shape, start, stop)):
                raise Unusable(f"{file}: the sizes of '{name}' are not whole numbers")
            if dtype not in DTYPES:
                raise Unusable(f"{file}: '{name}' is stored as {dtype}, which is not supported")
            if min(start, *shape) < 0 or stop - start != DTYPES[dtype][0] * prod(shape):
                raise Unusable(f"{file}: the size of '{name}' disagrees with its shape")
            tensors[name] = (dtype, shape)
            end = max(end, stop)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, Unusable):
            raise
        raise Unusable(f"{file}: its safetensors header is damaged ({error!r})") from error
    if size < 8 + length + end:
        raise Unusable(
            f"{file}: is cut short ({size:,} bytes of {8 + length + end:,}); fetch it again"
        )
    return tensors


def _files(path: Path) -> list[Path]:
    if is_folder(path):
        if (path / INDEX).is_file():
            path = path / INDEX
        else:
            files = sorted(path.glob("*.safetensors"))
            if not files:
                raise Unusable(f"{path}: no .safetensors file in this folder")
            return files
    if path.name.endswith(".json"):
        text = read_text(path, MOST_SETTINGS_BYTES)
        try:
            names = sorted({str(v) for v in json_object(text, str(path))["weight_map"].values()})
        except (KeyError, AttributeError) as error:
            raise Unusable(f"{path}: is not a readable safetensors index ({error!r})") from error
        if not names or any(Path(n).name != n for n in names):
            raise Unusable(f"{path}: names no file, or one outside its folder")
        missing = [n for n in names if not is_file(path.parent / n)]
        if missing:
            raise Unusable(
                f"{path}: {len(missing)} of {len(names)} shards are missing ({missing[0]})"
            )
        return [path.parent / n for n in names]
    return [path]
