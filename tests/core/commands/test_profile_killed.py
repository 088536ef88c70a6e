"""A program killed in the middle of a sweep leaves all but the point in flight, and no process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from profiled_space import SPACE
from sweeping import QUICK, gone

import core.measure.sweeps.sweep
from core.__main__ import main
from core.project.project import Project

pytest.importorskip("torch")


def children(pid):
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            if parent == pid:
                found.append(int(path.name))
    return found


def wait_for(true, seconds):
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert true()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_sweep_reopens_with_what_was_measured_and_goes_on(tmp_path, monkeypatch, capsys):
    space, project = tmp_path / "space.toml", tmp_path / "p.paretoscope"
    space.write_text(SPACE)
    command = [sys.executable, "-m", "core", "profile", space, "--project", project]
    command += ["--points", "4", "--threads", "1", "--budget-s", "16"]
    command += ["--repetitions", "2"]
    program = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        # a line is told once its point is on disk: the next one is in flight by then
        first = program.stderr.readline()
        assert "TPOT" in first or "noisy" in first, first
        child = children(program.pid)
        assert len(child) == 1
        os.kill(program.pid, signal.SIGKILL)
    finally:
        program.kill()
        program.wait()
        program.stderr.close()
    wait_for(lambda: gone(child[0]), 120)
    with Project.open(project) as stored:
        kept = stored.measurements()
    assert 1 <= len(kept) < 8
    assert not kept[0].failed and kept[0].samples["tpot"]
    # the same command goes on where it was ended; without the budget, of which a busy machine uses all
    whole = core.measure.sweeps.sweep.sweep
    monkeypatch.setattr(
        core.measure.sweeps.sweep,
        "sweep",
        lambda points, **options: whole(points, **options, settings=QUICK, probe=False),
    )
    at = command.index("--budget-s")
    assert main([*map(str, command[3:at] + command[at + 2 :]), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (answer["skipped"], answer["measured"]) == (len(kept), 8 - len(kept))
    with Project.open(project) as stored:
        after = stored.measurements()
    assert after[: len(kept)] == kept and len(after) == 8
    assert set(Counter(m.key for m in after).values()) == {2}
