"""`info`: parameters, FLOPs, bytes and cache of one shape, by exact arithmetic."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.guarded import is_folder, is_there, read_start
from core.model.architecture import Architecture, shape_from_label
from core.model.workload import BYTES_PER_ELEMENT, Workload
from core.units import format_quantity, whole_number

HELP = "parameters, FLOPs, bytes and cache of a shape, a config file or a model folder"


def arguments(parser: argparse.ArgumentParser) -> None:
    """SHAPE and the workload."""
    parser.add_argument(
        "shape",
        metavar="SHAPE",
        help="LAYERSxWIDTH ('24x2048'), a model folder, a config.json, a .gguf file, or any model"
        " file this program writes",
    )
    parser.add_argument("--batch", default="1", help="sequences at once (1)")
    parser.add_argument("--prompt", default="128", help="prompt tokens (128)")
    parser.add_argument("--output", default="256", help="output tokens (256)")
    precisions = tuple(BYTES_PER_ELEMENT)
    parser.add_argument("--weights", default="bf16", choices=precisions, help="precision (bf16)")
    parser.add_argument("--cache", choices=precisions, help="precision of the cache (as weights)")
    parser.add_argument("--tokens", help="training tokens, e.g. 30B, for the training FLOPs")
    shape = parser.add_argument_group("changes to a shape given as LAYERSxWIDTH")
    shape.add_argument("--vocab", help="vocabulary (50432)")
    shape.add_argument("--heads", help="query heads")
    shape.add_argument("--kv-heads", help="key and value heads")
    shape.add_argument("--ffn", help="width of the FFN")
    shape.add_argument("--tied", action="store_true", help="output head shares the input embedding")


@dataclass(frozen=True, slots=True)
class _Found:
    """A shape with its source and what else the file stores."""

    architecture: Architecture
    source: str
    left_out: int = 0
    left_out_text: str = ""
    stored: Mapping[str, int] | None = None
    notes: tuple[str, ...] = ()


def run(options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The counts as text and as a JSON object."""
    found = _find(options)
    workload = Workload(*(_whole(options, name) for name in ("batch", "prompt", "output")))
    answer = counts(
        found.architecture,
        workload,
        options.weights,
        options.cache or options.weights,
        _tokens(options.tokens),
    )
    answer["source"] = found.source
    answer["params_left_out"] = found.left_out
    answer["stored"] = dict(found.stored) if found.stored else None
    answer["notes"] = list(found.notes)
    return _text(found, workload, answer), answer


def counts(
    a: Architecture,
    workload: Workload,
    weights: str = "bf16",
    cache: str = "bf16",
    train_tokens: float | None = None,
) -> dict[str, Any]:
    """Everything that follows from a shape and a workload by arithmetic, under stable names.

    FLOPs of prefill and of one decode step are for the whole batch; the step is the average one.
    """
    weight_size, cache_size = BYTES_PER_ELEMENT[weights], BYTES_PER_ELEMENT[cache]
    longest = workload.prompt_tokens + workload.output_tokens
    per_token = a.cache_bytes_per_token(cache_size)
    return {
        "architecture": asdict(a),
        "workload": asdict(workload),
        "weights": weights,
        "cache": cache,
        "params_total": a.params_total,
        "params_non_embedding": a.params_non_embedding,
        "params_embedding": a.params_embedding,
        "params_attention": a.n_layers * a.params_attention_per_layer,
        "params_ffn": a.n_layers * a.params_ffn_per_layer,
        "params_norm": a.params_norm,
        "params_read_per_step": a.params_read_per_step,
        "aspect_ratio": a.aspect_ratio,
        "ffn_to_attention": a.ffn_to_attention,
        "weight_bytes": a.weight_bytes(weight_size),
        "cache_bytes_per_token": per_token,
        "cache_bytes": per_token * longest * workload.batch,
        "prefill_flops": a.prefill_flops(workload.prompt_tokens, workload.batch),
        "decode_flops": a.decode_flops(workload.mean_context, workload.batch),
        "decode_bytes": a.decode_bytes(
            workload.mean_context, workload.batch, weight_size, cache_size
        ),
        "train_tokens": train_tokens,
        "train_flops": None if train_tokens is None else a.train_flops(train_tokens),
    }


def _find(options: argparse.Namespace) -> _Found:
    text = options.shape
    changes = [n for n in ("vocab", "heads", "kv_heads", "ffn") if getattr(options, n) is not None]
    path = Path(text).expanduser()
    if not is_there(path) and _looks_like_label(text):
        return _Found(_described(options), f"shape {text.lower()}")
    if changes or options.tied:
        flag = f"--{changes[0].replace('_', '-')}" if changes else "--tied"
        raise Unusable(f"{flag} changes a shape given as LAYERSxWIDTH, not one read from a file")
    if is_folder(path):
        return _folder(path)
    if not is_there(path):
        raise Unusable(
            f"'{text}' is neither a shape (write layers x width, e.g. 24x2048) nor an existing file"
        )
    if read_start(path, 4) == b"GGUF":
        from core.formats.configs.gguf import read_gguf, read_header

        stored = read_header(path).parameters
        return _Found(read_gguf(path), f"{path} (GGUF)", stored={"all types": stored})
    if path.suffix == ".safetensors" or path.name.endswith(".safetensors.index.json"):
        raise Unusable(f"{path}: weights alone do not say the shape; name their folder")
    return _file(path)


def _looks_like_label(text: str) -> bool:
    return bool(text) and set(text.lower()) <= set("0123456789x")


