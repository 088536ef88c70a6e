"""A stand-in for one CUDA device: torch.cuda's calls answer, and tensors for it lie in main memory.

Only what the program calls is there, with the names and signatures of torch and NVML; anything else
fails as it would on a machine without a GPU. Tests that use it run for real where there is a GPU.
"""

import sys
import time
import types

import torch
from torch.overrides import TorchFunctionMode

GIB = 2**30
UUID = "3c2a8e60-0000-0000-0000-000000000001"


def for_cuda(value):
    return isinstance(value, str | torch.device) and str(value).startswith("cuda")


class InMainMemory(TorchFunctionMode):
    """Puts on the CPU what is asked for on a CUDA device."""

    def __torch_function__(self, function, kinds, args=(), kwargs=None):
        args = tuple("cpu" if for_cuda(a) else a for a in args)
        kwargs = {k: "cpu" if for_cuda(v) else v for k, v in (kwargs or {}).items()}
        return function(*args, **kwargs)


class Event:
    """Stamps of the host's clock; `elapsed_time` in milliseconds, as CUDA's."""

    def __init__(self, enable_timing=False, blocking=False, interprocess=False):
        assert enable_timing
        self.stamp = None

    def record(self, stream=None):
        self.stamp = time.perf_counter_ns()

    def synchronize(self):
        assert self.stamp is not None, "an event was waited for that was never recorded"

    def elapsed_time(self, end_event):
        return (end_event.stamp - self.stamp) / 1e6


class Card:
    """What the stand-in's driver says; tests change it."""

    def __init__(self):
        self.free_bytes, self.total_bytes = 8 * GIB, 10 * GIB
        self.clocks_mhz = [1980]  # the last one is repeated
        self.reasons = 0
        self.processes = 1
        self.watts = 300.0
        self.began = time.monotonic()

    def clock(self, _handle, _kind):
        return self.clocks_mhz.pop(0) if len(self.clocks_mhz) > 1 else self.clocks_mhz[0]

    def millijoules(self, _handle):
        return int(1e3 * self.watts * (time.monotonic() - self.began))


def install(monkeypatch):
    """Put the stand-in in the place of torch.cuda and pynvml for one test; returns its card."""
    card = Card()
    properties = types.SimpleNamespace(name="Stand-in", total_memory=card.total_bytes, uuid=UUID)
    answers = {
        "Event": Event,
        "synchronize": lambda device=None: None,
        "current_stream": lambda device=None: None,
        "mem_get_info": lambda device=None: (card.free_bytes, card.total_bytes),
        "memory_reserved": lambda device=None: 0,
        "memory_allocated": lambda device=None: 0,
        "max_memory_allocated": lambda device=None: 3 * GIB,
        "max_memory_reserved": lambda device=None: 4 * GIB,
        "reset_peak_memory_stats": lambda device=None: None,
        "empty_cache": lambda: None,
        "get_device_properties": lambda device=None: properties,
    }
    for name, answer in answers.items():
        assert hasattr(torch.cuda, name), name
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setitem(sys.modules, "pynvml", _nvml(card))
    return card


def _nvml(card):
    import pynvml as real

    answers = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetUUID": lambda handle: "GPU-" + UUID,
        "nvmlSystemGetDriverVersion": lambda: "999.1",
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 700_000,
        "nvmlDeviceGetPowerUsage": lambda handle: 90_000,
        "nvmlDeviceGetClockInfo": card.clock,
        "nvmlDeviceGetTemperature": lambda handle, sensor: 40,
        "nvmlDeviceGetPersistenceMode": lambda handle: 1,
        "nvmlDeviceGetEccMode": lambda handle: [1, 1],
        "nvmlDeviceGetMigMode": lambda handle: [0, 0],
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: card.reasons,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [None] * card.processes,
        "nvmlDeviceGetTotalEnergyConsumption": card.millijoules,
        "NVML_CLOCK_SM": real.NVML_CLOCK_SM,
        "NVML_CLOCK_MEM": real.NVML_CLOCK_MEM,
        "NVML_TEMPERATURE_GPU": real.NVML_TEMPERATURE_GPU,
    }
    for name in answers:
        assert hasattr(real, name), name
    return types.SimpleNamespace(**answers)
