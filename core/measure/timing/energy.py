"""Energy: a pass of its own over the counters the hardware keeps; unknown, with the reason, without them.

NVML counts millijoules and updates about ten times a second, so a pass lasts at least five seconds.
On CPU the package counters of RAPL are read where the system lets anyone read them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.errors import Unsupported
from core.measure.timing.environment import nvml_handle
from core.model.workload import Workload
from core.records.measurement import Device

SHORTEST_S = 5.0
IDLE_S = 2.0
COOL_S = 15.0
COOL_KELVIN = 2.0
RAPL = Path("/sys/class/powercap")


class Counter:
    """Joules used by a device since some moment, as its hardware counts them."""

    def __init__(self, read: Callable[[], float], temperature: Callable[[], float | None]) -> None:
        self.joules = read
        self.temperature = temperature


def counter(device: Device) -> Counter:
    """The energy counter of a device. Raises Unsupported, with the reason, where none can be read."""
    found = _nvml_counter(device) if device.kind == "cuda" else rapl_counter()
    try:
        found.joules()
    except Exception as error:
        # unsupported (MIG, older boards) or forbidden
        raise Unsupported(f"the device's energy counter cannot be read ({error})") from error
    return found


def _nvml_counter(device: Device) -> Counter:
    access = nvml_handle(device.index)
    if access is None:
        raise Unsupported("the GPU is asked through NVML, which does not answer (nvidia-ml-py)")
    nvml, handle = access

    def temperature() -> float | None:
        try:
            return float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        except Exception:
            return None

    return Counter(lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, temperature)


def rapl_counter(root: Path = RAPL) -> Counter:
    """The sum of the package counters under a powercap folder, unwrapped. Raises Unsupported, with the
    reason, where they cannot be read."""
    packages = sorted(p for p in root.glob("intel-rapl:*") if p.name.count(":") == 1)
    state: dict[Path, tuple[int, int]] = {}
    try:
        for package in packages:
            state[package] = (_number(package / "energy_uj"), 0)
    except PermissionError as error:
        raise Unsupported(
            f"the system lets only root read the processor's energy counters ({error.filename})"
        ) from error
    except (OSError, ValueError) as error:
        raise Unsupported(f"the processor's energy counters cannot be read ({error})") from error
    if not state:
        raise Unsupported(f"the system has no energy counters of the processor in {root}")

    def read() -> float:
        total = 0
        for package, (last, sum_uj) in state.items():
            now = _number(package / "energy_uj")
            step = now - last
            if step < 0:
                # the counter wrapped around
                step += _number(package / "max_energy_range_uj")
            state[package] = (now, sum_uj + step)
            total += sum_uj + step
        return total / 1e6

    return Counter(read, lambda: None)


def _number(path: Path) -> int:
    return int(path.read_text())


def energy_pass(
    request: Callable[[], Any],
    workload: Workload,
    device: Device,
    at_least_s: float = SHORTEST_S,
    source: Counter | None = None,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, float]:
    """Run whole requests for at least five seconds and divide the counter by the tokens made.

    Returns 'joules_per_token' (prompts included, every token of every sequence counted), 'watts'
    while running, 'idle_watts' just before, 'seconds' and 'tokens'. Idle power is reported beside it and
    not taken off. Raises Unsupported, with the reason, where no counter can be read or it did not move.
    """
    source = source or counter(device)
    _cool(source, now, sleep)
    start, before = now(), source.joules()
    sleep(IDLE_S)
    idle = (source.joules() - before) / max(1e-9, now() - start)
    requests = 0
    start, before = now(), source.joules()
    while True:
        request()
        requests += 1
        seconds = now() - start
        if seconds >= max(SHORTEST_S, at_least_s):
            break
    joules = source.joules() - before
    if joules <= 0:
        raise Unsupported("the device's energy counter did not move while it worked")
    tokens = requests * workload.batch * workload.output_tokens
    found = {
        "joules_per_token": joules / tokens,
        "watts": joules / seconds,
        "seconds": seconds,
        "tokens": float(tokens),
    }
    if idle > 0:
        found["idle_watts"] = idle
    return found


def _cool(source: Counter, now: Callable[[], float], sleep: Callable[[float], None]) -> None:
    """Wait until the temperature stops falling, or fifteen seconds."""
    start, last = now(), source.temperature()
    while last is not None and now() - start < COOL_S:
        sleep(1.0)
        current = source.temperature()
        if current is None or last - current < COOL_KELVIN / 4:
            return
        last = current
