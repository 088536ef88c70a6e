"""A command that measures into a project: alone, and telling what it stored when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.commands.following import followed
from core.commands.stopping import Stopped, number_of
from core.project.project import Project
from core.project.project_lock import taken_to_measure


@contextmanager
def measuring_into(project: Project) -> Iterator[None]:
    """Measure in here while no other command does; it is waited for, and that is said.

    Whoever is stopped in here says how many measurements were stored. Raises Unusable for a project that
    is read-only or open in a window.
    """
    lock = followed(taken_to_measure(project))
    before = project.count()
    try:
        yield
    except KeyboardInterrupt as stop:
        added = project.count() - before
        what = "1 measurement is" if added == 1 else f"{added or 'no'} measurements are"
        raise Stopped(number_of(stop), f"{what} stored in {project.path}") from stop
    finally:
        lock.release()
