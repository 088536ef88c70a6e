"""The lines about a measurement: what is unknown is said to be so."""

from dataclasses import replace

from measured import DEVICE, measured, shape

from core.records.measurement import Timing
from core.samples.summary import summary_lines


def line(m, start):
    return next(text for text in summary_lines(m) if text.startswith(start))


def test_unknown_things_are_said_to_be_unknown():
    m = measured(shape(4, 128), memory_bytes={})
    assert "bandwidth was not measured" in line(m, "Memory floor: unknown")
    assert "GPUs only" in line(m, "Launch overhead: unknown")
    assert line(m, "Memory: ") == "Memory: unknown"
    assert line(m, "Energy") == "Energy: not measured"
    told = replace(m, environment={**m.environment, "energy_unknown": "there is no counter"})
    assert line(told, "Energy") == "Energy: unknown, there is no counter"
    assert not any(text.startswith("Measured in") for text in summary_lines(m))


def test_what_is_known_is_told_with_units():
    from core.samples.roofline import floor_ratio

    fast = replace(DEVICE, bandwidth_bytes_per_s=40e9)
    m = measured(
        shape(4, 128),
        device=fast,
        memory_bytes={"weights": 4 * 10**8, "peak_allocated": 6 * 10**8},
        energy={"joules_per_token": 0.25, "idle_watts": 60.0},
        timing=Timing(repetitions=3, interleaved_with=11),
    )
    assert f"{floor_ratio(m):.2f} times" in line(m, "Memory floor")
    assert "40.0 GB/s" in line(m, "Memory floor")
    assert line(m, "Memory: ") == "Memory: weights 400 MB, most allocated 600 MB"
    assert line(m, "Energy") == "Energy: 250 mJ per token; 60.0 W when idle, not subtracted"
    assert (
        line(m, "Measured")
        == "Measured 3 times, interleaved with 11 others and corrected for drift"
    )
    assert "%" in line(m, "Time per output token") and "ms" in line(m, "Time to first token")


def test_a_failed_one_has_no_lines():
    assert summary_lines(replace(measured(shape(4, 128)), samples={}, flags=("oom",))) == ()
