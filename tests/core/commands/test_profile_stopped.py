"""A sweep of points in turns, stopped or killed: what it has is on disk, and it says what is true."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_program
from sweeping import gone

from core.__main__ import main
from core.errors import Unusable
from core.project.project import Project
from core.project.project_lock import hold

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def stored(path):
    try:
        with Project.open(path, read_only=True) as project:
            return project.measurements()
    except Unusable:
        # not made yet, or being made
        return ()


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(true):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def started(tmp_path):
    """A sweep that goes on for ever, whose points are stored already; its project and folder for
    temporary files."""
    space, project, temporary = tmp_path / "s.toml", tmp_path / "p.paretoscope", tmp_path / "tmp"
    space.write_text(toy_program.SPACE)
    temporary.mkdir()
    (temporary / "paretoscope-turn-old").touch()
    os.utime(temporary / "paretoscope-turn-old", (0, 0))
    words = ["profile", space, "--project", project, "--interleave", "4", "--points", "4"]
    program = subprocess.Popen(
        [sys.executable, toy_program.__file__, *words, "--threads", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        wait_for(lambda: len(stored(project)) == 4 or program.poll() is not None)
        yield program, project, temporary
    finally:
        program.kill()
        program.wait()
        program.stderr.close()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_stopped_sweep_keeps_its_rounds_and_says_so(started, name):
    program, project, temporary = started
    number = getattr(signal, name)
    program.send_signal(number)
    words = program.stderr.read()
    assert program.wait() == 128 + number, words
    found = stored(project)
    assert f"stopped; 4 measurements are stored in {project}" in words
    assert len({m.key for m in found}) == len(found) == 4
    for m in found:
        assert len(m.samples["tpot"]) >= 2 and m.timing.ended_early and not m.failed
        assert "ended early (it was stopped)" in m.message
    assert not list(temporary.iterdir())


def test_a_killed_sweep_keeps_what_was_written_last(started):
    program, project, temporary = started
    child = children(program.pid)
    program.kill()
    program.wait()
    wait_for(lambda: all(gone(pid) for pid in child))
    found = stored(project)
    assert len({m.key for m in found}) == len(found) == 4
    for m in found:
        assert len(m.samples["tpot"]) >= 2 and m.timing.ended_early and not m.failed
        assert "the program was killed" in m.message
    assert not list(temporary.iterdir())


def test_what_is_ignored_stays_ignored():
    """`nohup` ignores the hang-up of the terminal: the program must not take that back."""
    script = (
        "import signal, os\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from core.commands.stopping import stoppable\n"
        "with stoppable():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "went on\n", done.stderr


def test_a_second_command_says_who_measures_into_the_project_and_waits(started):
    program, project, _ = started
    words = ["profile", project.with_name("s.toml"), "--project", project]
    second = subprocess.Popen(
        [sys.executable, toy_program.__file__, *words], stderr=subprocess.PIPE, text=True
    )
    first = second.stderr.readline()
    assert f"waiting for {project}: a command measures into it: process {program.pid} on" in first
    assert "Ctrl-C stops waiting" in first
    second.send_signal(signal.SIGINT)
    assert "stopped" in second.communicate()[1] and second.returncode == 130
    assert len(stored(project)) == 4
    # a window opens it for reading
    held, lock = hold(Project.open(project))
    assert held.read_only and lock is None
    assert f"a command measures into it: process {program.pid}" in held.because
    held.close()


def test_a_command_does_not_measure_into_what_a_window_has_open(tmp_path, capsys):
    path, space = tmp_path / "p.paretoscope", tmp_path / "s.toml"
    space.write_text(toy_program.SPACE.replace("sleeping", "eager"))
    script = (
        "import sys, time\n"
        "from core.project.project import Project\n"
        "from core.project.project_lock import hold\n"
        "held = hold(Project.create(sys.argv[1]))\n"
        "print('held', flush=True)\n"
        "time.sleep(3600)\n"
    )
    window = subprocess.Popen(
        [sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True
    )
    try:
        assert window.stdout.readline() == "held\n"
        assert main(["profile", str(space), "--project", str(path)]) == 2
    finally:
        window.kill()
        window.communicate()
    told = capsys.readouterr().err
    assert f"is open in a window (process {window.pid} on" in told and "close it there" in told
