"""Windows without a screen, and no test may leave a thread behind."""

import os
import threading
import time

# before Qt is imported anywhere
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from gui.job import THREAD_NAME


@pytest.fixture(autouse=True)
def no_dangling_threads():
    yield
    deadline = time.monotonic() + 10
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(max(0.0, deadline - time.monotonic()))
    left = [t for t in threading.enumerate() if t.name == THREAD_NAME]
    assert not left, f"{len(left)} job threads still run after the test"
