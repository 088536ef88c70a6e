"""A widget in a reference cycle is never destroyed by the thread of a job."""

import gc
import threading

import pytest

from gui.app.garbage import Collector
from gui.state.job import Job


class Told:
    """Notes on which thread it is collected."""

    def __init__(self, threads):
        self.threads, self.me = threads, self

    def __del__(self):
        self.threads.append(threading.current_thread())


@pytest.fixture
def thresholds():
    before, on = gc.get_threshold(), gc.isenabled()
    gc.collect()
    yield
    gc.set_threshold(*before)
    if on:
        gc.enable()
    else:
        gc.disable()


def many_containers():
    for _ in range(50):
        _kept = [[] for _ in range(2000)]
        yield None


def test_cycles_die_on_the_gui_thread_whatever_a_job_allocates(qtbot, thresholds):
    gc.enable()
    _collector = Collector()
    assert not gc.isenabled()
    threads = []
    Told(threads)
    job = Job(many_containers)
    with qtbot.waitSignal(job.ended, timeout=20_000):
        job.start()
    assert threads == []
    gc.collect()
    assert threads == [threading.main_thread()]


def test_a_generation_is_collected_when_it_is_due(qtbot, thresholds):
    collector = Collector()
    threads = []
    gc.set_threshold(100_000, 100_000, 100_000)
    Told(threads)
    collector.collect()
    assert threads == []
    gc.set_threshold(1, 100_000, 100_000)
    some = [[] for _ in range(10)]
    collector.collect()
    assert threads == [threading.main_thread()] and some


def test_the_timer_does_it_by_itself(qtbot, thresholds):
    collector = Collector()
    collector._timer.setInterval(1)
    threads = []
    gc.set_threshold(1, 100_000, 100_000)
    Told(threads)
    some = [[] for _ in range(10)]
    qtbot.waitUntil(lambda: bool(threads), timeout=5000)
    assert some
