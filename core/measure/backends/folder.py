"""Local Hugging Face model folders: what one holds, read from its small files and tensor headers only.

Nothing is downloaded and no code from a folder is ever run: a folder that needs either is refused
with the reason.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.files import json_object
from core.formats.configs.hf import reading_from_config
from core.formats.configs.safetensors import DTYPES, tensor_headers
from core.guarded import MOST_SETTINGS_BYTES, is_file, is_folder, is_there, read_text
from core.harmless import visible
from core.measure.backends.stored_weights import has_own_head, refuse_quantised
from core.model.architecture import Architecture

WEIGHTS = ("fp64", "fp32", "fp16", "bf16", "fp8")  # what a parameter is stored in
# stored beside the parameters by old checkpoints, but not parameters
BUFFERS = re.compile(r"(rotary_emb\.inv_freq|masked_bias|attention\.bias|attn\.bias)$")
# their presence alone makes transformers unpickle, which can run code
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# where a config says so; MLX writes the second, compressed-tensors once wrote the third
QUANTISED = ("quantization_config", "quantization", "compression_config")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A decoder-only model in a local folder.

    `params` is the exact count: from the tensor headers where there are weights (tensors stored
    twice under two names are counted once only if the format shares them), otherwise by arithmetic
    from the config. `dtype_params` maps a precision to how many parameters are stored in it.
    `notes` are sentences to show beside its name. `files` are those that hold the weights.
    """

    path: Path
    name: str
    architecture: Architecture
    config: Mapping[str, Any]
    family: str
    has_weights: bool
    params: int
    weight_bytes: int
    dtype_params: Mapping[str, int] = field(default_factory=dict)
    max_context: int | None = None
    has_tokenizer: bool = False
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def dtype(self) -> str:
        """Precision that most parameters are stored in; the config's, or fp32, without weights."""
        if self.dtype_params:
            return max(self.dtype_params, key=lambda k: self.dtype_params[k])
        named = str(self.config.get("dtype") or self.config.get("torch_dtype") or "float32")
        return {"float16": "fp16", "bfloat16": "bf16"}.get(named.removeprefix("torch."), "fp32")


def read_folder(path: Path | str) -> ModelFolder:
    """What a model folder holds, without loading a weight; Unusable, with the reason, when it cannot
    be measured: no config, remote code, encoder-decoder, mixture of experts, MLA, quantised or pickled
    weights, a missing or damaged weight file."""
    path = Path(path).expanduser()
    if not is_folder(path):
        raise Unusable(f"{path} is not a folder; choose one that holds a config.json")
    config = _config(path)
    try:
        reading = reading_from_config(config)
    except Unusable as error:
        raise Unusable(f"{path / 'config.json'}: {error}") from error
    a = reading.architecture
    notes = list(reading.notes)
    files = _weight_files(path)
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for file in files:
        tensors |= tensor_headers(file)
    tensors = {k: v for k, v in tensors.items() if not BUFFERS.search(k)}
    refuse_quantised(path, tensors)
    if a.tied_embeddings and has_own_head(files, tensors):
        a = replace(a, tied_embeddings=False)
        notes.append(
            "its config says that head and embedding are one matrix, but its files hold a head of its"
            " own, which is counted"
        )
    expected = a.params_total + reading.left_out
    mix: dict[str, int] = {}
    size = 0
    for dtype, shape in tensors.values():
        width, kind = DTYPES[dtype]
        mix[kind] = mix.get(kind, 0) + prod(shape)
        size += width * prod(shape)
    odd = sorted(set(mix) - set(WEIGHTS))
    if odd:
        raise Unusable(
            f"{path}: some weights are stored as {', '.join(odd)} (a quantised model); "
            "only folders with floating-point weights can be measured"
        )
    if files:
        stored = sum(mix.values())
        # the embedding may be stored a second time as the head; it is the same parameter
        head = a.vocab_size * a.d_model
        if a.tied_embeddings and stored == expected + head:
            stored -= head
        if stored != expected:
            notes.append(
                f"its files hold {stored:,} parameters where its config describes {expected:,}"
            )
        params = stored
    else:
        notes.append("the folder has no weights; random ones of the same shape are measured")
        params, size = expected, 0
    if reading.left_out:
        notes.append(
            f"{reading.left_out:,} parameters beyond the plain shape: {reading.left_out_text}"
        )
    return ModelFolder(
        path,
        visible(path.resolve().name),
        a,
        config,
        reading.family,
        bool(files),
        params,
        size,
        mix,
        reading.max_context,
        any((path / n).is_file() for n in ("tokenizer.json", "tokenizer.model", "vocab.json")),
        tuple(notes),
        tuple(files),
    )


