"""The contract that every backend passes by being registered, and what one more of them costs."""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

import pytest
import sleeping
import sleeping_child
from measured import DEVICE
from profiled_space import SPACE
from sweeping import QUICK

import core.commands.model
import core.commands.profile
import core.measure.process.session
from core.__main__ import main
from core.errors import Unsupported, Unusable
from core.measure.backends.backend import BenchContext
from core.measure.backends.registry import (
    BACKENDS,
    backend_of,
    check_names,
    for_folders,
    needed_bytes,
    refusal,
    start_runner,
    sweepable,
)
from core.measure.process.session import patience_s
from core.measure.sweeps.sweep import sweep
from core.measure.timing.devices import cpu_device
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import BYTES_PER_ELEMENT, Runtime, Workload
from core.records.measurement import Measurement, Point

TINY = Architecture(2, 32, 2, 2, 16, 64, 97)
ROWS = {**BACKENDS, "sleeping": sleeping.BACKEND}


@pytest.fixture
def registered(monkeypatch):
    """The sleeping backend: its one line in the registry, here and in the measuring process."""
    monkeypatch.setitem(BACKENDS, "sleeping", sleeping.BACKEND)
    command = [sys.executable, str(Path(sleeping_child.__file__))]
    monkeypatch.setattr(core.measure.process.session, "child_command", lambda _python=None: command)


@pytest.fixture(params=sorted(ROWS))
def row(request, registered):
    return ROWS[request.param]


def point(row, **work):
    precision = row.weights[0]
    cache = precision if precision in row.caches else row.caches[0]
    work = {"batch": 1, "prompt_tokens": 8, "output_tokens": 4, **work}
    return Point(TINY, Workload(**work), Runtime(row.name, precision, cache))


def test_a_row_is_filled_in_plainly(row):
    assert Runtime(row.name).execution == row.name and row.label
    assert row.devices and set(row.devices) <= {"cpu", "cuda"}
    assert row.weights and set(row.weights) <= set(BYTES_PER_ELEMENT)
    assert row.caches and set(row.caches) <= set(BYTES_PER_ELEMENT)
    assert row.folders in ("", "llama", "any")
    assert bool(row.needs) <= bool(row.extra)
    assert row.start is not None or not (row.folders or row.interleaves or row.quick)


def test_memory_is_predicted_by_part(row):
    need = dict(needed_bytes(point(row)))
    total = need.pop("total")
    assert {"weights", "cache", "work"} <= set(need) and total == sum(need.values()) > 0
    assert needed_bytes(point(row, batch=8))["total"] >= total
    assert patience_s(point(row)) >= 60 + row.patience_s


def test_it_is_offered_wherever_it_can_be_chosen(row):
    offered = {}
    for name, command in (("profile", core.commands.profile), ("model", core.commands.model)):
        parser = argparse.ArgumentParser()
        command.arguments(parser)
        (action,) = [a for a in parser._actions if "--execution" in a.option_strings]
        offered[name] = action.choices
    assert (row.name in offered["profile"]) == (row.start is not None) == (row.name in sweepable())
    assert (row.name in offered["model"]) == bool(row.folders)
    assert backend_of(point(row)) is row
    check_names([row.name])


def test_what_it_cannot_do_is_refused_with_a_reason(row):
    context = BenchContext(cpu_device(), threads=1)
    one = point(row)
    for kind in {"cpu", "cuda"} - set(row.devices):
        assert row.label in refusal(one, kind)
    for precision in set(BYTES_PER_ELEMENT) - set(row.weights):
        other = Point(TINY, one.workload, Runtime(row.name, precision, one.runtime.cache))
        assert refusal(other, row.devices[0])
    if not row.folders:
        real = Point(TINY, one.workload, one.runtime, "/a/model")
        assert refusal(real, row.devices[0])
    if row.start is None or "cpu" not in row.devices:
        with pytest.raises(Unsupported, match=row.label):
            start_runner(one, context)


