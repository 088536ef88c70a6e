"""Where a model is served: its address, checked and resolved, and the key that is never shown."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import quote, urlsplit

from core.errors import Unusable
from core.harmless import visible

# what of a path is left as it was written; the rest is percent-encoded
PATH = "/%:@!$&'()*+,;=~"
LONGEST_QUOTED = 300


class Deadline:
    """An end for a whole exchange, however many waits it is made of."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, above 0 and of a size that a socket takes; TimeoutError when there are none."""
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return min(seconds, 1e6)


@dataclass(frozen=True, slots=True)
class Address:
    """An http(s) address taken apart; `prefix` is its path without '/v1' at the end."""

    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def where(self) -> str:
        """'host:port', for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model is served: base URL up to and without '/v1', and the model's name there."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    remote: bool = False  # a machine other than this one must be asked for in so many words

    def address(self) -> Address:
        """The URL's parts; Unusable for what is no URL or no name of a model, and for a URL that holds a
        secret."""
        if visible(self.model) != self.model:
            raise Unusable(f"'{visible(self.model)[:LONGEST_QUOTED]}' is no name of a model")
        try:
            parts = urlsplit(self.url if "//" in self.url else f"http://{self.url}")
            secret = "@" in parts.netloc or bool(parts.query or parts.fragment)
            host = (parts.hostname or "").encode("idna").decode() if parts.hostname else ""
            port = parts.port
        except ValueError:
            parts, host, port = urlsplit(""), "", 0
            secret = any(mark in self.url for mark in "@?#")
        if secret:
            # perhaps a password, so it is not repeated
            raise Unusable(
                "the address holds more than scheme, host, port and path; write e.g. "
                "http://127.0.0.1:8000, and give a key as a key"
            )
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        if parts.scheme not in ("http", "https") or not host or not port:
            shown = visible(self.url)[:LONGEST_QUOTED]
            raise Unusable(f"'{shown}' is not an address; write e.g. http://127.0.0.1:8000")
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        return Address(parts.scheme, host, port, quote(prefix, safe=PATH, errors="replace"))

    def places(self, deadline: Deadline) -> list[tuple[Any, ...]]:
        """What the host's name stands for, as rows of getaddrinfo.

        Unusable for another machine than this one, unless that is allowed; TimeoutError where no
        answer comes in time.
        """
        address = self.address()
        try:
            found = _looked_up(address, deadline)
        except OSError as error:
            if self.remote or isinstance(error, TimeoutError):
                raise
            found = []
        if not self.remote and not (found and all(_is_loopback(row[4][0]) for row in found)):
            raise Unusable(
                f"{address.host} is not this machine; the network between would be measured too. "
                "Only 127.0.0.1, ::1 and localhost are asked unless remote endpoints are allowed"
            )
        return found

    def headers(self) -> dict[str, str]:
        """The headers that show the key; Unusable, without it, for a key that no header can hold."""
        key = self.key.strip()
        if not key:
            return {}
        if not (key.isascii() and key.isprintable()):
            raise Unusable("the key holds a character that no key can (a line break, or no ASCII)")
        return {"Authorization": f"Bearer {key}"}

    def quoted(self, text: str) -> str:
        """A server's words for a message: in one line, cut, harmless, and without the key."""
        key = self.key.strip()
        if key:
            text = text.replace(key, "***")
        return visible(" ".join(text.split()))[:LONGEST_QUOTED]


def _looked_up(address: Address, deadline: Deadline) -> list[tuple[Any, ...]]:
    """The addresses of a host; the system's own lookup has no limit, so it is left behind at one."""
    answers: SimpleQueue[list[tuple[Any, ...]] | OSError] = SimpleQueue()

    def look() -> None:
        try:
            rows = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            answers.put(list(rows))
        except UnicodeError:
            answers.put(OSError(f"{address.host} is no name of a host"))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=look, daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