def load_model(folder: ModelFolder, dtype: str, device: str) -> Any:
    """The folder's model in transformers on a device, random where it has no weights. In the child.

    The network is switched off for the whole process first, and code from the folder stays off.
    """
    offline()
    need_transformers()
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}.get(dtype)
    if kind is None:
        raise Unusable(f"a model folder is measured in fp32, fp16 or bf16, not {dtype}")
    try:
        if folder.has_weights:
            model, report = AutoModelForCausalLM.from_pretrained(
                folder.path,
                output_loading_info=True,
                dtype=kind,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
            # transformers fills what it does not find with random numbers and only warns
            lost = sorted(report["missing_keys"])
            if lost:
                raise Unusable(
                    f"{folder.path}: {len(lost)} tensors the model needs are not in its files "
                    f"({lost[0]})"
                )
            _refuse_strangers(folder, report["unexpected_keys"])
            _refuse_other_head(folder, model)
        else:
            config = AutoConfig.from_pretrained(
                folder.path, local_files_only=True, trust_remote_code=False
            )
            model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except Unusable:
        raise
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise Unusable(
            f"{folder.path}: transformers cannot load it ({_first_line(error)})"
        ) from error
    return model.to(device=device, dtype=kind).eval()


def _refuse_strangers(folder: ModelFolder, names: Iterable[str]) -> None:
    """Raises Unusable for tensors that the model has no place for: without them it is another model."""
    strange = sorted(name for name in names if not BUFFERS.search(name))
    if strange:
        raise Unusable(
            f"{folder.path}: its files hold {len(strange)} tensors that a {folder.family} model has no "
            f"place for ({strange[0]}); without them it would be another model"
        )


def _refuse_other_head(folder: ModelFolder, model: Any) -> None:
    """Raises Unusable where transformers uses the embedding as the head in place of the stored one."""
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    if (
        table is not None
        and head is not None
        and not folder.architecture.tied_embeddings
        and table.weight.data_ptr() == head.weight.data_ptr()
    ):
        raise Unusable(
            f"{folder.path}: its files hold a head that transformers does not use, since its config "
            "says 'tie_word_embeddings'; set that to false there"
        )


def need_transformers(
    instead: str = "measure with a Python that has it (--python, or the Devices panel)",
) -> None:
    """Raise Unusable where there is no transformers (a bundle has none), with what to do instead."""
    if importlib.util.find_spec("transformers") is None:
        where = "this bundle" if getattr(sys, "frozen", False) else sys.executable
        raise Unusable(f"the package transformers is not in {where}; {instead}")


def offline() -> None:
    """Forbid Hugging Face libraries the network in this process; call before importing them."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ[name] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not is_there(file):
        found = ", ".join(sorted(p.name for p in path.iterdir())[:5]) or "nothing"
        raise Unusable(f"{path} has no config.json (it has {found}); is it a model folder?")
    config = json_object(read_text(file, MOST_SETTINGS_BYTES), str(file))
    if config.get("auto_map"):
        raise Unusable(
            f"{file}: needs code of its own ('auto_map'); code from model folders is never run"
        )
    inner = config.get("text_config")
    for key in QUANTISED:
        how = config.get(key) or (inner.get(key) if isinstance(inner, dict) else None)
        if how:
            method = how.get("quant_method", "?") if isinstance(how, dict) else "?"
            raise Unusable(
                f"{file}: the weights are quantised ('{key}': {method}); "
                "only folders with floating-point weights can be measured"
            )
    return config


def _weight_files(path: Path) -> list[Path]:
    """Safetensors files of the model; an index decides where there is one, and all must be there."""
    index = path / "model.safetensors.index.json"
    if index.is_file():
        values = json_object(read_text(index, MOST_SETTINGS_BYTES), str(index))
        try:
            names = set(values["weight_map"].values())
        except (KeyError, AttributeError, TypeError) as error:
            raise Unusable(f"{index}: is not a readable index ({error!r})") from error
        # a name with a path in it could point outside the folder
        bad = sorted(str(n) for n in names if not isinstance(n, str) or Path(n).name != n)
        if bad:
            raise Unusable(f"{index}: names a file outside the folder ({bad[0]})")
        missing = sorted(n for n in names if not is_file(path / n))
        if missing:
            raise Unusable(
                f"{path}: {len(missing)} of {len(names)} weight files are missing ({missing[0]})"
            )
        return [path / n for n in sorted(names)]
    files = sorted(p for p in path.glob("*.safetensors") if not p.name.startswith("adapter"))
    if (path / "model.safetensors").is_file():
        return [path / "model.safetensors"]
    if not files:
        pickled = sorted(p.name for kind in PICKLED for p in path.glob(kind))
        if pickled:
            raise Unusable(
                f"{path}: has weights only as pickles ({pickled[0]}), which can run code; "
                "convert them to safetensors"
            )
        if (path / "adapter_config.json").is_file():
            raise Unusable(f"{path}: holds an adapter, not a whole model; merge it first")
    return files
