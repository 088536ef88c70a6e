"""How much memory this machine has."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

# where nothing says how much there is
ASSUMED_BYTES = 8 * 2**30
# limits of the control group of this process (containers)
GROUP_LIMITS = (
    "/sys/fs/cgroup/memory.max",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes",
)


@cache
def memory_bytes() -> int:
    """Bytes of memory that this process may have at most: the machine's, or its container's."""
    found = [_physical()]
    for name in GROUP_LIMITS:
        try:
            text = Path(name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            found.append(int(text))
    return min(found)


def _physical() -> int:
    if sys.platform != "win32":
        try:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            pass
    try:
        import psutil
    except ImportError:
        return ASSUMED_BYTES
    return int(psutil.virtual_memory().total)
