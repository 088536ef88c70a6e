"""One window per user: a second start hands its file to the window that runs already, and ends.

The windows of one user, data folder and screen find each other by a local socket that only this user
may open. A window that does not answer in time counts as absent, so a start never hangs on another.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

PATIENCE_MS = 1500
LONGEST_MESSAGE = 64 * 1024
# a path beyond these, or in a longer part of one, no system opens
LONGEST_FILE, LONGEST_PART = 4096, 255
LONGEST_TOKEN = 1024
# starts that may be heard at once, and how long one may take to say what it wants
MOST_HEARD, SAY_WITHIN_MS = 16, 10_000
TAKEN = b"taken\n"
# a Unix socket's path is cut off at 104 bytes on macOS and 108 on Linux
LONGEST_PATH = 100
# what the desktop gives a started program so that a window may come to the front for it
TOKENS = ("XDG_ACTIVATION_TOKEN", "DESKTOP_STARTUP_ID")


def server_name(folder: Path) -> str:
    """The socket of this user's window with this data folder on this screen.

    A path in the user's own run-time folder, or the name of a pipe on Windows.
    """
    parts = [str(folder.absolute())]
    # a window on another screen (a remote login) must not swallow what is opened on this one
    parts += [os.environ.get(name, "") for name in ("DISPLAY", "WAYLAND_DISPLAY", "SESSIONNAME")]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    if sys.platform == "win32":
        user = os.environ.get("USERNAME", "")
        return f"paretoscope-{hashlib.sha256(user.encode()).hexdigest()[:8]}-{digest}"
    else:
        name = f"paretoscope-{os.getuid()}-{digest}"
        longest = LONGEST_PATH - len(name)
        for place in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir()):
            if place and Path(place).is_dir() and len(os.fsencode(place)) < longest:
                return str(Path(place) / name)
        return f"/tmp/{name}"


def hand_over(name: str, file: str | None) -> bool:
    """Give the file, or only the wish to be seen, to the running window; True when it took it.

    False when no window runs, or when the one that does gives no answer: then open one here.
    """
    if not _somebody_listens(name):
        return False
    from PySide6.QtNetwork import QLocalSocket

    if sys.platform == "win32":
        _let_others_come_to_front()
    client = QLocalSocket()
    client.connectToServer(name)
    if not client.waitForConnected(PATIENCE_MS):
        return False
    message = {
        "file": str(Path(file).absolute()) if file else "",
        "tokens": {key: os.environ[key] for key in TOKENS if os.environ.get(key)},
    }
    client.write(json.dumps(message).encode() + b"\n")
    while not client.canReadLine() and client.waitForReadyRead(PATIENCE_MS):
        pass
    answer = bytes(client.readLine().data())
    client.abort()
    return answer == TAKEN


def _somebody_listens(name: str) -> bool:
    """A look without Qt's network library, which the first window need not load to be painted."""
    if sys.platform == "win32":
        return True
    else:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            # in a folder that everybody may write, somebody else may have made it
            if Path(name).stat().st_uid != os.getuid():
                return False
            probe.settimeout(PATIENCE_MS / 1e3)
            probe.connect(name)
            return True
        return False


def _let_others_come_to_front() -> None:
    # windows lets a program come to the front only when the one in front allows it
    import ctypes

    with suppress(OSError, AttributeError):
        windll: Any = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
        windll.user32.AllowSetForegroundWindow(-1)


class Listener(QObject):
    """Receives what later starts of the program hand over."""

    asked = Signal(str)  # a file's path, or empty for the wish to be seen

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self._server: QLocalServer | None = None

    def listen(self) -> bool:
        """Begin to listen; False when another window listens already, which then goes on doing so."""
        from PySide6.QtNetwork import QLocalServer

        if sys.platform != "win32" and _somebody_listens(self.name):
            return False
        # left by a window that was killed
        QLocalServer.removeServer(self.name)
        server = QLocalServer(self)
        server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        if not server.listen(self.name):
            return False
        server.newConnection.connect(self.on_connection)
        self._server = server
        return True

    def close(self) -> None:
        """Stop listening, so that the next start finds no window."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @Slot()
    def on_connection(self) -> None:
        """Another start has come."""
        from PySide6.QtNetwork import QLocalSocket

        while self._server is not None and self._server.hasPendingConnections():
            client = self._server.nextPendingConnection()
            client.disconnected.connect(client.deleteLater)
            # whoever is heard is a child of the server until it has left
            if len(self._server.findChildren(QLocalSocket)) > MOST_HEARD:
                client.abort()
                continue
            client.setReadBufferSize(LONGEST_MESSAGE + 1)
            client.readyRead.connect(lambda client=client: self._read(client))
            # whoever connects and says nothing, or does not hang up, is hung up on
            patience = QTimer(client)
            patience.setSingleShot(True)
            patience.timeout.connect(lambda client=client: client.abort())
            patience.start(SAY_WITHIN_MS)
            # it may have written already
            self._read(client)

    def _read(self, client: QLocalSocket) -> None:
        if client.bytesAvailable() > LONGEST_MESSAGE:
            client.abort()
        if not client.canReadLine() or client.state() != client.LocalSocketState.ConnectedState:
            return
        words = read_message(bytes(client.readLine().data()))
        if words is None:
            client.abort()
            return
        # a start says one thing
        client.readyRead.disconnect()
        client.write(TAKEN)
        client.flush()
        file, tokens = words
        os.environ.update(tokens)
        # after this slot: opening the file may show a dialog, and the other start must not wait for it
        QTimer.singleShot(0, lambda: self.asked.emit(file))


def read_message(line: bytes) -> tuple[str, dict[str, str]] | None:
    """The file and the desktop's tokens of a message; None when it is not one of ours."""
    try:
        message: Any = json.loads(line)
        file, tokens = message["file"], message.get("tokens", {})
        if not _is_path(file):
            return None
        known = {key: tokens[key] for key in TOKENS if _is_token(tokens.get(key))}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return file, known


def _is_path(file: Any) -> bool:
    """Whether it is '' or what a file can be called; UnicodeEncodeError where it is no text at all."""
    if not isinstance(file, str) or "\0" in file:
        return False
    name = os.fsencode(file)
    parts = file.replace(os.sep, "/").split("/")
    return len(name) <= LONGEST_FILE and all(len(os.fsencode(p)) <= LONGEST_PART for p in parts)


def _is_token(value: Any) -> bool:
    """Whether it can be put into the environment."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST_TOKEN
