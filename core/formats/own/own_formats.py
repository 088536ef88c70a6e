"""The formats of this program's own files: one module of this folder each, which holds its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from core.collect import collected
from core.formats.own.selection import Row
from core.formats.own.training_device import TrainingDevice
from core.records.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Content:
    """What is written: candidates with the sources of their numbers, or measurements.

    `training` is the device that training is planned on, where the user chose one.
    """

    rows: Sequence[Row] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingDevice | None = None
    measurements: Sequence[Measurement] = ()


@dataclass(frozen=True, slots=True)
class OwnFormat:
    """A file of candidates (`kind` 'selection') or of measurements as they were made ('measurements').

    `key` is its name on the command line and `file` its usual file name. `title` and `checked_against`
    are texts for people. `write` gives the file's text; it raises Unusable, with the reason, for what
    the format cannot hold. `sidecar` gives the text of the file beside it; None where the format holds
    everything itself.
    """

    key: str
    title: str
    file: str
    checked_against: str
    write: Callable[[Content], str]
    kind: str = "selection"
    sidecar: Callable[[Content], str] | None = None


@cache
def own_formats() -> tuple[OwnFormat, ...]:
    """Every format of this folder, by title."""
    rows = collected("core.formats.own", OwnFormat)
    return tuple(sorted(rows, key=lambda row: row.title.casefold()))
