"""`trainer_state.json` of the transformers Trainer: the last evaluation of a run, its tokens and FLOPs.

Its total_flos is 6 x tokens x parameters without the input embedding, so that of tokens, FLOPs and size
two give the third.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.errors import Unusable
from core.formats.configs.hf import architecture_from_config
from core.formats.runs.single.run_files import OneRun, RunFile, run_name
from core.guarded import MOST_SETTINGS_BYTES, json_value, read_text
from core.model.architecture import Architecture
from core.units import plain_number

TOKENS = ("num_input_tokens_seen", "num_tokens")


def recognises(document: Document) -> bool:
    """True for an object with a history of logs and a step."""
    value = document.object
    return isinstance(value.get("log_history"), list) and "global_step" in value


def read(document: Document) -> OneRun:
    """The last evaluation's loss, else the last logged one; tokens as counted, else from the FLOPs and the
    shape in the config.json beside it."""
    value = document.object
    logs = [entry for entry in value["log_history"] if isinstance(entry, Mapping)]
    row: dict[str, Any] = {"name": run_name(document.path, "trainer_state")}
    notes = []
    for column, key in (("eval_loss", "eval_loss"), ("train_loss", "loss")):
        found = [loss for entry in logs if (loss := _positive(entry.get(key))) is not None]
        if found:
            row[column] = found[-1]
            notes.append(f"the last {key} of {len(found)} is taken")
            break
    seen = [_positive(place.get(key)) for place in (value, *logs) for key in TOKENS]
    tokens = max((count for count in seen if count is not None), default=None)
    flops = _positive(value.get("total_flos"))
    shape = _shape_beside(document)
    if shape is not None:
        row |= {
            "params_total": shape.params_total,
            "params_non_embedding": shape.params_non_embedding,
            "n_layers": shape.n_layers,
            "d_model": shape.d_model,
        }
        notes.append("size and shape: from the config.json beside it")
        if tokens is None and flops is not None:
            tokens = flops / (6.0 * (shape.params_total - shape.vocab_size * shape.d_model))
            notes.append("tokens: total_flos / (6 parameters without the input embedding)")
    elif tokens is not None and flops is not None:
        row["params_non_embedding"] = round(flops / (6.0 * tokens))
        notes.append("params_non_embedding: total_flos / (6 tokens), an untied head counted in it")
    if tokens is not None:
        row["tokens"] = tokens
    row["steps"] = value.get("global_step")
    return OneRun(row, tuple(notes))


def _positive(cell: Any) -> float | None:
    found = plain_number(cell)
    return found if found is not None and 0 < found < float("inf") else None


def _shape_beside(document: Document) -> Architecture | None:
    config = document.path.with_name("config.json")
    if not config.is_file():
        return None
    try:
        value = json_value(read_text(config, MOST_SETTINGS_BYTES))
        return architecture_from_config(value) if isinstance(value, dict) else None
    except (Unusable, ValueError, RecursionError):
        return None


FORMAT = RunFile(
    title="transformers Trainer",
    file="trainer_state.json",
    checked_against="documented keys, files by hand",
    suffix=".json",
    recognises=recognises,
    read=read,
)
