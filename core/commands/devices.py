"""The devices that a command measures on."""

from __future__ import annotations

import argparse

from core.errors import Unusable
from core.records.measurement import Device


def find_device(options: argparse.Namespace) -> Device:
    """The device named by `--device`. Raises Unusable, naming those there are."""
    found = chosen_devices(options)
    if len(found) > 1:
        raise Unusable(f"name one device, not '{options.device}'")
    return found[0]


def chosen_devices(options: argparse.Namespace) -> tuple[Device, ...]:
    """The devices named by `--device`, each once. Raises Unusable, naming those there are."""
    from core.measure.process.session import device_name, find_devices

    every = find_devices(options.python)
    if options.device == "cuda:all":
        wanted = [device_name(d) for d in every if d.kind == "cuda"] or ["cuda"]
    else:
        words = [word.strip() for word in options.device.split(",")]
        wanted = ["cuda:0" if word == "cuda" else word for word in words]
    known = {device_name(device): device for device in every}
    for name in wanted:
        if name not in known:
            names = ", ".join(known)
            raise Unusable(f"torch sees no device '{name}' here; it sees {names}")
    if "cpu" in wanted and len(set(wanted)) > 1:
        raise Unusable("measure the cpu by itself: what drives a GPU would be timed with it")
    return tuple(known[name] for name in dict.fromkeys(wanted))
