"""Walk through a built application in a clean environment: `python packaging/walk.py [BUNDLE]`.

No Python is on the path, the home folder is empty, and the display is a virtual one. The application
opens, paints, measures, fits, drags, exports and closes by itself (`--walk`); then the command line
of the bundle reads what the window left. Prints time to first paint, the idle window's memory and
the bundle's size.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """0 when the window and the command line of the bundle did their whole job."""
    bundle = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist" / "paretoscope").resolve()
    program, command = bundle / "paretoscope", bundle / "paretoscope-cli"
    if os.name == "nt":
        program, command = program.with_suffix(".exe"), command.with_suffix(".exe")
    if not program.exists():
        print(f"there is no {program}; build it first: python packaging/build.py", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as home:
        environment = clean(Path(home))
        screen = virtual_display(environment)
        try:
            folder = Path(home) / "walk"
            print("the window:", flush=True)
            window = subprocess.run([program, "--walk", folder], env=environment, timeout=1200)
            if window.returncode:
                keep(folder)
                return window.returncode
            print("the command line:", flush=True)
            if read_back(command, folder / "walk.paretoscope", environment):
                return 1
            print(idle(program, environment))
            keep(folder)
        finally:
            if screen is not None:
                screen.terminate()
                screen.wait()
    return 0


def clean(home: Path) -> dict[str, str]:
    """An environment without any Python and with an empty home."""
    kept = {k: os.environ[k] for k in ("SYSTEMROOT", "TEMP", "LD_PRELOAD") if k in os.environ}
    return kept | {
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PATH": str(home),
        "LANG": "C.UTF-8",
    }


def virtual_display(environment: dict[str, str]) -> subprocess.Popen[bytes] | None:
    """A screen of its own under Linux; where there is no Xvfb, Qt draws offscreen."""
    if not sys.platform.startswith("linux"):
        return None
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        environment["QT_QPA_PLATFORM"] = "offscreen"
        return None
    read, write = os.pipe()
    screen = subprocess.Popen(
        [xvfb, "-displayfd", str(write), "-screen", "0", "1280x800x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        environment["DISPLAY"] = ":" + told.readline().strip()
    return screen


def read_back(command: Path, project: Path, environment: dict[str, str]) -> bool:
    """Whether the bundle's command line fails on the project that the window measured into."""
    done = subprocess.run(
        [command, "frontier", project, "--top", "3", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode:
        print(f"FAILED: {done.stderr.strip()}")
        return True
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"          {answer['front_size']} on the front, best {answer['best']['label']}")
    return False


def idle(program: Path, environment: dict[str, str]) -> str:
    """Memory of the window, a while after it opened the demonstration."""
    window = subprocess.Popen([program], env=environment)
    try:
        time.sleep(12)
        if window.poll() is not None:
            return f"the idle window ended with status {window.returncode}"
        try:
            text = Path(f"/proc/{window.pid}/smaps_rollup").read_text()
        except OSError:
            return "memory of the idle window: not readable on this system"
        kilobytes = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
        return (
            f"idle window: {int(kilobytes['Rss']) / 1024:.0f} MiB resident,"
            f" {int(kilobytes['Pss']) / 1024:.0f} MiB counting shared pages by share"
        )
    finally:
        window.terminate()
        window.wait()


def keep(folder: Path) -> None:
    """The pictures of the walk, beside the bundle."""
    target = ROOT / "dist" / "walk"
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.png"):
        shutil.copy2(path, target / path.name)


if __name__ == "__main__":
    sys.exit(main())
