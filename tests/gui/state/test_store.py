import sqlite3
import threading

import pytest
from tiny_project import DEVICE, SPACE, failed, timed

from core.errors import Unusable
from core.pareto.limits import parse_limit
from core.project.choices import LossChoice
from core.project.project import Project
from core.records.measurement import Device
from core.records.progress import Notice, Progress
from core.space.space_file import parse_space
from gui.state import measuring


def settle(qtbot, store):
    qtbot.waitUntil(lambda: store.settled and not store.state.busy, timeout=120_000)


def test_opening_gives_laws_table_and_front(opened):
    state = opened.state
    assert state.contents.name == "tiny"
    assert state.table.described == len(state.contents.space.candidates())
    assert len(state.frame.front) > 2
    assert state.laws.loss.ok
    assert state.laws.latency
    assert not state.message


def test_a_part_that_does_not_change_stays_the_same_object(opened):
    before = opened.state
    opened.choose(x_log=False)
    after = opened.state
    assert after is not before
    assert after.table is before.table
    assert after.frame is before.frame
    assert after.choices.limits is before.choices.limits


def test_choosing_what_is_chosen_is_no_step(opened):
    before = opened.state
    opened.choose(x="tpot_s")
    assert opened.state is before
    assert not opened.state.can_undo


def test_a_limit_reframes_at_once_and_is_undone(opened):
    free = opened.state.frame
    limit = parse_limit("tpot<=3ms")
    opened.set_limit(limit)
    inside = opened.state.frame
    assert inside.limits == (limit,)
    assert inside.feasible.sum() < free.feasible.sum()
    assert inside.hidden[0] == (~inside.feasible).sum()
    opened.undo()
    assert opened.state.choices.limits == ()
    assert opened.state.frame.feasible.all()
    assert opened.state.can_redo
    opened.redo()
    assert opened.state.choices.limits == (limit,)


def test_a_gesture_is_one_step(opened):
    for value in ("5ms", "4ms", "3ms"):
        opened.set_limit(parse_limit(f"tpot<={value}"), gesture="drag tpot")
    opened.end_gesture()
    opened.set_limit(parse_limit("tpot<=2ms"), gesture="drag tpot")
    opened.undo()
    assert opened.state.choices.limits == (parse_limit("tpot<=3ms"),)
    opened.undo()
    assert opened.state.choices.limits == ()
    assert not opened.state.can_undo


def test_undo_never_takes_measurements_away(qtbot, opened):
    opened.choose(y_log=True)
    opened.measuring.measured.emit(timed(parse_space(SPACE).measurement_points()[0]))
    count = len(opened.state.contents.measurements)
    opened.undo()
    assert len(opened.state.contents.measurements) == count
    settle(qtbot, opened)


def test_another_axis_is_another_front(opened):
    before = opened.state.frame
    opened.choose(x="memory_bytes")
    assert opened.state.frame.x == "memory_bytes"
    assert opened.state.frame is not before


def test_choosing_a_row_keeps_the_front(opened):
    front = opened.state.frame.front
    row = int(front[0])
    opened.choose(selected=opened.state.table.id_of(row))
    assert opened.state.frame.selected == row
    assert opened.state.frame.front is front


def test_what_if_makes_another_table_and_the_old_one_stays_meanwhile(qtbot, opened):
    old = opened.state.table
    opened.choose(what_if=opened.state.choices.what_if.__class__(prompt_tokens=512))
    assert opened.state.table is old
    assert opened.state.busy
    settle(qtbot, opened)
    table = opened.state.table
    assert table is not old
    assert set(table.candidates.prompt_tokens[: table.described]) == {512}


def test_limits_dragged_while_the_table_is_made_are_kept(qtbot, opened):
    opened.choose(loss=LossChoice(law="chinchilla"))
    for value in ("5ms", "4ms", "3ms"):
        opened.set_limit(parse_limit(f"tpot<={value}"), gesture="drag")
    assert opened.state.frame.limits == (parse_limit("tpot<=3ms"),)
    settle(qtbot, opened)
    assert opened.state.laws.loss.law == "chinchilla"
    assert opened.state.frame.limits == (parse_limit("tpot<=3ms"),)


