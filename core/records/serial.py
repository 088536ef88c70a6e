"""Records as values JSON can hold, and back, driven by the fields and types of the dataclasses.

For the project file, the measuring process and exports. The measuring process may be a Python that has
only numpy and torch, so this needs no further library. Files may come from anyone, so a field that is
unknown, missing or of another type is refused by name.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from core.records.measurement import Measurement
from core.records.migrations import MOVED

T = TypeVar("T")
Reader = Callable[[Any, str], Any]

# types JSON holds by itself: what may stand for them, and their name in a message
LEAVES: Mapping[Any, tuple[frozenset[type], str]] = {
    str: (frozenset({str}), "a text"),
    bool: (frozenset({bool}), "true or false"),
    int: (frozenset({int}), "a whole number"),
    float: (frozenset({int, float}), "a number"),
}
PLAIN = frozenset({str, bool, int, float, type(None)})


def to_plain(value: Any) -> Any:
    """Dataclasses and mappings as dictionaries, sequences and arrays as lists, NaN in an array as None."""
    if type(value) in PLAIN:
        return value
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value) if f.init}
    if isinstance(value, Mapping):
        return {key: to_plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return [x if np.isfinite(x) else None for x in value.tolist()]
    if isinstance(value, tuple | list):
        # blocks of samples are long: they are copied in one go
        return list(value) if PLAIN.issuperset(map(type, value)) else [to_plain(x) for x in value]
    return value


def from_plain(kind: type[T], data: Any) -> T:
    """The record of `to_plain`; a missing field takes its default.

    Raises ValueError, with the path of the field, for one that is unknown, missing or of another type.
    """
    name = "".join(f" {c.lower()}" if c.isupper() else c for c in kind.__name__).strip()
    hint: Any = kind
    found: T = _reader(hint)(data, name)
    return found


def measurement_to_dict(measurement: Measurement) -> dict[str, Any]:
    """Everything but the row number, in values JSON can hold."""
    record: dict[str, Any] = to_plain(measurement)
    del record["id"]
    return record


def measurement_from_dict(data: Mapping[str, Any], row: int = 0) -> Measurement:
    """The measurement of `measurement_to_dict`. ValueError as in `from_plain`, and for a record of an
    earlier version, which would give other numbers."""
    found = from_plain(Measurement, data)
    if earlier := sorted(MOVED.intersection(found.environment)):
        raise ValueError(
            f"measurement.environment holds '{earlier[0]}', which belongs to its timing"
        )
    return replace(found, id=row)


@cache
def _reader(hint: Any) -> Reader:
    """The function that reads a value of this type."""
    if hint is Any:
        return lambda data, _where: data
    if hint in LEAVES:
        return _leaf_reader(hint)
    if is_dataclass(hint):
        return _record_reader(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is types.UnionType and len(parts) == 2 and parts[1] is type(None):
        inner = _reader(parts[0])
        return lambda data, where: None if data is None else inner(data, where)
    if origin is tuple:
        return _tuple_reader(parts)
    if origin is np.ndarray:
        return _array
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_reader(parts[1])
    raise TypeError(f"a record cannot hold {hint}")


def _leaf_reader(hint: Any) -> Reader:
    allowed, name = LEAVES[hint]

    def read(data: Any, where: str) -> Any:
        if type(data) not in allowed:
            raise ValueError(f"{where} must be {name}, not {data!r:.80}")
        return data

    return read


def _record_reader(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    # what a record works out for itself is no part of it
    given = [f for f in fields(kind) if f.init]
    readers = {f.name: _reader(hints[f.name]) for f in given}
    required = [f.name for f in given if f.default is MISSING and f.default_factory is MISSING]

    def read(data: Any, where: str) -> Any:
        if not isinstance(data, Mapping):
            raise ValueError(f"{where} must be an object with fields, not {data!r:.80}")
        for name in data:
            if name not in readers:
                raise ValueError(f"{where} has no field '{name}'")
        for name in required:
            if name not in data:
                raise ValueError(f"{where} lacks the field '{name}'")
        return kind(**{k: readers[k](v, f"{where}.{k}") for k, v in data.items()})

    return read


def _tuple_reader(parts: tuple[Any, ...]) -> Reader:
    any_length = parts[-1] is Ellipsis
    readers = [_reader(part) for part in parts if part is not Ellipsis]
    leaf = LEAVES[parts[0]][0] if any_length and parts[0] in LEAVES else None

    def read(data: Any, where: str) -> Any:
        if not isinstance(data, tuple | list):
            raise ValueError(f"{where} must be a list, not {data!r:.80}")
        if leaf is not None and leaf.issuperset(map(type, data)):
            return tuple(data)
        if any_length:
            return tuple(readers[0](each, f"{where}[{n}]") for n, each in enumerate(data))
        if len(data) != len(readers):
            raise ValueError(f"{where} must have {len(readers)} entries, not {len(data)}")
        pairs = zip(readers, data, strict=True)
        return tuple(one(each, f"{where}[{n}]") for n, (one, each) in enumerate(pairs))

    return read


def _mapping_reader(part: Any) -> Reader:
    reader = _reader(part)

    def read(data: Any, where: str) -> Any:
        if not isinstance(data, Mapping):
            raise ValueError(f"{where} must be an object, not {data!r:.80}")
        return {key: reader(each, f"{where}.{key}") for key, each in data.items()}

    return read


def _array(data: Any, where: str) -> Any:
    """A column of floats; None is read as NaN."""
    numbers = _tuple_reader((float | None, ...))(data, where)
    return np.array([np.nan if x is None else x for x in numbers], np.float64)
