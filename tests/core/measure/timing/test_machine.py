"""Reading the machine: memory, load, energy; and what is missing is unknown, never zero."""

import json
import os
import subprocess
import sys

import pytest

from core.errors import Unsupported
from core.measure.backends.registry import needed_bytes
from core.measure.process.kernels import covered
from core.measure.process.messages import receive, send
from core.measure.timing import energy, memory
from core.measure.timing.devices import cpu_device, default_threads, physical_cores
from core.measure.timing.energy import Counter, energy_pass, rapl_counter
from core.measure.timing.environment import Watch, busy_seconds, clock_fell, disturbed, own_seconds
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Point
from core.records.serial import from_plain, to_plain

SHAPE = Architecture(2, 32, 4, 2, 8, 64, 97)
POINT = Point(SHAPE, Workload(1, 8, 10), Runtime())
CPU = Device("cpu", "test", 2**30)


def test_points_travel_unchanged(tmp_path):
    point = Point(SHAPE, Workload(3, 8, 10), Runtime("graph", "int8", "bf16", 3), str(tmp_path))
    with (tmp_path / "pipe").open("wb") as out:
        send(out, to_plain(point))
        send(out, {"kind": "end"})
    with (tmp_path / "pipe").open("rb") as back:
        assert from_plain(Point, receive(back)) == point
        assert receive(back) == {"kind": "end"}
        assert receive(back) is None
    assert tmp_path.name in point.label


