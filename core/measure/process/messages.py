"""Messages between the program and its measuring process: JSON behind a four-byte length."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import IO, Any

LARGEST = 1 << 30


def send(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write one message and flush it. NaN is refused: no number of ours may be one."""
    body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any] | None:
    """Read one message; None when the other side is gone. Raises ValueError for what is no message."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    if length > LARGEST:
        raise ValueError("the measuring process sent something that is not a message")
    body = stream.read(length)
    if len(body) < length:
        return None
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("the measuring process sent something that is not a message")
    return message
