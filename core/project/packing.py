"""Records as bytes in the project file: JSON, compressed. Whoever wrote them, they are data to be checked."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from core.errors import Unusable
from core.guarded import json_value
from core.machine import memory_bytes

T = TypeVar("T")
# of one record, before it is compressed; a megabyte of zlib may hold a gigabyte
MOST_RECORD_BYTES = 256 * 2**20
# of all records of a kind that are read at once, before they are compressed
MEMORY_SHARE = 1 / 8


def pack(record: Mapping[str, Any]) -> bytes:
    """The bytes of a record of plain values. Raises Unusable for one that `unpack` would refuse."""
    data = json.dumps(record, separators=(",", ":")).encode()
    if len(data) > MOST_RECORD_BYTES:
        raise Unusable(
            f"{len(data) / 2**20:.0f} MiB are too much for one record of a project (at most"
            f" {MOST_RECORD_BYTES / 2**20:.0f} MiB)"
        )
    return zlib.compress(data, 3)


def unpack(blob: object) -> dict[str, Any]:
    """The record of `pack`. Raises Unusable for anything that is none."""
    return _unpacked(blob)[0]


def _unpacked(blob: object) -> tuple[dict[str, Any], int]:
    """The record and how many bytes it took before it was compressed."""
    try:
        if not isinstance(blob, bytes):
            raise ValueError(f"it is {type(blob).__name__} and not bytes")
        inflate = zlib.decompressobj()
        data = inflate.decompress(blob, MOST_RECORD_BYTES)
        if inflate.unconsumed_tail:
            raise ValueError(f"it takes more than {MOST_RECORD_BYTES / 2**20:.0f} MiB")
        if not inflate.eof:
            raise ValueError("it is cut short")
        record = json_value(data.decode())
        if not isinstance(record, dict):
            raise ValueError(f"it is {type(record).__name__} and not an object")
    except (zlib.error, ValueError) as error:
        raise Unusable(f"a stored record is damaged ({error})") from error
    return record, len(data)


def sound_records(
    rows: Iterable[tuple[Any, object]], what: str, read: Callable[[dict[str, Any], Any], T]
) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """What can be read of the rows (key, bytes), and one line for each that cannot, by its key.

    `read` makes a value of a record and its key. Unusable where all of them together are more than
    this machine can hold.
    """
    found: list[T] = []
    unread: list[str] = []
    left = memory_bytes() * MEMORY_SHARE
    for key, blob in rows:
        try:
            record, size = _unpacked(blob)
            found.append(read(record, key))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            reason = str(error).removeprefix("a stored record is damaged ").strip("()")
            unread.append(f"{what} {key} is damaged and was left out ({reason or 'no reason'})")
            continue
        left -= size
        if left < 0:
            raise Unusable(f"the project's {what}s are more than this machine can hold")
    return tuple(found), tuple(unread)
