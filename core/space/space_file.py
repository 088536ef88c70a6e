"""The TOML file that describes a space: its keys, their values, and the errors in it."""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import Unusable
from core.guarded import MOST_SETTINGS_BYTES, TOO_DEEP, check_nesting, read_text
from core.model.architecture import SWITCHES
from core.model.workload import Runtime
from core.space.space import CONSTRAINED, FIXED_SWITCHES, Space, Span, weights_cache
from core.units import parse_quantity

SCHEMA_VERSION = 1
MOST_COMBINATIONS = 2_000_000_000
MOST_PARAMETERS = 10**17  # counted in 64 bits, with room for what is multiplied by them
MOST_PER_LEVEL = 1000
LARGEST_SIZE = 10**12
MOST_THREADS = 2**16
KEYS: dict[str, tuple[str, ...]] = {
    "": ("schema_version", "name", "shape", "run", "train", "constraints", "measure"),
    "shape": (
        "n_layers",
        "d_model",
        "d_head",
        "n_heads",
        "kv_groups",
        "n_kv_heads",
        "ffn_ratio",
        "d_ff",
        "ffn_multiple",
        "vocab_size",
        *SWITCHES,
    ),
    "run": ("execution", "weights", "cache", "threads", "batch", "prompt_tokens", "output_tokens"),
    "train": ("tokens", "tokens_per_parameter"),
    "constraints": tuple(CONSTRAINED),
    "measure": ("levels", "shapes_per_level", "tolerance"),
}


def read_space(path: Path | str) -> Space:
    """The space described in a TOML file; Unusable names the wrong key and its allowed values."""
    path = Path(path)
    text = read_text(path, MOST_SETTINGS_BYTES)
    try:
        return parse_space(text)
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error


def parse_space(text: str) -> Space:
    """The space described in TOML text."""
    try:
        data = tomllib.loads(text.removeprefix("\N{BYTE ORDER MARK}"))
        check_nesting(data, len(text))
    except RecursionError:
        raise Unusable(f"not TOML that can be read: {TOO_DEEP}") from None
    except ValueError as error:
        # a number with too many digits is none of TOML's own errors
        raise Unusable(f"not valid TOML: {error}") from error
    version = data.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise Unusable(f"schema_version is {version!r}; this program reads {SCHEMA_VERSION}")
    for section in KEYS:
        table = data if not section else data.get(section, {})
        if not isinstance(table, dict):
            raise Unusable(f"[{section}] must be a table of keys")
        for key in table:
            if key not in KEYS[section]:
                where = f"[{section}] " if section else ""
                raise Unusable(
                    f"{where}'{key}' is not a key here (allowed: {', '.join(KEYS[section])})"
                )
    shape, run = data.get("shape", {}), data.get("run", {})
    axes = _shape_axes(shape) | _run_axes(run, data.get("train", {}))
    combinations = math.prod(len(values) for values in axes.values())
    if combinations > MOST_COMBINATIONS:
        raise Unusable(f"{combinations:.3g} combinations are too many; coarsen a range")
    _check_countable(axes)
    measure = data.get("measure", {})
    per_level = measure.get("shapes_per_level", 6)
    if type(per_level) is not int or not 1 <= per_level <= MOST_PER_LEVEL:
        raise Unusable(f"[measure] shapes_per_level must be between 1 and {MOST_PER_LEVEL}")
    tolerance = _number(measure.get("tolerance", 0.1), "[measure] tolerance", "")
    levels = _listed(measure.get("levels", []), "[measure] levels")
    sizes = tuple(_number(v, "[measure] levels", "count") for v in levels)
    if tolerance < 0 or any(size <= 0 for size in sizes):
        raise Unusable("[measure] levels and tolerance must be positive")
    space = Space(
        str(data.get("name", "space")),
        axes,
        {k: _span(k, v) for k, v in data.get("constraints", {}).items()},
        sizes,
        per_level,
        tolerance,
        text,
    )
    return space


def _check_countable(axes: Mapping[str, tuple[Any, ...]]) -> None:
    """Unusable where the largest shape has more parameters than 64 bits can count with."""
    depth, width, vocabulary = (max(axes[n]) for n in ("n_layers", "d_model", "vocab_size"))
    widest = max(v * (width if kind == "ffn_ratio" else 1) for kind, v in axes["ffn"])
    ffn = widest + max(axes["ffn_multiple"])
    largest = depth * width * (4 * width + 3 * ffn + 10) + 2 * vocabulary * width
    if largest > MOST_PARAMETERS:
        raise Unusable(
            f"[shape] describes models of up to {largest:.1e} parameters; at most"
            f" {MOST_PARAMETERS:.0e} can be counted"
        )


