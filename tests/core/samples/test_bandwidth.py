"""The bandwidth of a device: the best that was seen of it, by a probe or by a model."""

from dataclasses import replace

import pytest
from measured import DEVICE, measured

from core.analysis.contents import Contents
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.samples.bandwidth import CACHED_BYTES, with_best_bandwidth
from core.samples.roofline import floor_ratio

LARGE = Architecture(24, 1024, 16, 16, 64, 4096, 32000)
SMALL = Architecture(2, 64, 4, 2, 16, 128, 257)


def seen(probed, token_s, shape=LARGE, threads=2, **parts):
    m = measured(shape, Workload(), Runtime(), samples={"tpot": ((token_s,) * 20,) * 6})
    device = replace(DEVICE, bandwidth_bytes_per_s=probed)
    return replace(m, device=device, environment={"threads": threads}, **parts)


def read(m):
    run = m.runtime
    return m.architecture.decode_bytes(
        m.workload.mean_context, m.workload.batch, run.weight_bytes, run.cache_bytes
    )


def speeds(measurements):
    return [m.device.bandwidth_bytes_per_s for m in with_best_bandwidth(tuple(measurements))]


def test_the_best_probe_of_a_device_counts_for_all_that_was_measured_on_it():
    assert speeds([seen(3.5e9, 1.0), seen(20e9, 1.0), seen(None, 1.0)]) == [20e9, 20e9, None]
    # with fewer threads, and on another device, it is another question
    other = seen(5e9, 1.0)
    other = replace(other, device=replace(other.device, name="another"))
    assert speeds([seen(3.5e9, 1.0, threads=1), other, seen(20e9, 1.0)]) == [3.5e9, 5e9, 20e9]


def test_a_model_that_was_read_faster_raises_it():
    m = seen(3.5e9, 0.1)
    assert read(m) > CACHED_BYTES
    (corrected,) = with_best_bandwidth((m,))
    assert corrected.device.bandwidth_bytes_per_s == pytest.approx(read(m) / 0.1)
    assert floor_ratio(corrected) == pytest.approx(1.0)


def test_a_model_in_a_cache_and_one_elsewhere_show_nothing():
    small = seen(3.5e9, 1e-6, SMALL)
    failed = seen(3.5e9, 0.1, flags=("clock",))
    assert read(small) < CACHED_BYTES
    rows = (small, failed)
    assert with_best_bandwidth(rows) is rows


def test_whoever_reads_a_project_gets_it():
    contents = Contents("p", None, (seen(3.5e9, 1.0), seen(20e9, 1.0)), ())
    assert [m.device.bandwidth_bytes_per_s for m in contents.measurements] == [20e9, 20e9]
