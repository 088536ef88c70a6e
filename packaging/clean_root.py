"""Try the packed application on a bare Debian: `python packaging/clean_root.py [ARCHIVE] [--keep DIR]`.

A root folder is made with Debian's essential packages and no Python. A user in it unpacks the
archive and runs its installer; the application names the system libraries that are missing; these and no
others are installed; then the whole walk (`packaging/walk.py`) is done as that user, without network.
Needs Linux, root and debootstrap; --keep leaves the root folder for inspection.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SUITE = "bookworm"
sys.path[:0] = [str(ROOT), str(HERE)]


def main() -> int:
    """0 when the walk worked with only the libraries that the application named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", nargs="?", help="by default the newest one in dist")
    parser.add_argument("--keep", metavar="DIR", help="make the root folder here and leave it")
    options = parser.parse_args()
    if reason := cannot():
        print(f"no bare root can be made here: {reason}", file=sys.stderr)
        return 1
    archives = sorted((ROOT / "dist").glob("*.tar.xz"), key=lambda path: path.stat().st_mtime)
    archive = Path(options.archive) if options.archive else archives[-1] if archives else None
    if archive is None or not archive.is_file():
        print("there is no archive; make it: python packaging/build.py --archive", file=sys.stderr)
        return 1
    if options.keep:
        return attempt(Path(options.keep).resolve(), archive)
    with tempfile.TemporaryDirectory(prefix="bare-root-") as folder:
        # a temporary folder is closed to others, such as the user in the root
        Path(folder).chmod(0o755)
        return attempt(Path(folder), archive)


def cannot() -> str:
    """Why no root folder can be made here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "it needs Linux"
    if os.geteuid() != 0:
        return "it needs root"
    missing = [tool for tool in ("debootstrap", "unshare", "chroot") if not shutil.which(tool)]
    return f"{' and '.join(missing)} missing (apt-get install debootstrap)" if missing else ""


def attempt(root: Path, archive: Path) -> int:
    """Make the root, install the application and the libraries it names, walk through it."""
    from walk import USER, Place

    from gui.app.system_libraries import ALWAYS, ON_X11

    began = time.monotonic()
    # the suite's own default where this machine names no mirror of it
    call("debootstrap", "--variant=minbase", SUITE, root, *mirror_of(SUITE))
    inside(root, "useradd", "--create-home", "--uid", str(USER), "user")
    for name in ("python3", "python", "Xvfb"):
        if not inside(root, "sh", "-c", f"command -v {name}", check=False):
            print(f"FAILED: the bare root has a {name}")
            return 1
    print_step(began, "a bare Debian without Python")
    home = root / "home" / "user"
    call("tar", "--extract", "--file", archive, "--directory", home)
    call("chown", "--recursive", f"{USER}:{USER}", home)
    user = ("chroot", f"--userspec={USER}:{USER}", str(root), "env", "-i")
    user += ("HOME=/home/user", "PATH=/usr/bin:/bin", "DISPLAY=:0")
    call(*user, "sh", "/home/user/paretoscope/install.sh")
    print_step(began, "unpacked and installed for the user")
    place = Place(Path("/home/user/.local/bin"), Path("/home/user"), root)
    first = subprocess.run(
        place.command("paretoscope"),
        env=place.environment() | {"DISPLAY": ":0"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    wanted = named_packages(first.stderr)
    print(f"          it names: {' '.join(wanted) or 'nothing'}", flush=True)
    unstated = set(wanted) - {*ALWAYS.values(), *ON_X11.values()}
    if unstated or not wanted or first.returncode != 1:
        print(f"FAILED: it ended with {first.returncode}: {first.stderr.strip()}")
        return 1
    before = packages_in(root)
    inside(root, "apt-get", "update", "-qq")
    inside(root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted)
    print_step(
        began, f"installed, {len(packages_in(root)) - len(before)} packages with what they need"
    )
    return subprocess.call([sys.executable, HERE / "walk.py", place.bundle, "--root", root])


def mirror_of(suite: str) -> list[str]:
    """The mirror of the suite that this machine itself uses; empty where it uses another suite."""
    if not shutil.which("apt-get"):
        return []
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"],
        capture_output=True,
        text=True,
        check=False,
    )
    for line in listed.stdout.splitlines():
        release, component, address = line.split(maxsplit=2)
        if (release, component) == (suite, "main"):
            return [address]
    return []


def named_packages(message: str) -> list[str]:
    """Packages in the message that the application ends with where libraries are missing."""
    before, found, names = message.partition("apt-get install -y --no-install-recommends ")
    return names.split("\n")[0].split() if found and "Qt needs system libraries" in before else []


def packages_in(root: Path) -> list[str]:
    """Packages installed in a root."""
    listed = subprocess.run(
        ["chroot", root, "dpkg-query", "--show", "--showformat", "${Package}\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    return listed.stdout.split()


def inside(root: Path, *command: str, check: bool = True) -> int:
    """Run a command of the root in it, quietly; its exit status."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["chroot", root, *command], env=environment, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        fail(command, done)
    return done.returncode


def call(*command: object) -> None:
    """Run a command and stop where it fails, with its last lines of output."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        fail(words, done)


def fail(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> None:
    """Stop with the last lines of a command that failed."""
    last = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
    sys.exit(f"FAILED: {' '.join(command)} ended with {done.returncode}\n{last}")


def print_step(began: float, what: str) -> None:
    """One line with the seconds since the beginning."""
    print(f"{time.monotonic() - began:7.0f} s  {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