def _shape_axes(shape: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    for key in ("n_layers", "d_model"):
        if key not in shape:
            raise Unusable(f"[shape] {key} is missing; give a number, a list or {{from, to, step}}")
    axes: dict[str, tuple[Any, ...]] = {
        "n_layers": _whole(shape["n_layers"], "[shape] n_layers"),
        "d_model": _whole(shape["d_model"], "[shape] d_model"),
        "heads": _either(shape, "d_head", "n_heads", 64),
        "kv": _either(shape, "kv_groups", "n_kv_heads", 1),
        "ffn": _either(shape, "ffn_ratio", "d_ff", 8 / 3),
        "ffn_multiple": _whole(shape.get("ffn_multiple", 256), "[shape] ffn_multiple"),
        "vocab_size": _whole(shape.get("vocab_size", 50432), "[shape] vocab_size"),
        "tied": _switch(shape, "tied_embeddings", False),
    }
    for name in FIXED_SWITCHES:
        axes[name] = _switch(shape, name, name == "gated_ffn")[:1]
    return axes


def _run_axes(run: Mapping[str, Any], train: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    axes: dict[str, tuple[Any, ...]] = {
        "execution": tuple(_listed(run.get("execution", "eager"), "[run] execution")),
        "weights": tuple(_listed(run.get("weights", "fp32"), "[run] weights")),
        "cache": tuple(_listed(run.get("cache", "same"), "[run] cache")),
        "threads": tuple(_listed(run.get("threads", 0), "[run] threads")),
        "batch": _whole(run.get("batch", 1), "[run] batch"),
        "prompt_tokens": _whole(run.get("prompt_tokens", 128), "[run] prompt_tokens"),
        "output_tokens": _whole(run.get("output_tokens", 256), "[run] output_tokens"),
        "tokens": _either(train, "tokens_per_parameter", "tokens", 20, section="train"),
    }
    empty = [name for name, values in axes.items() if not values]
    if empty:
        raise Unusable(f"[run] {empty[0]} is an empty list")
    for execution, weights, cache in itertools.product(
        axes["execution"], axes["weights"], axes["cache"]
    ):
        try:
            Runtime(execution, weights, weights_cache(weights, cache))
        except ValueError as error:
            raise Unusable(f"[run] {error}") from error
    if not axes["threads"] or not all(
        type(t) is int and 0 <= t <= MOST_THREADS for t in axes["threads"]
    ):
        raise Unusable("[run] threads must be whole numbers; 0 means the device's default")
    return axes


def _either(
    table: Mapping[str, Any], first: str, second: str, default: float, section: str = "shape"
) -> tuple[tuple[str, float], ...]:
    if first in table and second in table:
        raise Unusable(f"[{section}] give either {first} or {second}, not both")
    key = second if second in table else first
    values = _values(table.get(key, default), f"[{section}] {key}")
    if any(v <= 0 for v in values):
        raise Unusable(f"[{section}] {key} must be positive")
    if section == "shape" and max(values) > LARGEST_SIZE:
        raise Unusable(f"[{section}] {key} must be at most {LARGEST_SIZE:.0e}")
    return tuple((key, v) for v in values)


def _switch(table: Mapping[str, Any], key: str, default: bool) -> tuple[bool, ...]:
    values = _listed(table.get(key, default), f"[shape] {key}")
    if not values or not all(isinstance(v, bool) for v in values):
        raise Unusable(f"[shape] {key} must be true or false")
    return tuple(values)


def _listed(value: Any, where: str) -> list[Any]:
    """The different values of a list, or of one value."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(v, (list, dict)) for v in values):
        raise Unusable(f"{where} must be one value or a list of values, not of lists or tables")
    return list(dict.fromkeys(values))


def _whole(value: Any, where: str) -> tuple[int, ...]:
    numbers = _values(value, where)
    if any(not 1 <= v <= LARGEST_SIZE or v != int(v) for v in numbers):
        raise Unusable(f"{where} must be whole numbers from 1 to {LARGEST_SIZE:.0e}")
    return tuple(dict.fromkeys(int(v) for v in numbers))


def _values(value: Any, where: str) -> tuple[float, ...]:
    """A number, a list, {from, to, step} or {from, to, count} (evenly in log)."""
    if isinstance(value, dict):
        known = {"from", "to", "step", "count"}
        if not {"from", "to"} <= set(value) or set(value) - known or len(value) != 3:
            raise Unusable(f"{where}: a range is {{from, to, step}} or {{from, to, count}}")
        low, high = (_number(value[k], where, "count") for k in ("from", "to"))
        if not 0 < low <= high:
            raise Unusable(f"{where}: 'from' must be positive and at most 'to'")
        if "step" in value:
            step = _number(value["step"], where, "count")
            if step <= 0 or not (high - low) / step <= 1e6:
                raise Unusable(f"{where}: 'step' must be positive and not tiny")
            return tuple(low + step * i for i in range(int((high - low) / step + 1e-9) + 1))
        count = int(_number(value["count"], where, ""))
        if not 1 <= count <= 1_000_000:
            raise Unusable(f"{where}: 'count' must be between 1 and a million")
        return tuple(float(v) for v in np.geomspace(low, high, count).round(6))
    numbers = tuple(_number(v, where, "count") for v in _listed(value, where))
    if not numbers:
        raise Unusable(f"{where} is an empty list")
    return numbers


def _number(value: Any, where: str, unit: str) -> float:
    if isinstance(value, str):
        try:
            return parse_quantity(value, unit)
        except Unusable as error:
            raise Unusable(f"{where}: {error}") from error
    try:
        found = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        found = math.inf
    if isinstance(value, bool) or not math.isfinite(found):
        raise Unusable(f"{where} must be a number, not {value!r:.40}")
    return found


def _span(key: str, value: Any) -> Span:
    where = f"[constraints] {key}"
    if not isinstance(value, dict) or not value or set(value) - {"min", "max"}:
        raise Unusable(f"{where} must be {{min = ..., max = ...}} (either may be left out)")
    span = Span(
        *(
            _number(value[k], where, "count") if k in value else default
            for k, default in (("min", -math.inf), ("max", math.inf))
        )
    )
    if span.least > span.most:
        raise Unusable(f"{where}: min is larger than max")
    return span
