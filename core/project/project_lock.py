"""A project that one program has open to write: a window, or a command that measures into it.

A file `.~lock.NAME` beside the project names who has it. Where none can be made (a read-only folder)
none is needed.
"""

from __future__ import annotations

import time
from pathlib import Path

from core.errors import Unusable
from core.locking import FileLock, Holder
from core.project.project import Project
from core.records.progress import Notice, Progress, Steps

WINDOW = "it is open in another window"
COMMAND = "a command measures into it"
LOOK_S = 0.2


def lock_path(path: Path) -> Path:
    """The lock beside a project."""
    return path.with_name(f".~lock.{path.name}")


def hold(project: Project) -> tuple[Project, FileLock | None]:
    """The project with the lock that keeps others out, or opened again read-only when another has it."""
    if project.read_only:
        return project, None
    lock = FileLock(lock_path(project.path.resolve()), WINDOW)
    if lock.take():
        return project, lock
    holder = lock.holder()
    if holder is not None and holder.is_this_process:
        return project, None
    path = project.path
    project.close()
    reading = Project.open(path, read_only=True)
    reading.because = _because(holder)
    return reading, None


def taken_to_measure(project: Project) -> Steps[FileLock]:
    """Steps: wait until no other command measures into the project; the lock, to be released.

    Raises Unusable for a project that is read-only, or that a window has open, which may be for days.
    """
    if project.read_only:
        raise Unusable(f"{project.path} is read-only; save a copy elsewhere to measure into it")
    lock = FileLock(lock_path(project.path.resolve()), COMMAND)
    told = False
    while not lock.take():
        holder = lock.holder()
        if holder is not None and holder.what == WINDOW:
            raise Unusable(
                f"{project.path} is open in a window ({holder.text}); close it there, or measure from it"
            )
        text = f"waiting for {project.path}: {_because(holder)}"
        if not told:
            yield Notice(f"{text}; Ctrl-C stops waiting")
            told = True
        yield Progress(0, 1, text)
        time.sleep(LOOK_S)
    return lock


def _because(holder: Holder | None) -> str:
    return f"{holder.what}: {holder.text}" if holder else "another program writes into it"
