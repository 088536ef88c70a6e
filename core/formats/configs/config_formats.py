"""The formats of configurations: one module of this folder each, which holds its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.collect import collected
from core.document import read_text
from core.errors import Unusable
from core.files import json_object
from core.formats.configs.writing import ExportContext
from core.model.architecture import Architecture


@dataclass(frozen=True, slots=True)
class ConfigFormat:
    """A text that describes one shape: how it is recognised, read and written.

    `key` names it on the command line, `title` and `checked_against` tell people what it is and what
    it was checked against, `file` is its usual name. `recognises(text, values)` must be False for
    the texts of all other formats; `values` is the text's JSON object, empty where it holds none.
    `write` raises Unusable, with the reason, for a shape that the format cannot express, and what it
    gives `read` reads back to exactly that shape.
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
    """The shape in a file, with the format it is in; Unusable says what was looked for."""
    path = Path(path)
    text = read_text(path)
    values = json_object(text, str(path)) if text.lstrip().startswith("{") else {}
    row = next((row for row in config_formats() if row.recognises(text, values)), None)
    if row is None:
        titles = ", ".join(row.title for row in config_formats())
        raise Unusable(f"{path}: holds no model shape known here (looked for {titles})")
    try:
        return row.read(text), row
    except Unusable as error:
        raise Unusable(f"{path}: {error}") from error
