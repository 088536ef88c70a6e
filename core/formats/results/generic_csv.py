"""Any table with named columns: each column is matched to a metric and a unit, or ignored.

`guess_columns` proposes the matching that a column mapper shows; `read` applies it or another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.document import Document
from core.errors import Unusable
from core.formats.results.imported import UNITS, keep, need, served, si_factor, single, workload
from core.formats.results.readers import ResultFormat
from core.records.imported import Estimate, ImportedPoint

# what a column may be besides a metric
ROLES = ("name", "batch", "prompt_tokens", "output_tokens", "device", "weights")
_WORDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "model", "model_name", "model_id", "id", "config"),
    "batch": ("batch", "batch_size", "concurrency", "max_concurrency", "bs", "num_users"),
    "prompt_tokens": ("prompt_tokens", "input_tokens", "prompt", "isl", "input_len", "prompt_len"),
    "output_tokens": ("output_tokens", "osl", "output_len", "new_tokens", "max_new_tokens"),
    "device": ("device", "gpu", "hardware", "system", "hw"),
    "weights": ("weights", "dtype", "precision"),
    "ttft_s": ("ttft", "time_to_first_token", "prefill_latency", "prefill_time"),
    "tpot_s": ("tpot", "time_per_output_token", "per_token_latency"),
    "itl_s": ("itl", "inter_token_latency"),
    "e2e_s": ("e2e", "e2el", "latency", "e2e_latency", "request_latency", "end_to_end_latency"),
    "tokens_per_s": ("tokens_per_s", "throughput", "output_throughput", "tokens_per_second", "tps"),
    "tokens_per_s_user": ("tokens_per_s_user", "interactivity"),
    "memory_bytes": ("memory", "peak_memory", "vram", "max_memory"),
    "energy_j_per_token": ("energy_per_token", "joules_per_token", "joules_per_output_token"),
    "loss": ("loss", "val_loss", "eval_loss", "test_loss"),
    "bits_per_byte": ("bits_per_byte", "bpb"),
    "accuracy": ("accuracy", "acc", "mean_accuracy", "score", "avg_accuracy"),
    "params_total": ("params", "params_total", "parameters", "n_params"),
}
_ENDINGS = ("seconds", "bytes", "ms", "us", "ns", "mib", "gib", "mb", "gb", "s", "j", "b")


@dataclass(frozen=True, slots=True)
class ColumnMeaning:
    """What a column holds: a role or a metric, and for a metric the unit of its numbers."""

    target: str
    unit: str = ""


def guess_columns(header: Sequence[str]) -> dict[str, ColumnMeaning]:
    """The columns whose names say what they hold; of two with the same meaning, the first."""
    found: dict[str, ColumnMeaning] = {}
    for column in header:
        meaning = _guess(column)
        if meaning is not None and meaning.target not in {m.target for m in found.values()}:
            found[column] = meaning
    return found


def _guess(column: str) -> ColumnMeaning | None:
    bracketed = re.fullmatch(r"(.*?)\s*[\[(]\s*(.+?)\s*[\])]", column.strip())
    text, unit = (bracketed[1], bracketed[2]) if bracketed else (column, "")
    word = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    word = re.sub(r"^(mean|median|avg|p50)_|_(mean|median|avg|p50)$", "", word)
    for target, words in _WORDS.items():
        for ending in ("", *_ENDINGS):
            if word != ending and word.removesuffix(f"_{ending}" if ending else "") in words:
                return _meaning(target, unit or (ending if word not in words else ""))
    return None


def _meaning(target: str, unit: str) -> ColumnMeaning | None:
    if target in ROLES:
        return ColumnMeaning(target)
    if not unit:
        # a time or a size without a unit is a guess nobody should make
        if UNITS[target] in ("s", "B", "J"):
            return None
        return ColumnMeaning(target, UNITS[target])
    try:
        si_factor(unit, target, "")
    except Unusable:
        return None
    return ColumnMeaning(target, unit)


def recognises(document: Document) -> bool:
    """True for a table in which at least one column is a metric with a known unit."""
    if document.kind not in ("csv", "jsonl") and not isinstance(document.value, list):
        return False
    rows = document.objects
    return bool(rows) and any(
        m.target not in ROLES for m in guess_columns([str(k) for k in rows[0]]).values()
    )


def read(
    document: Document, columns: Mapping[str, ColumnMeaning] | None = None
) -> tuple[ImportedPoint, ...]:
    """One point per row, under the given matching or the guessed one; unmatched columns are noted."""
    what = str(document.path)
    rows = document.objects
    header = [str(k) for k in rows[0]] if rows else []
    columns = guess_columns(header) if columns is None else columns
    unknown = [c for c in columns if c not in header]
    if unknown:
        raise Unusable(f"{what}: there is no column '{unknown[0]}' (found {', '.join(header)})")
    factors: dict[str, tuple[str, float]] = {}
    for column, meaning in columns.items():
        if meaning.target in ROLES:
            continue
        if meaning.target.partition(":")[0] not in UNITS:
            known = ", ".join((*ROLES, *UNITS))
            raise Unusable(f"{what}: '{meaning.target}' is not a metric (known: {known})")
        factor = (
            si_factor(meaning.unit, meaning.target, f"{what}: column '{column}'")
            if (meaning.unit != UNITS[meaning.target.partition(":")[0]])
            else 1.0
        )
        factors[column] = (meaning.target, factor)
    passed = [c for c in header if c not in columns]
    notes = (*document.notes, f"columns ignored: {', '.join(passed)}") if passed else document.notes
    roles = {m.target: c for c, m in columns.items() if m.target in ROLES}
    points = []
    for index, row in enumerate(rows, 1):
        cells: dict[str, Any] = {role: row.get(column) for role, column in roles.items()}
        metrics: dict[str, Estimate | None] = {
            target: single(row.get(column), target, factor)
            for column, (target, factor) in factors.items()
        }
        points.append(
            ImportedPoint(
                str(cells.get("name") or f"row {index}"),
                workload(
                    cells.get("batch"), cells.get("prompt_tokens"), cells.get("output_tokens")
                ),
                served(cells.get("weights")),
                str(cells.get("device") or ""),
                keep(metrics),
                what,
                "table",
                "",
                notes,
            )
        )
    return need(points, what, "numbers above 0 in the columns " + ", ".join(factors))


FORMAT = ResultFormat(
    title="any table",
    file="*.csv, *.jsonl",
    checked_against="column names with units",
    looked_for="columns such as 'ttft_ms', 'tpot_s', 'latency (ms)', 'accuracy' (any table)",
    recognises=recognises,
    read=read,
    general=True,
)
