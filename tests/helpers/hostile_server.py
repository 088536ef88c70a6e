"""A server on loopback that does to each connection what it is told to, without any HTTP of its own."""

import contextlib
import json
import re
import socket
import threading
import time
from contextlib import contextmanager

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@contextmanager
def hostile(act):
    """Yields the address; `act(connection, request)` runs in a thread for each request read."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()
    threads = []

    def serve(connection):
        # whoever asked may hang up at any time
        with contextlib.suppress(OSError), connection:
            request = b""
            # to its end: a connection closed on something unread is reset, and what was sent is lost
            while not _whole(request):
                if not (more := connection.recv(65536)):
                    return
                request += more
            act(connection, request)

    def accept():
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
            threads[-1].start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *threads):
            thread.join(60)


def _whole(request):
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return end and len(body) >= (int(length[1]) if length else 0)


def dripping(connection, piece, pause_s=0.02):
    """Send a piece again and again until the other side hangs up."""
    while True:
        connection.sendall(piece)
        time.sleep(pause_s)


def answering(*events, head=HEAD):
    """An `act` that sends these events and ends."""

    def act(connection, _request):
        lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        connection.sendall(head + b"".join(b"data: " + line + b"\n\n" for line in lines))

    return act
