"""No GPU, a broken driver: the CPU stays, and one line states why."""

import sys
import warnings
from types import SimpleNamespace

import pytest

from core.measure.timing import devices as devices_module
from core.measure.timing.devices import cuda_devices, devices


def torch_like(monkeypatch, *, built="12.8", available=None, count=0, properties=None):
    """A torch whose CUDA part behaves as given."""
    cuda = SimpleNamespace(
        is_available=available or (lambda: False),
        device_count=lambda: count,
        get_device_properties=properties,
    )
    fake = SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda=built, hip=None))
    monkeypatch.setitem(sys.modules, "torch", fake)


def broken(*_):
    raise RuntimeError("CUDA unknown error - this may be due to an incorrectly set up\nenvironment")


def old_driver():
    warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=2)
    return False


def h200(index):
    if index == 1:
        broken()
    return SimpleNamespace(name="NVIDIA H200", total_memory=140 * 10**9)


@pytest.mark.parametrize(
    "how, gpus, why",
    [
        ({"built": None}, 0, "built without CUDA"),
        ({}, 0, "finds no GPU or no driver"),
        ({"available": old_driver}, 0, "driver on your system is too old"),
        ({"available": broken}, 0, "does not answer (CUDA unknown error"),
        ({"available": lambda: True, "count": 1, "properties": broken}, 0, "does not answer"),
        ({"available": lambda: True, "count": 2, "properties": h200}, 1, "does not answer"),
        ({"available": lambda: True, "count": 1, "properties": h200}, 1, ""),
    ],
)
def test_whatever_the_driver_does_the_cpu_stays_and_one_line_states_why(
    monkeypatch, how, gpus, why
):
    torch_like(monkeypatch, **how)
    found, problem = cuda_devices()
    assert len(found) == gpus
    assert why in problem
    assert bool(problem) == bool(why)
    assert "\n" not in problem
    assert [d.kind for d in devices()] == ["cpu", *["cuda"] * gpus]


def test_a_driver_library_that_raises_is_no_reading(monkeypatch):
    from core.measure.timing.environment import nvml_handle

    def init():
        raise OSError("NVML: driver/library version mismatch")

    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(nvmlInit=init))
    assert nvml_handle(0) is None


def test_the_panel_shows_it_and_keeps_the_cpu(qtbot, store, monkeypatch):
    from core.measure.process import session
    from gui.panels.devices import DevicesPanel

    cpu = devices_module.cpu_device()
    why = "torch is built for CUDA, but the GPU does not answer (CUDA unknown error)"
    monkeypatch.setattr(session, "ask_devices", lambda python=None: ((cpu,), why))
    panel = DevicesPanel(store)
    qtbot.addWidget(panel)
    panel.on_check()
    qtbot.waitUntil(lambda: "It can measure on" in panel.report.text(), timeout=10_000)
    assert cpu.name in panel.report.text()
    assert f"No GPU: {why}." in panel.report.text()
    assert "Traceback" not in panel.report.text()
    assert store.state.devices == (cpu,)


def test_a_missing_python_is_not_started_nor_is_the_one_before(qtbot, store, monkeypatch):
    from core.measure.process import session
    from gui.panels.devices import DevicesPanel

    asked = []
    monkeypatch.setattr(
        session, "ask_devices", lambda python=None: asked.append(python) or ((), "")
    )
    panel = DevicesPanel(store)
    qtbot.addWidget(panel)
    panel.python.setText(sys.executable)
    panel.on_check()
    qtbot.waitUntil(lambda: panel.check.isEnabled(), timeout=10_000)
    panel.python.setText("/nonexistent/python")
    panel.on_check()
    assert panel.report.text() == "There is no file /nonexistent/python."
    assert panel.check.isEnabled() and asked == [sys.executable]
