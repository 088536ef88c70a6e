"""Several devices at once: every point once, results of all, and nothing left running."""

import threading
from dataclasses import replace

import pytest
from measured import measured

from core.errors import Unusable
from core.measure.sweeps.several_devices import shares, sweep_on_all
from core.measure.sweeps.sweep import Swept, sweep
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress

WORK = Workload(1, 8, 8)
POINTS = [
    Point(Architecture(n, 64, 4, 4, 16, 128, 512), WORK, Runtime()) for n in (2, 3, 4, 5, 6, 7, 8)
]
ONE = Device("cuda", "a card", 8 * 2**30)
TWO = replace(ONE, index=1)
OTHER = Device("cuda", "another card", 4 * 2**30, index=2)


def test_alike_devices_share_and_unlike_ones_measure_everything():
    one, two, other = shares(POINTS, [ONE, TWO, OTHER])
    assert not set(one) & set(two) and set(one) | set(two) == set(POINTS) == set(other)
    # dealt by weight: neither has all the large ones
    depth = [sum(p.architecture.n_layers for p in share) for share in (one, two)]
    assert abs(depth[0] - depth[1]) <= max(p.architecture.n_layers for p in POINTS)


def fake(fails_on=None, waits=None, closed=None):
    def start(points, device):
        try:
            yield Progress(0, len(points), "warming", 10.0)
            for number, point in enumerate(points):
                if waits is not None:
                    waits.wait(timeout=120)
                if device == fails_on:
                    raise Unusable("the card fell off the bus")
                yield measured(point.architecture, point.workload, point.runtime, device)
                yield Progress(number + 1, len(points), "timing", 1.0)
            return Swept(len(points), 0, 0, device, 2.0)
        finally:
            if closed is not None:
                closed.append(device)

    return start


def run(steps):
    found = []
    while True:
        try:
            found.append(next(steps))
        except StopIteration as end:
            return found, end.value


def test_results_of_all_lanes_come_together():
    # neither lane can end before both have begun
    both = threading.Barrier(2)
    begun = threading.local()

    class Together:
        def wait(self, timeout):
            if not getattr(begun, "yes", False):
                begun.yes = True
                both.wait(timeout)

    steps, swept = run(sweep_on_all(POINTS, [ONE, TWO], fake(waits=Together())))
    results = [s for s in steps if isinstance(s, Measurement)]
    assert {m.architecture for m in results} == {p.architecture for p in POINTS}
    assert {m.device.index for m in results} == {0, 1} and len(results) == len(POINTS)
    assert swept.measured == len(POINTS) and swept.seconds == 2.0
    last = [s for s in steps if isinstance(s, Progress)][-1]
    assert last.done == last.total == len(POINTS)


def test_a_lane_that_fails_does_not_end_the_other():
    found = []
    with pytest.raises(Unusable, match="fell off"):
        for step in sweep_on_all(POINTS, [ONE, TWO], fake(fails_on=TWO)):
            found.append(step)
    assert sum(isinstance(s, Measurement) for s in found) == 4


def test_leaving_ends_every_lane():
    closed = []
    steps = sweep_on_all(POINTS, [ONE, TWO, OTHER], fake(closed=closed))
    next(steps)
    steps.close()
    assert sorted(d.index for d in closed) == [0, 1, 2]


def test_two_real_sweeps_run_side_by_side():
    pytest.importorskip("torch")
    stored = []
    lock = threading.Lock()

    def store(m):
        with lock:
            stored.append(m)
        return m

    quick = Settings(warm_s=0.1, min_blocks=2, max_blocks=2, budget_s=100, block_s=0.05, retries=0)

    def start(points, device):
        return sweep(
            points,
            device="cpu",
            budget_s=None,
            store=store,
            settings=quick,
            anchor=None,
            probe=False,
        )

    lanes = [Device("cpu", "half", 2**33), Device("cpu", "half", 2**33, index=1)]
    steps, swept = run(sweep_on_all(POINTS[:4], lanes, start))
    assert swept.measured == 4 and {m.architecture for m in stored} == {
        p.architecture for p in POINTS[:4]
    }
    assert not any(m.failed for m in stored)
    assert sum(isinstance(s, Measurement) for s in steps) == len(stored) == 4
