"""Clocks: the host's, checked against a second one, so that a clock that jumps is found out."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable

# two honest clocks differ by slewing (500 ppm at most) and by the time between reading them
RELATIVE = 0.01
ABSOLUTE_NS = 2_000_000
CLOSE_NS = 100_000
ATTEMPTS = 8


class ClockError(RuntimeError):
    """The clock disagreed with itself; what was timed with it is void."""


def reference_ns() -> int:
    """A second clock, kept apart from `perf_counter_ns` as far as the system allows."""
    if sys.platform != "win32" and hasattr(time, "CLOCK_MONOTONIC_RAW"):
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    return time.monotonic_ns()


class Clock:
    """The clock that times everything in a measurement. `now` counts nanoseconds."""

    def __init__(
        self,
        now: Callable[[], int] = time.perf_counter_ns,
        reference: Callable[[], int] = reference_ns,
    ) -> None:
        self.now = now
        self._reference = reference
        # where the second clock ticks coarsely it may be a tick behind at either end
        coarse = time.get_clock_info("monotonic").resolution if reference is reference_ns else 0.0
        self._slack_ns = ABSOLUTE_NS + int(2e9 * coarse)

    def mark(self) -> tuple[int, int]:
        """A reading of both clocks at one moment, for `check`.

        Being put aside between the two readings would look like a jump, so the closest of a few
        attempts is taken.
        """
        best: tuple[int, int, int] | None = None
        for _ in range(ATTEMPTS):
            first, other, last = self.now(), self._reference(), self.now()
            apart = abs(last - first)
            if best is None or apart < best[0]:
                best = (apart, first, other)
            if apart < CLOSE_NS:
                break
        assert best is not None
        return best[1], best[2]

    def check(self, mark: tuple[int, int]) -> None:
        """Raise ClockError when the two clocks have not moved alike since the mark."""
        now, other = self.mark()
        moved, expected = now - mark[0], other - mark[1]
        if moved < 0 or abs(moved - expected) > self._slack_ns + RELATIVE * expected:
            raise ClockError(
                f"the clock moved {moved / 1e6:.3f} ms while a second clock moved {expected / 1e6:.3f} ms"
            )


def gaps_s(stamps_ns: list[int]) -> list[float]:
    """Seconds between successive readings; raises ClockError when one goes backwards."""
    gaps = [(b - a) / 1e9 for a, b in itertools.pairwise(stamps_ns)]
    if any(g < 0 for g in gaps):
        raise ClockError("the clock went backwards between two tokens")
    return gaps