@pytest.mark.parametrize(
    "junk", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02[]", b"\x00\x00\x00\x02{{"]
)
def test_what_is_no_message_is_refused(tmp_path, junk):
    (tmp_path / "pipe").write_bytes(junk)
    with (tmp_path / "pipe").open("rb") as back, pytest.raises(ValueError):
        receive(back)


def test_need_grows_with_everything_and_a_shortage_is_told(monkeypatch):
    def total(shape=SHAPE, workload=POINT.workload, runtime=POINT.runtime):
        return needed_bytes(Point(shape, workload, runtime))["total"]

    assert total(workload=Workload(8, 8, 10)) > total()
    assert total(workload=Workload(1, 800, 10)) > total()
    assert total(shape=Architecture(8, 32, 4, 2, 8, 64, 97)) > total()
    assert total(runtime=Runtime("onnx")) > total()
    assert total(runtime=Runtime("eager", "bf16", "bf16")) < total()
    assert memory.shortage(needed_bytes(POINT)["total"], "cpu") == ""
    monkeypatch.setattr(memory, "available_bytes", lambda _device: 1000)
    assert "GiB available on cpu" in memory.shortage(needed_bytes(POINT)["total"], "cpu")
    monkeypatch.setattr(memory, "available_bytes", lambda _device: None)
    assert memory.shortage(needed_bytes(POINT)["total"], "cpu") == ""


def test_out_of_memory_is_recognised_in_all_its_forms():
    assert memory.is_out_of_memory(MemoryError())
    assert memory.is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert memory.is_out_of_memory(
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ...")
    )
    assert not memory.is_out_of_memory(RuntimeError("shapes differ"))
    assert not memory.is_out_of_memory(ValueError("out of memory"))


def test_peak_memory_is_its_own():
    peak = memory.PeakMemory("cpu")
    block = bytearray(64 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    first = peak.read()
    del block
    second = memory.PeakMemory("cpu").read()
    if "peak_allocated" not in first:
        pytest.skip("this system does not tell the peak of a stretch")
    assert first["peak_allocated"] >= 60 * 2**20
    assert second["peak_allocated"] < 30 * 2**20


class Battery:
    """A fake machine drawing 10 W idle and 110 W at work, whose counter ticks every 100 ms."""

    def __init__(self):
        self.time, self.used = 0.0, 0.0
        self.counted = 0.0

    def spend(self, seconds, watts):
        self.time += seconds
        self.used += seconds * watts

    def counter(self, temperature=lambda: None):
        return Counter(lambda: self.used, temperature)


def test_energy_is_divided_by_every_token_and_idle_power_told_apart():
    battery = Battery()
    found = energy_pass(
        lambda: battery.spend(0.5, 110.0),
        Workload(4, 8, 25),
        CPU,
        source=battery.counter(),
        now=lambda: battery.time,
        sleep=lambda s: battery.spend(s, 10.0),
    )
    assert found["seconds"] == pytest.approx(5.0) and found["tokens"] == 10 * 100
    assert found["joules_per_token"] == pytest.approx(110 * 5.0 / 1000)
    assert found["idle_watts"] == pytest.approx(10.0)
    assert found["watts"] == pytest.approx(110.0)


def test_energy_waits_until_the_device_has_cooled():
    battery = Battery()
    heat = iter([60, 55, 51, 50, 49.8, 49.8])
    energy_pass(
        lambda: battery.spend(6.0, 100.0),
        Workload(),
        CPU,
        source=battery.counter(lambda: next(heat)),
        now=lambda: battery.time,
        sleep=lambda s: battery.spend(s, 10.0),
    )
    assert battery.time == pytest.approx(4.0 + 2.0 + 6.0)


def test_energy_is_unknown_and_not_zero_where_it_cannot_be_had(tmp_path):
    still = Counter(lambda: 5.0, lambda: None)
    clock = iter(range(0, 1000, 3))
    with pytest.raises(Unsupported, match="did not move"):
        energy_pass(
            lambda: None,
            Workload(),
            CPU,
            source=still,
            now=lambda: next(clock),
            sleep=lambda _s: None,
        )
    with pytest.raises(Unsupported, match="has no energy counters"):
        rapl_counter(tmp_path)


def test_why_energy_cannot_be_had_is_told(tmp_path, monkeypatch):
    package = tmp_path / "intel-rapl:0"
    package.mkdir()

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(energy, "_number", forbidden)
    with pytest.raises(Unsupported, match="lets only root read"):
        rapl_counter(tmp_path)
    monkeypatch.setattr(energy, "nvml_handle", lambda _: None)
    with pytest.raises(Unsupported, match="NVML"):
        energy.counter(Device("cuda", "test", 2**30))


def test_rapl_sums_packages_and_survives_a_wrap(tmp_path):
    for i, microjoules in ((0, 900_000), (1, 100_000)):
        package = tmp_path / f"intel-rapl:{i}"
        package.mkdir()
        (package / "energy_uj").write_text(str(microjoules))
        (package / "max_energy_range_uj").write_text("1000000")
        # a part of a package is counted in it already
        part = tmp_path / f"intel-rapl:{i}:0"
        part.mkdir()
        (part / "energy_uj").write_text("7")
    counter = rapl_counter(tmp_path)
    assert counter.joules() == 0
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("400000")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("300000")
    assert counter.joules() == pytest.approx(0.5 + 0.2)
    assert counter.joules() == pytest.approx(0.7)


def test_others_are_called_busy_from_a_quarter_core_on():
    assert not disturbed(0.2, 2) and disturbed(0.3, 2)
    assert not disturbed(1.0, 64) and disturbed(7.0, 64)


def test_a_clock_that_falls_a_tenth_is_told_from_one_that_wavers():
    assert clock_fell([1980.0] * 5 + [1700.0] * 5)
    assert not clock_fell([1980, 1950, 1965, 1980, 1800, 1980, 1970])
    # rising from rest is no fall
    assert not clock_fell([345, 1980, 1980, 1980])


def test_kernels_that_overlap_count_once():
    assert covered([]) == 0
    assert covered([(0, 2), (1, 3), (5, 6), (5.5, 5.7)]) == pytest.approx(4)


def test_own_work_is_not_somebody_elses():
    if busy_seconds() is None:
        pytest.skip("this system does not tell how busy it is")
    before = own_seconds()
    watch = Watch(CPU)
    while own_seconds() - before < 0.5:
        sum(range(10_000))
    _flags, seen = watch.done()
    total = os.cpu_count() or 1
    assert 0 <= seen["other_load_cores"] <= total + 0.1


def test_the_cpu_is_named_and_counted():
    device = cpu_device()
    assert device.kind == "cpu" and str(physical_cores()) in device.name
    assert default_threads(1000) == 1 and default_threads() == physical_cores()


def test_everything_runs_without_psutil_and_nvml():
    code = (
        "import sys, json\n"
        "for name in ('psutil', 'pynvml'): sys.modules[name] = None\n"
        "from core.measure.timing import devices, environment, memory\n"
        "from core.records.measurement import Device\n"
        "d = devices.cpu_device()\n"
        "print(json.dumps([d.memory_bytes, memory.available_bytes('cpu'),"
        " environment.busy_seconds(), environment.nvml_handle(0) is None]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    total, available, busy, no_nvml = json.loads(done.stdout)
    assert no_nvml
    if sys.platform == "linux":
        assert 0 < available <= total and busy > 0


def test_a_probe_while_the_device_is_busy_takes_nothing_away(monkeypatch):
    pytest.importorskip("torch")
    from core.measure.timing import devices

    probes = iter([3.5e9, 20e9, 4e9, 3e9])
    monkeypatch.setattr(devices, "_bandwidth", lambda _: next(probes))
    peaks = iter([{"fp32": 1e9, "bf16": 5e9}, {"fp32": 2e9}])
    monkeypatch.setattr(devices, "_peaks", lambda _: next(peaks))
    first = devices.measured(devices.cpu_device(), 1)
    # the second of two was undisturbed
    assert first.bandwidth_bytes_per_s == 20e9
    again = devices.measured(first, 1)
    assert again.bandwidth_bytes_per_s == 20e9
    assert again.peak_flops_per_s == {"fp32": 2e9, "bf16": 5e9}
