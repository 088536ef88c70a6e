"""JSON as text and back, and files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import Unusable
from core.guarded import is_folder, is_there, json_value


def json_object(text: str, what: str) -> dict[str, Any]:
    """The JSON object in a text; Unusable gives the place of the error."""
    try:
        value = json_value(text)
    except json.JSONDecodeError as error:
        raise Unusable(f"{what}: not complete JSON ({error})") from error
    except ValueError as error:
        raise Unusable(f"{what}: not JSON that can be read ({error})") from error
    if not isinstance(value, dict):
        raise Unusable(f"{what}: expected one JSON object, found {type(value).__name__}")
    return value


def key_of(values: Mapping[str, Any], key: str, what: str) -> Any:
    """values[key]; Unusable names the key that is missing."""
    if key not in values:
        raise Unusable(f"{what}: key '{key}' is missing")
    return values[key]


def plain(value: Any) -> Any:
    """The same value with numpy scalars and arrays made plain, and None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str | bytes):
        return value if isinstance(value, str) else value.decode(errors="replace")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any) -> str:
    """Indented JSON without NaN, ending in a line break."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def check_target(path: Path, force: bool = False) -> None:
    """Unusable when `path` cannot be written: it exists (without force), is a folder, has no parent."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        # a name that is too long, say; better now than after the work
        reason = getattr(error, "strerror", None) or error
        raise Unusable(f"{path}: cannot be written ({reason})") from None
    if is_folder(path):
        raise Unusable(f"{path} is a folder; name a file in it")
    if is_there(path) and not force:
        raise Unusable(f"{path} exists already; choose another name or pass --force")
    if not is_folder(path.parent):
        raise Unusable(f"{path.parent}: there is no such folder; create it first")


def write_atomically(path: Path, data: str | bytes, force: bool = False) -> None:
    """Write the whole file or nothing: a temporary file beside it, synced, then renamed over it.

    Raises Unusable when the file exists (without force), or its folder is missing or not writable.
    """
    path = Path(path)
    check_target(path, force)
    content = data.encode() if isinstance(data, str) else data
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; an export is as readable as any new file
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise Unusable(f"{path}: cannot be written ({error.strerror or error})") from error
