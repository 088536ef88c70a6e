"""Hugging Face `config.json`: reads every family of decoders it can count exactly, writes the
simplest that fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.files import json_object
from core.formats.configs.hf_families import FAMILIES, Config, Family, Switch
from core.guarded import MOST_SETTINGS_BYTES, is_folder, read_text
from core.model.architecture import SWITCHES, Architecture

# what an Architecture cannot express: (keys, smallest value that matters, reason)
_BEYOND = (
    (("is_encoder_decoder",), 1, "an encoder-decoder model"),
    (
        ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
        2,
        "a mixture of experts",
    ),
    (("kv_lora_rank",), 1, "multi-head latent attention (MLA)"),
    (("num_nextn_predict_layers",), 1, "extra layers that predict several tokens"),
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a config describes: the shape, and what an Architecture leaves out.

    `left_out` parameters (learned positions, extra norms) are stored by the model but not by an
    Architecture: `architecture.params_total + left_out` is what transformers builds.
    """

    architecture: Architecture
    family: str
    left_out: int = 0
    left_out_text: str = ""
    max_context: int | None = None
    dtype: str | None = None
    rope_theta: float | None = None
    notes: tuple[str, ...] = ()


def architecture_from_config(config: Config) -> Architecture:
    """The shape in a config; Unusable, naming the key, when an Architecture cannot express it."""
    return reading_from_config(config).architecture


def reading_from_config(config: Config) -> Reading:
    """The shape in a config and what it leaves out; Unusable, naming the key, if it has none."""
    if not isinstance(config, Mapping):
        raise Unusable("a model config must be a JSON object with 'model_type' and 'hidden_size'")
    notes: list[str] = []
    outer: Config = config
    config = language_config(outer)
    if config is not outer:
        notes.append("language part of a multimodal model ('text_config'); the rest is not counted")
    for keys, smallest, what in _BEYOND:
        for key in keys:
            value = config.get(key) or 0
            if isinstance(value, bool | int | float) and value >= smallest:
                raise Unusable(
                    f"the config describes {what} ('{key}': {value}), which is not supported yet"
                )
    name = _family_name(config)
    family = FAMILIES[name]
    for key, only in family.refused.items():
        if config.get(key, only) != only:
            raise Unusable(f"'{key}': {config[key]!r} in a {name} config is not supported")
    architecture = _architecture(config, name, family)
    width = config.get("word_embed_proj_dim")
    if width not in (None, architecture.d_model):
        raise Unusable(
            f"'word_embed_proj_dim' ({width}) that differs from the width is not supported"
        )
    window = sliding_window(config, name)
    if window is not None:
        notes.append(
            f"some layers attend to at most {window:,} tokens ('sliding_window'); their cache is counted"
            " in full"
        )
    context = config.get(family.keys.get("max_position_embeddings", "max_position_embeddings"))
    rope = config.get("rope_parameters")
    theta = config.get("rope_theta", rope.get("rope_theta") if isinstance(rope, Mapping) else None)
    dtype = config.get("dtype", config.get("torch_dtype"))
    return Reading(
        architecture,
        name,
        family.extra(config, architecture),
        family.extra_text,
        context if isinstance(context, int) else None,
        dtype if isinstance(dtype, str) else None,
        float(theta) if isinstance(theta, int | float) else None,
        tuple(notes),
    )


def language_config(config: Config) -> Config:
    """The part of a config that describes the language model: all of it, unless it is multimodal."""
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        return config
    if "tie_word_embeddings" not in inner and "tie_word_embeddings" in config:
        return {**inner, "tie_word_embeddings": config["tie_word_embeddings"]}
    return inner


def sliding_window(config: Config, name: str) -> int | None:
    """Tokens that some layers of a family's model attend to at most; None where all see all."""
    family = FAMILIES[name]
    window = config.get("sliding_window", family.window)
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        slides = "sliding_attention" in kinds
    else:
        slides = config.get("use_sliding_window", family.slides) is True
    known = isinstance(window, int) and not isinstance(window, bool) and window > 0
    return window if slides and known else None


def _family_name(config: Config) -> str:
    name = config.get("model_type")
    if not isinstance(name, str):
        raise Unusable("the config has no 'model_type'; is it a Hugging Face config.json?")
    if name not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise Unusable(f"'model_type' {name!r} is not one this program can count; it knows {known}")
    return name