def _described(options: argparse.Namespace) -> Architecture:
    def size(name: str) -> int | None:
        return None if getattr(options, name) is None else _whole(options, name)

    try:
        shape = shape_from_label(options.shape, size("vocab") or 50432, size("heads"))
        changes: dict[str, Any] = {"tied_embeddings": options.tied}
        kv_heads, ffn = size("kv_heads"), size("ffn")
        if kv_heads:
            changes["n_kv_heads"] = kv_heads
        if ffn:
            changes["d_ff"] = ffn
        return replace(shape, **changes)
    except Unusable:
        raise
    except ValueError as error:
        raise Unusable(str(error)) from error


def _folder(path: Path) -> _Found:
    from core.formats.configs.hf import read_config
    from core.formats.configs.safetensors import read_stored

    reading = read_config(path)
    stored: dict[str, int] | None = None
    notes = reading.notes
    try:
        found = read_stored(path)
        stored = dict(found.numbers)
        notes += (
            f"{found.shards} weight file{'s' if found.shards > 1 else ''}, {found.tensors} tensors,"
            f" {format_quantity(found.stored_bytes, 'B')}",
        )
    except Unusable as error:
        notes += (f"weights not counted: {error}",)
    return _Found(
        reading.architecture,
        f"{path} ({reading.family})",
        reading.left_out,
        reading.left_out_text,
        stored,
        notes,
    )


def _file(path: Path) -> _Found:
    from core.formats.configs.config_formats import read_shape
    from core.formats.configs.hf import read_config

    shape, form = read_shape(path)
    if form.key != "hf":
        return _Found(shape, f"{path} ({form.title})")
    reading = read_config(path)
    return _Found(
        reading.architecture,
        f"{path} ({reading.family})",
        reading.left_out,
        reading.left_out_text,
        None,
        reading.notes,
    )


def _whole(options: argparse.Namespace, name: str) -> int:
    text = str(getattr(options, name))
    value = whole_number(text)
    if value is None:
        flag = name.replace("_", "-")
        raise Unusable(f"--{flag} must be a whole number of at least 1, not '{text}'")
    return value


def _tokens(text: str | None) -> float | None:
    if text is None:
        return None
    from core.units import parse_quantity

    value = parse_quantity(text, "count")
    if not 0 < value < 1e18:
        raise Unusable(f"--tokens must be above 0, not '{text}'")
    return value


def _text(found: _Found, workload: Workload, n: Mapping[str, Any]) -> str:
    a = found.architecture

    def count(value: float) -> str:
        return f"{value:>17,.0f}   {format_quantity(value, 'count')}"

    def size(value: float) -> str:
        return f"{value:>17,.0f}   {format_quantity(value, 'B')}"

    def flops(value: float) -> str:
        for prefix, factor in (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
            if value >= factor:
                return f"{value / factor:>17.2f}   {prefix}FLOP"
        return f"{value:>17,.0f}   FLOP"

    norm = "LayerNorm" if a.norm_bias else "RMSNorm"
    biases = [k for k, on in (("qkv", a.qkv_bias), ("out", a.out_bias), ("ffn", a.ffn_bias)) if on]
    kind = "MHA" if a.n_kv_heads == a.n_heads else "MQA" if a.n_kv_heads == 1 else "GQA"
    lines = [
        found.source,
        f"  {a.n_layers} layers, width {a.d_model:,}, {a.n_heads} heads of {a.d_head}"
        f" ({kind}, {a.n_kv_heads} for keys and values), vocabulary {a.vocab_size:,}",
        f"  {'gated' if a.gated_ffn else 'plain'} FFN of {a.d_ff:,}, {norm},"
        f" {'tied' if a.tied_embeddings else 'untied'} embeddings"
        f"{', biases on ' + ', '.join(biases) if biases else ''}"
        f"{', query and key norms' if a.qk_norm else ''}",
        "",
        "parameters",
        f"  total                     {count(n['params_total'])}",
        f"  without embeddings        {count(n['params_non_embedding'])}",
        f"    attention               {count(n['params_attention'])}",
        f"    FFN                     {count(n['params_ffn'])}",
        f"    norms                   {count(n['params_norm'])}",
        f"  embeddings                {count(n['params_embedding'])}",
        f"  read by a decode step     {count(n['params_read_per_step'])}",
    ]
    if found.left_out:
        lines.append(f"  beside them               {count(found.left_out)}   {found.left_out_text}")
    for precision, stored in (found.stored or {}).items():
        lines.append(f"  stored as {precision:<15} {count(stored)}")
    lines += [
        "",
        "shape",
        f"  width / depth             {n['aspect_ratio']:>17.2f}",
        f"  FFN / attention           {n['ffn_to_attention']:>17.2f}",
        "",
        f"bytes (weights {n['weights']}, cache {n['cache']})",
        f"  weights                   {size(n['weight_bytes'])}",
        f"  cache of a token          {size(n['cache_bytes_per_token'])}",
        f"  cache at the end          {size(n['cache_bytes'])}",
        "",
        workload.label,
        f"  prefill                   {flops(n['prefill_flops'])}",
        f"  average decode step       {flops(n['decode_flops'])}",
        f"  read by that step         {size(n['decode_bytes'])}",
    ]
    if n["train_flops"] is not None:
        lines += [
            "",
            f"training on {format_quantity(n['train_tokens'], 'count')} tokens",
            f"  6 N D                     {n['train_flops']:>17.3g} FLOP",
        ]
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join(lines)
