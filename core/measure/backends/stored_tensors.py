"""Tensors of a model folder read straight from its safetensors files, where there is no transformers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.formats.configs.safetensors import tensor_headers
from core.measure.backends.stored_weights import tensor_places

if TYPE_CHECKING:
    import torch


class StoredTensors(Mapping[str, "torch.Tensor"]):
    """Name -> tensor as stored, on the CPU; read when it is asked for and not kept.

    Raises Unusable for a damaged file.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._places: dict[str, tuple[Path, int, int, str, tuple[int, ...]]] = {}
        for file in files:
            headers = tensor_headers(file)
            for name, (start, size) in tensor_places(file).items():
                self._places[name] = (file, start, size, *headers[name])

    def __getitem__(self, name: str) -> torch.Tensor:
        import torch

        kinds = {
            "F64": torch.float64,
            "F32": torch.float32,
            "F16": torch.float16,
            "BF16": torch.bfloat16,
            "F8_E4M3": torch.float8_e4m3fn,
            "F8_E5M2": torch.float8_e5m2,
        }
        file, start, size, dtype, shape = self._places[name]
        with file.open("rb") as stream:
            stream.seek(start)
            # a buffer that may be written to, as torch wants it
            data = bytearray(stream.read(size))
        return torch.frombuffer(data, dtype=kinds[dtype]).view(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)
