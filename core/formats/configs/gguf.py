"""GGUF (llama.cpp) headers: the shape of a model without reading its weights.

Layout: magic, version, counts, then typed key-value pairs, then tensor names and dimensions
(ggml/docs/gguf.md). Versions 2 and 3, little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import Unusable
from core.formats.configs.writing import shape_from
from core.guarded import opened
from core.model.architecture import Architecture

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
MOST_STRING_BYTES = 64 * 2**20
MOST_ITEMS = 50_000_000
KEPT_ITEMS = 4096  # token lists are only counted
# model kinds whose layers an Architecture describes
KNOWN = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "starcoder2", "arcee", "granite"})


@dataclass(frozen=True, slots=True)
class Header:
    """Key-value pairs, tensor dimensions (innermost first) and the lengths of long arrays."""

    version: int
    values: Mapping[str, Any]
    tensors: Mapping[str, tuple[int, ...]]
    lengths: Mapping[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Number of parameters in all tensors."""
        total = 0
        for dimensions in self.tensors.values():
            count = 1
            for size in dimensions:
                count *= size
            total += count
        return total


class _Reader:
    def __init__(self, stream: BinaryIO, path: Path, size: int) -> None:
        self.stream, self.path, self.size = stream, path, size

    def take(self, count: int) -> bytes:
        # checked before reading, so that a damaged length cannot ask for the whole memory
        if count > self.size - self.stream.tell():
            raise Unusable(f"{self.path}: the GGUF header is cut off or damaged")
        data = self.stream.read(count)
        if len(data) != count:
            raise Unusable(f"{self.path}: the GGUF header is cut off or damaged")
        return data

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def text(self) -> str:
        length = self.number("Q")
        if length > MOST_STRING_BYTES:
            raise Unusable(f"{self.path}: the GGUF header is damaged (a text of {length:,} bytes)")
        return self.take(length).decode("utf-8", errors="replace")

    def value(self, kind: int, key: str, lengths: dict[str, int]) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            raise Unusable(f"{self.path}: GGUF key '{key}' has unknown type {kind}")
        inner, count = self.number("I"), self.number("Q")
        if count > MOST_ITEMS or inner == _ARRAY:
            raise Unusable(f"{self.path}: GGUF key '{key}' holds an array that cannot be read")
        lengths[key] = count
        if inner in _SCALARS and count > KEPT_ITEMS:
            self.take(count * struct.calcsize("<" + _SCALARS[inner]))
            return ()
        items = [self.value(inner, key, lengths) for _ in range(count)]
        return tuple(items) if count <= KEPT_ITEMS else ()


def read_header(path: Path | str) -> Header:
    """The header of a GGUF file; Unusable says what is wrong with it."""
    path = Path(path)
    with opened(path) as (stream, size):
        reader = _Reader(stream, path, size)
        if stream.read(4) != b"GGUF":
            raise Unusable(f"{path}: not a GGUF file (it does not begin with GGUF)")
        version = reader.number("I")
        if version not in (2, 3):
            raise Unusable(f"{path}: GGUF version {version} is not known here (known: 2, 3)")
        n_tensors, n_values = reader.number("Q"), reader.number("Q")
        if max(n_tensors, n_values) > 1_000_000:
            raise Unusable(f"{path}: the GGUF header is damaged")
        values: dict[str, Any] = {}
        lengths: dict[str, int] = {}
        for _ in range(n_values):
            key = reader.text()
            values[key] = reader.value(reader.number("I"), key, lengths)
        tensors: dict[str, tuple[int, ...]] = {}
        for _ in range(n_tensors):
            name = reader.text()
            rank = reader.number("I")
            if rank > 8:
                raise Unusable(f"{path}: tensor '{name}' has {rank} dimensions; damaged header")
            tensors[name] = tuple(reader.number("Q") for _ in range(rank))
            reader.take(12)  # type and offset
    return Header(version, values, tensors, lengths)


def read_gguf(path: Path | str) -> Architecture:
    """The shape of the model in a GGUF file; Unusable, naming the key, when an Architecture cannot express it."""
    header = read_header(path)
    what = str(path)
    kind = header.values.get("general.architecture")
    if kind not in KNOWN:
        known = ", ".join(sorted(KNOWN))
        raise Unusable(f"{what}: 'general.architecture' {kind!r} is not supported (known: {known})")

    def size(key: str, default: int | None = None) -> int:
        value = header.values.get(f"{kind}.{key}", default)
        if isinstance(value, tuple):
            if len(set(value)) != 1:
                raise Unusable(f"{what}: '{kind}.{key}' differs from layer to layer")
            value = value[0]
        if value is None:
            raise Unusable(f"{what}: key '{kind}.{key}' is missing")
        return int(value)

    if size("expert_count", 0) > 1:
        raise Unusable(f"{what}: a mixture of experts ('{kind}.expert_count') is not supported yet")
    width, heads = size("embedding_length"), size("attention.head_count")
    embedding = header.tensors.get("token_embd.weight", ())
    vocab = embedding[1] if len(embedding) > 1 else header.lengths.get("tokenizer.ggml.tokens")
    # without tensors (a vocabulary-only or test file) the usual form of the family is assumed
    first = {n.removeprefix("blk.0.") for n in header.tensors if n.startswith("blk.0.")}
    gated = "ffn_gate.weight" in first if first else kind not in ("starcoder2", "arcee")
    return shape_from(
        {
            "n_layers": size("block_count"),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": size("attention.head_count_kv", heads),
            "d_head": size("attention.key_length", width // max(heads, 1)),
            "d_ff": size("feed_forward_length"),
            "vocab_size": size("vocab_size", vocab),
            "tied_embeddings": "output.weight" not in header.tensors
            if header.tensors
            else kind == "gemma",
            "gated_ffn": gated,
            "qkv_bias": "attn_q.bias" in first if first else kind in ("qwen2", "starcoder2"),
            "out_bias": "attn_output.bias" in first if first else kind == "starcoder2",
            "ffn_bias": "ffn_up.bias" in first if first else kind == "starcoder2",
            "norm_bias": "attn_norm.bias" in first if first else kind == "starcoder2",
            "qk_norm": "attn_q_norm.weight" in first if first else kind == "qwen3",
        },
        what,
    )
