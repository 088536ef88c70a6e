"""Files in hard places: full, removed, replaced, read-only, without locks. Nothing stored is lost."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_project import DEVICE, SPACE, timed

from core.errors import Unusable
from core.project import project as project_module
from core.project.project import Project
from core.project.project_lock import lock_path
from core.space.space_file import parse_space

ROOT = Path(__file__).resolve().parents[3]

POINTS = parse_space(SPACE).measurement_points()


def settle(qtbot, store):
    qtbot.waitUntil(lambda: store.settled and not store.state.busy, timeout=120_000)


def count(path):
    with Project.open(path, read_only=True) as project:
        return len(project.measurements())


def storing(measurements):
    """A sweep that stores these."""

    def sweeper(project, points, device, *, pause, **options):
        for measurement in measurements:
            yield project.add_measurement(measurement)

    return sweeper


def fill(project, pages=0):
    """Keep the file from growing, as on a full disk."""
    now = project._db.execute("PRAGMA page_count").fetchone()[0]
    project._db.execute(f"PRAGMA max_page_count = {now + pages}")


def test_a_sweep_onto_a_full_disk_stops_with_a_message_and_keeps_what_it_stored(
    qtbot, opened, project_path
):
    fill(opened.project, pages=4)
    before = count(project_path)
    opened.measuring.sweeper = storing([timed(p) for p in POINTS] * 40)
    opened.measure(POINTS, DEVICE)
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=60_000)
    assert "is full; free some space" in opened.state.message
    assert "is full" in opened.state.sweep.message
    shown = len(opened.state.contents.measurements)
    assert before < shown == count(project_path) < before + 240
    # with free space again the same project goes on
    opened.project._db.execute("PRAGMA max_page_count = 1000000")
    opened.measuring.sweeper = storing([timed(POINTS[0])])
    opened.measure(POINTS[:1], DEVICE)
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=60_000)
    assert count(project_path) == shown + 1
    settle(qtbot, opened)


def test_choices_that_cannot_be_written_are_reported_and_closing_still_works(qtbot, opened):
    fill(opened.project)
    opened.choose(pins=tuple(f"pin {i} " + "x" * 50 for i in range(2000)))
    opened.flush()
    assert "is full" in opened.state.message
    opened.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB, where the system lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            yield place
            subprocess.run(["umount", "-l", str(place)], check=False)
            return
    pytest.skip("no file system can be mounted here")


def test_a_disk_that_really_is_full(small_disk):
    path = small_disk / "p.paretoscope"
    with Project.create(path) as project:
        stored = 0
        with pytest.raises(Unusable, match="is full; free some space"):
            for _ in range(10_000):
                project.add_measurement(timed(POINTS[0]))
                stored += 1
        assert stored > 0
    assert count(path) == stored


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be removed there")
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_removed_under_the_window_is_reported_and_can_be_saved(
    qtbot, opened, project_path, tmp_path, how
):
    held = len(opened.state.contents.measurements)
    project_path.unlink()
    if how == "replaced":
        Project.create(project_path).close()
    opened.measuring.sweeper = storing([timed(POINTS[0])])
    opened.measure(POINTS[:1], DEVICE)
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=60_000)
    assert "removed, renamed or replaced" in opened.state.message
    if how == "replaced":
        assert count(project_path) == 0
    kept = tmp_path / "kept.paretoscope"
    opened.save_as(kept)
    qtbot.waitUntil(lambda: opened.state.path == str(kept), timeout=60_000)
    assert count(kept) == held
    settle(qtbot, opened)


def test_a_read_only_place_opens_for_reading_and_refuses_to_store(
    qtbot, store, project_path, monkeypatch
):
    # permissions stop nobody who is root
    monkeypatch.setattr(project_module, "_writable", lambda path: False)
    before = project_path.read_bytes()
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    assert store.state.read_only
    assert "the file or its folder may not be written" in store.state.message
    assert "what you choose is not kept" in store.state.message
    store.measure(POINTS, DEVICE)
    assert "save a copy elsewhere to measure" in store.state.message
    store.choose(x="memory_bytes")
    store.close()
    assert project_path.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may write anywhere")
def test_permissions_are_seen(project_path):
    project_path.parent.chmod(0o555)
    try:
        with Project.open(project_path) as project:
            assert project.read_only
    finally:
        project_path.parent.chmod(0o755)


@pytest.mark.parametrize("error", ["disk I/O error", "locking protocol"])
def test_a_drive_without_locks_opens_for_reading(project_path, monkeypatch, error):
    connect = project_module._connect

    def without_locks(path, mode, more=""):
        if "nolock" not in more:
            raise sqlite3.OperationalError(error)
        return connect(path, mode, more)

    expected = count(project_path)
    monkeypatch.setattr(project_module, "_connect", without_locks)
    with Project.open(project_path) as project:
        assert project.read_only
        assert "cannot lock files" in project.because
        assert len(project.measurements()) == expected
        with pytest.raises(Unusable, match="save a copy elsewhere"):
            project.put_text("a", "b")


def test_a_project_locked_by_another_program_is_reported(project_path, monkeypatch):
    with Project.open(project_path) as project:
        project._db.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(project_path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unusable, match="being written by another program"):
            project.add_measurement(timed(POINTS[0]))
        other.close()
        project.add_measurement(timed(POINTS[0]))


HOLDER = """
import sys, time
from pathlib import Path
from core.project.project import Project
from core.project.project_lock import hold
project, lock = hold(Project.open(sys.argv[1]))
print("held", lock is not None, flush=True)
time.sleep(3600)
"""


@pytest.fixture
def elsewhere(project_path):
    """Another process that has the project open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(project_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "held True\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_project_open_in_another_process_is_read_and_never_written(
    qtbot, store, project_path, elsewhere, tmp_path
):
    before = project_path.read_bytes()
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    assert store.state.read_only
    assert f"open in another window: process {elsewhere.pid}" in store.state.message
    store.choose(x="memory_bytes")
    # a copy is ours
    copy = tmp_path / "copy.paretoscope"
    store.save_as(copy)
    qtbot.waitUntil(lambda: store.state.path == str(copy), timeout=60_000)
    assert not store.state.read_only
    assert project_path.read_bytes() == before
    settle(qtbot, store)


def test_a_lock_left_by_a_killed_process_is_no_obstacle(qtbot, store, project_path, elsewhere):
    elsewhere.kill()
    elsewhere.wait()
    assert lock_path(project_path).exists()
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    assert not store.state.read_only
    store.close()
    assert not lock_path(project_path).exists()


def test_opening_again_what_is_open_here_keeps_it_writable(qtbot, opened, project_path):
    with qtbot.waitSignal(opened.open(project_path).ended):
        pass
    settle(qtbot, opened)
    assert not opened.state.read_only
    assert lock_path(project_path).exists()
