"""Build the bundle for this system: `python packaging/build.py [--check] [--archive]`.

Leaves dist/paretoscope (one folder), prints the size of each part, and with --check walks through
the built application; --archive packs it with its installer (a tarball on Linux). Where both are given
and a bare Debian can be made (Linux, root, debootstrap), the archive is checked in that.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
BUNDLE = DIST / "paretoscope"
# debug symbols of these are a quarter of the bundle
STRIPPED = ("libtorch_cpu.so", "libtorch_cuda.so", "libtorch_python.so", "libpython3.*.so*")


def main() -> int:
    """Icons, PyInstaller, stripping, sizes; then the archive and the walk where wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="walk through the built application")
    parser.add_argument("--archive", action="store_true", help="pack it with its installer")
    options = parser.parse_args()
    if importlib.util.find_spec("PyInstaller") is None:
        print("PyInstaller is missing; run: python3 packaging/run.py bundle", file=sys.stderr)
        return 1
    run(sys.executable, ROOT / "packaging" / "make_icons.py", ROOT / "build" / "icons")
    shutil.rmtree(BUNDLE, ignore_errors=True)
    run(
        sys.executable,
        *("-m", "PyInstaller", "--noconfirm", "--log-level", "WARN"),
        *("--distpath", DIST, "--workpath", ROOT / "build" / "pyinstaller"),
        ROOT / "packaging" / "paretoscope.spec",
    )
    if sys.platform != "win32":
        (BUNDLE / "paretoscope-cli").symlink_to("paretoscope")
    if sys.platform.startswith("linux"):
        strip()
        (BUNDLE / "share").mkdir(exist_ok=True)
        for path in (ROOT / "packaging" / "linux").iterdir():
            shutil.copy2(path, BUNDLE / "share" / path.name)
        (BUNDLE / "share" / "icons").mkdir(exist_ok=True)
        drawn = ROOT / "resources" / "icons" / "paretoscope.svg"
        for path in (drawn, *(ROOT / "build" / "icons").glob("*.png")):
            shutil.copy2(path, BUNDLE / "share" / "icons" / path.name)
        (BUNDLE / "share" / "install.sh").replace(BUNDLE / "install.sh")
    print(weights())
    if options.archive:
        print(archive())
    if not options.check:
        return 0
    if options.archive:
        from clean_root import cannot

        if not (reason := cannot()):
            return subprocess.call([sys.executable, ROOT / "packaging" / "clean_root.py"])
        print(f"checked on this system, not in a bare root: {reason}", flush=True)
    return subprocess.call([sys.executable, ROOT / "packaging" / "walk.py", BUNDLE])


def run(*command: object) -> None:
    """Run a command and stop with its status when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def strip() -> None:
    """Drop debug symbols where they take the most space; without `strip` the bundle is only larger."""
    tool = shutil.which("strip")
    for name in STRIPPED:
        for path in BUNDLE.rglob(name):
            if tool and not path.is_symlink():
                subprocess.run([tool, "--strip-unneeded", path], check=True)


def weights() -> str:
    """Megabytes of each part, largest first, and of the whole."""
    sizes: Counter[str] = Counter()
    for folder, _, names in os.walk(BUNDLE):
        for name in names:
            path = Path(folder) / name
            if not path.is_symlink():
                parts = path.relative_to(BUNDLE).parts
                part = parts[1] if parts[0] == "_internal" and len(parts) > 2 else parts[0]
                sizes[part] += path.stat().st_size
    lines = [f"{size / 1e6:8.1f} MB  {part}" for part, size in sizes.most_common(12)]
    return "\n".join([*lines, f"{sum(sizes.values()) / 1e6:8.1f} MB  in all ({BUNDLE})"])


def variant(bundle: Path) -> str:
    """The variant in the archive's name: '-cuda' where its torch drives GPUs, else empty."""
    return "-cuda" if any(bundle.rglob("*torch_cuda.*")) else ""


def archive() -> Path:
    """The bundle as one compressed tarball beside it, with a CUDA torch inside named for that."""
    target = DIST / f"paretoscope-{sys.platform}-{os.uname().machine}{variant(BUNDLE)}.tar.xz"
    with tarfile.open(target, "w:xz", preset=1) as tar:
        tar.add(BUNDLE, "paretoscope")
    print(f"{target.stat().st_size / 1e6:8.1f} MB  {target.name}")
    return target


if __name__ == "__main__":
    sys.exit(main())
