"""Megatron-LM arguments that shape the model, as a bash array to paste into a run script."""

from __future__ import annotations

import shlex
from itertools import pairwise

from core.errors import Unusable
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.writing import ExportContext, proved, shape_from
from core.model.architecture import Architecture
from core.units import whole_number


def write(architecture: Architecture, context: ExportContext) -> str:
    """A bash array MODEL_ARGS; Unusable with the reason when Megatron-LM cannot express the shape."""
    a = architecture
    if a.qk_norm and a.norm_bias:
        raise Unusable("Megatron-LM gives query and key norms a bias when the layer norms have one")
    divisor = next(d for d in (128, 64, 32, 16, 8, 4, 2, 1) if a.vocab_size % d == 0)
    flags = [
        f"--num-layers {a.n_layers}",
        f"--hidden-size {a.d_model}",
        f"--ffn-hidden-size {a.d_ff}",
        f"--num-attention-heads {a.n_heads}",
        f"--kv-channels {a.d_head}",
        f"--vocab-size {a.vocab_size}",
        f"--make-vocab-size-divisible-by {divisor}",
        f"--seq-length {context.max_context}",
        f"--max-position-embeddings {context.max_context}",
        "--position-embedding-type rope",
        f"--rotary-base {round(context.rope_theta)}",
        f"--normalization {'LayerNorm' if a.norm_bias else 'RMSNorm'}",
        "--norm-epsilon 1e-5",
    ]
    if a.n_kv_heads != a.n_heads:
        flags += ["--group-query-attention", f"--num-query-groups {a.n_kv_heads}"]
    if a.gated_ffn:
        flags.append("--swiglu")
    if not (a.qkv_bias and a.out_bias and a.ffn_bias):
        flags.append("--disable-bias-linear")
        if a.qkv_bias:
            flags.append("--add-qkv-bias")
    if a.qk_norm:
        flags.append("--qk-layernorm")
    if not a.tied_embeddings:
        flags.append("--untie-embeddings-and-output-weights")
    if context.dtype != "float32":
        flags.append("--bf16" if context.dtype == "bfloat16" else "--fp16")
    lines = "\n".join(f"    {flag}" for flag in flags)
    text = f"""\
# {context.folder}: {a.params_total:,} parameters
# add a tokenizer of exactly {a.vocab_size} entries; NullTokenizer would add one more
MODEL_ARGS=(
{lines}
)
"""
    return proved(architecture, text, read, "Megatron-LM")


def read(text: str) -> Architecture:
    """The shape of Megatron-LM arguments: a bash array, a command line or one flag per line."""
    what = "Megatron-LM arguments"
    try:
        words = shlex.split(text.replace("\\\n", " "), comments=True)
    except ValueError as error:
        raise Unusable(f"{what}: {error}") from error
    words = [part for word in words for part in word.partition("=")[::2] if part]
    words = [word.strip("()") for word in words]
    flags: dict[str, str] = {}
    for word, following in pairwise([*words, ""]):
        if word.startswith("--"):
            flags[word] = "" if following.startswith("--") else following

    def number(flag: str, default: int | None = None) -> int:
        value = flags.get(flag)
        if value is None and default is not None:
            return default
        if value is None:
            raise Unusable(f"{what}: '{flag}' is missing")
        found = whole_number(value)
        if found is None:
            raise Unusable(f"{what}: '{flag}' must be a whole number of at least 1, not '{value}'")
        return found

    if "--num-experts" in flags:
        raise Unusable(f"{what}: '--num-experts' (a mixture of experts) is not supported yet")
    width, heads = number("--hidden-size"), number("--num-attention-heads")
    gated = "--swiglu" in flags
    # Megatron's own default widths (megatron/training/arguments.py)
    default_ffn = int((4 * width * 2 / 3) / 64) * 64 if gated else 4 * width
    divisor = number("--make-vocab-size-divisible-by", 128)
    vocab = -(-number("--vocab-size") // divisor) * divisor
    bias = "--disable-bias-linear" not in flags
    grouped = "--group-query-attention" in flags
    return shape_from(
        {
            "n_layers": number("--num-layers"),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": number("--num-query-groups", 1) if grouped else heads,
            "d_head": number("--kv-channels", max(width // heads, 1)),
            "d_ff": number("--ffn-hidden-size", max(default_ffn, 1)),
            "vocab_size": vocab,
            "tied_embeddings": "--untie-embeddings-and-output-weights" not in flags,
            "gated_ffn": gated,
            "qkv_bias": bias or "--add-qkv-bias" in flags,
            "out_bias": bias,
            "ffn_bias": bias,
            "norm_bias": flags.get("--normalization", "LayerNorm") == "LayerNorm",
            "qk_norm": "--qk-layernorm" in flags,
        },
        what,
    )


FORMAT = ConfigFormat(
    key="megatron",
    title="Megatron-LM arguments",
    file="model_args.sh",
    checked_against="source of NVIDIA/Megatron-LM, training/arguments.py",
    recognises=lambda text, values: not values and "--num-layers" in text,
    read=read,
    write=write,
)
