"""TensorRT-LLM checkpoint `config.json` (the config beside rank0.safetensors, one GPU)."""

from __future__ import annotations

from typing import Any

from core.errors import Unusable
from core.files import json_object, key_of, to_json
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.writing import ExportContext, proved, shape_from
from core.model.architecture import Architecture

WEIGHT_QUANT = {"fp8": "FP8", "int8": "W8A16"}
CACHE_QUANT = {"fp8": "FP8", "int8": "INT8"}


def write(architecture: Architecture, context: ExportContext) -> str:
    """The JSON; Unusable with the reason when no class of TensorRT-LLM expresses the shape."""
    a = architecture
    if a.qk_norm:
        kind, extra = "QWenForCausalLM", {"qwen_type": "qwen3", "qk_layernorm": True}
    elif a.qkv_bias and not a.out_bias and a.gated_ffn:
        kind, extra = "QWenForCausalLM", {"qwen_type": "qwen2"}
    elif a.gated_ffn:
        kind, extra = "LlamaForCausalLM", {"attn_bias": a.qkv_bias, "mlp_bias": a.ffn_bias}
    else:
        kind, extra = "GPTNeoXForCausalLM", {"rotary_pct": 1.0}
    config: dict[str, Any] = {
        "architecture": kind,
        "dtype": context.dtype,
        "logits_dtype": "float32",
        "vocab_size": a.vocab_size,
        "hidden_size": a.d_model,
        "num_hidden_layers": a.n_layers,
        "num_attention_heads": a.n_heads,
        "num_key_value_heads": a.n_kv_heads,
        "head_size": a.d_head,
        "intermediate_size": a.d_ff,
        "hidden_act": "silu" if a.gated_ffn else "gelu",
        "norm_epsilon": 1e-5,
        "position_embedding_type": "rope_gpt_neox",
        "rotary_base": context.rope_theta,
        "max_position_embeddings": context.max_context,
        "share_embedding_table": a.tied_embeddings,
        "use_parallel_embedding": False,
        "mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1},
        "quantization": {
            "quant_algo": WEIGHT_QUANT.get(context.weights),
            "kv_cache_quant_algo": CACHE_QUANT.get(context.cache),
        },
        **extra,
    }
    return proved(architecture, to_json(config), read, "TensorRT-LLM")


def read(text: str) -> Architecture:
    """The shape of a TensorRT-LLM checkpoint config."""
    what = "TensorRT-LLM config"
    config = json_object(text, what)
    kind = key_of(config, "architecture", what)
    qwen = config.get("qwen_type")
    biases: dict[str, bool]
    if kind in ("LlamaForCausalLM", "LLaMAForCausalLM", "MistralForCausalLM"):
        attention, ffn = bool(config.get("attn_bias")), bool(config.get("mlp_bias"))
        biases = {"qkv_bias": attention, "out_bias": attention, "ffn_bias": ffn}
    elif kind == "QWenForCausalLM" and qwen in ("qwen2", "qwen3"):
        biases = {"qkv_bias": qwen == "qwen2", "qk_norm": qwen == "qwen3"}
    elif kind == "GPTNeoXForCausalLM":
        biases = dict.fromkeys(("qkv_bias", "out_bias", "ffn_bias", "norm_bias"), True)
    else:
        named = f"{kind} ({qwen})" if qwen else str(kind)
        raise Unusable(f"{what}: 'architecture' {named} is not supported")
    if config.get("moe_num_experts") or (config.get("moe") or {}).get("num_experts"):
        raise Unusable(f"{what}: a mixture of experts ('moe_num_experts') is not supported yet")
    width = key_of(config, "hidden_size", what)
    heads = key_of(config, "num_attention_heads", what)
    if not (isinstance(width, int) and isinstance(heads, int) and heads > 0):
        raise Unusable(f"{what}: 'hidden_size' and 'num_attention_heads' must be whole numbers")
    return shape_from(
        {
            "n_layers": key_of(config, "num_hidden_layers", what),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": config.get("num_key_value_heads") or heads,
            "d_head": config.get("head_size") or width // heads,
            "d_ff": config.get("intermediate_size") or 4 * width,
            "vocab_size": key_of(config, "vocab_size", what),
            "tied_embeddings": bool(config.get("share_embedding_table", False)),
            "gated_ffn": kind != "GPTNeoXForCausalLM",
            **biases,
        },
        what,
    )


FORMAT = ConfigFormat(
    key="tensorrt_llm",
    title="TensorRT-LLM checkpoint config",
    file="config.json",
    checked_against="source of NVIDIA/TensorRT-LLM, models/modeling_utils.py",
    recognises=lambda text, values: "architecture" in values and "model_type" not in values,
    read=read,
    write=write,
)
