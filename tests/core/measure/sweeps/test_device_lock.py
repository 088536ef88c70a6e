"""Two sweeps on one device: the second says who measures, waits, and can be left."""

import subprocess
import sys

import pytest

from core.measure.sweeps.device_lock import free_device, lock_file
from core.measure.sweeps.sweep import sweep
from core.records.progress import Notice, Progress

HOLDER = """
import time
from core.measure.sweeps.device_lock import free_device
from core.records.progress import outcome
lock = outcome(free_device("cpu"))
print("held", flush=True)
time.sleep(3600)
"""


@pytest.fixture
def other():
    """Another process that measures on the processor."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_sweep_says_who_measures_and_goes_on_afterwards(other):
    waiting = free_device("cpu")
    notice = next(waiting)
    assert isinstance(notice, Notice)
    assert f"waiting for cpu: process {other.pid} on" in notice.text
    assert "stop this sweep" in notice.text
    assert isinstance(next(waiting), Progress) and isinstance(next(waiting), Progress)
    other.kill()
    other.wait()
    with pytest.raises(StopIteration) as end:
        for _ in range(1000):
            next(waiting)
    end.value.value.release()


def test_a_sweep_waits_before_it_starts_anything_and_can_be_left(other):
    going = sweep([], device="cpu", budget_s=None, store=lambda m: m)
    assert isinstance(next(going), Notice)
    going.close()
    # another device is nothing to it
    assert lock_file("cuda:0") != lock_file("cpu")
    with pytest.raises(StopIteration):
        next(free_device("cuda:0"))


def test_gpus_are_told_apart_by_what_the_system_calls_them(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    first, second = lock_file("cuda:0"), lock_file("cuda:1")
    assert first != second and lock_file("cuda") == first
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert (lock_file("cuda:0"), lock_file("cuda:1")) == (second, first)
