import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from measured import measured, shape

from core.errors import Unusable
from core.formats.runs.suites import suite
from core.pareto.limits import parse_limit
from core.project.choices import Choices, WhatIf
from core.project.migrations import SCHEMA_VERSION
from core.project.packing import pack, unpack
from core.project.project import Project
from core.records.imported import Estimate, ImportedPoint

POINT = ImportedPoint(
    "n", None, None, "", {"tpot_s": Estimate(0.01, statistics={"p99": 0.02})}, "x.json", "vLLM"
)
ROOT = Path(__file__).parents[3]


def test_everything_comes_back_as_it_went_in(tmp_path):
    path = tmp_path / "a.paretoscope"
    m = measured(shape(4, 128), flags=("noisy",), model="tiny", quality={"loss": 3.25})
    runs = suite("morph")
    choices = Choices(
        x="memory_bytes", limits=(parse_limit("tpot<=8ms"),), pins=("a",), what_if=WhatIf(batch=8)
    )
    with Project.create(path) as project:
        stored = project.add_measurement(m)
        project.put_runs(runs)
        project.put_text("space", "[shape]")
        project.put_choices(choices)
        project.add_imported("x.json", [POINT])
    assert stored.id == 1
    with Project.open(path) as project:
        (back,) = project.measurements()
        assert back == stored
        (again,) = project.runs()
        assert again.names == runs.names
        assert np.array_equal(again.columns["loss"], runs.columns["loss"], equal_nan=True)
        assert project.text("space") == "[shape]"
        assert project.choices() == choices
        assert project.imported() == (POINT,)


KILLED = """
import sys
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests/helpers"]
from measured import measured, shape
from core.records.imported import Estimate, ImportedPoint
from core.project.packing import pack, unpack
from core.project.project import Project
with Project.open(sys.argv[1]) as project:
    n = 0
    while True:
        stored = project.add_measurement(measured(shape(2 + n % 9, 128)))
        print(stored.id, flush=True)
        n += 1
"""


def test_killed_while_storing_it_reopens_with_all_that_was_acknowledged(tmp_path):
    path = tmp_path / "a.paretoscope"
    Project.create(path).close()
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), str(ROOT)],
            stdout=subprocess.PIPE,
            text=True,
        )
        acknowledged = [child.stdout.readline() for _ in range(5)]
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        last = [int(line) for line in [*acknowledged, *rest.splitlines()] if line.strip()][-1]
        with Project.open(path) as project:
            ids = [m.id for m in project.measurements()]
        assert ids[: last - ids[0] + 1] == list(range(ids[0], last + 1))
        assert len(ids) - last <= 1


def test_a_newer_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "a.paretoscope"
    Project.create(path).close()
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(Unusable, match="newer Paretoscope"):
        Project.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("where", [0, 20, 5000, 60_000])
def test_a_damaged_file_says_so_and_is_never_overwritten(tmp_path, where):
    path = tmp_path / "a.paretoscope"
    noise = tuple(float(v) for v in np.random.default_rng(0).random(3000))
    with Project.create(path) as project:
        for n in range(8):
            project.add_measurement(measured(shape(2 + n, 128), samples={"tpot": (noise,)}))
    data = bytearray(path.read_bytes())
    data[where : where + 3000] = b"\x5a" * 3000
    path.write_bytes(bytes(data))
    with pytest.raises(Unusable), Project.open(path) as project:
        project.measurements()
    assert path.read_bytes() == bytes(data)


def test_other_files_are_not_projects(tmp_path):
    (tmp_path / "text").write_text("hello")
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (a)")
    db.close()
    for path, words in [
        (tmp_path / "text", "not a Paretoscope project"),
        (other, "another program"),
        (tmp_path, "a folder"),
        (tmp_path / "none", "no file"),
    ]:
        with pytest.raises(Unusable, match=words):
            Project.open(path)
    with pytest.raises(Unusable, match="exists already"):
        Project.create(other)
    with pytest.raises(Unusable, match="does not exist"):
        Project.create(tmp_path / "nowhere" / "a.paretoscope")


def test_a_file_that_another_program_writes_gives_a_sentence(tmp_path):
    path = tmp_path / "a.paretoscope"
    with Project.create(path) as project:
        project._db.execute("PRAGMA busy_timeout = 50")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unusable, match="being written by another program"):
            project.put_text("a", "b")
        other.execute("ROLLBACK")
        other.close()
        project.put_text("a", "b")
        assert project.text("a") == "b"


def test_a_read_only_project_refuses_to_change(tmp_path):
    path = tmp_path / "a.paretoscope"
    Project.create(path).close()
    with Project.open(path, read_only=True) as project, pytest.raises(Unusable, match="read-only"):
        project.put_text("a", "b")


def test_a_copy_is_whole_and_an_impossible_one_leaves_nothing(tmp_path):
    path = tmp_path / "a.paretoscope"
    with Project.create(path) as project:
        project.add_measurement(measured(shape(2, 128)))
        project.save_copy(tmp_path / "b.paretoscope")
        with pytest.raises(Unusable, match="does not exist"):
            project.save_copy(tmp_path / "no" / "b.paretoscope")
    with Project.open(tmp_path / "b.paretoscope") as copy:
        assert len(copy.measurements()) == 1


def test_two_threads_store_without_losing_any(tmp_path):
    with Project.create(tmp_path / "a.paretoscope") as project:

        def store():
            for n in range(10):
                project.add_measurement(measured(shape(2 + n, 128)))

        threads = [threading.Thread(target=store) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(t.is_alive() for t in threads):
            project.measurements()
            time.sleep(0.005)
        for thread in threads:
            thread.join()
        assert len(project.measurements()) == 20


def test_a_stored_record_that_does_not_fit_is_named_and_the_rest_opens(tmp_path):
    with Project.create(tmp_path / "a.paretoscope") as project:
        project.add_imported("x.json", [POINT])
        project.put_runs(suite("morph"))
        for table, read in (("imported", project.imported), ("runs", project.runs)):
            (blob,) = project._read(f"SELECT record FROM {table}")[0]
            record = pack(unpack(blob) | {"colour": "red"})
            project._write(f"UPDATE {table} SET record = ?", (record,))
            assert read() == ()
            assert any("is damaged" in u and "has no field 'colour'" in u for u in project.unread)


def test_choices_with_an_unknown_key_are_left_out_by_name_and_kept_when_others_are_stored(tmp_path):
    text = '{"x": "loss", "sparkle": 1}'
    with Project.create(tmp_path / "a.paretoscope") as project:
        project.put_text("choices", text)
        assert project.choices() == Choices() and "sparkle" in project.unread[0]
        project.put_choices(Choices(x="ttft_s"))
        assert project.choices().x == "ttft_s" and project.unread == ()
        assert project.text("choices that could not be read") == text
