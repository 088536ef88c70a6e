"""Energy that was asked for: had, or unknown with the reason beside it."""

import pytest

from core.errors import Unsupported
from core.measure.backends.backend import BenchContext
from core.measure.process.run_point import measure
from core.measure.timing import energy
from core.measure.timing.devices import cpu_device
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Point

pytest.importorskip("torch")
TINY = Point(Architecture(2, 32, 4, 2, 8, 64, 97), Workload(1, 8, 6), Runtime())
QUICK = Settings(max_blocks=2, min_blocks=2, warm_s=0.05, budget_s=100.0, retries=0, block_s=0.02)


def test_a_point_without_energy_says_why(monkeypatch):
    def absent(*_args):
        raise Unsupported("there is no counter here")

    monkeypatch.setattr(energy, "energy_pass", absent)
    asked = measure(TINY, BenchContext(cpu_device(), QUICK, threads=1, energy_s=5.0))
    assert not asked.failed and not asked.energy
    assert asked.environment["energy_unknown"] == "there is no counter here"
    plain = measure(TINY, BenchContext(cpu_device(), QUICK, threads=1))
    assert "energy_unknown" not in plain.environment
