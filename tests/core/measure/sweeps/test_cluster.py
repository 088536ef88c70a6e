"""A real Dask cluster on loopback: a scheduler and two workers in processes of their own."""

import signal
import time
from collections import Counter, deque
from types import SimpleNamespace

import pytest
from dask_cluster import POINTS, QUICK, Cluster

from core.errors import Unusable
from core.measure.sweeps.cluster import (
    _next_for,
    _open_slots,
    _progress,
    _Slot,
    _Task,
    cluster_sweep,
    place_of,
)
from core.measure.sweeps.launch import connect
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Measurement, Point
from core.records.progress import Progress
from core.records.serial import to_plain
from core.samples.statistics import estimate

distributed = pytest.importorskip("distributed")
pytest.importorskip("torch")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One for all tests, which build on each other: starting Python four times is what takes long."""
    made = Cluster(tmp_path_factory.mktemp("dask"))
    try:
        yield made
    finally:
        made.close()


def test_without_workers_or_a_scheduler_it_says_what_to_do(cluster):
    with cluster.client() as client, pytest.raises(Unusable, match="no Dask worker came"):
        list(cluster_sweep(POINTS, client=client, store=str, wait_s=0.5))
    for address, reason in (
        ("nonsense", "write tcp://HOST:PORT"),
        ("ssh:", "write the machines"),
        ("slurm:many", "how many workers"),
    ):
        with pytest.raises(Unusable, match=reason):
            connect(address)


def test_a_killed_workers_point_is_retried_and_nothing_is_measured_twice(cluster):
    workers = [cluster.worker("a"), cluster.worker("b")]
    stored = cluster.stored

    def store(m):
        stored.append(m)
        return m

    with cluster.client() as client:
        client.wait_for_workers(2, timeout=200)
        where = {w["name"]: address for address, w in client.scheduler_info()["workers"].items()}
        steps = cluster_sweep(
            POINTS, client=client, store=store, device="cpu", per_host=2, settings=QUICK,
            threads=1, probe=False,
        )  # fmt: skip
        killed = False
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                end = stop.value
                break
            # both slots have a point in flight: one worker dies with its own
            if not killed and isinstance(step, Progress) and step.text.count("batch") == 2:
                workers[0].send_signal(signal.SIGKILL)
                killed = True
    assert killed and set(where) == {"a", "b"}
    assert end.lost_workers == 1 and end.retried == 1
    assert (end.measured, end.skipped, end.left) == (6, 0, 0)
    times = Counter(m.architecture.n_layers for m in stored)
    assert times == dict.fromkeys((1, 2, 3, 4, 5, 6), 1)
    for m in stored:
        assert not m.failed and estimate(m, "tpot").value > 0
        assert m.device.host and m.device.kind == "cpu"
    assert sum(end.by_lane.values()) == 6


def test_what_is_known_is_skipped_and_lanes_are_one_a_host(cluster):
    """On the survivor and a worker that came later: only the new point is measured."""
    assert len(cluster.stored) == 6
    cluster.worker("c")
    new = Point(Architecture(7, 64, 1, 1, 64, 128, 256), Workload(1, 4, 4), Runtime())
    known = {m.key for m in cluster.stored}
    with cluster.client() as client:
        client.wait_for_workers(2, timeout=200)
        again, end = run([*POINTS, new], client, known)
    assert [m.architecture.n_layers for m in again] == [7]
    assert (end.measured, end.skipped) == (1, 6)
    # one CPU is one slot, however many workers its host runs
    assert len(end.by_lane) == 1


def run(points, client, already=frozenset()):
    steps = cluster_sweep(
        points, client=client, store=lambda m: m, already=already, device="cpu", settings=QUICK,
        threads=1, probe=False,
    )  # fmt: skip
    seen = []
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            return seen, stop.value
        if isinstance(step, Measurement):
            seen.append(step)


def test_a_point_goes_to_the_device_it_was_measured_on_while_that_is_there():
    # alike machines have one key, but are not one
    near, far = (Device("cpu", "alike", 2**30, host=host) for host in ("near", "far"))
    queue = deque(_Task(p) for p in POINTS[:3])
    slots = {"a": _Slot("a", "cpu", near), "b": _Slot("b", "cpu", far)}
    gone = Device("cpu", "alike", 2**30, host="gone")
    places = dict(zip(POINTS, map(place_of, (far, near, gone)), strict=False))
    place = places.__getitem__
    assert _next_for(queue, slots["a"], slots, place).point == POINTS[1]
    # a device that is there no more binds nobody
    assert _next_for(queue, slots["a"], slots, place).point == POINTS[2]
    assert _next_for(queue, slots["a"], slots, place) is None
    assert _next_for(queue, slots["b"], slots, place).point == POINTS[0]


class Asked:
    """A client whose workers answer what they were given, or fail."""

    def __init__(self, answers):
        self.answers, self.count = answers, 0

    def submit(self, _what, *, workers, **_options):
        self.count += 1
        (worker,) = workers
        return SimpleNamespace(result=lambda timeout: self.answers[worker]())


def test_a_worker_that_cannot_measure_does_not_keep_the_others_from_it():
    def broken():
        raise ModuleNotFoundError("No module named 'torch'")

    device = to_plain(Device("cpu", "good", 2**30))
    client = Asked({"tcp://a:1": broken, "tcp://b:1": lambda: [device]})
    slots, seen, refusals = {}, {}, {}
    for _ in range(3):
        _open_slots(client, slots, seen, refusals, set(client.answers), "auto", None)
    assert list(slots) == ["tcp://b:1"] and client.count == 2
    assert "tcp://a:1 cannot measure: No module named 'torch'" in refusals["tcp://a:1"]
    told = _progress(0, 3, {}, {}, time.monotonic(), refusals["tcp://a:1"])
    assert "cannot measure" in told.text
