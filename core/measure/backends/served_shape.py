"""An endpoint on this machine as one measurement: which shape it serves, then its timing.

The shape comes from the config given, or from what the server reports: vLLM and SGLang name the folder
they loaded, llama.cpp its GGUF file, and `transformers serve` is asked for a model by its folder;
nothing is ever fetched.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.errors import Unusable
from core.formats.configs.gguf import read_gguf, read_header
from core.formats.configs.hf import read_config
from core.measure.backends.exchange import exchange
from core.measure.backends.served import Endpoint, measure_served
from core.model.architecture import Architecture
from core.model.workload import BYTES_PER_ELEMENT, SERVED, Runtime, Workload
from core.records.measurement import Device, Measurement
from core.records.progress import Steps

MOST_BYTES = 1 << 20
TIMEOUT_S = 10.0
# llama.cpp's `general.file_type` (enum llama_ftype) of files whose matrices share one plain type
FILE_TYPES = {0: "fp32", 1: "fp16", 32: "bf16"}
PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def served_shape(
    endpoint: Endpoint, config: Path | str | None = None, timeout_s: float = TIMEOUT_S
) -> tuple[Architecture, str]:
    """The shape that is served, and its weight precision ('' where it is unknown).

    `config` is a config.json, a folder with one, or a GGUF file; without it the server is asked which
    files on this machine it loaded, and a model that is named by its path is read there. Raises
    Unusable when nothing listens there, when it wants another key, when it serves other models only,
    and when neither gives the shape.
    """
    models = _get(endpoint, "/v1/models", timeout_s)
    rows = _items(models, "data")
    served = [row for row in rows if isinstance(row, dict) and row.get("id")]
    mine = [row for row in served if endpoint.model in (row["id"], *_items(row, "aliases"))]
    if config is not None:
        return _read(Path(config).expanduser())
    # transformers lists what it has in its cache, which a folder of the user's is not
    if served and not mine and not _is_model(Path(endpoint.model)):
        names = endpoint.quoted(", ".join(str(row["id"]) for row in served[:5]))
        raise Unusable(f"{endpoint.url} serves {names}, not '{endpoint.model}'")
    places = [str(row.get("root") or "") for row in mine]
    properties = _get(endpoint, f"/props?model={quote(endpoint.model)}", timeout_s)
    if isinstance(properties, dict):
        places.append(str(properties.get("model_path") or ""))
    for path in (Path(text) for text in (*places, endpoint.model) if text):
        if _is_model(path):
            return _read(path)
    raise Unusable(
        f"{endpoint.url} does not say which shape '{endpoint.model}' has; "
        "give its config.json (or GGUF file) with --config"
    )


def measure_endpoint(
    endpoint: Endpoint,
    workload: Workload,
    *,
    architecture: Architecture,
    precision: str,
    device: Device,
    store: Callable[[Measurement], Measurement],
    requests: int = 12,
    timeout_s: float = 120.0,
) -> Steps[Measurement]:
    """Steps: `measure_served`, then its result stored once, yielded and returned.

    Where the `precision` is unknown ('') the model counts as bf16, with a note in the result's message.
    """
    found = yield from measure_served(
        endpoint,
        workload,
        architecture,
        device,
        requests=requests,
        timeout_s=timeout_s,
        runtime=served_runtime(precision),
    )
    if precision not in BYTES_PER_ELEMENT:
        note = (
            f"its precision is unknown{f' ({precision})' if precision else ''}; it counts as bf16"
        )
        found = replace(found, message="; ".join(filter(None, (found.message, note))))
    found = store(found)
    yield found
    return found


def served_runtime(weights: str) -> Runtime:
    """The runtime of a served model; one of unknown precision counts as bf16."""
    known = weights if weights in BYTES_PER_ELEMENT else "bf16"
    # the cache of a model with 8-bit weights is kept in 16 bits unless the server was started otherwise
    return Runtime(SERVED, known, known if known in ("fp32", "fp16") else "bf16")


def _is_model(path: Path) -> bool:
    """True for a model's own place; a name on a hub is a relative path here, and leads nowhere."""
    try:
        files = path if path.suffix == ".gguf" else path / "config.json"
        return path.is_absolute() and files.is_file()
    except (OSError, ValueError):
        # a server may name anything: what is too long, what holds a null
        return False


def _items(value: Any, key: str) -> list[Any]:
    """The list under a key of what a server sent; empty where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _read(path: Path) -> tuple[Architecture, str]:
    if path.suffix == ".gguf":
        # mixed quantisation has no one name among ours
        kind = read_header(path).values.get("general.file_type")
        return read_gguf(path), FILE_TYPES.get(kind, "") if isinstance(kind, int) else ""
    reading = read_config(path)
    return reading.architecture, PRECISIONS.get(reading.dtype or "", reading.dtype or "")


def _get(endpoint: Endpoint, path: str, timeout_s: float) -> Any:
    """The JSON the server answers to a GET, None where it has no such page.

    Unusable when nobody is there, in time or at all, or the key is not the right one.
    """
    with exchange(endpoint, "GET", path, timeout_s=timeout_s, most_bytes=MOST_BYTES) as (
        response,
        _,
    ):
        status, body = response.status, response.read(MOST_BYTES)
    if status in (401, 403):
        held = "takes another key than the one given" if endpoint.key else "asks for a key"
        where = endpoint.address().where
        raise Unusable(f"{where} {held} (it answered {status} to {path})")
    try:
        return json.loads(body) if status == 200 else None
    except (ValueError, RecursionError):
        return None
