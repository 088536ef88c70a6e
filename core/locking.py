"""Locks between programs: a file that the system unlocks when its holder ends, however that ends."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Windows locks bytes, and nobody may read those: one far behind the text
LOCKED_BYTE = 1 << 20
# a link or a pipe that somebody laid there is not followed, and not waited for
PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a lock: the process, its machine, and in words what it does."""

    pid: int
    host: str
    what: str

    @property
    def is_this_process(self) -> bool:
        """Whether it is the one that asks."""
        return self.pid == os.getpid() and self.host == platform.node()

    @property
    def text(self) -> str:
        """E.g. 'process 812 on tower'."""
        return f"process {self.pid} on {self.host}"


class FileLock:
    """One lock, had by at most one process at a time; `release` it, or end.

    Where the place cannot be written or locked nobody has it, and whoever asks may go on.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether one may go on: it is ours now, or no lock can be had here. False while another has it."""
        while self._handle is None:
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT | PLAIN, 0o644)
            except OSError:
                return True
            try:
                _lock(handle)
            except BlockingIOError:
                os.close(handle)
                return False
            except OSError:
                os.close(handle)
                return True
            if not _is_at(handle, self.path):
                # its holder took the file away between our opening and locking it
                os.close(handle)
                continue
            told = {"pid": os.getpid(), "host": platform.node(), "what": self._what}
            with contextlib.suppress(OSError):
                os.ftruncate(handle, 0)
                os.write(handle, json.dumps(told).encode())
            self._handle = handle
        return True

    def holder(self) -> Holder | None:
        """Who has it, as far as the file tells."""
        for _ in range(5):
            try:
                handle = os.open(self.path, os.O_RDONLY | PLAIN)
                try:
                    found = json.loads(os.read(handle, 4096))
                finally:
                    os.close(handle)
                return Holder(int(found["pid"]), str(found["host"]), str(found["what"]))
            except (OSError, ValueError, KeyError, TypeError):
                # it is being written, or is another program's
                time.sleep(0.02)
        return None

    def release(self) -> None:
        """Give it up; safe to call again."""
        if self._handle is None:
            return
        handle, self._handle = self._handle, None
        if sys.platform != "win32":
            # before it is unlocked, else it could be the next holder's
            with contextlib.suppress(OSError):
                self.path.unlink()
        os.close(handle)
        if sys.platform == "win32":
            with contextlib.suppress(OSError):
                self.path.unlink()


def _lock(handle: int) -> None:
    """Lock an open file. Raises BlockingIOError when another has it, OSError where that is not done."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(str(error)) from error
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(handle: int, path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    mine = os.fstat(handle)
    return (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino)
