"""Model families of Hugging Face, one row each: keys, defaults of absent keys, and parts of a layer.

Parameters that an Architecture lacks (learned positions, extra norms) are counted separately, so
that the total still equals what transformers builds. Checked against transformers 5.23.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import Unusable
from core.model.architecture import Architecture

Config = Mapping[str, Any]
# a switch is fixed by the family, or read from a key with the default of transformers
Switch = bool | tuple[str, bool]


def _nothing(config: Config, a: Architecture) -> int:
    return 0


def _two_more_norms(config: Config, a: Architecture) -> int:
    return 2 * a.n_layers * a.d_model


def _wide_qk_norm(config: Config, a: Architecture) -> int:
    return int(a.n_layers * (a.d_q + a.d_kv - 2 * a.d_head))


def _opt_positions(config: Config, a: Architecture) -> int:
    # OPT stores two more rows than positions
    return (_positions(config, "max_position_embeddings", 2048) + 2) * a.d_model


def _gpt2_positions(config: Config, a: Architecture) -> int:
    return _positions(config, "n_positions", 1024) * a.d_model


def _positions(config: Config, key: str, default: int) -> int:
    found = config.get(key, default)
    if type(found) is not int or found < 1:
        raise Unusable(f"'{key}' must be a whole number of at least 1, not {found!r:.80}")
    return found


@dataclass(frozen=True, slots=True)
class Family:
    """One model type: its keys, its defaults for absent keys, and what its layers are made of."""

    architecture_class: str
    activation: str
    gated_ffn: bool = True
    qkv_bias: Switch = False
    out_bias: Switch = False
    ffn_bias: Switch = False
    norm_bias: bool = False
    qk_norm: Switch = False
    tied: bool = False
    kv_heads: int | None = None  # None: as many as heads
    head_dim: int | None = None  # None: hidden_size / num_attention_heads
    fixed_head_dim: bool = False  # the family ignores head_dim
    even_width: bool = False  # transformers builds it only with hidden_size divisible by the heads
    mha_only: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)  # canonical key -> this family's key
    defaults: Mapping[str, int] = field(default_factory=dict)
    extra: Callable[[Config, Architecture], int] = _nothing
    extra_text: str = ""
    writable: bool = False
    refused: Mapping[str, Any] = field(default_factory=dict)  # key -> the only value we can count
    norm_key: str = "rms_norm_eps"
    window: int | None = None  # sliding window where its key is absent; None: none
    slides: bool = True  # whether a window is used where 'use_sliding_window' is absent


_ATTENTION: Switch = ("attention_bias", False)
_MLP: Switch = ("mlp_bias", False)
_LLAMA = Family(
    "LlamaForCausalLM",
    "silu",
    qkv_bias=_ATTENTION,
    out_bias=_ATTENTION,
    ffn_bias=_MLP,
    even_width=True,
)
_GEMMA = replace(
    _LLAMA,
    architecture_class="GemmaForCausalLM",
    activation="gelu_pytorch_tanh",
    ffn_bias=False,
    tied=True,
    head_dim=256,
    even_width=False,
)
_GEMMA2 = replace(
    _GEMMA,
    architecture_class="Gemma2ForCausalLM",
    kv_heads=4,
    even_width=True,
    window=4096,
    extra=_two_more_norms,
    extra_text="two more norms per layer",
)

# writable families come in order of preference
FAMILIES: Mapping[str, Family] = {
    "llama": replace(_LLAMA, writable=True),
    "qwen2": Family(
        "Qwen2ForCausalLM",
        "silu",
        qkv_bias=True,
        kv_heads=32,
        writable=True,
        slides=False,
    ),
    "qwen3": Family(
        "Qwen3ForCausalLM",
        "silu",
        qkv_bias=_ATTENTION,
        out_bias=_ATTENTION,
        qk_norm=True,
        kv_heads=32,
        head_dim=128,
        writable=True,
        slides=False,
    ),
    "seed_oss": Family(
        "SeedOssForCausalLM",
        "silu",
        qkv_bias=("attention_bias", True),
        out_bias=("attention_out_bias", False),
        ffn_bias=_MLP,
        kv_heads=8,
        head_dim=128,
        writable=True,
    ),
    "gpt_neox": Family(
        "GPTNeoXForCausalLM",
        "gelu",
        gated_ffn=False,
        qkv_bias=("attention_bias", True),
        out_bias=("attention_bias", True),
        ffn_bias=True,
        norm_bias=True,
        fixed_head_dim=True,
        even_width=True,
        mha_only=True,
        writable=True,
        norm_key="layer_norm_eps",
    ),
    "starcoder2": Family(
        "Starcoder2ForCausalLM",
        "gelu_pytorch_tanh",
        gated_ffn=False,
        qkv_bias=("use_bias", True),
        out_bias=("use_bias", True),
        ffn_bias=("use_bias", True),
        norm_bias=True,
        tied=True,
        kv_heads=2,
        writable=True,
        norm_key="norm_epsilon",
    ),
    "arcee": replace(
        _LLAMA,
        architecture_class="ArceeForCausalLM",
        activation="relu2",
        gated_ffn=False,
        writable=True,
    ),
    "nemotron": Family(
        "NemotronForCausalLM",
        "relu2",
        gated_ffn=False,
        qkv_bias=_ATTENTION,
        out_bias=_ATTENTION,
        ffn_bias=_MLP,
        norm_bias=True,
        writable=True,
        norm_key="norm_eps",
    ),
    "mistral": Family("MistralForCausalLM", "silu", kv_heads=8, window=4096),
    "ministral": Family("MinistralForCausalLM", "silu", kv_heads=8, window=4096),
    "phi3": Family("Phi3ForCausalLM", "silu"),
    "granite": replace(_LLAMA, architecture_class="GraniteForCausalLM"),
    "smollm3": replace(
        _LLAMA,
        architecture_class="SmolLM3ForCausalLM",
        kv_heads=4,
        tied=True,
        even_width=False,
        slides=False,
    ),
    "stablelm": Family(
        "StableLmForCausalLM",
        "silu",
        qkv_bias=("use_qkv_bias", False),
        norm_bias=True,
        fixed_head_dim=True,
        refused={"qk_layernorm": False, "use_parallel_residual": False},
        norm_key="layer_norm_eps",
    ),
    "gemma": _GEMMA,
    "gemma2": _GEMMA2,
    "gemma3_text": replace(
        _GEMMA2,
        architecture_class="Gemma3ForCausalLM",
        qk_norm=True,
        # published gemma-3 files leave these out
        defaults={"num_attention_heads": 8, "vocab_size": 262_208},
    ),
    "olmo2": replace(
        _LLAMA,
        architecture_class="Olmo2ForCausalLM",
        ffn_bias=False,
        qk_norm=True,
        even_width=False,
        extra=_wide_qk_norm,
        extra_text="query and key norms as wide as all heads",
    ),
    "opt": Family(
        "OPTForCausalLM",
        "relu",
        gated_ffn=False,
        qkv_bias=("enable_bias", True),
        out_bias=("enable_bias", True),
        ffn_bias=("enable_bias", True),
        norm_bias=True,
        tied=True,
        fixed_head_dim=True,
        mha_only=True,
        keys={"intermediate_size": "ffn_dim"},
        refused={"do_layer_norm_before": True, "layer_norm_elementwise_affine": True},
        extra=_opt_positions,
        extra_text="learned positions",
    ),
    "gpt2": Family(
        "GPT2LMHeadModel",
        "gelu_new",
        gated_ffn=False,
        qkv_bias=True,
        out_bias=True,
        ffn_bias=True,
        norm_bias=True,
        tied=True,
        fixed_head_dim=True,
        mha_only=True,
        keys={
            "hidden_size": "n_embd",
            "num_hidden_layers": "n_layer",
            "num_attention_heads": "n_head",
            "intermediate_size": "n_inner",
            "max_position_embeddings": "n_positions",
        },
        refused={"add_cross_attention": False},
        extra=_gpt2_positions,
        extra_text="learned positions",
    ),
}
