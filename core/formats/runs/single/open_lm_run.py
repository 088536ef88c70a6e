"""open_lm's JSON of one run: its size and tokens, and its losses on several texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.document import Document
from core.formats.runs.single.run_files import OneRun, RunFile

SHAPE = re.compile(r"d=(\d+)_l=(\d+)_h=(\d+)")
RENAMED = {
    "params": "params_total",
    "params_no_embed": "params_non_embedding",
    "global_bs": "batch",
}
# the text of the published fits of such runs
CHOSEN = "c4_val"


def recognises(document: Document) -> bool:
    """True for an object with settings, a count of tokens among them, and results with losses."""
    value = document.object
    settings, results = value.get("hyperparameters"), value.get("results")
    return (
        isinstance(settings, Mapping)
        and "tokens" in settings
        and isinstance(results, list)
        and any(isinstance(r, Mapping) and "loss" in r for r in results)
    )


def read(document: Document) -> OneRun:
    """The loss on C4 where there is one, else on the first text; every other is kept under its text."""
    value = document.object
    settings = value["hyperparameters"]
    row: dict[str, Any] = {"name": value.get("name") or document.path.stem}
    if value.get("dataset_name"):
        row["dataset"] = value["dataset_name"]
    for key, cell in settings.items():
        if not isinstance(cell, list | Mapping):
            row[RENAMED.get(key, key)] = cell
    shape = SHAPE.search(str(settings.get("model", "")))
    if shape:
        row |= dict(zip(("d_model", "n_layers", "n_heads"), map(int, shape.groups()), strict=True))
    losses: dict[str, Any] = {}
    for result in value["results"]:
        if isinstance(result, Mapping) and "loss" in result:
            losses.setdefault(_text(result), result["loss"])
    chosen = CHOSEN if CHOSEN in losses else next(iter(losses))
    row["val_loss"] = losses.pop(chosen)
    row |= {f"loss on {text}": loss for text, loss in losses.items()}
    return OneRun(row, (f"the loss is that on {chosen}",))


def _text(result: Mapping[str, Any]) -> str:
    """The text of a loss: the folder of its files."""
    files = result.get("val_data")
    first = str(files[0]) if isinstance(files, list) and files else ""
    parts = first.split("/")
    return parts[-2] if len(parts) > 1 else first or "a text without a name"


FORMAT = RunFile(
    title="open_lm",
    file="*.json",
    checked_against="documented keys, files by hand",
    suffix=".json",
    recognises=recognises,
    read=read,
)
