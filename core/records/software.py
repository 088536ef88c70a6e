"""The libraries that ran a measurement, by the versions its record names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# torch is recorded with every measurement; the others lie here in records of earlier versions
BESIDE = ("torch", "transformers", "onnxruntime")


def software_of(environment: Mapping[str, Any]) -> dict[str, str]:
    """Version by library: those of `BESIDE` that are recorded, and all that the backend listed under
    'software'."""
    found = {name: str(environment[name]) for name in BESIDE if environment.get(name)}
    listed = environment.get("software")
    if isinstance(listed, Mapping):
        found |= {str(name): str(version) for name, version in listed.items()}
    return found
