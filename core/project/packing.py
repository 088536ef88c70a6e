"""A record as bytes in the project file: JSON, compressed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from core.errors import Unusable


def pack(record: Mapping[str, Any]) -> bytes:
    """The bytes of a record of plain values."""
    return zlib.compress(json.dumps(record, separators=(",", ":")).encode(), 3)


def unpack(blob: bytes) -> dict[str, Any]:
    """The record of `pack`. Raises Unusable for bytes that are none."""
    try:
        record: dict[str, Any] = json.loads(zlib.decompress(blob))
    except (zlib.error, ValueError) as error:
        raise Unusable(f"a stored record is damaged ({error})") from error
    return record
