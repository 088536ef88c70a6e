"""However a sweep ends, what it has measured is stored: starts that fail, a full disk, a consumer's error."""

import sys
from pathlib import Path

import pytest
import sleeping
import sleeping_child
import toy_program

import core.measure.sweeps.sweep
from core.errors import Unusable
from core.measure.backends.registry import BACKENDS
from core.measure.sweeps.sweep import sweep
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.project.project import Project
from core.records.measurement import Measurement, Point

pytest.importorskip("torch")
CHILD = [sys.executable, str(Path(sleeping_child.__file__))]
TINY = Architecture(2, 32, 4, 2, 8, 64, 97)
POINTS = [Point(TINY, Workload(1, n, 4), Runtime("sleeping")) for n in (8, 9, 10)]
SHORT = Settings(min_blocks=2, max_blocks=2, warm_s=0.05, budget_s=100.0, retries=0, block_s=0.01)


@pytest.fixture(autouse=True)
def sleeper(monkeypatch):
    monkeypatch.setitem(BACKENDS, "sleeping", sleeping.BACKEND)


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "p.paretoscope") as project:
        yield project


def steps(store, *, budget_s=None, settings=SHORT, command=(), **options):
    return sweep(
        POINTS,
        device="cpu",
        budget_s=budget_s,
        store=store,
        settings=settings,
        anchor=None,
        probe=False,
        threads=1,
        command=[*CHILD, *command],
        **options,
    )


def endless(project):
    """A sweep of the three in turns that never ends; all are in the project already."""
    going = steps(
        project.put_measurement,
        settings=toy_program.ENDLESS(),
        command=["--keep-at-once"],
        interleave=3,
    )
    for _ in going:
        if project.count() == 3:
            return going
    raise AssertionError("it ended")


def dying(tmp_path, first, last):
    return ["--starts", str(tmp_path / "starts"), "--dying", str(first), str(last)]


def starts(tmp_path):
    return len((tmp_path / "starts").read_text())


def test_an_error_of_whoever_follows_keeps_what_there_is(project):
    going = endless(project)
    with pytest.raises(RuntimeError, match="the window fell over"):
        going.throw(RuntimeError("the window fell over"))
    found = project.measurements()
    assert len({m.key for m in found}) == len(found) == 3
    assert all("ended early (the window fell over)" in m.message for m in found)


def test_a_full_disk_keeps_what_was_written_and_is_told(project):
    going = endless(project)
    (pages,) = project._db.execute("PRAGMA page_count").fetchone()
    project._db.execute(f"PRAGMA max_page_count = {pages}")
    # the rounds grow until they do not fit; the sweep goes on, since there may be room again
    told = 0
    for step in going:
        told += "not stored yet" in step.text and "is full" in step.text
        if told == 200:
            break
    with pytest.raises(Unusable, match="is full"):
        going.close()
    found = project.measurements()
    assert len({m.key for m in found}) == len(found) == 3
    assert all(len(m.samples["tpot"]) >= 2 and m.timing.ended_early for m in found)


def test_room_on_the_disk_again_is_used(project):
    going = endless(project)
    (pages,) = project._db.execute("PRAGMA page_count").fetchone()
    project._db.execute(f"PRAGMA max_page_count = {pages}")
    before = next(len(project.measurements()[0].samples["tpot"]) for s in going if "full" in s.text)
    project._db.execute("PRAGMA max_page_count = 1000000")
    going.close()
    found = project.measurements()
    assert len(found) == 3 and all("it was stopped" in m.message for m in found)
    assert all(len(m.samples["tpot"]) >= before for m in found)


def test_the_same_rows_hold_the_results_in_the_end(project):
    stored = []

    def store(m):
        stored.append(project.put_measurement(m))
        return stored[-1]

    going = steps(store, interleave=3, command=["--keep-at-once"])
    found = [step for step in going if isinstance(step, Measurement)]
    assert len(stored) > 3
    assert sorted(m.id for m in found) == [1, 2, 3]
    assert {m.id: m for m in found} == {m.id: m for m in project.measurements()}
    assert not any(m.timing.ended_early or m.message for m in found)


def test_a_start_that_fails_in_mid_sweep_is_a_flagged_result(project, tmp_path):
    # every repetition has a process of its own: the second start dies
    going = steps(project.put_measurement, repetitions=3, command=dying(tmp_path, 1, 1))
    found = [step for step in going if isinstance(step, Measurement)]
    crashed = [m for m in found if m.failed]
    assert [m.flags for m in crashed] == [("crashed",)]
    assert "while starting" in crashed[0].message and "out of luck" in crashed[0].message
    # it is not tried again, the others are
    assert len(found) == 8 and starts(tmp_path) == 4


def test_points_in_turns_are_started_again(project, tmp_path):
    options = {"interleave": 3, "repetitions": 2}
    going = steps(project.put_measurement, **options, command=dying(tmp_path, 1, 1))
    found = [step for step in going if isinstance(step, Measurement)]
    assert len(found) == 6 and not any(m.failed for m in found)
    assert all(m.timing.interleaved_with == 2 for m in found) and starts(tmp_path) == 3


def test_a_sweep_that_cannot_start_any_more_ends_with_one_message(project, tmp_path):
    going = steps(project.put_measurement, repetitions=3, command=dying(tmp_path, 1, 99))
    with pytest.raises(Unusable, match=r"cannot start any more: .*out of luck"):
        list(going)
    found = project.measurements()
    assert [m.failed for m in found] == [False, False, False, True, True]
    assert starts(tmp_path) == 4


def test_a_sweep_whose_every_start_fails_ends_with_one_message(project, tmp_path):
    going = steps(project.put_measurement, command=dying(tmp_path, 0, 99))
    with pytest.raises(Unusable, match=r"measuring cannot start: .*out of luck"):
        list(going)
    assert not project.count() and starts(tmp_path) == 3
    # one that fails once is nothing
    (tmp_path / "starts").unlink()
    going = steps(project.put_measurement, command=dying(tmp_path, 0, 0))
    assert len([step for step in going if isinstance(step, Measurement)]) == 3


@pytest.mark.parametrize("interleave", [1, 3])
def test_a_budget_bounds_compiling(project, monkeypatch, interleave):
    monkeypatch.setattr(core.measure.sweeps.sweep, "LATE_S", 0.0)
    going = steps(
        project.put_measurement, budget_s=2.0, interleave=interleave, command=["--compiling"]
    )
    with pytest.raises(StopIteration) as end:
        while True:
            assert not isinstance(next(going), Measurement)
    # left, and not blamed: with more time it may be measured
    assert (end.value.value.measured, end.value.value.left) == (0, 3)
    assert not project.count()
