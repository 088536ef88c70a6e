"""Windows without a screen, and no test may leave a thread behind."""

import gc
import os
import threading
import time

from tiny_project import SPACE, timed

# before Qt is imported anywhere
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tiny matrices in many threads on a busy machine are slower by a factor of ten
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from pytestqt.qtbot import QtBot

from gui.state.job import THREAD_NAME

# far longer than anything takes: a busy machine is no failure, and only what never comes waits this long
PATIENCE_MS = 240_000


class PatientBot(QtBot):
    """Waits at least as long as a busy machine may need, whatever a test sets."""

    def waitUntil(self, callback, *, timeout=0):
        super().waitUntil(callback, timeout=max(timeout, PATIENCE_MS))

    def waitSignal(self, signal, *, timeout=0, **options):
        return super().waitSignal(signal, timeout=max(timeout, PATIENCE_MS), **options)

    def waitExposed(self, widget, *, timeout=0):
        return super().waitExposed(widget, timeout=max(timeout, PATIENCE_MS))


@pytest.fixture
def qtbot(qapp, request):
    """The plugin's own, but patient."""
    return PatientBot(request)


@pytest.fixture(autouse=True, scope="module")
def garbage_is_collected_on_this_thread():
    """As in the program (`gui.app.garbage`): a job's thread must not destroy a widget."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture(autouse=True)
def no_dangling_threads():
    yield
    deadline = time.monotonic() + PATIENCE_MS / 1e3
    for thread in threading.enumerate():
        if thread.name == THREAD_NAME:
            thread.join(max(0.0, deadline - time.monotonic()))
    left = [t for t in threading.enumerate() if t.name == THREAD_NAME]
    assert not left, f"{len(left)} job threads still run after the test"


from core.project.choices import Choices  # noqa: E402
from core.project.project import Project  # noqa: E402
from core.space.space_file import parse_space  # noqa: E402


@pytest.fixture
def project_path(tmp_path):
    """A project of a tiny space with six measured shapes."""
    path = tmp_path / "tiny.paretoscope"
    with Project.create(path) as project:
        project.put_text("space", SPACE)
        for point in parse_space(SPACE).measurement_points():
            project.add_measurement(timed(point))
        # most of its shapes are far below the runs behind the loss law
        project.put_choices(Choices(outside_counts=True))
    return path


@pytest.fixture
def store(qtbot):
    """A store without a project."""
    from gui.state.store import Store

    store = Store()
    yield store
    store.close()


@pytest.fixture
def opened(qtbot, store, project_path):
    """A store with the tiny project, everything derived."""
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    return store
