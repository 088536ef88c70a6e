"""One point measured on a CUDA device, from loading to energy: for real where there is one, and
otherwise on a stand-in, which takes the same way through the code but shows nothing of a GPU's speed."""

import itertools
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")

import cuda_stand_in  # noqa: E402

from core.measure.backends.backend import BenchContext, Pulse  # noqa: E402
from core.measure.backends.decoder import GraphStep  # noqa: E402
from core.measure.backends.torch_backend import DecoderRunner  # noqa: E402
from core.measure.process import run_point as bench  # noqa: E402
from core.measure.process.interleaved import measure_interleaved  # noqa: E402
from core.measure.process.run_point import measure  # noqa: E402
from core.measure.timing import energy  # noqa: E402
from core.measure.timing.clock import Clock  # noqa: E402
from core.measure.timing.protocol import Settings  # noqa: E402
from core.model.architecture import Architecture  # noqa: E402
from core.model.workload import Runtime, Workload  # noqa: E402
from core.records.measurement import Device, Point  # noqa: E402

REAL = torch.cuda.is_available()
SHAPE = Architecture(2, 64, 4, 2, 16, 128, 512)
WORK = Workload(2, 16, 12)
QUICK = Settings(warm_s=0.1, min_blocks=2, max_blocks=3, budget_s=0.5, block_s=0.05, retries=0)


@pytest.fixture
def card(monkeypatch):
    if REAL:
        yield None
        return
    card = cuda_stand_in.install(monkeypatch)

    def again(self, length):
        # nothing can be captured: the step is run where its graph would be replayed
        return SimpleNamespace(replay=lambda: self._advance(length))

    monkeypatch.setattr(GraphStep, "_capture", again)
    with cuda_stand_in.InMainMemory():
        yield card


def laboratory(**more):
    return BenchContext(Device("cuda", "the card", 8 * 2**30), QUICK, **more)


def point(execution="eager", weights="fp32", cache="fp32", work=WORK):
    return Point(SHAPE, work, Runtime(execution, weights, cache))


@pytest.mark.parametrize("execution", ["eager", "graph", "transformers"])
def test_every_execution_is_timed_by_host_and_device(card, execution):
    if execution == "transformers":
        pytest.importorskip("transformers")
    m = measure(point(execution), laboratory())
    assert not m.failed, m.message
    assert len(m.samples["tpot"][0]) >= WORK.output_tokens - 1
    if execution != "transformers":
        for phase in ("ttft", "tpot", "e2e"):
            assert list(map(len, m.samples[phase + "_device"])) == list(map(len, m.samples[phase]))
        assert len(m.samples["tpot_launch"][0]) == len(m.samples["tpot"][0])
    assert {"weights", "cache", "peak_allocated", "peak_reserved", "device_used"} <= set(
        m.memory_bytes
    )
    assert {"torch", "cuda", "threads", "kernels", "other_gpu_processes"} <= set(m.environment)


def test_device_and_host_stamps_tell_of_the_same_request(card):
    with torch.inference_mode():
        subject = DecoderRunner(point(), "cuda:0", Clock(), Pulse())
        samples = subject.request()
    host = list(itertools.accumulate([*samples["ttft"], *samples["tpot"]]))
    assert host[-1] == pytest.approx(samples["e2e"][0])
    assert sum(samples["tpot_device"]) + samples["ttft_device"][0] == pytest.approx(
        samples["e2e_device"][0]
    )
    # the host sees a token once it is there, and launches before that
    assert samples["e2e_device"][0] <= samples["e2e"][0] * 1.01
    assert sum(samples["tpot_launch"]) <= samples["e2e"][0]


def test_an_anchor_is_timed_beside_the_point(card):
    m = measure(point(), laboratory(anchor=point(work=Workload(1, 8, 9))))
    assert not m.failed and m.timing.anchor_s > 0


def test_what_cannot_fit_is_not_tried(card):
    huge = Point(Architecture(400, 16384, 128, 128, 128, 65536, 50432), WORK, Runtime())
    m = measure(huge, laboratory())
    assert m.flags == ("oom",) and "cuda:0" in m.message and m.memory_bytes["needed"] > 1e12


def test_memory_that_runs_out_in_mid_run_is_a_result(card, monkeypatch):
    def broken(*_args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(bench, "start_runner", broken)
    m = measure(point(), laboratory())
    assert m.flags == ("oom",) and "memory ran out" in m.message


def test_points_of_a_gpu_are_measured_one_by_one(card):
    found = measure_interleaved([point(), point("graph")], laboratory())
    assert [m.runtime.execution for m in found] == ["eager", "graph"]
    assert not any(m.failed or m.timing.interleaved_with for m in found)


def test_joules_come_from_the_cards_own_counter(card, monkeypatch):
    if card is not None:
        monkeypatch.setattr(energy, "SHORTEST_S", 0.2)
        monkeypatch.setattr(energy, "IDLE_S", 0.1)
        monkeypatch.setattr(energy, "COOL_S", 0.0)
    m = measure(point(), laboratory(energy_s=0.2))
    assert m.energy["joules_per_token"] > 0
    if card is not None:
        # millijoules over seconds, whatever was done meanwhile
        assert m.energy["watts"] == pytest.approx(300.0, rel=0.02)
        assert m.energy["idle_watts"] == pytest.approx(300.0, rel=0.05)
        tokens = m.energy["tokens"]
        assert m.energy["joules_per_token"] * tokens == pytest.approx(
            m.energy["watts"] * m.energy["seconds"]
        )


@pytest.mark.skipif(REAL, reason="a real card cannot be told to overheat")
@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"clocks_mhz": [*[1980] * 5, 1400]}, "throttled"),
        ({"reasons": 0x40}, "throttled"),
        ({"reasons": 0x4}, None),  # a power cap is how the card is set up
        ({"processes": 2}, "busy"),
        ({}, None),
    ],
)
def test_heat_and_company_on_the_card_are_flagged(card, monkeypatch, change, flag):
    monkeypatch.setattr("core.measure.timing.environment.LOOK_S", 0.02)
    for name, value in change.items():
        setattr(card, name, value)
    m = measure(point(), laboratory())
    raised = {"throttled", "busy"} & set(m.flags)
    # other work on this machine's processor is flagged as well, rightly
    assert (flag in raised) if flag else "throttled" not in raised
    assert m.environment["other_gpu_processes"] == card.processes - 1


@pytest.mark.skipif(not REAL, reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("execution", "weights", "cache"),
    [
        ("compile", "bf16", "bf16"),
        ("graph", "bf16", "fp8"),
        ("graph", "int8", "bf16"),
        ("graph", "fp8", "bf16"),
    ],
)
def test_what_only_a_card_can_run(execution, weights, cache):
    m = measure(point(execution, weights, cache), laboratory())
    if weights == "fp8" and torch.cuda.get_device_capability() < (8, 9):
        assert m.flags == ("unsupported",)
    else:
        assert not m.failed, m.message
