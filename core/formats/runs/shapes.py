"""What the source of a table says of its shapes, beyond the table's own columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import Floats
from core.model.architecture import Architecture, rounded_ffn
from core.records.training_runs import TrainingRuns

FOLLOWING = (
    "params_non_embedding",
    "n_heads",
    "n_kv_heads",
    "d_ff",
    "vocab_size",
    "tied_embeddings",
    "gated_ffn",
    "ffn_to_attention",
)


def morph_shape(runs: TrainingRuns, i: int) -> Architecture:
    """Multi-head attention, a gated FFN, untied embeddings; heads and FFN width are in the table."""
    n_layers, d_model, n_heads, d_ff, vocab_size = (
        int(runs.columns[k][i]) for k in ("n_layers", "d_model", "n_heads", "d_ff", "vocab_size")
    )
    return Architecture(n_layers, d_model, n_heads, n_heads, d_model // n_heads, d_ff, vocab_size)


def _gemstone_shape(runs: TrainingRuns, i: int) -> Architecture:
    """Heads of 128, half as many (rounded down) for keys and values, a gated FFN of 4 times the
    width, untied embeddings: the only plain split of the counts, 15 d^2 a layer (14.67 at 3 heads)."""
    n_layers, d_model, vocab_size = (
        int(runs.columns[k][i]) for k in ("n_layers", "d_model", "vocab_size")
    )
    n_heads = d_model // 128
    return Architecture(n_layers, d_model, n_heads, n_heads // 2, 128, 4 * d_model, vocab_size)


def _open_lm_shape(runs: TrainingRuns, i: int) -> Architecture:
    """open_lm's own shape: multi-head attention (heads by the run's name, '..._h=8-0.25', or of 128 as
    in its open_lm_1b.json and open_lm_7b.json), a gated FFN of 8/3 of the width rounded up to 256, a
    vocabulary of 50,432, untied embeddings."""
    n_layers, d_model = int(runs.columns["n_layers"][i]), int(runs.columns["d_model"][i])
    heads = re.search(r"_h=(\d+)", runs.names[i])
    n_heads = int(heads[1]) if heads else d_model // 128
    return Architecture(
        n_layers, d_model, n_heads, n_heads, d_model // n_heads, rounded_ffn(d_model), 50432
    )


@dataclass(frozen=True, slots=True)
class ShapeRule:
    """The shape of a run from the columns that the table has."""

    needs: tuple[str, ...]
    shape: Callable[[TrainingRuns, int], Architecture]


RULES: Mapping[str, ShapeRule] = {
    "morph": ShapeRule(("n_layers", "d_model", "n_heads", "d_ff", "vocab_size"), morph_shape),
    "gemstones": ShapeRule(("n_layers", "d_model", "vocab_size"), _gemstone_shape),
    "open_lm": ShapeRule(("n_layers", "d_model"), _open_lm_shape),
}


def shape_columns(rule: str, runs: TrainingRuns) -> dict[str, Floats]:
    """What the rule says of the runs' shapes; empty where a column it needs or params_total lacks.

    It is stated only for a run whose counts of parameters follow from it exactly, and kept as the
    table has it (or NaN) for all others. `tied_embeddings` and `gated_ffn` are 0 or 1.
    """
    known = runs.columns
    needs = (*RULES[rule].needs, "params_total")
    if not all(name in known for name in needs):
        return {}
    columns = {k: known[k].copy() if k in known else np.full(len(runs), np.nan) for k in FOLLOWING}
    stated = False
    given = np.stack([known[name] for name in needs], axis=1)
    for i in np.flatnonzero(np.isfinite(given).all(axis=1)):
        try:
            shape = RULES[rule].shape(runs, int(i))
            following = {k: float(getattr(shape, k)) for k in columns}
        except (ValueError, ZeroDivisionError, OverflowError):
            # a shape that the rule cannot mean, such as a width below one head
            continue
        counts = {"params_total": shape.params_total}
        counts["params_non_embedding"] = shape.params_non_embedding
        if all(count == known[k][i] for k, count in counts.items() if k in known):
            stated = True
            for k, column in columns.items():
                column[i] = following[k]
    return columns if stated else {}
