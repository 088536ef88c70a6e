"""The formats of configurations: one module of this folder each, which holds its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.collect import collected
from core.errors import Unusable
from core.files import json_object
from core.formats.configs.writing import ExportContext
from core.guarded import MOST_SETTINGS_BYTES, read_text
from core.model.architecture import Architecture


@dataclass(frozen=True, slots=True)
class ConfigFormat:
    """A text that describes one shape: how it is recognised, read and written.

    `key` is its name on the command line and `file` its usual file name. `title` and `checked_against`
    are texts for people. `recognises(text, values)` must be False for the texts of all other formats;
    `values` is the text's JSON object, empty where there is none. `write` raises Unusable, with the
    reason, for a shape that the format cannot express. `read` gives exactly that shape back.
    """

    key: str
    title: str
    file: str
    checked_against: str
    recognises: Callable[[str, Mapping[str, Any]], bool]
    read: Callable[[str], Architecture]
    write: Callable[[Architecture, ExportContext], str]

    @property
    def kind(self) -> str:
        """'shape': what one such file describes."""
        return "shape"


@cache
def config_formats() -> tuple[ConfigFormat, ...]:
    """Every format of this folder, by title."""
    rows = collected("core.formats.configs", ConfigFormat)
    return tuple(sorted(rows, key=lambda row: row.title.casefold()))


def read_shape(path: Path | str) -> tuple[Architecture, ConfigFormat]:
    """The shape in a file, and the file's format; Unusable names what was looked for."""
    path = Path(path)
    text = read_text(path, MOST_SETTINGS_BYTES)
    values = json_object(text, str(path)) if text.lstrip().startswith("{") else {}
    row = next((row for row in config_formats() if row.recognises(text, values)), None)
    if row is None:
        titles = ", ".join(row.title for row in config_formats())
        raise Unusable(f"{path}: holds no known model shape (looked for {titles})")
    try:
        return row.read(text), row
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error
