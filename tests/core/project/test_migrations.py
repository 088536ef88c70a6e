"""A kept project of every version opens and gives the numbers it gave then."""

import json
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from measured import shape

from core.errors import Unusable
from core.formats.own import raw_json
from core.pareto.limits import parse_limit
from core.project.migrations import SCHEMA_VERSION
from core.project.packing import pack, unpack
from core.project.project import Project
from core.records.measurement import Timing
from core.samples.roofline import launch_overhead_s
from core.samples.statistics import estimate

FIXTURES = Path(__file__).parents[2] / "fixtures"
KEPT = sorted((FIXTURES / "projects").glob("version-*.paretoscope"))
# what the program that wrote version 1 made of the same measurements: value, low, high, launching
NUMBERS = (
    (0.004, 0.00392, 0.00408, None),
    None,
    (0.00402, 0.0038878057313068196, 0.005579892370579525, 0.00102),
    (0.00402, 0.0038878057313068196, 0.005579892370579525, None),
)


def numbers_of(measurements):
    found = []
    for m in measurements:
        e = estimate(m, "tpot")
        found.append(e and (e.value, e.low, e.high, launch_overhead_s(m)))
    return found


def check(found):
    for got, wanted in zip(numbers_of(found), NUMBERS, strict=True):
        assert (got is None) == (wanted is None)
        for number, expected in zip(got or (), wanted or (), strict=True):
            assert number == (expected and pytest.approx(expected, rel=1e-12))
    factors = (1.0, 1.0, 1.0, 1.3, 1.0, 1.0)
    phases = ("ttft", "tpot", "e2e")
    assert [m.timing for m in found] == [
        Timing(dict.fromkeys(phases, factors), interleaved_with=5),
        Timing(),
        Timing(anchor_s=0.0011, kernel_s_per_token=0.003),
        Timing(interleaved_with=2, ended_early=True),
    ]
    assert found[2].environment == {
        "torch": "2.13.0",
        "driver": "570",
        "anchor_change": 0.0,
        "kernel_s_first": 0.01,
    }


def copied(path, folder):
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    return copy


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_projects_of_every_version_open_with_all_they_hold(path, tmp_path):
    copy = copied(path, tmp_path)
    for _ in range(2):
        with Project.open(copy) as project:
            found = project.measurements()
            check(found)
            assert found[0].architecture == shape(4, 128)
            assert found[1].failed
            assert len(project.runs()[0]) == 5
            assert project.choices().limits == (parse_limit("tpot<=8ms"),)
            assert project.choices().what_if.batch == 4
            (point,) = project.imported()
            assert (point.name, point.metrics["tpot_s"].statistics) == ("n", {"p99": 0.02})
            assert "n_layers" in project.text("space")
            project.put_text("a", "b")
    with sqlite3.connect(copy) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    db.close()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_projects_of_every_version_can_be_read_where_nothing_may_be_written(path, tmp_path):
    copy = copied(path, tmp_path)
    before = copy.read_bytes()
    copy.chmod(stat.S_IRUSR)
    with Project.open(copy, read_only=True) as project:
        check(project.measurements())
        project.save_copy(tmp_path / "saved.paretoscope")
    with Project.in_memory(copy) as project:
        check(project.measurements())
    assert copy.read_bytes() == before
    with Project.open(tmp_path / "saved.paretoscope") as project:
        check(project.measurements())
        project.put_text("a", "b")


def test_there_is_a_kept_project_of_every_version():
    assert {path.stem for path in KEPT} == {f"version-{n}" for n in range(1, SCHEMA_VERSION + 1)}


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path):
    copy = copied(FIXTURES / "projects/version-1.paretoscope", tmp_path)
    with sqlite3.connect(copy) as db:
        # the last one: the others are changed before it is reached
        db.execute("UPDATE measurement SET record = ? WHERE id = 4", (pack({"samples": {}}),))
    db.close()
    before = copy.read_bytes()
    for read_only in (False, True):
        with pytest.raises(Unusable, match="damaged"):
            Project.open(copy, read_only=read_only)
    assert copy.read_bytes() == before


def test_a_misspelled_field_of_the_timing_is_refused_by_name(tmp_path):
    copy = copied(FIXTURES / f"projects/version-{SCHEMA_VERSION}.paretoscope", tmp_path)
    with sqlite3.connect(copy) as db:
        record = unpack(db.execute("SELECT record FROM measurement WHERE id = 1").fetchone()[0])
        record["timing"]["drift_factor"] = record["timing"].pop("drift_factors")
        db.execute("UPDATE measurement SET record = ? WHERE id = 1", (pack(record),))
    db.close()
    with Project.open(copy) as project:
        project.measurements()
        assert "measurement.timing has no field 'drift_factor'" in project.unread[0]


def test_raw_exports_of_every_version_give_the_same_numbers():
    text = (FIXTURES / "raw/version-1.json").read_text()
    found = raw_json.read(text, "version-1.json")
    check(found)
    again = raw_json.write(found)
    assert json.loads(again)["schema_version"] == raw_json.SCHEMA_VERSION == 2
    # the name of the machine stays at home, and nothing else does
    assert list(raw_json.read(again, "x")) == [
        replace(m, environment={k: v for k, v in m.environment.items() if k != "host"})
        for m in found
    ]


@pytest.mark.parametrize("version", [None, 0, 3, "1", [1]])
def test_raw_exports_of_another_version_are_refused(version):
    text = json.dumps({"schema_version": version, "measurements": []})
    with pytest.raises(Unusable, match="schema_version"):
        raw_json.read(text, "x.json")


def test_raw_exports_with_an_unknown_key_are_refused_by_name():
    whole = json.loads(
        raw_json.write(raw_json.read((FIXTURES / "raw/version-1.json").read_text(), "x"))
    )
    whole["measurements"][0]["timing"]["levels"] = {}
    with pytest.raises(Unusable, match="timing has no field 'levels'"):
        raw_json.read(json.dumps(whole), "x.json")


def test_what_was_left_out_of_an_imported_file_is_kept():
    with Project.in_memory(FIXTURES / "projects/version-3.paretoscope") as project:
        (point,) = project.imported()
    assert point.left_out == ("columns a, b",) and point.failed_requests == 1
    assert point.scores == {"0": 1.0, "1": 0.0}
