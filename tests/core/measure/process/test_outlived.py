"""No process that measures or scores outlives the program, however that ends, not even a stopped one."""

import os
import signal
import subprocess
import sys
import time

import pytest
from sweeping import gone
from tiny_llama import save_tiny_llama

pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system ends them on Linux")

MEASURING = """
import time
from core.measure.process.worker import Worker
worker = Worker()
list(worker.ask({"do": "devices"}, 120))
print(worker.pid, flush=True)
time.sleep(3600)
"""
SCORING = """
import multiprocessing, sys
from core.commands.following import followed
from core.commands.stopping import stoppable
from core.measure.backends.quality import in_child

def scored():
    steps = in_child(sys.argv[1], sys.argv[2])
    for step in steps:
        if step.text == "reading the text":
            print(multiprocessing.active_children()[0].pid, flush=True)
            break
    yield from steps

if __name__ == "__main__":
    with stoppable():
        followed(scored())
"""


def wait_for(true):
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(script, *words):
    """A program, and the process that it started and that is stopped."""
    program = subprocess.Popen(
        [sys.executable, script, *map(str, words)], stdout=subprocess.PIPE, text=True
    )
    child = int(program.stdout.readline())
    os.kill(child, signal.SIGSTOP)
    return program, child


def test_a_stopped_measuring_process_does_not_outlive_the_program(tmp_path):
    script = tmp_path / "measuring.py"
    script.write_text(MEASURING)
    program, child = started(script)
    assert not gone(child)
    program.kill()
    program.communicate()
    wait_for(lambda: gone(child))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_stopped_scoring_process_does_not_outlive_the_program(tmp_path, name):
    pytest.importorskip("transformers")
    script, text = tmp_path / "scoring.py", tmp_path / "text.txt"
    script.write_text(SCORING)
    text.write_text("zebras zig zag " * 2000)
    program, child = started(script, save_tiny_llama(tmp_path / "tiny", "zebras zig zag"), text)
    assert not gone(child)
    number = getattr(signal, name)
    program.send_signal(number)
    program.communicate()
    wait_for(lambda: gone(child))
    assert program.returncode != 0
