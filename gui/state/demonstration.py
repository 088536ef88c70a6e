"""Opening the demonstration project, which is an ordinary file in our own folder."""

from __future__ import annotations

from core.errors import Unusable
from core.project.demo import demo_in_memory, open_demo
from core.project.project import Project
from gui.app.settings import data_folder
from gui.state.job import Job
from gui.state.store import Store


def open_demonstration(store: Store) -> Job:
    """Make the demonstration project where it is missing, and open it.

    Where its folder cannot be written or is full it is held in memory, read-only.
    """

    def get() -> Project:
        folder = data_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return open_demo(folder)
        except (OSError, Unusable) as failure:
            reason = failure.strerror if isinstance(failure, OSError) else str(failure)
            reading = demo_in_memory(folder)
            reading.because = f"it could not be written there: {reason}"
            return reading

    return store.load(get)
