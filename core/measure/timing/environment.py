"""What the machine was like while measuring, and whether others used it meanwhile.

Clocks and power settings are read and never changed. psutil and nvidia-ml-py are optional: what
cannot be read is absent from the snapshot, and `missing` has the reason.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.records.measurement import Device

# others' share of the machine above which a timing is called disturbed
BUSY_CORES = 0.25
BUSY_SHARE = 0.10
CLOCK_FALL = 0.10
LOOK_S = 0.5
# NVML's throttle reasons that heat or power supply cause: HW slowdown, SW and HW thermal, power brake
THERMAL = 0x8 | 0x20 | 0x40 | 0x80


def snapshot(device: Device, threads: int) -> dict[str, Any]:
    """Environment of a measurement as plain JSON values."""
    import torch

    found: dict[str, Any] = {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "system": platform.platform(),
        "host": platform.node(),
        "threads": threads,
        "cpus": os.cpu_count() or 0,
    }
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if governor:
        found["governor"] = governor
    nodes = list(Path("/sys/devices/system/node").glob("node[0-9]*"))
    if nodes:
        found["numa_nodes"] = len(nodes)
    if hasattr(os, "getloadavg"):
        found["load_1min"] = round(os.getloadavg()[0], 2)
    missing = [name for name in ("psutil",) if not _has(name)]
    if device.kind == "cuda":
        found.update(_gpu(device, missing))
    if missing:
        found["missing"] = missing
    return found


def _has(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def nvml_handle(index: int) -> tuple[Any, Any] | None:
    """(pynvml, handle) of the CUDA device with that index, or None without NVML.

    Matched by UUID, since NVML counts devices that CUDA_VISIBLE_DEVICES hides.
    """
    try:
        import pynvml
        import torch

        pynvml.nvmlInit()
        uuid = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))
        for number in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(number)
            name = pynvml.nvmlDeviceGetUUID(handle)
            name = name.decode() if isinstance(name, bytes) else name
            if uuid and name.removeprefix("GPU-") == uuid.removeprefix("GPU-"):
                return pynvml, handle
        return pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)
    except Exception:
        # no library, no driver, no permission: all mean that nothing can be read
        return None


def _gpu(device: Device, missing: list[str]) -> dict[str, Any]:
    """Driver, power limit, clocks, temperature, other processes; empty values are left out."""
    import torch

    found: dict[str, Any] = {"cuda": str(torch.version.cuda)}
    access = nvml_handle(device.index)
    if access is None:
        missing.append("nvidia-ml-py")
        return found
    nvml, handle = access
    readings: dict[str, Callable[[], Any]] = {
        "driver": lambda: _text(nvml.nvmlSystemGetDriverVersion()),
        "gpu_uuid": lambda: _text(nvml.nvmlDeviceGetUUID(handle)),
        "power_limit_watts": lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        "power_watts": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        "sm_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
        "temperature_c": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "persistence": lambda: bool(nvml.nvmlDeviceGetPersistenceMode(handle)),
        "ecc": lambda: bool(nvml.nvmlDeviceGetEccMode(handle)[0]),
        "mig": lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0]),
        "throttle_reasons": lambda: int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        # one of them is this process, by whatever number the driver knows it in a container
        "other_gpu_processes": lambda: max(
            0, len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)) - 1
        ),
    }
    for name, read in readings.items():
        try:
            found[name] = read()
        except Exception:
            # each reading may be unsupported or forbidden on its own
            continue
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


class Watch:
    """Watches the machine from its creation to `done`: load by others, and the clock's fall.

    A GPU is looked at twice a second while it works, since it clocks down as soon as it rests; a
    CPU's clock is read at both ends.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._start = time.monotonic()
        self._before = busy_seconds()
        self._own = own_seconds()
        self._clocks = [mhz] if (mhz := clock_mhz(device)) else []
        self._reasons = 0
        self._over = threading.Event()
        self._looking: threading.Thread | None = None
        if device.kind == "cuda":
            self._looking = threading.Thread(target=self._look, daemon=True)
            self._looking.start()

    def _look(self) -> None:
        access = nvml_handle(self._device.index)
        if access is None:
            return
        nvml, handle = access
        self._clocks.clear()
        while not self._over.wait(LOOK_S):
            try:
                self._clocks.append(float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)))
                self._reasons |= int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
            except Exception:
                # a reading that is not offered here will not be later
                return

    def done(self) -> tuple[list[str], dict[str, Any]]:
        """Flags ('busy', 'throttled') and what was seen."""
        wall = max(1e-9, time.monotonic() - self._start)
        seen: dict[str, Any] = {}
        flags: list[str] = []
        after = busy_seconds()
        if self._before is not None and after is not None:
            # own time is read last, so that a late tick counts for us and not against others
            others = max(0.0, (after - self._before) - (own_seconds() - self._own)) / wall
            seen["other_load_cores"] = round(others, 3)
            if disturbed(others, os.cpu_count() or 1):
                flags.append("busy")
        self._over.set()
        if self._looking is not None:
            self._looking.join()
            if self._reasons:
                seen["throttle_reasons_seen"] = self._reasons
        elif now := clock_mhz(self._device):
            self._clocks.append(now)
        if len(self._clocks) >= 2:
            seen["clock_mhz_highest"], seen["clock_mhz_last"] = max(self._clocks), self._clocks[-1]
            if clock_fell(self._clocks) or self._reasons & THERMAL:
                flags.append("throttled")
        if self._device.kind == "cuda":
            others_on_gpu = _gpu(self._device, []).get("other_gpu_processes", 0)
            seen["other_gpu_processes"] = others_on_gpu
            if others_on_gpu:
                flags.append("busy")
        return sorted(set(flags)), seen


def clock_fell(clocks_mhz: list[float]) -> bool:
    """True when the later half of the readings lies a tenth below the highest before."""
    half = len(clocks_mhz) // 2
    late = sorted(clocks_mhz[half:])
    return late[len(late) // 2] < (1 - CLOCK_FALL) * max(clocks_mhz[: half + 1])


def disturbed(other_cores: float, cpus: int) -> bool:
    """True when others used more than a quarter of a core and a tenth of the machine."""
    return other_cores > max(BUSY_CORES, BUSY_SHARE * cpus)


def own_seconds() -> float:
    """CPU seconds of this process, all threads."""
    times = os.times()
    return times.user + times.system


def busy_seconds() -> float | None:
    """CPU seconds used on the whole machine since boot, stolen time included; None if unknown."""
    if sys.platform == "linux":
        fields = _read("/proc/stat").partition("\n")[0].split()
        if len(fields) > 8:
            ticks = [int(f) for f in fields[1:9]]
            # user nice system idle iowait irq softirq steal
            return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
    try:
        import psutil

        times = psutil.cpu_times()
        return float(sum(times) - times.idle - getattr(times, "iowait", 0.0))
    except ImportError:
        return None


def clock_mhz(device: Device) -> float | None:
    """The clock now: the GPU's SM clock, or the mean of the CPU's cores where it is known."""
    if device.kind == "cuda":
        access = nvml_handle(device.index)
        if access is None:
            return None
        try:
            return float(access[0].nvmlDeviceGetClockInfo(access[1], access[0].NVML_CLOCK_SM))
        except Exception:
            return None
    readings = [
        int(text) / 1e3
        for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
        if (text := _read(str(path))).isdigit()
    ]
    return sum(readings) / len(readings) if readings else None
