"""Settings that every test shares."""

import os
import tempfile

import pytest
from hypothesis import settings

# a busy machine is no failure: timings belong to the benchmarks
settings.register_profile("paretoscope", deadline=None, print_blob=True)
settings.load_profile("paretoscope")


@pytest.fixture(autouse=True, scope="session")
def locks_of_our_own():
    """No test waits for a sweep of another process, nor does that wait for a test."""
    with (
        tempfile.TemporaryDirectory(prefix="tests-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setitem(os.environ, "XDG_RUNTIME_DIR", folder)
        yield
