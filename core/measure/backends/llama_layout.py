"""Whether the program's own decoder computes a folder's network, as far as its config tells.

The decoder knows Llama's layer: RMSNorm, rotary positions over whole heads, full causal attention, a
gated SiLU. What a config adds to that is refused by name; what no config says (a norm that adds one to
its gain, other defaults) is found by `core.measure.backends.same_logits`, or kept out by a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import Unsupported
from core.formats.configs.hf import language_config, sliding_window
from core.formats.configs.hf_families import FAMILIES

if TYPE_CHECKING:
    from core.measure.backends.folder import ModelFolder

# families whose layer is Llama's, tested against transformers
KNOWN = ("llama", "mistral", "ministral", "qwen2", "qwen3", "seed_oss")
INSTEAD = "measure it with 'transformers'"
ACTIVATIONS = {True: ("silu", "swish"), False: ("gelu",)}  # by whether the FFN is gated
# factors and caps that leave the network as it is at these values, or where they are absent
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "embedding_multiplier": (1,),
    "residual_multiplier": (1,),
    "logits_scaling": (1,),
    "logit_scale": (1,),
    "partial_rotary_factor": (1,),
    "rotary_pct": (1,),
    "attn_logit_softcapping": (),
    "final_logit_softcapping": (),
    "clip_qkv": (),
    "use_bidirectional_attention": (False,),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """What the decoder needs beside sizes and tensors: the angle by which each pair of a head's numbers
    turns from one position to the next, in radians (d_head / 2 of them), and the epsilon of the norms."""

    frequencies: tuple[float, ...]
    norm_eps: float


def layout_of(folder: ModelFolder, positions: int) -> Layout:
    """The layout of a folder for texts of `positions` tokens.

    Raises Unsupported, with the reason and what to do instead, where the config asks for something that
    the decoder does not compute.
    """
    config, a, name = language_config(folder.config), folder.architecture, folder.family
    family = FAMILIES[name]
    reason = _unlike(config, name, a.d_head, a.gated_ffn)
    window = sliding_window(config, name)
    if window is not None and window < positions:
        reason = f"some of its layers attend to at most {window:,} tokens, fewer than the {positions:,} asked"
    if reason:
        raise Unsupported(f"the decoder computes another network: {reason}; {INSTEAD}")
    eps = config.get(family.norm_key)
    return Layout(
        frequencies(config, a.d_head),
        1e-6 if isinstance(eps, bool) or not isinstance(eps, int | float) else float(eps),
    )


def _unlike(config: Mapping[str, Any], name: str, d_head: int, gated: bool) -> str:
    """The first thing in a config that the decoder does not compute; '' where there is none."""
    rope = config.get("rope_parameters")
    spread = {**config, **rope} if isinstance(rope, Mapping) else config
    for key, neutral in _NEUTRAL.items():
        value = spread.get(key)
        if value is not None and value not in neutral:
            return f"'{key}' is {value}"
    usual = {"attention_multiplier": d_head**-0.5, "query_pre_attn_scalar": d_head}
    for key, value in usual.items():
        found = config.get(key)
        if found is not None and not (
            isinstance(found, int | float) and math.isclose(found, value, rel_tol=1e-6)
        ):
            return f"'{key}' is {found}, where attention usually has {value:g}"
    for key in ("hidden_act", "hidden_activation", "activation_function"):
        if config.get(key) is not None and config[key] not in ACTIVATIONS[gated]:
            return f"'{key}' is {config[key]}"
    if FAMILIES[name].activation not in ACTIVATIONS[gated]:
        return f"the activation of {name} is {FAMILIES[name].activation}"
    return ""


def frequencies(config: Mapping[str, Any], d_head: int) -> tuple[float, ...]:
    """Rotary frequencies of a config, theta^(-2i/d_head), scaled as 'linear' or 'llama3' ask.

    Raises Unsupported for other kinds of scaling, and for one kind for each kind of layer. Source:
    `transformers.modeling_rope_utils`.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, Mapping) or any(isinstance(v, Mapping) for v in rope.values()):
        raise Unsupported(f"its layers have rotary positions of several kinds; {INSTEAD}")
    kind = rope.get("rope_type", rope.get("type", "default"))
    theta = _number({"rope_theta": 10_000.0, **config, **rope}, "rope_theta")
    plain = tuple(theta ** (-2 * i / d_head) for i in range(d_head // 2))
    if kind == "default":
        return plain
    if kind == "linear":
        factor = _number(rope, "factor")
        return tuple(f / factor for f in plain)
    if kind != "llama3":
        raise Unsupported(f"its rotary positions are scaled as '{kind}'; {INSTEAD}")
    factor, low, high, original = (
        _number(rope, key)
        for key in (
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        )
    )

    def scaled(frequency: float) -> float:
        # how many turns the pair made within the context of the first training
        turns = original * frequency / (2 * math.pi)
        share = min(1.0, max(0.0, (turns - low) / (high - low)))
        return (1 - share) * frequency / factor + share * frequency

    return tuple(scaled(f) for f in plain)


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise Unsupported(f"'{key}' of its rotary positions is {value!r}; {INSTEAD}")
    return float(value)
