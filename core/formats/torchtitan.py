"""torchtitan llama3 model arguments (`TransformerModelArgs`), as a line of Python to paste.

torchtitan derives the FFN width from `multiple_of` and `ffn_dim_multiplier`; the pair that gives
the wanted width is searched for and checked with torchtitan's own arithmetic.
"""

from __future__ import annotations

import ast
from typing import Any

from core.architecture import Architecture
from core.errors import Unusable
from core.formats.writing import ExportContext, proved, shape_from

CALL = "TransformerModelArgs"
DEFAULTS = {"dim": 4096, "n_layers": 32, "n_heads": 32, "vocab_size": 128256, "multiple_of": 256}


def ffn_width(dim: int, multiple_of: int, multiplier: float | None) -> int:
    """The FFN width torchtitan computes (models/llama3, FeedForward; compute_ffn_hidden_dim)."""
    hidden = int(2 * (4 * dim) / 3)
    if multiplier is not None:
        hidden = int(multiplier * hidden)
    return multiple_of * ((hidden + multiple_of - 1) // multiple_of)


def ffn_arguments(dim: int, d_ff: int) -> tuple[int, float | None]:
    """`multiple_of` and `ffn_dim_multiplier` that give this width: the default, else short numbers."""
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


def write(architecture: Architecture, context: ExportContext) -> str:
    """Python source with one TransformerModelArgs; Unusable with the reason when it cannot say it."""
    a = architecture
    if a.d_q != a.d_model:
        raise Unusable(
            f"torchtitan splits the width evenly into heads: d_head would be "
            f"{a.d_model}/{a.n_heads}, not {a.d_head}"
        )
    if a.tied_embeddings:
        raise Unusable("torchtitan's llama3 keeps the output head apart from the input embedding")
    multiple_of, multiplier = ffn_arguments(a.d_model, a.d_ff)
    text = f"""\
# {context.folder}: {a.params_total:,} parameters; d_ff {a.d_ff} follows from the two FFN numbers
# newer torchtitan: compute_ffn_hidden_dim({a.d_model}, multiple_of={multiple_of}, ffn_dim_multiplier={multiplier})
from torchtitan.models.llama3.model.args import TransformerModelArgs

model_args = {CALL}(
    dim={a.d_model},
    n_layers={a.n_layers},
    n_heads={a.n_heads},
    n_kv_heads={a.n_kv_heads},
    vocab_size={a.vocab_size},
    multiple_of={multiple_of},
    ffn_dim_multiplier={multiplier},
    norm_eps=1e-5,
    rope_theta={context.rope_theta!r},
    max_seq_len={context.max_context},
)
"""
    return proved(architecture, text, read, "torchtitan's llama3")


def read(text: str) -> Architecture:
    """The shape of the first TransformerModelArgs in Python source; nothing is executed."""
    what = "torchtitan arguments"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Unusable(f"{what}: not Python source ({error})") from error
    calls = (n for n in ast.walk(tree) if isinstance(n, ast.Call))
    call = next((c for c in calls if isinstance(c.func, ast.Name) and c.func.id == CALL), None)
    if call is None:
        raise Unusable(f"{what}: no call of {CALL} found")
    given: dict[str, Any] = dict(DEFAULTS)
    for keyword in call.keywords:
        try:
            given[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError:
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
        },
        what,
    )
