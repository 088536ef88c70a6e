"""litgpt `model_config.yaml` (Lightning-AI/litgpt, `litgpt/config.py`): one flat list of keys."""

from __future__ import annotations

import re

from core.errors import Unusable
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.writing import ExportContext, proved, shape_from
from core.model.architecture import Architecture
from core.units import whole_number

MLPS = {"LLaMAMLP": True, "GptNeoxMLP": False, "GemmaMLP": True}
DEFAULTS = {
    "n_layer": "16",
    "n_embd": "4096",
    "vocab_size": "50254",
    "padding_multiple": "512",
    "n_head": "32",
    "norm_class_name": "LayerNorm",
    "mlp_class_name": "GptNeoxMLP",
    "bias": "true",
}


def write(architecture: Architecture, context: ExportContext) -> str:
    """The YAML; Unusable with the reason when litgpt cannot express the shape."""
    a = architecture
    if a.tied_embeddings:
        raise Unusable("litgpt keeps the output head apart from the input embedding")
    if a.qk_norm and a.norm_bias:
        raise Unusable("litgpt gives query and key norms a bias when the layer norms have one")
    bias = a.qkv_bias and a.out_bias and a.ffn_bias
    values: dict[str, object] = {
        "name": context.folder,
        "hf_config": "{}",
        "block_size": context.max_context,
        "n_layer": a.n_layers,
        "n_embd": a.d_model,
        "vocab_size": a.vocab_size,
        "padding_multiple": 1,
        "padded_vocab_size": a.vocab_size,
        "n_head": a.n_heads,
        "head_size": a.d_head,
        "n_query_groups": a.n_kv_heads,
        "intermediate_size": a.d_ff,
        "mlp_class_name": "LLaMAMLP" if a.gated_ffn else "GptNeoxMLP",
        "norm_class_name": "LayerNorm" if a.norm_bias else "RMSNorm",
        "norm_eps": "1.0e-05",
        "norm_qk": a.qk_norm,
        "bias": bias,
        "attn_bias": a.qkv_bias,
        "lm_head_bias": False,
        "parallel_residual": False,
        "shared_attention_norm": False,
        "rotary_percentage": 1.0,
        "rope_base": round(context.rope_theta),
    }
    lines = [f"{key}: {_yaml(value)}" for key, value in values.items()]
    text = f"# {a.params_total:,} parameters\n" + "\n".join(lines) + "\n"
    return proved(architecture, text, read, "litgpt")


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    # a bare name such as 'no' or '1e3' would be read as something else
    return f"'{value}'" if isinstance(value, str) and value[0] not in "{01" else str(value)


def read(text: str) -> Architecture:
    """The shape of a litgpt model_config.yaml; nested keys are ignored."""
    what = "litgpt YAML"
    given = dict(DEFAULTS)
    for line in text.splitlines():
        match = re.fullmatch(r"([A-Za-z_]\w*):\s*(.*?)\s*(?:\s#.*)?", line)
        if match and match[2] not in ("", "null", "~"):
            given[match[1]] = match[2].strip("'\"")
    if "n_embd:" not in text and "n_layer:" not in text:
        raise Unusable(f"{what}: neither 'n_layer' nor 'n_embd' found; is it a model_config.yaml?")

    def number(key: str, default: int | None = None) -> int:
        value = given.get(key)
        if value is None and default is not None:
            return default
        found = whole_number(value or "")
        if found is None:
            raise Unusable(f"{what}: '{key}' must be a whole number of at least 1, not {value!r}")
        return found

    def switch(key: str) -> bool:
        return given.get(key, "false").lower() in ("true", "yes", "on")

    mlp = given["mlp_class_name"]
    if mlp not in MLPS:
        raise Unusable(f"{what}: 'mlp_class_name' {mlp!r} is not supported ({', '.join(MLPS)})")
    for key in ("lm_head_bias", "shared_attention_norm", "post_attention_norm", "post_mlp_norm"):
        if switch(key):
            raise Unusable(f"{what}: '{key}' is not supported")
    if switch("norm_qk") and given["norm_class_name"] == "LayerNorm":
        raise Unusable(f"{what}: 'norm_qk' with 'norm_class_name' LayerNorm is not supported")
    if switch("norm_qk") and given.get("norm_qk_type", "default") != "default":
        raise Unusable(f"{what}: 'norm_qk_type' {given['norm_qk_type']!r} is not supported")
    width, heads, multiple = number("n_embd"), number("n_head"), number("padding_multiple")
    padded = -(-number("vocab_size") // multiple) * multiple
    return shape_from(
        {
            "n_layers": number("n_layer"),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": number("n_query_groups", heads),
            "d_head": number("head_size", max(width // heads, 1)),
            "d_ff": number("intermediate_size", None if MLPS[mlp] else 4 * width),
            "vocab_size": number("padded_vocab_size", padded),
            "gated_ffn": MLPS[mlp],
            "qkv_bias": switch("bias") or switch("attn_bias"),
            "out_bias": switch("bias"),
            "ffn_bias": switch("bias"),
            "norm_bias": given["norm_class_name"] == "LayerNorm",
            "qk_norm": switch("norm_qk"),
        },
        what,
    )


FORMAT = ConfigFormat(
    key="litgpt",
    title="litgpt model_config.yaml",
    file="model_config.yaml",
    checked_against="litgpt 0.5.13: same parameter count on the meta device",
    recognises=lambda text, values: not values and "n_embd:" in text,
    read=read,
    write=write,
)
