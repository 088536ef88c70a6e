"""Time the device itself works, without the gaps in which it waits for work.

A pass of its own under torch's profiler, since being watched costs time. What is left of a token's
wall time is launch overhead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.measure.backends.torch_backend import WARM_STEPS
from core.measure.timing.protocol import Runnable


def kernel_seconds(runner: Runnable, output_tokens: int) -> tuple[float | None, float | None]:
    """Seconds in which kernels ran for the prompt, and for one decode step, on CUDA.

    The latter is a short request less a first token alone, divided by the steps between. None where
    the profiler may not look (containers without the right to count) or saw nothing.
    """
    try:
        first = _busy(runner.first)
        steps = min(output_tokens - 1, WARM_STEPS)
        short = _busy(runner.warm) if steps > 0 else first
    except Exception:
        # torch refuses in many ways (no CUPTI, no right to count), and the timing is there already
        return None, None
    if first <= 0:
        return None, None
    return first, (short - first) / steps if steps > 0 and short > first else None


def _busy(call: Callable[[], Any]) -> float:
    """Seconds during which kernels and copies ran in a call; overlapping ones count once."""
    import torch
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as watched:
        call()
        torch.cuda.synchronize()
    spans = [
        (e.time_range.start, e.time_range.end)
        for e in watched.events() or ()
        if e.device_type == DeviceType.CUDA
    ]
    return covered(spans) / 1e6


def covered(spans: list[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
