"""Settings of a quick sweep, and whether a process is gone."""

import os
from pathlib import Path

from core.measure.timing.protocol import Settings

QUICK = Settings(max_blocks=8, warm_s=0.2, budget_s=1.0, retries=0, block_s=0.2)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z"
