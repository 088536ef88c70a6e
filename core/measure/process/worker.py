"""The program's side of the measuring process: start it, ask it, notice when it dies or hangs, end it."""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from core.measure.process.messages import receive, send

CHILD_FLAG = "--measure-child"
TICK_S = 0.2
# a kernel is compiled for each size of matrix and number of rows, five or so a point and row number. At
# the usual 1,024 those of many points drive each other out, and every turn compiles anew: 1.2 ms a call
# instead of 0.2 (800 kernels, two cores of a Xeon)
ONEDNN_KERNELS = "65536"
# what `python -m core.measure.process.child` would do, with the package taken from the folder named; what
# another Python may lack is reported first, in words that any Python can read. Before anything is
# imported the current folder leaves the search path, where `-c` puts it: it may be a stranger's
BOOT = """
import sys
sys.path[:] = [place for place in sys.path if place not in ("", ".")]
if sys.version_info < (3, 11):
    sys.exit("%s is Python %s; measuring needs 3.11 or newer" % (sys.executable, sys.version.split()[0]))
import importlib.util
for name in ("numpy", "torch"):
    if importlib.util.find_spec(name) is None:
        lacking = "%s: No module named '%s'; install numpy and torch there"
        way = " (pip install 'paretoscope[measure]') or choose another Python"
        sys.exit(lacking % (sys.executable, name) + way)
folder = sys.argv[1] + "/core"
spec = importlib.util.spec_from_file_location(
    "core", folder + "/__init__.py", submodule_search_locations=[folder]
)
sys.modules["core"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["core"])
from core.measure.process.child import main
sys.exit(main())
"""


class WorkerDied(RuntimeError):
    """The measuring process ended by itself; the message says how, with the last line it wrote."""


class WorkerHung(RuntimeError):
    """The measuring process gave no sign of life in time and was stopped."""


def child_command(python: str | Path | None = None) -> list[str]:
    """How to start a measuring process: this Python, a frozen bundle's own, or the user's `python`.

    Another Python is given this very package and nothing else of ours: a search path would lead it
    to our numpy and torch instead of its own.
    """
    if getattr(sys, "frozen", False) and not python:
        return [sys.executable, CHILD_FLAG]
    return [_program(python), "-c", BOOT, _root()]


def _root() -> str:
    """The folder that holds this package."""
    return getattr(sys, "_MEIPASS", None) or str(Path(__file__).resolve().parents[3])


def _program(python: str | Path | None) -> str:
    """This Python or another; one given by a relative path is found from any folder."""
    text = str(python or sys.executable)
    return os.path.abspath(text) if os.path.dirname(text) else text  # noqa: PTH100, PTH120 - links stay


def child_environment() -> dict[str, str]:
    """The environment of a measuring process: ours, with every way to the network's models shut, and
    room in oneDNN's store of compiled kernels for all that are interleaved.

    Neither it nor a Python that it starts imports from the current folder.
    """
    environment = dict(os.environ)
    environment["PYTHONSAFEPATH"] = "1"
    if given := environment.pop("PYTHONPATH", ""):
        # an empty entry, left by a list that ended in its separator, stands for the current folder
        named = [place for place in given.split(os.pathsep) if place not in ("", ".")]
        environment["PYTHONPATH"] = os.pathsep.join(str(Path(place).absolute()) for place in named)
    environment.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", ONEDNN_KERNELS)
    environment.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    if getattr(sys, "frozen", False) and "LD_LIBRARY_PATH" in environment:
        # a bundle leads the loader to its own libraries; another Python has to find those it had
        before = environment.pop("LD_LIBRARY_PATH_ORIG", None)
        if before is None:
            del environment["LD_LIBRARY_PATH"]
        else:
            environment["LD_LIBRARY_PATH"] = before
    return environment


class Worker:
    """One measuring process. `close` ends it at once and leaves nothing behind."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["creationflags"] = subprocess.CREATE_NO_WINDOW
        else:
            # a session of its own, so that what it started (compilers) can be ended with it
            options["start_new_session"] = True
        try:
            self._process = subprocess.Popen(
                list(command or child_command()),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=child_environment(),
                # what it may write or load by a relative name is not looked for where the user is
                cwd=_root(),
                **options,
            )
        except OSError as error:
            raise WorkerDied(f"the measuring process did not start: {error}") from error
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin: IO[bytes] = self._process.stdin
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._words: collections.deque[str] = collections.deque(maxlen=20)
        self._garbled = False
        self._threads = [
            threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once it has ended."""
        return self._process.poll() is None

    def _listen(self, stream: IO[bytes]) -> None:
        try:
            while (message := receive(stream)) is not None:
                self._messages.put(message)
        except (ValueError, OSError):
            self._garbled = True
            self._process.kill()
        self._messages.put(None)

    def _read_stderr(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._words.append(line.decode(errors="replace").rstrip())

    def ask(self, request: Mapping[str, Any], patience_s: float) -> Iterator[dict[str, Any]]:
        """Send a request and yield its messages; the last is the answer.

        A message of kind 'tick' is yielded every so often while there is no news, so that
        whoever waits stays able to leave. Beats and progress restart the patience. Raises WorkerDied
        or, after ending the process, WorkerHung.
        """
        try:
            send(self._stdin, request)
        except OSError as error:
            raise WorkerDied(self._exit_reason()) from error
        heard = time.monotonic()
        while True:
            try:
                message = self._messages.get(timeout=TICK_S)
            except queue.Empty:
                if time.monotonic() - heard > patience_s:
                    self.close()
                    raise WorkerHung(
                        f"no sign of life for {patience_s:.0f} s; the measuring process was stopped"
                    ) from None
                yield {"kind": "tick"}
                continue
            heard = time.monotonic()
            if message is None:
                raise WorkerDied(self._exit_reason())
            if message["kind"] == "beat":
                yield {"kind": "tick"}
                continue
            yield message
            if message["kind"] not in ("progress", "so-far"):
                return
            # whoever got it may have taken its time
            heard = time.monotonic()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send what has no answer; one that has died is found out by the next `ask`."""
        with contextlib.suppress(OSError):
            send(self._stdin, message)

    def _exit_reason(self) -> str:
        """How it ended, with the last line it wrote."""
        if self._garbled:
            return "what was started does not answer as a measuring process does; is it a Python?"
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._threads[1].join(timeout=1)
        last = next((w for w in reversed(self._words) if w.strip()), "")
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        if code == 0:
            how += " before it answered (is it a Python?)"
        if code == -9:
            how += " (often the system's doing when memory runs out)"
        return f"the measuring process ended {how}" + (f": {last[:300]}" if last else "")

    def _kill(self) -> None:
        """End it and whatever it started."""
        if self._process.poll() is not None:
            return
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def close(self) -> None:
        """End it now; safe to call again."""
        self._kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(timeout=2)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    # what was still to be flushed has no reader any more
                    continue
