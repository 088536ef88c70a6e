"""Walk through a built application: `python packaging/walk.py [BUNDLE] [--root DIR]`.

No Python is on the path, the home folder is empty, and the display is a virtual one. The application
opens, paints, measures, fits, drags, exports and closes by itself (`--walk`); then the command line
of the bundle reads what the window left. Prints time to first paint and the idle window's memory.

With --root all of it happens in another root folder (BUNDLE is a path in it), as an unprivileged user
without a network; `packaging/clean_root.py` makes such a root.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER = 1000
# the mounts are visible only to what is started here, and vanish with it
ENTER = """
set -eu
root=$1
shift
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mkdir -p -m 1777 "$root/tmp/.X11-unix"
mount --bind /tmp/.X11-unix "$root/tmp/.X11-unix"
cd "$root"
exec chroot --userspec=USER:USER "$root" "$@"
""".replace("USER", str(USER))


@dataclass(frozen=True)
class Place:
    """Where the bundle runs: this system, or a root of its own. Paths are as seen from within."""

    bundle: Path
    home: Path
    root: Path | None = None

    def command(self, name: str, *words: object) -> list[str]:
        """A program of the bundle as it is started from here."""
        program = self.bundle / name
        if os.name == "nt":
            program = program.with_suffix(".exe")
        inner = [str(program), *map(str, words)]
        if self.root is None:
            return inner
        return ["unshare", "--mount", "--net", "sh", "-c", ENTER, "sh", str(self.root), *inner]

    def outside(self, path: Path) -> Path:
        """A path from within as it is here."""
        return path if self.root is None else self.root / path.relative_to("/")

    def environment(self) -> dict[str, str]:
        """Only the variables that the system itself needs; no Python on the path, an empty home."""
        kept = {k: os.environ[k] for k in ("SYSTEMROOT", "TEMP", "LD_PRELOAD") if k in os.environ}
        # commands of the system, not those installed beside it
        path = "/usr/sbin:/usr/bin:/sbin:/bin" if self.root else str(self.home)
        home = str(self.home)
        return kept | {"HOME": home, "USERPROFILE": home, "PATH": path, "LANG": "C.UTF-8"}


def main() -> int:
    """0 when the window and the command line of the bundle did their whole job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default=str(ROOT / "dist" / "paretoscope"))
    parser.add_argument("--root", help="a root folder to do it in")
    options = parser.parse_args()
    with home_of(options.root) as home:
        bundle = Path(options.bundle)
        if options.root:
            place = Place(bundle, home, Path(options.root).resolve())
        else:
            place = Place(bundle.resolve(), home)
        if not os.path.lexists(place.outside(Path(place.bundle, "paretoscope"))):
            print(
                f"there is no program in {place.outside(place.bundle)};"
                " build it first: python packaging/build.py",
                file=sys.stderr,
            )
            return 1
        environment = place.environment()
        screen = virtual_display(environment)
        try:
            return walk(place, environment)
        finally:
            if screen is not None:
                screen.terminate()
                screen.wait()


@contextmanager
def home_of(root: str | None) -> Iterator[Path]:
    """An empty home folder: a temporary one, or the user's in the other root."""
    if root:
        yield Path("/home/user")
        return
    with tempfile.TemporaryDirectory() as home:
        yield Path(home)


def walk(place: Place, environment: dict[str, str]) -> int:
    """The window's own walk, the command line on what it left, the idle window."""
    folder = place.home / "walk"
    print("the window:", flush=True)
    window = subprocess.run(
        place.command("paretoscope", "--walk", folder), env=environment, timeout=1200
    )
    keep(place.outside(folder))
    if window.returncode:
        return window.returncode
    print("the command line:", flush=True)
    if read_back(place.command("paretoscope-cli"), folder / "walk.paretoscope", environment):
        return 1
    report = idle(place.command("paretoscope"), environment)
    print(report or "FAILED: the idle window ended by itself")
    return 0 if report else 1


def virtual_display(environment: dict[str, str]) -> subprocess.Popen[bytes] | None:
    """A virtual screen under Linux; where there is no Xvfb, Qt draws offscreen."""
    if not sys.platform.startswith("linux"):
        return None
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        print("there is no Xvfb: nothing is drawn on a screen", flush=True)
        environment["QT_QPA_PLATFORM"] = "offscreen"
        return None
    read, write = os.pipe()
    screen = subprocess.Popen(
        # -ac: another user, in another root, may draw on it
        [xvfb, "-displayfd", str(write), "-ac", "-screen", "0", "1280x800x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as answer:
        environment["DISPLAY"] = ":" + answer.readline().strip()
    return screen


def read_back(command: list[str], project: Path, environment: dict[str, str]) -> bool:
    """Whether the bundle's command line fails on the project that the window measured into."""
    done = subprocess.run(
        [*command, "frontier", str(project), "--top", "3", "--json"],
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


def idle(command: list[str], environment: dict[str, str]) -> str:
    """Memory of the window, a while after it opened the demonstration; empty when it ended."""
    window = subprocess.Popen(command, env=environment)
    try:
        time.sleep(12)
        if window.poll() is not None:
            return ""
        try:
            text = Path(f"/proc/{window.pid}/smaps_rollup").read_text()
        except OSError:
            return "memory of the idle window: not readable on this system"
        kilobytes = {line.split(":")[0]: line.split()[1] for line in text.splitlines()[1:]}
        return (
            f"idle window: {int(kilobytes['Rss']) / 1024:.0f} MiB resident,"
            f" {int(kilobytes['Pss']) / 1024:.0f} MiB proportional (shared pages divided)"
        )
    finally:
        window.terminate()
        window.wait()


def keep(folder: Path) -> None:
    """Copy the pictures of the walk beside the bundle."""
    target = ROOT / "dist" / "walk"
    target.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.png"):
        shutil.copy2(path, target / path.name)


if __name__ == "__main__":
    sys.exit(main())
