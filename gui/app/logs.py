"""The log: a few small files in our own folder, for the user to read; nothing is sent anywhere.

It holds when the window started and on what system, every problem the window showed, Qt's warnings and
the reports of unexpected errors, even where the process itself died.
"""

from __future__ import annotations

import faulthandler
import logging
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

NAME = "paretoscope"
FILE = "paretoscope.log"
DIED = "died.txt"
LARGEST_BYTES = 512 * 1024
KEPT = 3
LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


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
        handler = RotatingFileHandler(
            folder / FILE, maxBytes=LARGEST_BYTES, backupCount=KEPT - 1, encoding="utf-8"
        )
        died = (folder / DIED).open("a", encoding="utf-8")
    except OSError:
        return None
    # a full disk must not bring a traceback for every line
    handler.handleError = lambda record: None  # type: ignore[method-assign]
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
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
            print(text, file=sys.stderr)
