"""Plug-ins of one kind: every module of a folder holds one row, and a new module is a new plug-in."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TypeVar

Row = TypeVar("Row")


def collected(folder: str, kind: type[Row], name: str = "FORMAT") -> tuple[Row, ...]:
    """The rows that the modules of a package hold under `name`, in the order of the modules' names.

    Modules without a row are skipped. TypeError names a module whose row is of another kind. All
    modules of the package are imported, so callers should keep the result.
    """
    rows = []
    for found in pkgutil.iter_modules(importlib.import_module(folder).__path__, f"{folder}."):
        row = getattr(importlib.import_module(found.name), name, None)
        if row is None:
            continue
        if not isinstance(row, kind):
            raise TypeError(f"{found.name}.{name} is a {type(row).__name__}, not a {kind.__name__}")
        rows.append(row)
    return tuple(rows)
