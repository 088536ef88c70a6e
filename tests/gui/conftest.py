"""Windows without a screen, and no test may leave a thread behind."""

import gc
import os
import threading
import time

# before Qt is imported anywhere
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tiny matrices in many threads on a busy machine are slower by a factor of ten
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest

from gui.job import THREAD_NAME


@pytest.fixture(autouse=True, scope="module")
def garbage_is_collected_on_this_thread():
    """As in the program (`gui.garbage`): a job's thread must not destroy a widget."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def no_dangling_threads():
    yield
    deadline = time.monotonic() + 10
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(max(0.0, deadline - time.monotonic()))
    left = [t for t in threading.enumerate() if t.name == THREAD_NAME]
    assert not left, f"{len(left)} job threads still run after the test"


from dataclasses import replace  # noqa: E402

from core.project import Project  # noqa: E402
from core.records import Device, Measurement  # noqa: E402
from core.space_file import parse_space  # noqa: E402

SPACE = """
schema_version = 1
name = "Tiny"
[shape]
n_layers = { from = 2, to = 12, step = 2 }
d_model = { from = 128, to = 768, step = 128 }
d_head = [64]
kv_groups = [1, 2]
ffn_multiple = 64
vocab_size = 8192
[run]
batch = [1]
prompt_tokens = 32
output_tokens = 32
[train]
tokens_per_parameter = [20, 160]
[measure]
levels = ["5M", "20M"]
shapes_per_level = 3
tolerance = 0.2
"""
DEVICE = Device("cpu", "Test processor (2 cores)", 8 * 2**30)


def timed(point, device=DEVICE, flags=()):
    """A measurement as a machine of known prices would give it: 0.2 ms a layer, 20 GB/s, 1 % noise."""
    a, w = point.architecture, point.workload
    step = 2e-4 * a.n_layers + a.decode_bytes(w.mean_context, w.batch, 4, 4) / 20e9
    first = 2e-4 * a.n_layers + a.prefill_flops(w.prompt_tokens, w.batch) / 60e9
    wiggle = (0.99, 1.0, 1.01, 1.0)
    blocks = {
        "tpot": tuple(tuple(step * k for k in wiggle) for _ in range(6)),
        "ttft": tuple((first * k,) for k in wiggle),
        "e2e": tuple((first + step * (w.output_tokens - 1) * k,) for k in wiggle),
    }
    return Measurement(
        a,
        w,
        point.runtime,
        device,
        blocks,
        {"peak_allocated": int(a.weight_bytes(4) * 1.1)},
        flags=flags,
        environment={"torch": "2.13.0"},
        started_at="2026-11-21T08:00:00+00:00",
    )


def failed(point, flag="oom", device=DEVICE):
    """A measurement that gave no latency."""
    return replace(timed(point, device), samples={}, flags=(flag,), message="it does not fit")


@pytest.fixture
def project_path(tmp_path):
    """A project of a tiny space with six measured shapes."""
    path = tmp_path / "tiny.paretoscope"
    with Project.create(path) as project:
        project.put_text("space", SPACE)
        for point in parse_space(SPACE).measurement_points():
            project.add_measurement(timed(point))
    return path


@pytest.fixture
def store(qtbot):
    """A store without a project."""
    from gui.store import Store

    store = Store()
    yield store
    store.close()


@pytest.fixture
def opened(qtbot, store, project_path):
    """A store with the tiny project, everything derived."""
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    return store
