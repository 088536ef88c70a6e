"""One HTTP request and its answer within one deadline and one number of bytes.

`http.client` speaks HTTP, but its time limit starts anew with every byte: a server that drips a line,
its headers or endless `100 Continue` would be waited for without end. Here the socket under it knows
how much time and how many bytes are left for all of it.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from core.errors import Unusable
from core.measure.backends.endpoint import Address, Deadline, Endpoint

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_ANSWER_BYTES = 64 << 20


class TooLong(OSError):
    """The answer has more bytes than are read of one."""


@contextmanager
def exchange(
    endpoint: Endpoint,
    method: str,
    path: str,
    body: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float,
    most_bytes: int = MOST_ANSWER_BYTES,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[tuple[http.client.HTTPResponse, float]]:
    """The answer to one request, whatever its status, and when the request was sent (by `clock`).

    Everything together, from looking the host up to what is read within the `with` block, may take
    `timeout_s` and `most_bytes`. Raises Unusable where nothing answers, in time or at all, or where
    what answers speaks no HTTP; a TimeoutError that the block does not turn into words of its own is
    turned into one here.
    """
    address = endpoint.address()
    sent_with = endpoint.headers() | dict(headers or {})
    deadline = Deadline(timeout_s)
    wire: socket.socket | None = None
    try:
        connection = http.client.HTTPConnection(address.host, address.port)
        wire = _connected(address, endpoint.places(deadline), deadline)
        connection.sock = _Bounded(wire, deadline, most_bytes)
        sent = clock()
        connection.request(method, address.prefix + path, body, sent_with)
        yield connection.getresponse(), sent
    except Unusable:
        raise
    except TimeoutError:
        raise Unusable(f"{address.where} gave no answer within {timeout_s:g} s") from None
    except TooLong:
        raise Unusable(f"{address.where} sent an endless answer; it was cut off") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # http.client raises ValueError for lengths that are none
        reason = endpoint.quoted(str(error)) or type(error).__name__
        raise Unusable(
            f"{address.where} cannot be measured ({reason}); is the server running?"
        ) from error
    finally:
        if wire is not None:
            wire.close()


def _connected(
    address: Address, places: list[tuple[Any, ...]], deadline: Deadline
) -> socket.socket:
    failure: OSError | ValueError = OSError("it has no address")
    for family, kind, protocol, _, place in places:
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(deadline.left())
            plain.connect(place)
            # each write is a whole request: nothing is gained by waiting for more
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.scheme == "http":
                return plain
            plain.settimeout(deadline.left())
            return ssl.create_default_context().wrap_socket(plain, server_hostname=address.host)
        except (OSError, ValueError) as error:
            plain.close()
            failure = error
    raise failure


class _Bounded:
    """What http.client takes for its socket."""

    def __init__(self, wire: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        self._wire = wire
        self._deadline = deadline
        self._most_bytes = most_bytes

    def sendall(self, data: bytes) -> None:
        """Send all of it before the deadline."""
        self._wire.settimeout(self._deadline.left())
        self._wire.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What the answer is read from."""
        return io.BufferedReader(_Reader(self._wire, self._deadline, self._most_bytes))

    def close(self) -> None:
        """Leave the socket open: http.client lets go of it before the answer is read to its end."""


class _Reader(io.RawIOBase):
    """The bytes of an answer, as far as the deadline and the number of bytes allow."""

    def __init__(self, wire: socket.socket, deadline: Deadline, most_bytes: int) -> None:
        super().__init__()
        self._wire = wire
        self._deadline = deadline
        self._left_bytes = most_bytes

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read what is there; TimeoutError and TooLong at the ends of patience."""
        if self._left_bytes <= 0:
            raise TooLong
        self._wire.settimeout(self._deadline.left())
        read = self._wire.recv_into(memoryview(buffer)[: self._left_bytes])
        self._left_bytes -= read
        return read
