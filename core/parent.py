"""A process that is of no use without the one that started it."""

from __future__ import annotations

import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """On Linux, let the system kill this process as soon as the thread that started it is gone.

    That works for a process that is stopped as well, which reads no pipe's end. Elsewhere nothing is done.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
