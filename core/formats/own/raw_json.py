"""Measurements as they were made, as JSON: every token's time in seconds, by phase, block and request.

Statistics are derived from these and never the other way round. One measurement per line, so that a
large file can be read line by line; the sweeps that ship with the program are such files. A machine's
name is left out, since such files are passed on; a number made from it tells machines apart.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.errors import Unusable
from core.files import json_object
from core.formats.own.own_formats import OwnFormat
from core.records.measurement import Measurement
from core.records.migrations import measurement_1_to_2
from core.records.serial import measurement_from_dict, measurement_to_dict

FORMAT = OwnFormat(
    key="raw",
    title="Raw measurements (JSON, every token's time)",
    file="measurements.json",
    checked_against="read back by this program",
    write=lambda content: write(content.measurements),
    kind="measurements",
)
SCHEMA_VERSION = 2
MACHINE = re.compile(r"machine-[0-9a-f]{8}")
# how measurements of an earlier version become those of today
OLDER: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = {1: measurement_1_to_2}


def write(measurements: Sequence[Measurement]) -> str:
    """The text of the file; `read` gives the same measurements, except their numbers in a project and
    the names of machines."""
    rows = (
        json.dumps(measurement_to_dict(unnamed(m)), allow_nan=False, separators=(",", ":"))
        for m in measurements
    )
    head = f'{{"schema_version":{SCHEMA_VERSION},"measurements":['
    return head + "\n" + ",\n".join(rows) + "\n]}\n"


def unnamed(m: Measurement) -> Measurement:
    """A measurement without the name of the machine, which often names its user."""
    environment = {k: v for k, v in m.environment.items() if k != "host"}
    if not m.device.host or MACHINE.fullmatch(m.device.host):
        return replace(m, environment=environment)
    digest = hashlib.sha256(m.device.host.encode(errors="replace")).hexdigest()[:8]
    device = replace(m.device, host=f"machine-{digest}")
    return replace(m, device=device, environment=environment)


def read(text: str, what: str) -> tuple[Measurement, ...]:
    """The measurements in such a file of this version or an earlier one. Raises Unusable, naming what
    is wrong, for any other text."""
    values = json_object(text, what)
    version = values.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise Unusable(f"{what} has schema_version {version!r}; this reads 1 to {SCHEMA_VERSION}")
    update = OLDER.get(version, dict)
    try:
        return tuple(measurement_from_dict(update(record)) for record in values["measurements"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) or type(error).__name__
        raise Unusable(f"{what} holds no measurements of this program ({reason})") from error
