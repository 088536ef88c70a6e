"""One sweep at a time on a device of this machine: two would time each other."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import time
from pathlib import Path

from core.locking import FileLock
from core.records.progress import Notice, Progress, Steps

LOOK_S = 0.2


def free_device(name: str) -> Steps[FileLock]:
    """Steps: wait until no other program measures on 'cpu' or 'cuda:N'; the lock, to be released.

    A program does not wait for itself.
    """
    lock = FileLock(lock_file(name), f"measuring on {name}")
    told = False
    while not lock.take():
        holder = lock.holder()
        if holder is not None and holder.is_this_process:
            break
        who = holder.text if holder else "another program"
        text = f"waiting for {name}: {who} is measuring on it"
        if not told:
            yield Notice(f"{text}; stop this sweep to stop waiting")
            told = True
        yield Progress(0, 1, text)
        time.sleep(LOOK_S)
    return lock


def lock_file(name: str) -> Path:
    """The file that stands for a device, in the user's folder for what lasts as long as a session."""
    words = f"{platform.node()}-{_system_name(name)}"
    if sys.platform != "win32":
        words = f"{os.getuid()}-{words}"
    return _folder() / f"paretoscope-{re.sub(r'[^A-Za-z0-9-]', '-', words)[:120]}.lock"


def _system_name(name: str) -> str:
    """A GPU is numbered among those that a program is shown; its name for all programs."""
    kind, _, index = name.partition(":")
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if kind != "cuda":
        return name
    words = [word.strip() for word in shown.split(",")]
    number = int(index or 0)
    return f"cuda-{(words[number] if number < len(words) else '') or number}"


def _folder() -> Path:
    if sys.platform == "win32":
        places = [os.environ.get("LOCALAPPDATA", "")]
    else:
        places = [os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"]
    for place in places:
        if place and Path(place).is_dir() and os.access(place, os.W_OK):
            return Path(place)
    try:
        cache = Path.home() / ".cache" / "paretoscope"
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return cache
    except (OSError, RuntimeError):
        pass
    # others write there too, under names of their own
    return Path(tempfile.gettempdir())
