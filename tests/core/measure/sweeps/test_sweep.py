"""The sweep with real measuring processes: what it promises when everything goes wrong."""

import os
import subprocess
import sys
import threading
import time
import venv
from dataclasses import replace
from pathlib import Path

import faulty_child as faults
import pytest
from sweeping import QUICK, gone

import core.measure.process.session
from core.errors import Unusable
from core.measure.process.session import find_devices
from core.measure.process.worker import Worker
from core.measure.sweeps.sweep import sweep
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Measurement, Point

FAULTY = [sys.executable, str(Path(faults.__file__))]
TINY = Architecture(2, 32, 4, 2, 8, 64, 97)


def point(prompt=8, shape=TINY, output=12, **runtime):
    return Point(shape, Workload(1, prompt, output), Runtime(**runtime))


def steps(points, **options):
    options = {
        "device": "cpu",
        "budget_s": None,
        "store": lambda m: m,
        "settings": QUICK,
        "anchor": None,
        "probe": False,
        "threads": 1,
        **options,
    }
    return sweep(points, **options)


def results(generator):
    return [x for x in generator if isinstance(x, Measurement)]


def test_every_fault_is_flagged_and_the_sweep_goes_on(monkeypatch):
    # a machine under load may be slow at anything else, and that is no hang
    patience = lambda p: 3.0 if p.workload.prompt_tokens == faults.HANGING else 170.0  # noqa: E731
    monkeypatch.setattr(core.measure.process.session, "patience_s", patience)
    # matrices beyond the 32 MiB that glibc may keep for itself and hand out again
    big = Architecture(1, 2048, 8, 8, 256, 8192, 4096)
    plan = [
        (point(8), ""),
        (point(faults.KILLED), "crashed"),
        (point(faults.LATE), ""),
        (point(faults.HANGING), "hung"),
        (point(faults.LYING), "clock"),
        (point(faults.STARVED, big), "oom"),
        (point(faults.EXITING), "crashed"),
        (point(faults.BACKWARDS), "clock"),
        (point(8, Architecture(400, 16384, 4, 4, 4096, 65536, 400_000)), "oom"),
        (point(8, weights="fp8"), "unsupported"),
        (point(9), ""),
    ]
    stored = []
    # an iterator keeps its order, so that faults and good points alternate
    found = results(
        steps((p for p, _ in plan), command=FAULTY, store=lambda m: stored.append(m) or m)
    )
    assert [m.architecture for m in found] == [p.architecture for p, _ in plan]
    for m, (_, flag) in zip(found, plan, strict=True):
        if flag:
            assert flag in m.flags, (flag, m.flags, m.message)
            assert m.failed and not m.samples and m.message
        else:
            assert not m.failed and len(m.samples["tpot"][0]) % 11 == 0
    assert stored == found
    by_flag = {flag: m for m, (_, flag) in zip(found, plan, strict=True)}
    assert "GiB" in by_flag["oom"].message
    assert "status 3: the driver said something rude" in found[6].message
    assert "signal 9" in found[1].message
    assert "clock" in by_flag["clock"].message


def test_each_result_is_stored_before_the_next_point_starts():
    order = []

    def points():
        for prompt in (8, 9):
            order.append(f"start {prompt}")
            yield point(prompt)

    def store(m):
        order.append(f"stored {m.workload.prompt_tokens}")
        return m

    results(steps(points(), store=store))
    assert order == ["start 8", "stored 8", "start 9", "stored 9"]


def test_resume_skips_what_is_stored_and_cancelling_leaves_no_process():
    points = [point(8), point(9), point(10)]
    first = steps(points)
    kept = next(x for x in first if isinstance(x, Measurement))
    child = next(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_child(p))
    first.close()
    assert gone(child)
    rest = results(steps(points, already={kept.key}))
    assert len(rest) == 2
    assert {m.key for m in rest} | {kept.key} == {p.key(kept.device) for p in points}


def _is_child(path):
    try:
        words = (path / "cmdline").read_text().split("\0")
        parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return False
    return parent == os.getpid() and any("core.measure.process.child" in w for w in words)


