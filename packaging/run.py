#!/usr/bin/env python3
"""Set everything up and start: `python3 packaging/run.py app` or `python3 packaging/run.py test`.

Needs only Python 3.11 or newer. Makes `.venv` in the checkout, installs the pinned packages and, on
Debian or Ubuntu as root, the system libraries Qt needs (elsewhere it prints the command). Later
starts skip what is already there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
CONSTRAINTS = ROOT / "packaging" / "constraints.txt"
ENGINE = "measure,models,onnx,parquet"
EXTRAS = {
    "app": f"gui,{ENGINE}",
    "cli": ENGINE,
    "test": f"gui,{ENGINE},cluster,test",
    "bundle": f"gui,{ENGINE},bundle",
}
# checks the contracts in pyproject.toml; the checker cannot be started as a module
IMPORTS = "from importlinter.cli import lint_imports as run; raise SystemExit(run(no_cache=True))"
USAGE = "usage: python3 packaging/run.py {app [FILE] | test [PYTEST OPTIONS] | cli COMMAND ... | bundle}"


def main() -> int:
    """Set up what the task needs, then run it; its exit status is ours."""
    task, rest = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if task not in EXTRAS:
        print(USAGE, file=sys.stderr)
        return 2
    if sys.version_info < (3, 11):  # noqa: UP036 - the check is for those who have an older one
        print(
            f"Paretoscope needs Python 3.11 or newer; this is {sys.version.split()[0]}",
            file=sys.stderr,
        )
        return 2
    if not install(EXTRAS[task]):
        return 1
    if task == "cli":
        return subprocess.call([PYTHON, "-m", "core", *rest])
    if not system_libraries("offscreen" if task == "test" else None):
        return 1
    if task == "app":
        return subprocess.call([PYTHON, "-m", "gui", *rest])
    if task == "bundle":
        return subprocess.call([PYTHON, ROOT / "packaging" / "build.py", *rest])
    return test(rest)


def install(extras: str) -> bool:
    """Make the environment hold the pinned packages; quick when it already does."""
    wanted = hashlib.sha256(
        b"".join(
            [CONSTRAINTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode()]
        )
    ).hexdigest()
    stamp = VENV / "paretoscope-installed"
    done = stamp.read_text().split("\n") if stamp.exists() else ["", ""]
    have = set(done[1].split(",")) if done[0] == wanted else set()
    if set(extras.split(",")) <= have:
        return True
    if not PYTHON.exists():
        print(f"making {VENV}", flush=True)
        try:
            venv.create(VENV, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(
                f"the environment {VENV} could not be made ({error}). On Debian or Ubuntu run: "
                "sudo apt-get install -y python3-venv, then try again",
                file=sys.stderr,
            )
            shutil.rmtree(VENV, ignore_errors=True)
            return False
    names = ",".join(sorted(have | set(extras.split(","))))
    print("installing packages (a few minutes the first time)", flush=True)
    command = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    command += ["--constraint", CONSTRAINTS, "--editable", f"{ROOT}[{names}]"]
    if subprocess.call(command, cwd=ROOT):
        print("the packages could not be installed; pip's reason is above", file=sys.stderr)
        return False
    stamp.write_text(f"{wanted}\n{names}")
    return True


def system_libraries(platform: str | None) -> bool:
    """Install the libraries Qt needs where we may, else print the command; False while some are missing."""
    sys.path.insert(0, str(ROOT))
    from gui.app.system_libraries import missing_message, missing_packages

    missing = missing_packages(platform)
    if missing and shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print(f"installing {' '.join(missing)}", flush=True)
        subprocess.call(["apt-get", "update", "-qq"])
        subprocess.call(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            stdout=subprocess.DEVNULL,
        )
        missing = missing_packages(platform)
    if missing:
        print(missing_message(missing), file=sys.stderr)
    return not missing


def test(options: list[str]) -> int:
    """Lint, types, order of imports, unused code and tests: what fails fastest first."""
    checks = [
        ["-m", "ruff", "check", "."],
        ["-m", "ruff", "format", "--check", "."],
        *(
            ["-m", "mypy", "--platform", system, "--cache-dir", f".mypy_cache/{system}"]
            for system in ("linux", "win32", "darwin")
        ),
        ["-c", IMPORTS],
        ["-m", "vulture"],
        ["-m", "pytest", "-n", "2", "--dist", "loadfile", *options],
    ]
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    for check in checks:
        print("$ python", *check, flush=True)
        status = subprocess.call([PYTHON, *check], cwd=ROOT, env=environment)
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
