"""Hugging Face `config.json` as an export: the text of `core.formats.configs.hf.write_config`."""

from __future__ import annotations

from core.files import json_object, to_json
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.hf import architecture_from_config, write_config
from core.formats.configs.writing import ExportContext, proved
from core.model.architecture import Architecture


def write(architecture: Architecture, context: ExportContext) -> str:
    """The config as JSON; Unusable, naming the fields, when no family can express the shape."""
    config = write_config(
        architecture,
        max_context=context.max_context,
        dtype=context.dtype,
        rope_theta=context.rope_theta,
    )
    return proved(architecture, to_json(config), read, "Hugging Face")


def read(text: str) -> Architecture:
    """The shape of a config.json."""
    return architecture_from_config(json_object(text, "config.json"))


FORMAT = ConfigFormat(
    key="hf",
    title="Hugging Face config.json",
    file="config.json",
    checked_against="transformers 5.23: same parameter count on the meta device",
    recognises=lambda text, values: "model_type" in values or "text_config" in values,
    read=read,
    write=write,
)
