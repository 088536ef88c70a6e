"""From a table of runs to the columns laws read, and their logarithms in one N convention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from core.arrays import Floats
from core.errors import Unusable
from core.model.architecture import Counts
from core.records.training_runs import TrainingRuns

CONVENTIONS = ("total", "non-embedding")
# the columns each symbol needs, for the message when one is missing
MEANING = {
    "N": "parameters",
    "D": "training tokens ('tokens')",
    "d": "width ('d_model')",
    "l": "layers ('n_layers')",
    "R": "aspect ratio ('d_model' and 'n_layers')",
    "x": "d_model/sqrt(N) ('d_model')",
    "r": "FFN over attention parameters ('ffn_to_attention', or 'd_ff' and 'd_model')",
}


def fit_columns(runs: TrainingRuns) -> dict[str, Floats]:
    """The columns laws read, with the FFN-to-attention ratio derived where widths are known.

    Raises Unusable where tokens or loss are missing.
    """
    columns = dict(runs.columns)
    for name in ("tokens", "loss"):
        if name not in columns:
            raise Unusable(f"{runs.suite or 'the table'} has no column '{name}'")
    if "ffn_to_attention" not in columns and "d_ff" in columns and "d_model" in columns:
        # gated FFN and multi-head attention: 3 d f over 4 d^2
        columns["ffn_to_attention"] = 0.75 * columns["d_ff"] / columns["d_model"]
    return columns


def params_column(params: str) -> str:
    """Name of the column that holds N in this convention."""
    if params not in CONVENTIONS:
        raise Unusable(f"params is '{params}'; it must be one of {', '.join(CONVENTIONS)}")
    return "params_total" if params == "total" else "params_non_embedding"


def log_columns(
    columns: Mapping[str, Floats], needs: Iterable[str], params: str
) -> dict[str, Floats]:
    """Natural logarithms of the symbols in `needs`; a value that is not positive becomes NaN.

    Raises Unusable, naming the column, where one is missing.
    """

    def log(name: str, symbol: str) -> Floats:
        if name not in columns:
            raise Unusable(f"column '{name}' is missing: the law needs {MEANING[symbol]}")
        values = np.asarray(columns[name], dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(values > 0, np.log(values), np.nan)

    size = params_column(params)
    logs: dict[str, Floats] = {}
    for symbol in needs:
        if symbol == "N":
            logs[symbol] = log(size, symbol)
        elif symbol == "D":
            logs[symbol] = log("tokens", symbol)
        elif symbol == "d":
            logs[symbol] = log("d_model", symbol)
        elif symbol == "l":
            logs[symbol] = log("n_layers", symbol)
        elif symbol == "R":
            logs[symbol] = log("d_model", symbol) - log("n_layers", symbol)
        elif symbol == "x":
            logs[symbol] = log("d_model", symbol) - 0.5 * log(size, symbol)
        elif symbol == "r":
            if "ffn_to_attention" in columns:
                logs[symbol] = log("ffn_to_attention", symbol)
            else:
                # gated FFN and multi-head attention: 3 d f over 4 d^2
                logs[symbol] = log("d_ff", symbol) - log("d_model", symbol) + np.log(0.75)
    return logs


def design_columns(shape: Counts) -> dict[str, Any]:
    """The columns of a shape, or of many, that laws read or hold against the runs; tokens left out."""
    return {
        name: np.asarray(getattr(shape, name), np.float64)
        for name in (
            "params_total",
            "params_non_embedding",
            "d_model",
            "n_layers",
            "ffn_to_attention",
            "n_heads",
            "n_kv_heads",
            "d_ff",
            "vocab_size",
            "tied_embeddings",
            "gated_ffn",
        )
    }
