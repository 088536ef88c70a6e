"""What the weight files of a model folder give away before anything is loaded: quantised weights that
the config does not mention, and a head of its own where the config says that there is none."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Unusable
from core.formats.configs.safetensors import tensor_headers

Headers = Mapping[str, tuple[str, tuple[int, ...]]]  # name -> (dtype, shape)

# written beside config.json by ModelOpt, AutoGPTQ and AWQ
SIDE_FILES = ("hf_quant_config.json", "quantize_config.json", "quant_config.json")
# of ModelOpt, compressed-tensors, fp8, GPTQ, AWQ, bitsandbytes and mxfp4
PARTS = re.compile(
    r"[._](scales?|(weight|input|output|activation|[qkv])_scale(_inv|_2)?|scale_inv|zeros?|zero_point"
    r"|weight_zero_point|amax|qweight|qzeros|g_idx|weight_packed|weight_shape|absmax|quant_map"
    r"|nested_\w+|quant_state\.\w+|SCB|blocks)$"
)
EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|embed_in)\.weight$")
HEAD = re.compile(r"(^|\.)(lm_head|embed_out)\.weight$")
SAMPLE_BYTES = 1 << 16


def refuse_quantised(path: Path, tensors: Headers) -> None:
    """Raises Unusable where the folder holds scales or a file of a quantising tool: read as plain
    numbers, such weights are another model."""
    for name in SIDE_FILES:
        if (path / name).exists():
            raise Unusable(
                f"{path}: the weights are quantised (it has {name}); "
                "only folders with floating-point weights can be measured"
            )
    parts = sorted(name for name in tensors if PARTS.search(name))
    if parts:
        raise Unusable(
            f"{path}: the weights are quantised ({len(parts)} tensors are scales and the like: "
            f"{parts[0]}); only folders with floating-point weights can be measured"
        )


def has_own_head(files: Sequence[Path], tensors: Headers) -> bool:
    """Whether a head is stored that is not the embedding once more.

    Two matrices of one shape and dtype that agree at their beginning, middle and end are taken for one.
    """
    head = next((name for name in tensors if HEAD.search(name)), None)
    embedding = next((name for name in tensors if EMBEDDING.search(name)), None)
    if head is None or embedding is None:
        return False
    return tensors[head] != tensors[embedding] or _sample(files, head) != _sample(files, embedding)


def tensor_places(file: Path) -> dict[str, tuple[int, int]]:
    """Start and length in bytes of each tensor of a safetensors file; Unusable where it is damaged."""
    tensor_headers(file)
    with file.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8))[0]
        header = json.loads(stream.read(length))
    found = {}
    for name, row in header.items():
        if name != "__metadata__":
            start, stop = row["data_offsets"]
            found[name] = (8 + length + start, stop - start)
    return found


def _sample(files: Sequence[Path], name: str) -> tuple[bytes, ...]:
    """Bytes from the beginning, the middle and the end of a tensor."""
    for file in files:
        start, size = tensor_places(file).get(name, (0, 0))
        if size:
            parts = []
            with file.open("rb") as stream:
                for at in (0, size // 2, max(0, size - SAMPLE_BYTES)):
                    stream.seek(start + at)
                    parts.append(stream.read(min(SAMPLE_BYTES, size - at)))
            return tuple(parts)
    return ()
