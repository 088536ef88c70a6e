"""Devices of this machine and what they can do: read bandwidth and arithmetic, measured.

Run in the measuring process: it imports torch.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.measure.timing.memory import available_bytes, total_bytes
from core.records.measurement import Device

# bytes read to measure bandwidth: on a GPU enough for a launch not to matter
BANDWIDTH_BYTES = {"cpu": 1 << 30, "cuda": 4 << 30}


def physical_cores() -> int:
    """Physical cores this process may use, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores: int | None = None
    try:
        import psutil

        cores = psutil.cpu_count(logical=False)
    except ImportError:
        pairs = set()
        for folder in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/topology"):
            try:
                pairs.add(
                    (
                        (folder / "physical_package_id").read_text().strip(),
                        (folder / "core_id").read_text().strip(),
                    )
                )
            except OSError:
                continue
        cores = len(pairs) or None
    return max(1, min(cores or allowed or 1, allowed or 1))


def default_threads(spare: int = 0) -> int:
    """Threads a measurement uses when none are asked for: physical cores less those to spare."""
    return max(1, physical_cores() - spare)


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cpu_device() -> Device:
    """This machine's CPU, unmeasured."""
    cores = physical_cores()
    name = f"{cpu_name()} ({cores} core{'s' if cores > 1 else ''})"
    return Device("cpu", name, total_bytes(), 0, platform.node())


def devices() -> tuple[Device, ...]:
    """The CPU and every CUDA device torch can use, unmeasured."""
    return (cpu_device(), *cuda_devices()[0])


def cuda_devices() -> tuple[tuple[Device, ...], str]:
    """Every CUDA device torch can use, and one line on why there are none or fewer; never raises.

    A broken driver must not keep anybody from measuring on the CPU.
    """
    import torch

    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return (), "its torch is built without CUDA; a GPU needs a Python whose torch has it"
    found: list[Device] = []
    # torch reports a driver that is too old or absent in a warning only
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            for index in range(count):
                p = torch.cuda.get_device_properties(index)
                found.append(Device("cuda", p.name, p.total_memory, index, platform.node()))
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return tuple(found), f"torch is built for CUDA, but the GPU does not answer ({reason})"
    if found:
        return tuple(found), ""
    reason = f" ({str(warned[0].message).strip().splitlines()[0]})" if warned else ""
    return (), f"torch is built for CUDA, but finds no GPU or no driver it can use{reason}"


def find_device(name: str) -> Device | None:
    """The device called 'cpu', 'cuda' or 'cuda:N', or None where there is none."""
    kind, _, index = name.partition(":")
    for device in devices():
        if device.kind == kind and device.index == int(index or 0):
            return device
    return None


def measured(device: Device, threads: int = 0) -> Device:
    """The device with read bandwidth and peak FLOP/s by dtype filled in; some seconds.

    What a device has is kept where it is better, so that a probe while it is busy takes nothing away.
    """
    import torch

    if device.kind == "cpu":
        torch.set_num_threads(threads or default_threads())
    target = "cpu" if device.kind == "cpu" else f"cuda:{device.index}"
    with torch.inference_mode():
        probes = [_bandwidth(target)]
        peaks = _peaks(target)
        if device.bandwidth_bytes_per_s is None:
            # a second time, since who else reads now may be gone then
            probes.append(_bandwidth(target))
    read = [b for b in (device.bandwidth_bytes_per_s, *probes) if b is not None]
    before = device.peak_flops_per_s
    return dataclasses.replace(
        device,
        bandwidth_bytes_per_s=max(read, default=None),
        peak_flops_per_s={
            name: max(before.get(name, 0.0), peaks.get(name, 0.0))
            for name in dict.fromkeys((*before, *peaks))
        },
    )


def _bandwidth(target: str) -> float | None:
    """Bytes a second read by a sum far larger than any cache; the best run, when nobody else reads."""
    import torch

    have = available_bytes(target)
    size = BANDWIDTH_BYTES[target.partition(":")[0]]
    if have is not None:
        size = min(size, have // 4)
    if size < 64 * 2**20:
        return None
    block = torch.ones(size // 4, dtype=torch.float32, device=target)
    seconds = _repeat(lambda: block.sum(), target, 12, 1.5)
    return float(size // 4 * 4 / min(seconds))


def _peaks(target: str) -> dict[str, float]:
    """FLOP/s of a square product for the dtypes that have one."""
    import torch

    names: dict[str, Any] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    found: dict[str, float] = {}
    for name, dtype in names.items():
        try:
            side = 256 if target == "cpu" else 8192
            a = torch.ones(side, side, dtype=dtype, device=target)
            seconds = _repeat(functools.partial(torch.matmul, a, a), target, 2, 0.1)
            if target == "cpu" and min(seconds) < 1e-3:
                # fast enough for a larger one; without a fast kernel a large one takes seconds
                side = 1024
                a = torch.ones(side, side, dtype=dtype, device=target)
            seconds = _repeat(functools.partial(torch.matmul, a, a), target, 8, 0.4)
        except RuntimeError:
            continue
        found[name] = 2.0 * side**3 / min(seconds)
    return found


def _repeat(call: Callable[[], Any], target: str, times: int, at_most_s: float) -> list[float]:
    """Seconds of each of several calls after one unmeasured one."""
    import torch

    def once() -> float:
        if target == "cpu":
            start = time.perf_counter()
            call()
            return time.perf_counter() - start
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record(torch.cuda.current_stream(target))
        call()
        last.record(torch.cuda.current_stream(target))
        last.synchronize()
        return float(first.elapsed_time(last)) / 1e3

    once()
    seconds: list[float] = []
    while len(seconds) < times and (sum(seconds) < at_most_s or len(seconds) < 2):
        seconds.append(once())
    return seconds
