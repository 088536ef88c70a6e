"""Files from outside, opened with care: every reader of this program comes through here.

Only plain files are opened, and none larger than its kind may be. What JSON and TOML hold is bounded in
depth and in the length of numbers, so that no reader meets a value that Python itself cannot handle.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from core.errors import Unusable
from core.machine import memory_bytes

# the most bytes of a file that is read whole; weights are not
MOST_DOCUMENT_BYTES = 2**30
BYTES_IN_MEMORY = 20  # that a byte of a table or of JSON takes once it is read
MOST_SETTINGS_BYTES = 64 * 2**20  # configurations, indexes of weights, spaces, notes beside a run
MOST_DEPTH = 100  # of lists and objects in each other
BRACKETS = re.compile(r"[\[\]{}]")
MOST_DIGITS = 300  # of a whole number; a float ends at 308
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
# kinds of binary files, by their first bytes, for the message that refuses them
BINARY = {b"PK": "a zip archive or spreadsheet", b"\x1f\x8b": "gzip", b"SQLi": "SQLite"}
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


# the functions of os.path also answer for names that no file can have, where those of Path raise


def is_there(path: Path | str) -> bool:
    """Whether something has this name; False too for a name that is too long or has a null in it."""
    return os.path.exists(path)  # noqa: PTH110


def is_folder(path: Path | str) -> bool:
    """Whether a folder has this name; False too for a name that is too long or has a null in it."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path | str) -> bool:
    """Whether a plain file has this name; False too for a name that is too long or has a null in it."""
    return os.path.isfile(path)  # noqa: PTH113


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """A plain file opened for reading, and its size in bytes. Never waits for a writer.

    Unusable, naming the file, where there is none, it is no plain file, or it cannot be read; this
    holds for what is read from it in the `with` block too.
    """
    try:
        # looked at before it is opened: opening some devices does something
        _check_plain(path, _mode(path))
        flags = os.O_RDONLY | sum(
            getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
        )
        with os.fdopen(os.open(path, flags), "rb") as stream:
            found = os.fstat(stream.fileno())
            _check_plain(path, found.st_mode)
            yield stream, found.st_size
    except FileNotFoundError:
        raise Unusable(f"{path}: there is no such file") from None
    except OSError as error:
        raise Unusable(f"{path}: cannot be read ({error.strerror or error})") from error
    except MemoryError:
        raise Unusable(f"{path}: there is not enough memory to read it") from None


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except ValueError:
        raise Unusable(f"{str(path)!r} is no name of a file") from None


def _check_plain(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((kind for is_kind, kind in KINDS if is_kind(mode)), "something else")
        raise Unusable(f"{path}: is {kind}, not a plain file")


def read_start(path: Path, count: int) -> bytes:
    """The first bytes of a plain file, fewer where it is shorter. Unusable as in `opened`."""
    with opened(path) as (stream, _):
        return stream.read(count)


def read_bytes(path: Path, most: int = MOST_DOCUMENT_BYTES) -> bytes:
    """The whole content of a plain file. Unusable as in `opened`, and for more than `most` bytes."""
    with opened(path) as (stream, size):
        if size > most:
            raise _too_large(path, size, most)
        # what grows meanwhile, or does not say how long it is, is read as far as is allowed
        parts = [stream.read(size + 1)]
        while parts[-1] and sum(map(len, parts)) <= most:
            parts.append(stream.read(2**20))
        if parts[-1]:
            raise _too_large(path, sum(map(len, parts)), most)
        return parts[0] if len(parts) == 2 else b"".join(parts)


def _too_large(path: Path, size: int, most: int) -> Unusable:
    return Unusable(f"{path}: {_size(size)} is too large for such a file (at most {_size(most)})")


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def most_document_bytes() -> int:
    """How large a table or a JSON file may be for this machine's memory to hold it."""
    return min(MOST_DOCUMENT_BYTES, memory_bytes() // BYTES_IN_MEMORY)


def read_text(path: Path, most: int = MOST_DOCUMENT_BYTES) -> str:
    """The text of a file: UTF-8 (with or without a byte order mark), or UTF-16 with one.

    Unusable, with the file and the reason, as in `read_bytes`, and where it is empty or binary; in
    another encoding, with the line too.
    """
    data = read_bytes(path, most)
    encoding = "utf-16" if data.startswith(UTF_16) else "utf-8-sig"
    if encoding == "utf-8-sig" and b"\0" in data:
        raise _binary(path, data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        name = encoding.upper().removesuffix("-SIG")
        raise Unusable(
            f"{path}: line {line} is not valid {name} (byte {data[error.start]:#04x});"
            " save the file as UTF-8"
        ) from None
    if "\0" in text:
        raise _binary(path, data)
    if not text.strip():
        raise Unusable(f"{path}: the file is empty")
    return text


def _binary(path: Path, data: bytes) -> Unusable:
    kind = next((f" ({kind})" for mark, kind in BINARY.items() if data.startswith(mark)), "")
    return Unusable(f"{path}: a binary file{kind}, not text; export it as CSV or JSON first")


# --- values


def json_value(text: str) -> Any:
    """The value of a JSON text, with bounded depth and numbers, and only text that can be written.

    ValueError, in one line, for anything else; json.JSONDecodeError, with the place, for no JSON.
    """
    try:
        value = json.loads(text, parse_int=_whole)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    return _checked(value, text)


def json_start(text: str) -> tuple[Any, int]:
    """The value of the JSON that a text begins with, and where that ends. ValueError as in `json_value`."""
    try:
        value, end = json.JSONDecoder(parse_int=_whole).raw_decode(text)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    return _checked(value, text), end


def _checked(value: Any, text: str) -> Any:
    check_nesting(value, len(text))
    if "\\ud" in text or "\\uD" in text:
        # half of a pair, which no file and no screen takes
        whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(whole, parse_int=_whole)
    return value


def check_brackets(text: str) -> None:
    """ValueError for brackets nested so deep that parsing them takes a time that is out of proportion."""
    depth = 0
    for mark in BRACKETS.finditer(text):
        depth += 1 if mark[0] in "[{" else -1
        if depth > 10 * MOST_DEPTH:
            raise ValueError(TOO_DEEP)


TOO_DEEP = f"lists or objects nested more than {MOST_DEPTH} deep"


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def check_nesting(value: Any, length: int) -> None:
    """ValueError for a value nested too deep, or with more parts than a text of this length can hold
    (references in YAML multiply what is written once)."""
    level, seen = [value], 0
    for _ in range(MOST_DEPTH + 1):
        level = [
            part
            for one in level
            if isinstance(one, (dict, list))
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return
        seen += len(level)
        if seen > length:
            raise ValueError("more in it than was written: references repeat each other")
    raise ValueError(TOO_DEEP)
