"""torchtitan llama3 model arguments, as a Python module with one dictionary of numbers.

Two functions in it build the configuration from them: `llama3_config` for torchtitan 0.3 (whose
`llama3_configs` maps a flavor to such a function), `transformer_model_args` for 0.2. torchtitan
derives the FFN width from `multiple_of` and `ffn_dim_multiplier`; a pair that gives the right width is
searched for and checked with torchtitan's own arithmetic.
"""

from __future__ import annotations

import ast
from typing import Any

from core.errors import Unusable
from core.formats.configs.config_formats import ConfigFormat
from core.formats.configs.writing import ExportContext, proved, shape_from
from core.model.architecture import Architecture

CALL = "TransformerModelArgs"
DEFAULTS = {"dim": 4096, "n_layers": 32, "n_heads": 32, "vocab_size": 128256, "multiple_of": 256}


def ffn_width(dim: int, multiple_of: int, multiplier: float | None) -> int:
    """The FFN width torchtitan computes (models/llama3, FeedForward; compute_ffn_hidden_dim)."""
    hidden = int(2 * (4 * dim) / 3)
    if multiplier is not None:
        hidden = int(multiplier * hidden)
    return multiple_of * ((hidden + multiple_of - 1) // multiple_of)


def ffn_arguments(dim: int, d_ff: int) -> tuple[int, float | None]:
    """`multiple_of` and `ffn_dim_multiplier` for this width: the default, else simple numbers."""
    if ffn_width(dim, 256, None) == d_ff:
        return 256, None
    base = int(2 * (4 * dim) / 3)
    multiples = [m for m in (4096, 1024, 256, 128, 64, 32, 16, 8, 4, 2, 1) if d_ff % m == 0]
    for digits in range(1, 18):
        for multiple in multiples:
            # a width is reached from anywhere in the last multiple below it; aim at its middle
            ratio = (d_ff - (multiple - 1) / 2 + 0.25) / max(base, 1)
            multiplier = float(f"{ratio:.{digits}g}")
            if multiplier > 0 and ffn_width(dim, multiple, multiplier) == d_ff:
                return multiple, multiplier
    raise Unusable(f"no ffn_dim_multiplier of torchtitan gives d_ff {d_ff} at dim {dim}")


_MODULE = '''\
"""{name}: {params:,} parameters. d_ff {d_ff} follows from the two FFN numbers."""

SHAPE = dict(
    dim={dim},
    n_layers={n_layers},
    n_heads={n_heads},
    n_kv_heads={n_kv_heads},
    vocab_size={vocab_size},
    multiple_of={multiple_of},
    ffn_dim_multiplier={multiplier},
    rope_theta={rope_theta},
    max_seq_len={max_seq_len},
    enable_weight_tying={tied},
)


def llama3_config(attn_backend="flex", tp_gemm_backend="default"):
    """For torchtitan 0.3: torchtitan.models.llama3.llama3_configs["{name}"] = llama3_config."""
    from torchtitan.models import llama3 as t

    dim, vocab_size = SHAPE["dim"], SHAPE["vocab_size"]
    # a tied embedding takes its weights, and so its start, from the output head
    embedding_init = t._EMBEDDING_SKIP_INIT if SHAPE["enable_weight_tying"] else t._EMBEDDING_INIT
    return t.Llama3Model.Config(
        dim=dim,
        vocab_size=vocab_size,
        enable_weight_tying=SHAPE["enable_weight_tying"],
        tok_embeddings=t.Embedding.Config(
            num_embeddings=vocab_size, embedding_dim=dim, param_init=embedding_init
        ),
        norm=t.RMSNorm.Config(normalized_shape=dim, param_init=t._NORM_INIT),
        lm_head=t.Linear.Config(
            in_features=dim, out_features=vocab_size, param_init=t._output_linear_init(dim)
        ),
        layers=t._build_llama3_layers(
            fuse_qkv=True,
            n_layers=SHAPE["n_layers"],
            dim=dim,
            n_heads=SHAPE["n_heads"],
            n_kv_heads=SHAPE["n_kv_heads"],
            hidden_dim=t.compute_ffn_hidden_dim(
                dim,
                multiple_of=SHAPE["multiple_of"],
                ffn_dim_multiplier=SHAPE["ffn_dim_multiplier"],
            ),
            rope=t.ComplexRoPE.Config(
                dim=dim // SHAPE["n_heads"],
                max_seq_len=SHAPE["max_seq_len"],
                theta=SHAPE["rope_theta"],
            ),
            attn_backend=attn_backend,
            tp_gemm_backend=tp_gemm_backend,
        ),
    )


def transformer_model_args():
    """For torchtitan 0.2, which cannot tie the output head to the input embedding."""
    from torchtitan.models.llama3.model.args import TransformerModelArgs

    shape = dict(SHAPE)
    if shape.pop("enable_weight_tying"):
        raise ValueError("torchtitan 0.2 cannot tie embeddings; use 0.3")
    return TransformerModelArgs(**shape)
'''


def write(architecture: Architecture, context: ExportContext) -> str:
    """The Python module; Unusable with the reason when torchtitan's llama3 cannot express it."""
    a = architecture
    if a.d_q != a.d_model:
        raise Unusable(
            f"torchtitan splits the width evenly into heads: d_head would be "
            f"{a.d_model}/{a.n_heads}, not {a.d_head}"
        )
    multiple_of, multiplier = ffn_arguments(a.d_model, a.d_ff)
    text = _MODULE.replace("{params:,}", f"{a.params_total:,}")
    for mark, value in (
        ("name", context.folder),
        ("d_ff", a.d_ff),
        ("dim", a.d_model),
        ("n_layers", a.n_layers),
        ("n_heads", a.n_heads),
        ("n_kv_heads", a.n_kv_heads),
        ("vocab_size", a.vocab_size),
        ("multiple_of", multiple_of),
        ("multiplier", multiplier),
        ("rope_theta", context.rope_theta),
        ("max_seq_len", context.max_context),
        ("tied", a.tied_embeddings),
    ):
        text = text.replace(f"{{{mark}}}", str(value))
    return proved(architecture, text, read, "torchtitan's llama3")


def read(text: str) -> Architecture:
    """The shape of `SHAPE = dict(...)` or of a TransformerModelArgs(...); nothing is executed."""
    what = "torchtitan arguments"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        # MemoryError is how Python's parser says that brackets are nested too deep
        reason = str(error) or "nested too deep"
        raise Unusable(f"{what}: not Python source ({reason})") from error
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    named = {"dim", "n_layers", "n_heads"}
    call = next((c for c in calls if named <= {k.arg for k in c.keywords}), None)
    call = call or next((c for c in calls if getattr(c.func, "id", "") == CALL), None)
    if call is None:
        raise Unusable(f"{what}: no call of {CALL} and no dict of dim, n_layers and n_heads found")
    given: dict[str, Any] = dict(DEFAULTS)
    for keyword in call.keywords:
        try:
            given[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            # fields that do not shape the model may be any expression
            continue
    for name in ("dim", "n_heads", "multiple_of"):
        if not isinstance(given[name], int) or given[name] < 1:
            raise Unusable(f"{what}: '{name}' must be a whole number of at least 1")
    dim, heads = given["dim"], given["n_heads"]
    if dim % heads:
        raise Unusable(f"{what}: dim ({dim}) is not a multiple of n_heads ({heads})")
    return shape_from(
        {
            "n_layers": given["n_layers"],
            "d_model": dim,
            "n_heads": heads,
            "n_kv_heads": given.get("n_kv_heads") or heads,
            "d_head": dim // heads,
            "d_ff": ffn_width(dim, given["multiple_of"], given.get("ffn_dim_multiplier")),
            "vocab_size": given["vocab_size"],
            "tied_embeddings": given.get("enable_weight_tying") is True,
        },
        what,
    )


FORMAT = ConfigFormat(
    key="torchtitan",
    title="torchtitan llama3 arguments",
    file="model_args.py",
    checked_against="torchtitan 0.3.0: same parameter count on the meta device",
    recognises=lambda text, values: not values and CALL in text,
    read=read,
    write=write,
)
