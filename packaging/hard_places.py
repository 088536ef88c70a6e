"""Start a built application in hard places: `python packaging/hard_places.py [BUNDLE]`.

Without standard streams, with a home that may not be written, with a full one, with a project that is
open already, with a Python that cannot measure: each time the program must go on or end with one
line, and never show a traceback. Needs Linux; the places that are mounted need root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PATIENCE_S = 60.0
# long enough for the demonstration to be opened and drawn
SETTLED_S = 8.0
SPACE = """
schema_version = 1
name = "Small"
[shape]
n_layers = { from = 1, to = 8, step = 1 }
d_model = { from = 64, to = 256, step = 32 }
d_head = 32
ffn_multiple = 32
vocab_size = 2048
[run]
prompt_tokens = 8
output_tokens = 8
[train]
tokens = "1B"
[measure]
levels = ["0.5M"]
shapes_per_level = 3
tolerance = 0.3
"""


class Failed(Exception):
    """A place that the program failed in; the message describes how."""


class Bench:
    """The bundle, an environment without a Python, and a folder to work in."""

    def __init__(self, bundle: Path, folder: Path, environment: dict[str, str]) -> None:
        self.window, self.command = bundle / "paretoscope", bundle / "paretoscope-cli"
        self.folder = folder
        self.environment = environment

    def home(self, name: str) -> dict[str, str]:
        """The environment with an empty home of this name."""
        home = self.folder / name
        home.mkdir()
        return self.environment | {"HOME": str(home), "TMPDIR": str(self.folder)}

    def start(self, *command: object, env: dict[str, str]) -> subprocess.Popen[str]:
        """Start a window in a group of its own."""
        return subprocess.Popen(
            [str(word) for word in command],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def cli(self, *words: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """One command of the bundle, to its end."""
        return subprocess.run(
            [str(word) for word in (self.command, *words)],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )


def main() -> int:
    """0 when the program worked everywhere."""
    sys.path.insert(0, str(HERE))
    from walk import Place, virtual_display

    bundle = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist" / "paretoscope").resolve()
    if not sys.platform.startswith("linux") or not (bundle / "paretoscope").exists():
        print(f"this needs Linux and a program in {bundle}", file=sys.stderr)
        return 1
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        environment = Place(bundle, Path(folder)).environment() | {"PATH": os.environ["PATH"]}
        screen = virtual_display(environment)
        try:
            bench = Bench(bundle, Path(folder), environment)
            for place in (
                no_streams,
                read_only_home,
                full_home,
                full_disk,
                handed_over,
                other_python,
            ):
                began = time.monotonic()
                try:
                    outcome = place(bench)
                except Failed as failure:
                    failed += 1
                    outcome = f"FAILED: {failure}"
                name = place.__name__.replace("_", " ")
                print(f"{time.monotonic() - began:7.1f} s  {name}: {outcome}", flush=True)
        finally:
            if screen is not None:
                screen.terminate()
                screen.wait()
    return 1 if failed else 0


def no_streams(bench: Bench) -> str:
    """Started as by a menu without a terminal: descriptors 0, 1 and 2 are closed."""
    env = bench.home("no_streams")
    window = bench.start("sh", "-c", 'exec "$0" <&- >&- 2>&-', bench.window, env=env)
    try:
        log = Path(env["HOME"]) / ".local/share/Paretoscope/Paretoscope/logs/paretoscope.log"
        wait(lambda: log.exists() and "painted after" in log.read_text(), "the first paint")
        settle(window)
        opened = {i: str(Path(f"/proc/{window.pid}/fd/{i}").readlink()) for i in (0, 1, 2)}
        if strange := [f"{i} is {path}" for i, path in opened.items() if path != "/dev/null"]:
            raise Failed(f"descriptor {', '.join(strange)}")
        if "Traceback" in log.read_text():
            raise Failed("its log holds a traceback")
    finally:
        end(window)
    return "painted, all three lead nowhere"


def read_only_home(bench: Bench) -> str:
    """Nothing can be remembered, logged or unpacked."""
    return mounted(bench, "read_only_home", 'mount -t tmpfs -o ro tmpfs "$HOME"')


def full_home(bench: Bench) -> str:
    """A home without a free byte."""
    fill = (
        'mount -t tmpfs -o size=64k tmpfs "$HOME"; cat /dev/zero >"$HOME/full" 2>/dev/null || true'
    )
    return mounted(bench, "full_home", fill)


def mounted(bench: Bench, name: str, mount: str) -> str:
    """The window runs and shows no traceback in a home mounted for it alone."""
    if os.geteuid() != 0:
        return "not tried, it needs root"
    script = f'set -e; {mount}; exec "$0"'
    window = bench.start(
        "unshare", "--mount", "sh", "-c", script, bench.window, env=bench.home(name)
    )
    settle(window)
    errors = end(window)
    if "Traceback" in errors:
        raise Failed(errors.strip().splitlines()[-1])
    return "open, no traceback"


def full_disk(bench: Bench) -> str:
    """The disk fills while measuring: one line, and what was stored is kept."""
    if os.geteuid() != 0:
        return "not tried, it needs root"
    env = bench.home("full_disk")
    space = bench.folder / "small.toml"
    space.write_text(SPACE)
    script = (
        'set -e; mount -t tmpfs -o size=2m tmpfs "$HOME"; P="$HOME/p.paretoscope"\n'
        '"$0" profile "$1" --project "$P" --points 1 --budget-s 4 >/dev/null 2>&1\n'
        'cat /dev/zero >"$HOME/full" 2>/dev/null || true\n'
        "status=0\n"
        '"$0" profile "$1" --project "$P" --budget-s 12 >/dev/null || status=$?\n'
        'rm "$HOME/full"\n'
        '"$0" frontier "$P" --x params_total --y tpot --top 1 >/dev/null\n'
        "exit $status"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(bench.command), str(space)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stderr.strip().splitlines()
    if done.returncode != 2 or "is full" not in (lines or [""])[-1] or "Traceback" in done.stderr:
        raise Failed(f"status {done.returncode}: {done.stderr.strip()[-300:]}")
    return lines[-1].replace(env["HOME"], "~")


def handed_over(bench: Bench) -> str:
    """A second start gives its file to the window that runs; a window of its own only reads it."""
    env = bench.home("handed_over")
    space, project = bench.folder / "handed.toml", bench.folder / "handed.paretoscope"
    space.write_text(SPACE)
    words = ("profile", space, "--project", project, "--points", 1, "--budget-s", 4)
    if (made := bench.cli(*words, env=env)).returncode:
        raise Failed(made.stderr.strip())
    lock = project.with_name(f".~lock.{project.name}")
    first = bench.start(bench.window, env=env)
    other = None
    try:
        settle(first)
        second = bench.start(bench.window, project, env=env)
        if second.wait(PATIENCE_S):
            raise Failed(f"the second start ended with {second.returncode}")
        wait(lock.exists, "the running window to open the file")
        holder = lock.read_text().split("\n")[0]
        if holder != str(first.pid):
            raise Failed(f"the file is held by process {holder}, not by the first window")
        other = bench.start(bench.window, "--new-window", project, env=env)
        settle(other)
        if lock.read_text().split("\n")[0] != holder:
            raise Failed("a second window took the file away from the first")
    finally:
        errors = end(first) + (end(other) if other else "")
    if "Traceback" in errors:
        raise Failed(errors.strip().splitlines()[-1])
    return "the second start ended with 0, the file is open in the first window and stays its own"


def other_python(bench: Bench) -> str:
    """A Python that cannot measure ends the command with one line."""
    env = bench.home("other_python")
    space = bench.folder / "other.toml"
    space.write_text(SPACE)
    lines = []
    for python in ("/nonexistent/python", "/bin/true", *old_or_bare()):
        words = ("profile", space, "--project", bench.folder / "o.paretoscope", "--python", python)
        done = bench.cli(*words, env=env)
        if done.returncode != 2 or done.stderr.count("\n") != 1:
            raise Failed(f"with {python} it ended with {done.returncode}: {done.stderr[-300:]}")
        lines.append(done.stderr.strip().removeprefix("paretoscope: "))
    return "\n           ".join(["", *lines])


def old_or_bare() -> list[str]:
    """The system's own Python where it has no torch."""
    python = "/usr/bin/python3"
    if not Path(python).exists():
        return []
    look = [python, "-c", "import importlib.util as u; print(u.find_spec('torch'))"]
    found = subprocess.run(look, capture_output=True, text=True, check=False)
    return [python] if found.stdout.strip() == "None" else []


def wait(done: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; Failed when it takes too long."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise Failed(f"waited {PATIENCE_S:.0f} s for {what}")
        time.sleep(0.1)


def settle(window: subprocess.Popen[str]) -> None:
    """Let a window run for a while; Failed when it ends by itself."""
    try:
        window.wait(SETTLED_S)
    except subprocess.TimeoutExpired:
        return
    errors = window.stderr.read().strip() if window.stderr else ""
    raise Failed(f"the window ended with {window.returncode}: {errors[-300:]}")


def end(window: subprocess.Popen[str]) -> str:
    """End a window and everything it started; what it wrote to standard error."""
    if window.poll() is None:
        os.killpg(window.pid, signal.SIGTERM)
    return window.communicate(timeout=PATIENCE_S)[1] or ""


if __name__ == "__main__":
    sys.exit(main())
