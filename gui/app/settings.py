"""What the window remembers between starts: one table of settings, one JSON file."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from PySide6.QtCore import QStandardPaths

# name -> (default, what it is for); the default's type is the setting's type
SETTINGS: dict[str, tuple[Any, str]] = {
    "theme": ("system", "light, dark or as the desktop"),
    "recent": ([], "project files opened lately, newest first"),
    "folder": ("", "where the last file was opened or saved"),
    "geometry": ("", "place and size of the window"),
    "splits": ({}, "how the window is divided"),
    "tab": ("front_table", "the panel in front at the bottom"),
    "python": ("", "a Python environment whose torch does the measuring; empty: our own"),
    "toured": (False, "whether the tour was seen or skipped"),
    "statistic": ("p50", "the statistic that tables of measurements show"),
}
MOST_RECENT = 10


class Settings:
    """Settings by name, with their defaults; a change is written at once.

    A file that cannot be read counts as empty, one that cannot be written is left: settings are a
    convenience and never stop work.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        self._written = True
        self._read()

    def __getitem__(self, name: str) -> Any:
        default = SETTINGS[name][0]
        value = self._values.get(name, default)
        return value if isinstance(value, type(default)) else default

    def __setitem__(self, name: str, value: Any) -> None:
        default = SETTINGS[name][0]
        if not isinstance(value, type(default)):
            raise TypeError(f"the setting '{name}' is a {type(default).__name__}, not {value!r}")
        if self[name] == value:
            return
        # names of a newer version are kept as they are, and so is what another window wrote
        self._read()
        self._values[name] = value
        self._write()

    def opened(self, path: str) -> None:
        """Put a project file first among the recent ones."""
        self._read()
        rest = [p for p in self["recent"] if p != path]
        self["recent"] = [path, *rest][:MOST_RECENT]
        self["folder"] = str(Path(path).parent)

    def _read(self) -> None:
        # what could not be written exists only here
        if self._path is None or not self._written:
            return
        with suppress(OSError, ValueError):
            stored = json.loads(self._path.read_text(encoding="utf-8"))
            self._values |= stored if isinstance(stored, dict) else {}

    def _write(self) -> None:
        if self._path is None:
            return
        self._written = False
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._path.with_suffix(f".{os.getpid()}.part")
            unfinished.write_text(json.dumps(self._values, indent=1), encoding="utf-8")
            unfinished.replace(self._path)
            self._written = True


def settings_path() -> Path:
    """The platform's place for settings; PARETOSCOPE_HOME puts everything into one folder."""
    home = os.environ.get("PARETOSCOPE_HOME")
    if home:
        return Path(home) / "settings.json"
    place = QStandardPaths.StandardLocation.AppConfigLocation
    return Path(QStandardPaths.writableLocation(place)) / "settings.json"


def data_folder() -> Path:
    """The platform's place for our own data (the demonstration project, crash reports)."""
    home = os.environ.get("PARETOSCOPE_HOME")
    if home:
        return Path(home)
    place = QStandardPaths.StandardLocation.AppDataLocation
    return Path(QStandardPaths.writableLocation(place))
