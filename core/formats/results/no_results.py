"""Files that look like results of models but are none, with what they are and what to give instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.runs.single.run_files import kind_of
from core.formats.vocabulary import NAMES, read_name

# a table that has these is one of training runs, unless it also holds what only results hold
RUN_FIELDS: Mapping[str, str] = {
    "tokens": "count",
    "flops": "count",
    "tokens_per_parameter": "",
    "loss": "",
    "train_loss": "",
    "bits_per_byte": "",
    "perplexity": "",
    "params_total": "count",
    "params_non_embedding": "count",
    "n_layers": "",
    "d_model": "",
}
LOSSES = {"loss", "train_loss", "bits_per_byte", "perplexity"}
TRAINED_ON = {"tokens", "flops", "tokens_per_parameter"}
SIZES = {"params_total", "params_non_embedding", "n_layers"}
OF_RESULTS: Mapping[str, str] = {
    field: "s" if field.endswith("_s") and not field.startswith("tokens") else ""
    for field in NAMES
    if field.endswith("_s") or field in ("accuracy", "memory_bytes", "tokens_per_s_user")
}


def why_no_results(document: Document) -> str:
    """What a file is that looks like results, and what to give instead; empty for any other file."""
    rows = document.objects[:5]
    if rows and all(_vllm_throughput(row) for row in rows):
        return (
            "vLLM bench throughput, whose tokens_per_second counts prompt and output tokens together;"
            " time it with 'vllm bench serve'"
        )
    single = kind_of(document)
    if single is not None:
        return f"one training run ({single.title}), no results; give it or its folder to 'fit'"
    if rows and document.kind in ("csv", "jsonl") and _runs([str(key) for key in rows[0]]):
        return "a table of training runs, not of results; give it to 'fit' or the Laws panel"
    return ""


def _vllm_throughput(row: Mapping[str, Any]) -> bool:
    return {"elapsed_time", "num_requests", "total_num_tokens", "tokens_per_second"} <= set(row)


def _runs(header: list[str]) -> bool:
    """Whether columns hold losses by size and training tokens and nothing that only results have."""
    named = (read_name(column, RUN_FIELDS) for column in header)
    fields = {n.field for n in named if n} | {LETTERS[c] for c in header if c in LETTERS}
    if not (fields & LOSSES and fields & TRAINED_ON and fields & SIZES):
        return False
    return not any(read_name(column, OF_RESULTS) for column in header)


LETTERS = {"N": "params_total", "D": "tokens", "C": "flops", "L": "loss"}
