"""Every format that can be written: configurations of one shape, and this program's own files."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import Unusable
from core.formats.configs.config_formats import ConfigFormat, config_formats
from core.formats.configs.writing import ExportContext
from core.formats.own.own_formats import OwnFormat, own_formats
from core.model.architecture import Architecture

Format = ConfigFormat | OwnFormat


def formats() -> Mapping[str, Format]:
    """Each format by its key: first those of one shape (`kind` 'shape'), then those of a selection of
    candidates ('selection') and of raw measurements ('measurements')."""
    rows: tuple[Format, ...] = (*config_formats(), *own_formats())
    return {row.key: row for row in rows}


def format_of(key: str) -> Format:
    """The format of this key; Unusable lists all keys."""
    known = formats()
    if key not in known:
        raise Unusable(f"'{key}' is not a format (known: {', '.join(known)})")
    return known[key]


def write_shape(key: str, architecture: Architecture, context: ExportContext) -> str:
    """The text of one shape in a format; Unusable with the reason when it cannot be expressed."""
    row = format_of(key)
    if not isinstance(row, ConfigFormat):
        raise Unusable(f"'{key}' is a format of tables, not of one shape")
    return row.write(architecture, context)


def refusal(key: str, architecture: Architecture, context: ExportContext) -> str:
    """Why a format cannot express a shape in this context; empty when it can."""
    try:
        write_shape(key, architecture, context)
    except Unusable as error:
        return str(error)
    return ""