def _architecture(config: Config, name: str, family: Family) -> Architecture:
    def size(key: str, default: int | None = None) -> int:
        own = family.keys.get(key, key)
        value = config.get(own, family.defaults.get(key))
        if value is None:
            value = default
        if value is None:
            raise Unusable(f"a {name} config needs '{own}', which is missing")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Unusable(f"'{own}' must be a whole number of at least 1, not {value!r}")
        return value

    def switch(setting: Switch) -> bool:
        if isinstance(setting, bool):
            return setting
        key, default = setting
        return bool(config.get(key, default))

    d_model, heads = size("hidden_size"), size("num_attention_heads")
    kv_heads = heads
    if not family.mha_only and not (
        "num_key_value_heads" in config and config["num_key_value_heads"] is None
    ):
        kv_heads = size("num_key_value_heads", family.kv_heads or heads)
    given = None if family.fixed_head_dim else config.get("head_dim", family.head_dim)
    if given is None and d_model % heads:
        raise Unusable(f"'hidden_size' ({d_model}) is not a multiple of the heads ({heads})")
    ffn_default = 4 * d_model if name == "gpt2" else None
    try:
        return Architecture(
            n_layers=size("num_hidden_layers"),
            d_model=d_model,
            n_heads=heads,
            n_kv_heads=kv_heads,
            d_head=d_model // heads if given is None else size("head_dim", family.head_dim),
            d_ff=size("intermediate_size", ffn_default),
            vocab_size=size("vocab_size"),
            tied_embeddings=bool(config.get("tie_word_embeddings", family.tied)),
            gated_ffn=family.gated_ffn,
            qkv_bias=switch(family.qkv_bias),
            out_bias=switch(family.out_bias),
            ffn_bias=switch(family.ffn_bias),
            norm_bias=family.norm_bias,
            qk_norm=switch(family.qk_norm),
        )
    except Unusable:
        raise
    except ValueError as error:
        raise Unusable(f"the {name} config describes no shape that can exist: {error}") from error


def read_config(path: Path) -> Reading:
    """Reads a config.json, or the one in a model folder; Unusable names the file and what is wrong."""
    path = Path(path)
    if is_folder(path):
        path = path / "config.json"
    config = json_object(read_text(path, MOST_SETTINGS_BYTES), str(path))
    try:
        return reading_from_config(config)
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error


def write_config(
    architecture: Architecture,
    *,
    family: str | None = None,
    max_context: int = 4096,
    dtype: str = "bfloat16",
    rope_theta: float = 10_000.0,
) -> dict[str, Any]:
    """A config that reads back to exactly this shape, in the named or the simplest fitting family.

    Unusable, naming the fields that no family can express, when none fits.
    """
    if family is not None and not (family in FAMILIES and FAMILIES[family].writable):
        names = ", ".join(n for n, f in FAMILIES.items() if f.writable)
        raise Unusable(f"configs of family '{family}' are not written; choose one of {names}")
    nearest: list[tuple[int, str, str]] = []
    for name, row in FAMILIES.items():
        if not row.writable or family not in (None, name):
            continue
        config = _config(architecture, name, row, max_context, dtype, rope_theta)
        reason = _mismatch(architecture, config)
        if not reason:
            return config
        nearest.append((reason.count(","), name, reason))
    _, name, reason = min(nearest, key=lambda n: n[0])
    which = f"the {name} family" if family else f"no Hugging Face family (nearest: {name})"
    verb = "cannot express" if family else "can express"
    raise Unusable(f"{which} {verb} this shape: {reason}")


def _config(
    a: Architecture, name: str, family: Family, max_context: int, dtype: str, rope_theta: float
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "architectures": [family.architecture_class],
        "model_type": name,
        "hidden_size": a.d_model,
        "num_hidden_layers": a.n_layers,
        "num_attention_heads": a.n_heads,
        "intermediate_size": a.d_ff,
        "vocab_size": a.vocab_size,
        "hidden_act": family.activation,
        "max_position_embeddings": max_context,
        "tie_word_embeddings": a.tied_embeddings,
        family.norm_key: 1e-5,
        "rope_theta": rope_theta,
        "initializer_range": 0.02,
        "torch_dtype": dtype,
        # the design has no tokenizer yet; defaults could lie outside the vocabulary
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
        "use_cache": True,
    }
    if not family.mha_only:
        config["num_key_value_heads"] = a.n_kv_heads
    if not family.fixed_head_dim:
        config["head_dim"] = a.d_head
    if name == "gpt_neox":
        # rotary over the whole head and layers in sequence, as this program measures them
        config |= {"rotary_pct": 1.0, "rotary_emb_base": rope_theta, "use_parallel_residual": False}
        del config["rope_theta"]
    if name == "nemotron":
        config["partial_rotary_factor"] = 1.0
    for switch in ("qkv_bias", "out_bias", "ffn_bias"):
        setting = getattr(family, switch)
        if isinstance(setting, tuple):
            config.setdefault(setting[0], getattr(a, switch))
    return config


def _mismatch(architecture: Architecture, config: Config) -> str:
    if FAMILIES[config["model_type"]].even_width and architecture.d_model % architecture.n_heads:
        return f"d_model ({architecture.d_model}) is not a multiple of n_heads ({architecture.n_heads})"
    try:
        back = architecture_from_config(config)
    except Unusable as error:
        return str(error)
    fields = ("n_heads", "n_kv_heads", "d_head", "d_ff", *SWITCHES)
    unlike = [f for f in fields if getattr(back, f) != getattr(architecture, f)]
    return ", ".join(f"{f} would become {getattr(back, f)!r}" for f in unlike)
