"""Memory: what a point will need, what there is, and what was used."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path
from typing import Any

from core.records.measurement import Point

# left to the system and to the window when memory is counted on CPU
CPU_MARGIN_BYTES = 512 * 2**20
CUDA_MARGIN_BYTES = 256 * 2**20


def decoder_bytes(point: Point, copies: int = 1) -> dict[str, int]:
    """Predicted bytes of a decoder by part: weights, cache, work (activations, packing), their total.

    Activations are counted for a whole prompt at once; packing holds the largest matrix three times
    for a moment. `copies` of the matrices are kept. Arithmetic on the shape alone.
    """
    a, work, runtime = point.architecture, point.workload, point.runtime
    width = 4 if runtime.weights in ("fp32", "int8") else 2
    tokens = work.prompt_tokens + work.output_tokens
    matrices = copies * a.params_read_per_step * runtime.weight_bytes
    # the embedding table is a lookup in the activation dtype, kept beside a packed tied head
    embedding = a.vocab_size * a.d_model * width
    cache = a.cache_bytes_per_token(runtime.cache_bytes) * tokens * work.batch
    rows = work.batch * work.prompt_tokens
    up = a.d_ff * (2 if a.gated_ffn else 1)
    widest = 3 * a.d_model + 2 * (a.d_q + 2 * a.d_kv) + 2 * up
    largest = max(a.vocab_size, up) * a.d_model
    activations = rows * widest * width + work.batch * a.vocab_size * width
    parts = {
        "weights": int(matrices + embedding),
        "cache": int(cache),
        "work": int(activations + 3 * largest * width),
    }
    return {**parts, "total": sum(parts.values())}


def available_bytes(device: str) -> int | None:
    """Bytes that can still be had on a device, or None where that is unknown."""
    if device.startswith("cuda"):
        import torch

        free, _total = torch.cuda.mem_get_info(device)
        # what the allocator holds but does not use is there for the taking
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return max(0, int(free + held) - CUDA_MARGIN_BYTES)
    found = [b for b in (_system_available(), _group_available()) if b is not None]
    return max(0, min(found) - CPU_MARGIN_BYTES) if found else None


def total_bytes() -> int:
    """Physical memory of this machine; 0 where that is unknown."""
    try:
        import psutil

        return int(psutil.virtual_memory().total)
    except ImportError:
        return (_meminfo("MemTotal") or 0) if sys.platform == "linux" else 0


def _system_available() -> int | None:
    try:
        import psutil

        return int(psutil.virtual_memory().available)
    except ImportError:
        return _meminfo("MemAvailable")


def _meminfo(name: str) -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _group_available() -> int | None:
    """What the control group of this process may still take (containers), or None."""
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        try:
            text = Path(limit).read_text().strip()
            if text != "max" and int(text) < 2**60:
                return int(text) - int(Path(used).read_text())
        except (OSError, ValueError):
            continue
    return None


def shortage(need: int, device: str) -> str:
    """One line on what is missing where so many bytes cannot be had, or '' where they can."""
    have = available_bytes(device)
    if have is None or need <= have:
        return ""
    return f"needs about {need / 2**30:.1f} GiB, {have / 2**30:.1f} GiB available on {device}"


def is_out_of_memory(error: BaseException) -> bool:
    """True for the several ways in which torch and Python say that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(
            s in text
            for s in ("out of memory", "can't allocate memory", "failed to allocate", "bad_alloc")
        )
    )


class PeakMemory:
    """Peak memory of what is loaded after its creation; `read` is called once the work is done.

    What loading itself takes for a moment (random numbers, unpacked matrices) is not what a model
    needs to run: `loaded` starts the peak anew, with all that is held counted.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._resettable = self._start()
        self._before = _status("VmRSS")

    def loaded(self) -> None:
        """Count the peak from here on."""
        self._resettable = self._start()

    def _start(self) -> bool:
        release(self._device)
        if self._device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)
        return _reset_high_water()

    def read(self) -> dict[str, int]:
        """'process' (resident peak), and where known 'peak_allocated', 'peak_reserved', 'device_used'.

        On CPU 'peak_allocated' is the growth of the resident set since creation.
        """
        found: dict[str, int] = {}
        peak = _status("VmHWM") if self._resettable else _peak_resident()
        if peak:
            found["process"] = peak
        if self._device.startswith("cuda"):
            import torch

            free, total = torch.cuda.mem_get_info(self._device)
            found["peak_allocated"] = int(torch.cuda.max_memory_allocated(self._device))
            found["peak_reserved"] = int(torch.cuda.max_memory_reserved(self._device))
            found["device_used"] = int(total - free)
        elif peak and self._resettable and self._before:
            found["peak_allocated"] = max(0, peak - self._before)
        return found


def release(device: str) -> None:
    """Hand freed memory back to the system and the device, so that the next peak is its own."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and device.startswith("cuda"):
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):
            # another C library: nothing to trim
            return


def _reset_high_water() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(name: str) -> int:
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _peak_resident() -> int:
    """Peak resident bytes of the whole life of this process, where only that can be had."""
    if sys.platform == "win32":
        try:
            import psutil
        except ImportError:
            return 0
        return int(psutil.Process().memory_info().peak_wset)
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak if sys.platform == "darwin" else peak * 1024)
