"""The one table of formats: what can be written and read, by which module, checked against what."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.formats.configs.writing import ExportContext
from core.model.architecture import Architecture


@dataclass(frozen=True, slots=True)
class Format:
    """One format of a single shape (`kind` 'shape'), of a selection of candidates ('selection'), or of
    measurements as they were made ('measurements').

    `module` holds `write` and, where a file reads back to a shape, `read`. `file` is the usual name.
    """

    key: str
    title: str
    file: str
    module: str
    kind: str
    checked_against: str


FORMATS: Mapping[str, Format] = {
    row.key: row
    for row in (
        Format(
            "hf",
            "Hugging Face config.json",
            "config.json",
            "core.formats.configs.hf_config",
            "shape",
            "transformers 5.23: same parameter count on the meta device",
        ),
        Format(
            "open_lm",
            "open_lm model JSON",
            "model.json",
            "core.formats.configs.open_lm",
            "shape",
            "source of mlfoundations/open_lm, model.py",
        ),
        Format(
            "torchtitan",
            "torchtitan llama3 arguments",
            "model_args.py",
            "core.formats.configs.torchtitan",
            "shape",
            "torchtitan 0.3.0: same parameter count on the meta device",
        ),
        Format(
            "megatron",
            "Megatron-LM arguments",
            "model_args.sh",
            "core.formats.configs.megatron",
            "shape",
            "source of NVIDIA/Megatron-LM, training/arguments.py",
        ),
        Format(
            "litgpt",
            "litgpt model_config.yaml",
            "model_config.yaml",
            "core.formats.configs.litgpt",
            "shape",
            "litgpt 0.5.13: same parameter count on the meta device",
        ),
        Format(
            "vllm",
            "vLLM serve script",
            "serve_vllm.sh",
            "core.formats.configs.vllm_serve",
            "shape",
            "vLLM 0.32.0 on a CPU: starts from it and answers",
        ),
        Format(
            "sglang",
            "SGLang serve script",
            "serve_sglang.sh",
            "core.formats.configs.sglang_serve",
            "shape",
            "documented server arguments",
        ),
        Format(
            "tensorrt_llm",
            "TensorRT-LLM checkpoint config",
            "config.json",
            "core.formats.configs.tensorrt_llm",
            "shape",
            "source of NVIDIA/TensorRT-LLM, models/modeling_utils.py",
        ),
        Format(
            "csv",
            "CSV table",
            "selection.csv",
            "core.formats.own.table_csv",
            "selection",
            "read back",
        ),
        Format(
            "json",
            "JSON table",
            "selection.json",
            "core.formats.own.table_json",
            "selection",
            "read back",
        ),
        Format(
            "plan",
            "Training plan",
            "plan.json",
            "core.formats.own.training_plan",
            "selection",
            "read back",
        ),
        Format(
            "raw",
            "Raw measurements (JSON, every token's time)",
            "measurements.json",
            "core.formats.own.raw_json",
            "measurements",
            "read back by this program",
        ),
    )
}


def format_of(key: str) -> Format:
    """The format of this key; Unusable lists what there is."""
    if key not in FORMATS:
        raise Unusable(f"'{key}' is not a format (known: {', '.join(FORMATS)})")
    return FORMATS[key]


def write_shape(key: str, architecture: Architecture, context: ExportContext) -> str:
    """The text of one shape in a format; Unusable with the reason when it cannot be expressed."""
    row = format_of(key)
    if row.kind != "shape":
        raise Unusable(f"'{key}' is a format of tables, not of one shape")
    text: str = importlib.import_module(row.module).write(architecture, context)
    return text


def refusal(key: str, architecture: Architecture, context: ExportContext | None = None) -> str:
    """Why a format cannot express a shape; empty when it can."""
    try:
        write_shape(key, architecture, context or ExportContext())
    except Unusable as error:
        return str(error)
    return ""


def read_shape(path: Path | str) -> tuple[Architecture, str]:
    """The shape in a file of any format, with the format's key; Unusable says what was looked for."""
    from core.files import json_object

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Unusable(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{path}: cannot be read as text ({error})") from error
    key = ""
    if text.lstrip().startswith("{"):
        value: dict[str, Any] = json_object(text, str(path))
        marks = {"hf": "model_type", "open_lm": "hidden_dim", "tensorrt_llm": "architecture"}
        if "text_config" in value:
            key = "hf"
        key = key or next((k for k, mark in marks.items() if mark in value), "")
    else:
        marks = {
            "vllm": "vllm serve",
            "sglang": "sglang.launch_server",
            "megatron": "--num-layers",
            "torchtitan": "TransformerModelArgs",
            "litgpt": "n_embd:",
        }
        key = next((k for k, mark in marks.items() if mark in text), "")
    if not key:
        titles = ", ".join(row.title for row in FORMATS.values() if row.kind == "shape")
        raise Unusable(f"{path}: holds no model shape known here (looked for {titles})")
    try:
        shape: Architecture = importlib.import_module(FORMATS[key].module).read(text)
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error
    return shape, key
