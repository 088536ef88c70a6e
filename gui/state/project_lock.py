"""A project that two windows have open: the second one only reads, so that neither undoes the other's work.

A file `.~lock.NAME` beside the project names the window that has it. One left by a window that was killed
on this machine counts for nothing; where none can be made (a read-only folder) none is needed.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from PySide6.QtCore import QLockFile

from core.project.project import Project


def lock_path(path: Path) -> Path:
    """The lock beside a project."""
    return path.with_name(f".~lock.{path.name}")


def hold(project: Project) -> tuple[Project, QLockFile | None]:
    """The project with the lock that keeps others out, or opened again read-only when another has it."""
    if project.read_only:
        return project, None
    lock = QLockFile(str(lock_path(project.path.resolve())))
    # never by age: a window may be open for days
    lock.setStaleLockTime(0)
    if lock.tryLock(0):
        return project, lock
    if lock.error() != QLockFile.LockError.LockFailedError:
        return project, None
    holder = holder_of(lock)
    if holder is None:
        return project, None
    path = project.path
    project.close()
    reading = Project.open(path, read_only=True)
    reading.because = f"it is open in another window: {holder}"
    return reading, None


def holder_of(lock: QLockFile) -> str | None:
    """The holder of a lock as text; None when that is this window itself."""
    pid, host, _ = lock.getLockInfo()
    if pid == os.getpid() and host == platform.node():
        return None
    return f"process {pid} on {host}, by {Path(lock.fileName()).name}"
