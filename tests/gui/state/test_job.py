import threading

import pytest

import gui.state.job
from core.records.progress import Progress
from gui.state.job import Job, Lane


class Heard:
    """Everything a job emitted, in order, and on which thread."""

    def __init__(self, job):
        self.emitted = []
        self.threads = set()
        for name in ("progressed", "yielded", "returned", "failed", "ended"):
            getattr(job, name).connect(self.hear(name))

    def hear(self, name):
        def note(value):
            self.emitted.append((name, value))
            self.threads.add(threading.current_thread())

        return note

    @property
    def names(self):
        return [name for name, _ in self.emitted]


def run(qtbot, job):
    heard = Heard(job)
    with qtbot.waitSignal(job.ended):
        job.start()
    return heard


def test_values_arrive_in_order_on_this_thread_and_ended_is_last(qtbot):
    worker = []

    def work():
        worker.append(threading.current_thread())
        yield "a"
        yield "b"
        return "done"

    heard = run(qtbot, Job(work))
    assert [v for n, v in heard.emitted if n == "yielded"] == ["a", "b"]
    assert heard.names == ["yielded", "yielded", "returned", "ended"]
    assert heard.emitted[2][1] == "done"
    assert heard.threads == {threading.current_thread()}
    assert worker != [threading.current_thread()]


def test_failure_is_reported_once_and_ends(qtbot):
    def work():
        yield 1
        raise ValueError("no such thing")

    heard = run(qtbot, Job(work))
    assert heard.names == ["yielded", "failed", "ended"]
    assert str(heard.emitted[1][1]) == "no such thing"


def test_after_cancel_only_ended_arrives_and_the_generator_is_closed(qtbot):
    closed = threading.Event()
    stepped = threading.Event()

    def work():
        try:
            while True:
                stepped.set()
                yield "more"
        finally:
            closed.set()

    job = Job(work)
    heard = Heard(job)
    job.start()
    assert stepped.wait(600)
    job.cancel()
    before = len(heard.emitted)
    if "ended" not in heard.names:
        qtbot.waitUntil(lambda: "ended" in heard.names)
    assert heard.names[before:] == ["ended"]
    assert closed.is_set()


def test_progress_is_thinned_but_the_last_one_arrives(qtbot, monkeypatch):
    monkeypatch.setattr(gui.state.job, "PROGRESS_EVERY_S", 1e9)

    def work():
        for i in range(20_000):
            yield Progress(i + 1, 20_000)
        return None

    heard = run(qtbot, Job(work))
    reports = [v for n, v in heard.emitted if n == "progressed"]
    assert [progress.done for progress in reports] == [1, 20_000]


def test_progress_before_a_result_is_not_lost(qtbot):
    def work():
        yield Progress(1, 3)
        yield Progress(2, 3)
        yield "result"

    heard = run(qtbot, Job(work))
    assert [v.done if n == "progressed" else v for n, v in heard.emitted[:3]] == [1, 2, "result"]


def test_pause_holds_and_resume_goes_on(qtbot):
    steps = []

    def work():
        for i in range(1_000_000):
            steps.append(i)
            yield i

    job = Job(work)
    heard = Heard(job)
    job.pause()
    job.start()
    assert job.paused
    assert not steps
    job.resume()
    qtbot.waitUntil(lambda: "yielded" in heard.names)
    job.cancel()
    qtbot.waitUntil(lambda: "ended" in heard.names)


def test_latest_wins_lane_runs_the_newest_after_the_running_one_ended(qtbot):
    lane = Lane()
    running = []
    overlaps = []

    def work(name):
        def steps():
            running.append(name)
            overlaps.append(len(running))
            try:
                for _ in range(1000 if name == "first" else 1):
                    threading.Event().wait(0.002)
                    yield name
            finally:
                running.remove(name)
            return name

        return steps

    results = []
    jobs = [Job(work(name)) for name in ("first", "second", "third")]
    for job in jobs:
        job.returned.connect(results.append)
        lane.submit(job)
    qtbot.waitUntil(lambda: not lane.busy)
    assert results == ["third"]
    assert max(overlaps) == 1


def test_queue_lane_runs_every_job_in_turn(qtbot):
    lane = Lane(queue=True)
    results = []

    def work(name):
        def steps():
            yield name
            return name

        return steps

    for name in "abc":
        job = Job(work(name))
        job.returned.connect(results.append)
        lane.submit(job)
    qtbot.waitUntil(lambda: not lane.busy)
    assert results == ["a", "b", "c"]


def test_close_joins_the_thread(qtbot):
    lane = Lane()

    def work():
        while True:
            threading.Event().wait(0.001)
            yield 1

    job = lane.submit(Job(work))
    assert lane.close(600)
    assert job.wait(0)


def test_a_job_deleted_while_it_runs_does_not_crash(qtbot):
    stop = threading.Event()

    def work():
        while not stop.is_set():
            yield 1

    import shiboken6

    job = Job(work)
    thread = job._thread
    job.start()
    shiboken6.delete(job)
    threading.Event().wait(0.05)  # it goes on emitting to no one
    stop.set()
    thread.join(600)
    assert not thread.is_alive()


@pytest.mark.parametrize("mode", [True, False])
def test_lane_is_idle_after_a_failure(qtbot, mode):
    lane = Lane(queue=mode)

    def work():
        raise RuntimeError("bad")
        yield

    with qtbot.waitSignal(lane.idle):
        lane.submit(Job(work))
    assert not lane.busy