def test_child_ends_when_the_program_is_killed():
    script = (
        "import sys, time\n"
        "from core.measure.process.worker import Worker\n"
        "w = Worker()\n"
        "list(w.ask({'do': 'devices'}, 60))\n"
        "print(w.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    program = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    child = int(program.stdout.readline())
    assert not gone(child)
    program.kill()
    program.wait()
    program.stdout.close()
    deadline = time.monotonic() + 120
    while not gone(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(child)


def test_pause_holds_the_next_point_and_a_spent_budget_leaves_points():
    pause = threading.Event()
    pause.set()
    generator = steps([point(8), point(9)], pause=pause)
    texts = []
    for x in generator:
        texts.append(x.text)
        if texts.count("paused") == 3:
            break
    assert not any("warming" in t for t in texts)
    pause.clear()
    assert len(results(generator)) == 2

    generator = steps([point(8), point(9)], budget_s=0.0)
    with pytest.raises(StopIteration) as end:
        while True:
            assert not isinstance(next(generator), Measurement)
    assert (end.value.value.measured, end.value.value.left) == (0, 2)


def test_load_by_others_raises_the_busy_flag():
    spin, m = [], None
    try:
        for step in steps([point(8)]):
            if isinstance(step, Measurement):
                m = step
            elif "loading" in step.text and not spin:
                spin = [
                    subprocess.Popen([sys.executable, "-c", "while True: pass"])
                    for _ in range(1 + (os.cpu_count() or 1))
                ]
    finally:
        for process in spin:
            process.kill()
            process.wait()
    assert "busy" in m.flags
    assert m.environment["other_load_cores"] > 0.25


def test_anchor_is_measured_beside_every_point_and_its_change_is_told():
    found = results(steps([point(8), point(9)], anchor=point(4, output=4)))
    assert all(m.timing.anchor_s > 0 for m in found)
    assert found[0].environment["anchor_change"] == 0
    for m in found:
        assert ("drift" in m.flags) == (abs(m.environment["anchor_change"]) > 0.05)


def test_environment_memory_and_raw_samples_are_recorded():
    (m,) = results(steps([point(8)]))
    assert m.environment["threads"] == 1
    assert {"torch", "python", "kernels", "stopped_by", "attempts"} <= set(m.environment)
    assert m.memory_bytes["weights"] == 4 * TINY.params_total
    assert m.memory_bytes["cache"] == TINY.cache_bytes_per_token(4) * 20
    assert m.memory_bytes["process"] > m.memory_bytes["weights"]
    assert len(m.samples["tpot"]) >= 6
    requests = sum(len(b) for b in m.samples["e2e"])
    assert sum(len(b) for b in m.samples["tpot"]) == 11 * requests


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a stretch")
@pytest.mark.parametrize("weights", ["fp32", "bf16"])
def test_a_model_is_charged_with_its_own_memory_alone_even_the_first_of_a_process(weights):
    # random numbers, the race between products and first uses of libraries are not the model's
    shape = Architecture(2, 512, 4, 2, 128, 1536, 4096)
    first, second = results(
        steps(iter([point(8, shape, weights=weights), point(9, shape, weights=weights)]))
    )
    held = first.memory_bytes["weights"] + first.memory_bytes["cache"]
    for m in (first, second):
        assert 0.8 * held < m.memory_bytes["peak_allocated"] < held + 24 * 2**20


def test_no_such_device_or_interpreter_is_said_in_one_line():
    with pytest.raises(Unusable, match="torch sees no device 'cuda:7'"):
        results(steps([point(8)], device="cuda:7"))
    with pytest.raises(Unusable, match="measuring cannot start"):
        results(steps([point(8)], python="/no/such/python"))


def test_devices_are_found_in_the_measuring_process():
    found = find_devices()
    assert found[0].kind == "cpu" and found[0].memory_bytes > 2**28


def test_another_python_gets_the_package_but_not_our_search_path(tmp_path, monkeypatch):
    # an interpreter of its own, isolated from everything but its standard library
    venv.create(tmp_path / "other", with_pip=False, symlinks=True)
    python = tmp_path / "other" / "bin" / "python"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(
        Unusable, match=r"no devices can be listed: .*No module named '(numpy|torch)'"
    ):
        find_devices(python)


def test_worker_can_be_closed_twice():
    worker = Worker()
    worker.close()
    worker.close()
    assert not worker.alive


def test_importing_the_sweep_loads_no_torch():
    code = "import core.measure.sweeps.sweep, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_passes_visit_every_point_again_in_a_fresh_process(monkeypatch):
    started = []

    class Counted(Worker):
        def __init__(self, *args):
            super().__init__(*args)
            started.append(self.pid)

    monkeypatch.setattr(core.measure.process.session, "Worker", Counted)
    points = [point(8), point(9), point(8, weights="fp8")]
    generator = steps(points, repetitions=3)
    found = []
    try:
        while True:
            step = next(generator)
            found += [step] if isinstance(step, Measurement) else []
    except StopIteration as end:
        swept = end.value
    timed = [m for m in found if not m.failed]
    assert [len({m.key for m in timed[i : i + 2]}) for i in (0, 2, 4)] == [2, 2, 2]
    # what cannot run is not tried again
    assert len(found) == 7 and [m.flags for m in found if m.failed] == [("unsupported",)]
    assert (swept.measured, swept.skipped, swept.left) == (7, 2, 0)
    assert len(set(started)) == 3 and all(gone(pid) for pid in started)


def test_a_sweep_resumes_with_the_visits_that_are_missing():
    points = [point(8), point(9)]
    (first,) = results(steps(points[:1]))
    rest = results(steps(points, repetitions=2, already={first.key: 1}))
    assert sorted(m.workload.prompt_tokens for m in rest) == [8, 9, 9]
    # the one measured less often comes first
    assert rest[0].workload.prompt_tokens == 9


def test_interleaved_points_are_stored_like_any_other():
    points = [point(8 + n) for n in range(7)]
    found = results(steps(points, interleave=4, repetitions=2))
    assert len(found) == 14 and all(not m.failed for m in found)
    # seven in companies of four and three
    sizes = sorted(m.timing.interleaved_with for m in found)
    assert sizes == [2] * 6 + [3] * 8


def test_a_fault_among_interleaved_points_is_found_by_measuring_each_alone():
    points = [point(8), point(faults.KILLED), point(9)]
    found = results(steps(points, command=FAULTY, interleave=3))
    told = {m.workload.prompt_tokens: m for m in found}
    assert told[faults.KILLED].flags == ("crashed",)
    assert not told[8].failed and not told[9].failed
    assert not told[8].timing.interleaved_with


LONG = Settings(
    min_blocks=2, max_blocks=100_000, warm_s=0.1, budget_s=8.0, retries=0, block_s=0.05, interval=0
)


def test_an_interleaved_run_that_crashes_late_keeps_its_rounds():
    points = [point(8), point(faults.DYING), point(9)]
    found = results(steps(points, command=FAULTY, interleave=3, settings=LONG))
    assert len(found) == 3 and not any(m.failed for m in found)
    early = [m for m in found if m.timing.ended_early]
    for m in early:
        # three times it told of its rounds, the first time of two
        assert len(m.samples["tpot"]) == 4 and m.timing.interleaved_with == 2
        assert "ended early" in m.message and "status 9" in m.message
    # it fell silent in the turn of one of them, which was then measured by itself
    (again,) = [m for m in found if m not in early]
    assert not again.message and not again.timing.interleaved_with


@pytest.mark.parametrize("sent", [True, False])
def test_the_point_that_ends_an_interleaved_run_is_named_and_the_others_run_again(sent):
    points = [point(8), point(faults.FALLING), point(9)]
    settings = replace(LONG, min_blocks=2 if sent else 6, max_blocks=7)
    found = results(steps(points, command=FAULTY, interleave=3, settings=settings))
    by_prompt = {m.workload.prompt_tokens: m for m in found}
    fallen = by_prompt.pop(faults.FALLING)
    assert fallen.flags == ("crashed",) and "status 11" in fallen.message and not fallen.samples
    for m in by_prompt.values():
        assert not m.failed
        # what they had sent is kept; had they sent nothing, they are interleaved again
        assert m.timing.interleaved_with == (2 if sent else 1)
        assert m.timing.ended_early == sent


def test_leaving_an_interleaved_run_keeps_what_it_had_sent():
    rows = {}

    def store(m):
        m = replace(m, id=m.id or len(rows) + 1)
        rows[m.id] = m
        return m

    points = [point(8), point(faults.TELLING), point(9)]
    going = steps(points, command=FAULTY, interleave=3, settings=LONG, store=store)
    for step in going:
        if "round 5" in getattr(step, "text", ""):
            break
    going.close()
    stored = list(rows.values())
    assert len(stored) == 3
    assert {m.workload.prompt_tokens for m in stored} == {8, 9, faults.TELLING}
    for m in stored:
        assert len(m.samples["tpot"]) >= 2 and "it was stopped" in m.message
