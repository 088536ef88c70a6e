"""Opening the demonstration project, which is an ordinary file in our own folder."""

from __future__ import annotations

from core.demo import open_demo
from core.project import Project
from gui.job import Job
from gui.settings import data_folder
from gui.store import Store


def open_demonstration(store: Store) -> Job:
    """Make the demonstration project where it is missing, and open it."""

    def get() -> Project:
        folder = data_folder()
        folder.mkdir(parents=True, exist_ok=True)
        return open_demo(folder)

    return store.load(get)
