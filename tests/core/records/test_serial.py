"""Every record comes back as it went out, and what does not fit a record is refused by name."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from measured import DEVICE, measured, shape

from core.measure.timing.protocol import Settings
from core.model.workload import Workload
from core.records.measurement import Device, Measurement, Point
from core.records.serial import from_plain, measurement_from_dict, measurement_to_dict, to_plain
from core.records.training_runs import TrainingRuns

RUNS = TrainingRuns(
    "s",
    ("a", "b"),
    {"tokens": np.array([1e9, 2e9]), "loss": np.array([3.0, np.nan])},
    {"family": ("x", "y")},
    "validation",
)


def travelled(record):
    return from_plain(type(record), json.loads(json.dumps(to_plain(record), allow_nan=False)))


@pytest.mark.parametrize(
    "record",
    [
        shape(4, 128),
        Workload(2, 3, 4),
        replace(DEVICE, bandwidth_bytes_per_s=2e10, peak_flops_per_s={"fp32": 1}),
        Point(shape(4, 128), folder="/models/tiny"),
        Settings(),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_comes_back_as_it_went_out(record):
    assert travelled(record) == record


def test_a_measurement_comes_back_without_its_row():
    m = replace(measured(shape(4, 128), flags=("noisy",), quality={"loss": 3.0}), id=7)
    record = json.loads(json.dumps(measurement_to_dict(m), allow_nan=False))
    assert "id" not in record
    assert measurement_from_dict(record, 9) == replace(m, id=9)


def test_a_column_keeps_what_is_unknown():
    back = travelled(RUNS)
    assert back.names == RUNS.names and back.labels == RUNS.labels
    assert back.columns["loss"].dtype == np.float64
    assert np.array_equal(back.columns["loss"], RUNS.columns["loss"], equal_nan=True)


def test_a_missing_field_takes_its_default():
    assert from_plain(Workload, {"batch": 2}) == Workload(2)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (Device, {"colour": 1}, "device has no field 'colour'"),
        (
            Device,
            {"memory_bytes": "many"},
            "device.memory_bytes must be a whole number, not 'many'",
        ),
        (Device, {"memory_bytes": True}, "must be a whole number, not True"),
        (Device, {"peak_flops_per_s": {"fp32": None}}, "peak_flops_per_s.fp32 must be a number"),
        (Measurement, {"workload": {"batches": 1}}, "measurement.workload has no field 'batches'"),
        (
            Measurement,
            {"samples": {"tpot": [[0.1, "x"]]}},
            r"samples.tpot\[0\]\[1\] must be a number",
        ),
        (Measurement, {"flags": "noisy"}, "measurement.flags must be a list"),
        (Measurement, {"device": None}, "measurement.device must be an object"),
        (Measurement, {"timing": {"levels": {}}}, "measurement.timing has no field 'levels'"),
        (TrainingRuns, {"columns": {"loss": ["x"]}}, r"training runs.columns.loss\[0\] must be"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(kind, changes, words):
    record = {Device: DEVICE, Measurement: measured(shape(4, 128)), TrainingRuns: RUNS}[kind]
    with pytest.raises(ValueError, match=words):
        from_plain(kind, to_plain(record) | changes)


def test_factors_must_belong_to_the_blocks_they_correct():
    m = measured(shape(4, 128))
    for phase, count in (("tpot", 5), ("tpto", 6)):
        record = measurement_to_dict(m) | {"timing": {"drift_factors": {phase: [1.0] * count}}}
        with pytest.raises(ValueError, match=f"blocks of '{phase}'"):
            measurement_from_dict(record)


def test_a_record_of_an_earlier_version_is_not_taken_for_one_of_today():
    record = measurement_to_dict(measured(shape(4, 128))) | {"environment": {"levels": {}}}
    with pytest.raises(ValueError, match="environment holds 'levels'"):
        measurement_from_dict(record)


def test_a_missing_field_without_default_is_named():
    with pytest.raises(ValueError, match="device lacks the field 'kind'"):
        from_plain(Device, {"name": "x", "memory_bytes": 1})


def test_pairs_have_two_entries():
    @dataclass(frozen=True)
    class Scenes:
        titles: "tuple[tuple[str, int], ...]" = ()

    assert from_plain(Scenes, {"titles": [["a", 1]]}) == Scenes((("a", 1),))
    with pytest.raises(ValueError, match=r"titles\[0\] must have 2 entries, not 1"):
        from_plain(Scenes, {"titles": [["a"]]})
