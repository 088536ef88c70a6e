"""open_lm model JSON (mlfoundations/open_lm, `open_lm/model_configs/*.json`).

open_lm derives the FFN width from the model width, splits the width evenly into heads and has no
grouped queries, so many shapes cannot be expressed. Those are refused with the reason.
"""

from __future__ import annotations

from core.errors import Unusable
from core.files import json_object, key_of, to_json
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.writing import ExportContext, proved, shape_from
from core.model.architecture import Architecture, rounded_ffn

# norm names of open_lm/norms.py and whether they have a bias; norms without a gain are not supported
NORMS = {
    "rms_norm": False,
    "gain_only_layer_norm": False,
    "gain_only_lp_layer_norm": False,
    "default_layer_norm": True,
    "lp_layer_norm": True,
}


def write(architecture: Architecture, context: ExportContext) -> str:
    """The JSON; Unusable with the reason when open_lm cannot express the shape."""
    a = architecture
    if a.n_kv_heads != a.n_heads:
        raise Unusable(
            f"open_lm has no grouped queries: n_kv_heads ({a.n_kv_heads}) must equal "
            f"n_heads ({a.n_heads})"
        )
    width = rounded_ffn(a.d_model) if a.gated_ffn else 4 * a.d_model
    if a.d_ff != width:
        rule = "8/3 of the width, up to a multiple of 256" if a.gated_ffn else "4 times the width"
        raise Unusable(
            f"open_lm derives the FFN width as {rule}: {width} for d_model {a.d_model}, not {a.d_ff}"
        )
    if a.qk_norm:
        raise Unusable("open_lm norms queries and keys over all heads together, not per head")
    config = {
        "hidden_dim": a.d_model,
        "n_layers": a.n_layers,
        "n_heads": a.n_heads,
        "seq_len": context.max_context,
        "vocab_size": a.vocab_size,
        "post_embed_norm": False,
        "weight_tying": a.tied_embeddings,
        "model_norm": "default_layer_norm" if a.norm_bias else "rms_norm",
        "qk_norm": False,
        "positional_embedding_type": "rotary",
        "ffn_type": "swiglu_torch" if a.gated_ffn else "gelu",
    }
    return proved(architecture, to_json(config), read, "open_lm")


def read(text: str) -> Architecture:
    """The shape of an open_lm model JSON, with the defaults of open_lm's own command line."""
    what = "open_lm JSON"
    config = json_object(text, what)
    norm = config.get("model_norm", "gain_only_layer_norm")
    ffn = config.get("ffn_type", "swiglu")
    if not isinstance(norm, str) or norm not in NORMS:
        raise Unusable(f"{what}: 'model_norm' {norm!r} is not one of {', '.join(NORMS)}")
    if ffn not in ("swiglu", "swiglu_torch", "gelu") or config.get("moe_freq", 0):
        raise Unusable(f"{what}: 'ffn_type' {ffn!r} is not supported (swiglu, swiglu_torch, gelu)")
    for key in ("qk_norm", "post_embed_norm"):
        if config.get(key, False):
            raise Unusable(f"{what}: '{key}' is not supported")
    width, heads = key_of(config, "hidden_dim", what), key_of(config, "n_heads", what)
    if not (isinstance(width, int) and isinstance(heads, int) and heads > 0 and width > 0):
        raise Unusable(f"{what}: 'hidden_dim' and 'n_heads' must be whole numbers of at least 1")
    return shape_from(
        {
            "n_layers": key_of(config, "n_layers", what),
            "d_model": width,
            "n_heads": heads,
            "n_kv_heads": heads,
            "d_head": width // heads,
            "d_ff": 4 * width if ffn == "gelu" else rounded_ffn(width),
            "vocab_size": key_of(config, "vocab_size", what),
            "tied_embeddings": bool(config.get("weight_tying", False)),
            "gated_ffn": ffn != "gelu",
            "norm_bias": NORMS[norm],
        },
        what,
    )


FORMAT = ConfigFormat(
    key="open_lm",
    title="open_lm model JSON",
    file="model.json",
    checked_against="source of mlfoundations/open_lm, model.py",
    recognises=lambda text, values: "hidden_dim" in values,
    read=read,
    write=write,
)
