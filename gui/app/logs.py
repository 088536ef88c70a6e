"""The log: a few small files in our own folder, for the user to read; nothing is sent anywhere.

It holds when the window started and on what system, every problem the window showed, Qt's warnings and
the reports of unexpected errors, even where the process itself died. Only the user may read it, and the
home folder, which names the user, is written as '~'.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import re
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Literal

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

from core.harmless import visible

NAME = "paretoscope"
FILE = "paretoscope.log"
DIED = "died.txt"
LARGEST_BYTES = 512 * 1024
KEPT = 3
PRIVATE = 0o600
LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


class _PrivateLog(RotatingFileHandler):
    """A log file that only the user may read."""

    def _open(self) -> TextIOWrapper:
        return open_private(Path(self.baseFilename), append=self.mode == "a")


class _Formatter(logging.Formatter):
    """Lines with time, process and level, and without the user's name."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines, of a record, harmless to whoever shows the file in a terminal."""
        return visible(without_home(super().format(record)), keep="\n\t")


def open_private(path: Path, append: bool = False) -> TextIOWrapper:
    """A text file for writing that only the user may read, also where it was there before."""
    mode: Literal["a", "w"] = "a" if append else "w"
    file = open(path, mode, encoding="utf-8", opener=_opened_private)  # noqa: SIM115
    with suppress(OSError):
        path.chmod(PRIVATE)
    return file


def _opened_private(name: str, flags: int) -> int:
    return os.open(name, flags, PRIVATE)


def without_home(text: str) -> str:
    """The text with the home folder as '~': its path names the user."""
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is none
    # of '/' or '' everything would be a part
    if len(home) <= 3:
        return text
    return re.sub(re.escape(home) + r"(?![\w.-])", "~", text)


def log_folder(data_folder: Path) -> Path:
    """Where the log files of our own folder are."""
    return data_folder / "logs"


def logger() -> logging.Logger:
    """The window's log; until `install` was called it goes nowhere."""
    found = logging.getLogger(NAME)
    found.propagate = False
    if not found.handlers:
        found.addHandler(logging.NullHandler())
    return found


def install(data_folder: Path) -> Path | None:
    """Write the log into this folder from now on; its file, or None where nothing can be written.

    A log is a convenience: what cannot be written is left out and never stops work.
    """
    folder = log_folder(data_folder)
    log = logger()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = _PrivateLog(
            folder / FILE, maxBytes=LARGEST_BYTES, backupCount=KEPT - 1, encoding="utf-8"
        )
        died = open_private(folder / DIED, append=True)
    except OSError:
        return None
    # a full disk must not bring a traceback for every line
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    handler.setFormatter(_Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    for old in list(log.handlers):
        log.removeHandler(old)
        old.close()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    _note_death(died)
    qInstallMessageHandler(_on_qt)
    log.info("started: %s", about_this_run())
    return folder / FILE


def about_this_run() -> str:
    """Version, system and Python in one line."""
    try:
        number = version("paretoscope")
    except PackageNotFoundError:
        number = "from source"
    frozen = "bundle" if getattr(sys, "frozen", False) else "source"
    return f"Paretoscope {number} ({frozen}), {platform.platform()}, Python {platform.python_version()}"


def _note_death(file: IO[str]) -> None:
    """A crash below Python leaves every thread's stack in this file."""
    with suppress(RuntimeError, ValueError, OSError):
        faulthandler.enable(file, all_threads=True)


def _on_qt(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    logger().log(LEVELS.get(kind, logging.WARNING), "Qt: %s", text)
    if sys.stderr is not None and kind not in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg):
        with suppress(OSError, ValueError):
            print(visible(text, keep="\n\t"), file=sys.stderr)