def test_a_measurement_refits_latency_but_not_the_loss_law(qtbot, opened):
    loss, table = opened.state.laws.loss, opened.state.table
    before = sum(f.n for f in opened.state.laws.latency if f.metric == "tpot")
    points = parse_space(SPACE.replace("levels = [", 'levels = ["40M", ')).measurement_points()
    known = {m.architecture for m in opened.state.contents.measurements}
    opened.measuring.measured.emit(timed(next(p for p in points if p.architecture not in known)))
    settle(qtbot, opened)
    assert opened.state.laws.loss is loss
    assert opened.state.table is not table
    assert sum(f.n for f in opened.state.laws.latency if f.metric == "tpot") == before + 1


def test_choices_are_written_and_come_back(qtbot, store, opened, project_path):
    limit = parse_limit("memory<=80MB")
    store.choose(x="memory_bytes")
    store.set_limit(limit)
    store.close()
    with Project.open(project_path) as project:
        assert project.choices().x == "memory_bytes"
        assert project.choices().limits == (limit,)


def test_an_unusable_file_is_one_line_and_the_old_project_stays(qtbot, opened, tmp_path):
    bad = tmp_path / "bad.paretoscope"
    bad.write_text("not a database")
    before = opened.state.path
    with qtbot.waitSignal(opened.open(bad).ended):
        pass
    assert "is not a Paretoscope project" in opened.state.message
    assert opened.state.path == before
    opened.notify("")
    assert opened.state.message == ""


def test_an_empty_project_shows_what_to_do(qtbot, store, tmp_path):
    store.new(tmp_path / "empty.paretoscope")
    qtbot.waitUntil(lambda: store.state.message != "", timeout=120_000)
    assert "describe a space" in store.state.message
    assert store.state.table is None
    store.put_space(SPACE)
    qtbot.waitUntil(lambda: store.state.table is not None, timeout=120_000)
    settle(qtbot, store)


def test_a_space_that_cannot_be_read_changes_nothing(opened):
    before = opened.state
    with pytest.raises(Unusable, match="d_modell"):
        opened.put_space("[shape]\nn_layers = 2\nd_modell = 3")
    assert opened.state is before


def test_save_as_goes_on_in_the_copy(qtbot, opened, tmp_path):
    copy = tmp_path / "copy.paretoscope"
    opened.choose(x="memory_bytes")
    opened.save_as(copy)
    qtbot.waitUntil(lambda: opened.state.path == str(copy), timeout=120_000)
    settle(qtbot, opened)
    assert opened.state.choices.x == "memory_bytes"
    assert sqlite3.connect(copy).execute("SELECT count(*) FROM measurement").fetchone()[0] == len(
        opened.state.contents.measurements
    )


def stub_sweeper(results):
    def sweeper(project, points, device, *, pause, **options):
        yield Progress(0, len(points), "starting")
        for i, result in enumerate(results):
            stored = project.add_measurement(result)
            yield stored
            yield Progress(i + 1, len(points), "", 5.0)
        return len(results)

    return sweeper


def test_a_sweep_stores_shows_and_refits(qtbot, store, tmp_path):
    path = tmp_path / "new.paretoscope"
    store.new(path, SPACE)
    qtbot.waitUntil(lambda: store.state.table is not None and store.settled, timeout=120_000)
    assert not store.state.table.known("tpot_s")
    points = parse_space(SPACE).measurement_points()
    results = [timed(p) for p in points[:-1]] + [failed(points[-1])]
    store.measuring.sweeper = stub_sweeper(results)
    store.measure(points, DEVICE)
    assert store.state.sweep.running
    qtbot.waitUntil(lambda: not store.state.sweep.running, timeout=120_000)
    settle(qtbot, store)
    assert [m.flags for m in store.state.contents.measurements] == [()] * (len(points) - 1) + [
        ("oom",)
    ]
    assert store.state.table.known("tpot_s")
    assert len(store.state.frame.front)
    assert store.state.sweep.message == "finished"
    done = [n for n, _ in store.state.sweep.errors]
    assert done == sorted(done)
    store.close()
    with Project.open(path) as project:
        assert len(project.measurements()) == len(points)


def test_a_sweep_that_fails_shows_what_it_had_stored(qtbot, opened):
    points = parse_space(SPACE).measurement_points()
    before = len(opened.state.contents.measurements)

    def sweeper(project, points, device, *, pause, **options):
        yield Notice("waiting for cpu")
        yield Progress(0, len(points), "points in turns")
        project.put_measurement(timed(points[0]))
        raise Unusable("the disk is full")

    opened.measuring.sweeper = sweeper
    opened.measure(points, DEVICE)
    qtbot.waitUntil(lambda: not opened.state.sweep.running)
    settle(qtbot, opened)
    assert "the disk is full" in opened.state.message
    assert len(opened.state.contents.measurements) == before + 1


