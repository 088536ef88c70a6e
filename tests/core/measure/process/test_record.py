"""What is recorded of a point, timed alone or interleaved, or not at all."""

import pytest
from sleeping import Sleeper

from core.measure.backends.backend import BenchContext
from core.measure.process.record import failed, record_of
from core.measure.timing.devices import cpu_device
from core.measure.timing.protocol import Outcome, Settings
from core.model.architecture import Architecture
from core.model.workload import Workload
from core.records.measurement import Point, Timing

POINT = Point(Architecture(2, 64, 4, 2, 16, 128, 257), Workload(1, 8, 3))


def recorded(outcome, flags=(), **environment):
    context = BenchContext(cpu_device(), Settings(seed=7))
    return record_of(
        POINT,
        outcome,
        Sleeper(POINT, context),
        context,
        flags=flags,
        memory_bytes={"weights": 7},
        environment={"torch": "2", **environment},
        timing=Timing(interleaved_with=2),
        started_at="2026-01-01T00:00:00+00:00",
    )


def test_it_holds_what_the_machine_the_runner_and_the_protocol_report():
    outcome = Outcome(attempts=2, warmups=3, stopped_by="interval", seconds=1.23456)
    outcome.add({"ttft": [0.3], "tpot": [0.1, 0.2]}, 1.0)
    found = recorded(outcome, ["busy", "noisy", "busy"], host="here")
    assert found.environment == {
        "torch": "2",
        "host": "here",
        "kernels": "sleep",
        "attempts": 2,
        "warmups": 3,
        "stopped_by": "interval",
        "seconds": 1.235,
        "seed": 7,
    }
    assert found.samples == {"ttft": ((0.3,),), "tpot": ((0.1, 0.2),)}
    assert found.flags == ("busy", "noisy") and not found.failed
    assert found.key == POINT.key(found.device)
    assert found.timing.interleaved_with == 2 and found.memory_bytes == {"weights": 7}


@pytest.mark.parametrize(("flags", "message"), [(["clock"], "the clock ran back"), (["noisy"], "")])
def test_its_message_explains_a_refused_clock_only(flags, message):
    outcome = Outcome(flags=flags, message="the clock ran back")
    assert recorded(outcome, flags).message == message


def test_a_failure_has_its_reason_on_one_line_and_no_samples():
    found = failed(POINT, cpu_device(), "oom", "no\n  room", memory_bytes={"needed": 9})
    assert found.failed and found.flags == ("oom",) and found.message == "no room"
    assert not found.samples and found.memory_bytes == {"needed": 9}
    assert found.key == POINT.key(found.device)
