"""Time to first paint and memory of the idle window: `python tests/benchmarks/bench_start.py [BUNDLE]`.

Starts the window from source, and the bundle's program if one is named, several times each. Wall time
runs from the start of the process to the line that its log gets at the first paint; CPU time is what
the process had used by then, which other work on the machine disturbs less. Memory is read from the
system once the demonstration is open and nothing has been calculated for a while (Linux).
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0
PAINTED = re.compile(r"^(\S+ \S+) .*painted after ([0-9.]+) s")
TARGET_S, TARGET_MB = 1.0, 250.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "bundle", nargs="?", help="the bundle's program, to measure beside the source"
    )
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--platform", default="offscreen", help="Qt's platform plugin")
    options = parser.parse_args()
    starts = {"source": [sys.executable, "-m", "gui"]}
    if options.bundle:
        starts["bundle"] = [str(Path(options.bundle).absolute())]
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs")
    print(f"{'':8}{'paint wall s':>24}{'paint CPU s':>22}{'idle RSS MB':>14}{'PSS MB':>9}")
    for name, command in starts.items():
        # one unmeasured start, for a warm disk and compiled modules
        one(command, options.platform)
        rows = [one(command, options.platform) for _ in range(options.times)]
        wall, cpu, rss, pss = (list(column) for column in zip(*rows, strict=True))
        print(f"{name:8}{span(wall):>24}{span(cpu):>22}{max(rss):14.0f}{max(pss):9.0f}")
        print(
            f"{'':8}share of the targets: {statistics.median(cpu) / TARGET_S:.0%} of {TARGET_S:g} s"
            f" (CPU, median), {max(rss) / TARGET_MB:.0%} of {TARGET_MB:g} MB (RSS, largest)"
        )
    return 0


def span(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def one(command: Sequence[str], platform: str) -> tuple[float, float, float, float]:
    """Wall and CPU seconds to the first paint, RSS and PSS in MB of the idle window."""
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {"PARETOSCOPE_HOME": home, "QT_QPA_PLATFORM": platform}
        log = Path(home) / "logs" / "paretoscope.log"
        begun = time.time()
        process = subprocess.Popen(
            [*command, "--new-window"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL
        )
        try:
            found = painted(log, process)
            wait_idle(process.pid)
            rss, pss = memory_mb(process.pid)
        finally:
            process.kill()
            process.wait()
    wall = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S,%f").timestamp() - begun
    return wall, float(found[2]), rss, pss


def painted(log: Path, process: subprocess.Popen[bytes]) -> re.Match[str]:
    """The log's line about the first paint."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text("utf-8").splitlines() if log.exists() else ():
            if match := PAINTED.match(line):
                return match
        time.sleep(0.02)
    raise SystemExit(f"no first paint was logged (exit status {process.poll()})")


def wait_idle(pid: int) -> None:
    """Until the process used no more than a twentieth of a core for two seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        before = cpu_s(pid)
        time.sleep(2.0)
        if cpu_s(pid) - before < 0.1:
            return


def cpu_s(pid: int) -> float:
    """CPU seconds of the process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> tuple[float, float]:
    """RSS and PSS in MB (10^6 bytes)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE))
    return int(sizes["Rss"]) * 1024 / 1e6, int(sizes["Pss"]) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())