def test_cancelling_a_sweep_keeps_what_was_measured(qtbot, opened):
    points = parse_space(SPACE).measurement_points()

    def endless(project, points, device, *, pause, **options):
        yield project.add_measurement(timed(points[0]))
        while True:
            yield Progress(1, len(points), "measuring", 100.0)

    count = len(opened.state.contents.measurements)
    opened.measuring.sweeper = endless
    opened.measure(points, DEVICE)
    qtbot.waitUntil(lambda: len(opened.state.contents.measurements) > count, timeout=120_000)
    opened.pause_sweep()
    assert opened.state.sweep.paused
    opened.resume_sweep()
    opened.cancel_sweep()
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=120_000)
    assert len(opened.state.contents.measurements) == count + 1
    assert "kept" in opened.state.sweep.message
    settle(qtbot, opened)


def test_a_sweep_that_cannot_start_shows_why(qtbot, opened):
    def refused(project, points, device, *, pause, **options):
        raise Unusable("measuring cannot start: no torch")
        yield

    opened.measuring.sweeper = refused
    opened.measure(parse_space(SPACE).measurement_points(), DEVICE)
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=120_000)
    assert opened.state.message == "measuring cannot start: no torch"


def test_what_cannot_be_read_of_a_project_is_told_and_the_rest_is_shown(qtbot, store, project_path):
    db = sqlite3.connect(project_path)
    db.execute("UPDATE measurement SET record = x'00' WHERE id < 3")
    db.commit()
    db.close()
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    assert store.state.message.startswith("measurement 1 is damaged and was left out")
    assert store.state.message.endswith("; 1 more like it; it stays in the file")
    assert store.state.contents.measurements[0].id == 3


def test_a_read_only_project_is_not_measured_into(qtbot, store, project_path):
    store.load(lambda: Project.open(project_path, read_only=True))
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    store.measure(parse_space(SPACE).measurement_points(), DEVICE)
    assert "read-only" in store.state.message
    assert not store.state.sweep.running
    store.choose(x="memory_bytes")
    store.flush()


def test_another_device_is_shown_though_its_law_comes_after_the_sweep(qtbot, opened, monkeypatch):
    other = Device("cuda", "Some GPU", 80 * 2**30)
    # as on a busy machine: the sweep no longer waits for the fits
    monkeypatch.setattr(measuring, "QUIET_AT_MOST_S", 0.0)
    points = parse_space(SPACE).measurement_points()
    opened.measuring.sweeper = stub_sweeper([timed(p, other) for p in points])
    opened.measure(points, other)
    qtbot.waitUntil(lambda: not opened.state.sweep.running)
    settle(qtbot, opened)
    assert opened.state.choices.device_key == other.key
    assert opened.state.table.device_key == other.key


def test_a_device_chosen_during_a_sweep_stays(qtbot, opened):
    other = Device("cuda", "Some GPU", 80 * 2**30)
    points = parse_space(SPACE).measurement_points()
    gate = threading.Event()

    def sweeper(project, points, device, *, pause, **options):
        for point in points:
            yield project.add_measurement(timed(point, device))
        while not gate.is_set():
            yield Progress(len(points), len(points) + 1, "measuring", 5.0)
            gate.wait(0.01)
        yield project.add_measurement(timed(points[0], device))

    opened.measuring.sweeper = sweeper
    opened.measure(points, other)
    qtbot.waitUntil(lambda: opened.state.choices.device_key == other.key)
    opened.choose(device_key=DEVICE.key)
    settle(qtbot, opened)
    gate.set()
    qtbot.waitUntil(lambda: not opened.state.sweep.running)
    settle(qtbot, opened)
    assert opened.state.choices.device_key == DEVICE.key


def test_measuring_another_device_shows_it_once_it_has_a_law(qtbot, opened):
    other = Device("cuda", "Some GPU", 80 * 2**30)
    assert opened.state.table.device_key == DEVICE.key
    points = parse_space(SPACE).measurement_points()
    opened.measuring.sweeper = stub_sweeper([timed(p, other) for p in points])
    opened.measure(points, other)
    qtbot.waitUntil(lambda: not opened.state.sweep.running, timeout=60_000)
    settle(qtbot, opened)
    assert opened.state.table.device_key == other.key
    assert opened.state.table.known("tpot_s")
    assert opened.state.choices.device_key == other.key
    opened.choose(device_key=DEVICE.key)
    settle(qtbot, opened)
    assert opened.state.table.device_key == DEVICE.key