@pytest.mark.timeout(600)
def test_it_runs_times_and_describes_itself(row):
    if row.start is None or "cpu" not in row.devices:
        pytest.skip("a sweep does not start it on a CPU")
    if any(importlib.util.find_spec(name) is None for name in row.needs):
        pytest.skip(f"{', '.join(row.needs)} are not all installed here")
    torch = pytest.importorskip("torch")
    context = BenchContext(cpu_device(), Settings(), threads=1)
    with torch.inference_mode():
        try:
            runner = start_runner(point(row), context)
        except Unsupported as error:
            # a compiler, or a kernel of this processor, is not there
            assert str(error)
            pytest.skip(str(error))
        before = context.pulse.count
        assert runner.warm() > 0
        samples = runner.request()
        assert [len(samples[k]) for k in ("ttft", "tpot", "e2e")] == [1, 3, 1]
        assert all(value > 0 for k in ("ttft", "tpot", "e2e") for value in samples[k])
        assert samples["e2e"][0] >= samples["ttft"][0]
        assert set(runner.first()) <= {"ttft"}
        # so that a hang can be noticed
        assert context.pulse.count > before
        assert all(size >= 0 for size in runner.memory().values())
        described = runner.describe()
        json.dumps(described, allow_nan=False)
        # else timings of two versions would be combined
        software = described.get("software", {})
        assert all(isinstance(version, str) and version for version in software.values())
        assert bool(software) == bool(set(row.needs) - {"torch"})
        if row.shared is not None:
            shared = row.shared(point(row), context)
            assert start_runner(point(row), context, shared).request()["e2e"][0] > 0
        runner.close()


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(Unusable, match=r"execution must be one of eager, graph, .*'telepathy'"):
        check_names(["eager", "telepathy"])
    with pytest.raises(Unusable):
        needed_bytes(Point(TINY, Workload(), Runtime("telepathy")))
    assert for_folders()[0].folders == "any"


# --- one more backend: `tests/helpers/sleeping.py` and its line in the registry --------------------


@pytest.fixture
def space(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE.replace('"eager"', '"sleeping"'))
    return str(tmp_path / "space.toml")


def run(capsys, *words):
    status = main(["profile", *words, "--json"])
    out = capsys.readouterr().out
    assert status == 0
    return json.loads(out.splitlines()[-1]), out


def test_a_new_backend_is_planned(registered, space, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(core.measure.process.session, "find_devices", lambda _=None: (DEVICE,))
    answer, out = run(capsys, space, "--project", str(tmp_path / "p.paretoscope"), "--plan")
    assert "sleeping, fp32" in out and {p["needed_bytes"] for p in answer["points"]} == {7}


def asleep(tpot_s, ttft_s):
    # a sleep may be longer than asked for, never shorter
    return tpot_s >= sleeping.TOKEN_S and ttft_s >= 2 * sleeping.TOKEN_S


@pytest.mark.timeout(300)
def test_a_new_backend_is_run_by_the_command_line(registered, space, tmp_path, capsys):
    words = (space, "--project", str(tmp_path / "p.paretoscope"), "--threads", "1")
    answer, _ = run(capsys, *words, "--points", "1", "--budget-s", "3")
    # how many repetitions fit into the budget depends on the machine
    m, *again = answer["measurements"]
    assert all(other["shape"] == m["shape"] for other in again)
    assert m["runtime"]["execution"] == "sleeping" and m["memory_bytes"]["weights"] == 7
    assert not m["message"] and asleep(m["metrics"]["tpot"]["value"], m["metrics"]["ttft"]["value"])


@pytest.mark.timeout(300)
def test_a_new_backend_is_interleaved(registered):
    points = [point(sleeping.BACKEND), point(sleeping.BACKEND, prompt_tokens=9)]
    options = {"device": "cpu", "budget_s": None, "store": lambda m: m, "settings": QUICK}
    steps = sweep(points, **options, anchor=None, probe=False, threads=1, interleave=2)
    found = [step for step in steps if isinstance(step, Measurement)]
    assert [m.timing.interleaved_with for m in found] == [1, 1]
    assert all(asleep(min(m.samples["tpot"][0]), min(m.samples["ttft"][0])) for m in found)


def test_a_new_backend_is_unknown_to_a_process_without_its_line(space, tmp_path, capsys):
    status = main(["profile", space, "--project", str(tmp_path / "p.paretoscope")])
    assert status == 2 and "not 'sleeping'" in capsys.readouterr().err
