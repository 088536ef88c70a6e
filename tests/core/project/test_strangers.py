"""Projects that a stranger made, or that are damaged: they are data, and what is sound of them opens."""

import sqlite3
import zlib
from contextlib import closing

import pytest
from measured import measured, shape

from core.analysis.contents import read_contents
from core.errors import Unusable
from core.project import packing
from core.project.choices import Choices
from core.project.packing import pack, sound_records, unpack
from core.project.project import Project

SPACE = "[shape]\nn_layers = 2\nd_model = 64\n"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.paretoscope"
    with Project.create(path) as project:
        for layers in (2, 4, 8):
            project.add_measurement(measured(shape(layers, 256)))
        project.put_text("space", SPACE)
    return path


def changed(path, script, *values):
    with closing(sqlite3.connect(path)) as db:
        db.execute(script, values) if values else db.executescript(script)
        db.commit()


ENDLESS = """
DROP TABLE measurement;
CREATE VIEW measurement AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
SELECT id, '' AS added_at, '' AS label, '' AS flags, x'00' AS record FROM n;
"""


@pytest.mark.parametrize(
    ("script", "named"),
    [
        (ENDLESS, "the view 'measurement'"),
        ("CREATE VIEW other AS SELECT 1", "the view 'other'"),
        ("CREATE TRIGGER t AFTER INSERT ON text BEGIN DELETE FROM runs; END", "the trigger 't'"),
        ("CREATE TABLE more (a)", "the table 'more'"),
        ("CREATE INDEX i ON text (value)", "the index 'i'"),
        ("DROP TABLE runs", "lacks the table 'runs'"),
        ("ALTER TABLE text ADD COLUMN b AS (zeroblob(1000000000))", "its table 'text' is not as"),
        ("PRAGMA user_version = 0", "file version 0, which no Paretoscope writes"),
        ("PRAGMA user_version = -5", "file version -5, which no Paretoscope writes"),
    ],
)
@pytest.mark.parametrize("read_only", [True, False])
def test_only_our_tables_and_versions_open(path, script, named, read_only):
    changed(path, script)
    before = path.read_bytes()
    with pytest.raises(Unusable, match=named):
        Project.open(path, read_only)
    assert path.read_bytes() == before


def test_the_schema_of_a_file_is_not_trusted(path):
    with Project.open(path) as project:
        assert project._read("PRAGMA trusted_schema") == [(0,)]


DAMAGED = {
    "no zlib": (b"\0", "damaged"),
    "cut": (pack({"a": 1})[:-4], "cut short"),
    "text": ("x", "str and not bytes"),
    "number": (5, "int and not bytes"),
    "no JSON": (zlib.compress(b"{"), "damaged"),
    "a list": (zlib.compress(b"[]"), "list and not an object"),
    "too deep": (zlib.compress(b"[" * 5000), "100 deep"),
    "too long": (zlib.compress(b'{"a":' + b"9" * 5000 + b"}"), "5,000 digits"),
    "fields missing": (pack({"device": 1}), "lacks the field"),
    "not UTF-8": (zlib.compress(b"\xff"), "utf-8"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_record_names_its_row_and_the_rest_opens(path, kind):
    blob, reason = DAMAGED[kind]
    changed(path, "UPDATE measurement SET record = ? WHERE id = 2", blob)
    with Project.open(path) as project:
        assert [m.id for m in project.measurements()] == [1, 3]
        (line,) = project.unread
        assert line.startswith("measurement 2 is damaged and was left out (") and reason in line
        # the file keeps it whatever is stored next to it
        assert project.add_measurement(measured(shape(6, 256))).id == 4
        project.save_copy(path.with_name("copy.paretoscope"))
    with closing(sqlite3.connect(path.with_name("copy.paretoscope"))) as db:
        kept = db.execute("SELECT record FROM measurement WHERE id = 2").fetchone()[0]
    assert kept == blob


def test_a_record_that_grows_without_bounds_is_refused_before_it_has(path, monkeypatch):
    monkeypatch.setattr(packing, "MOST_RECORD_BYTES", 10_000)
    bomb = zlib.compress(b'{"a": "' + b"0" * 1_000_000 + b'"}')
    with pytest.raises(Unusable, match="takes more than"):
        unpack(bomb)
    with pytest.raises(Unusable, match="too much for one record"):
        pack({"a": "0" * 10_000})
    monkeypatch.setattr(packing, "memory_bytes", lambda: 8_000)
    small = pack({"a": "0" * 600})
    with pytest.raises(Unusable, match="more than this machine can hold"):
        sound_records([(n, small) for n in range(2)], "measurement", lambda record, key: record)


@pytest.mark.parametrize("name", ["space", "choices"])
@pytest.mark.parametrize("value", [b"\xff\xfe", 5, "[" * 5000, "5", "no", "[]"], ids=str)
def test_a_text_that_cannot_be_read_is_named_and_kept_when_another_takes_its_place(
    path, name, value
):
    changed(path, "INSERT OR REPLACE INTO text VALUES (?, ?)", name, value)
    with Project.open(path) as project:
        contents, choices = read_contents(project), project.choices()
        assert len(contents.measurements) == 3 and choices == Choices()
        (line,) = project.unread
        assert line.startswith(f"the project's {name} could not be read") and "\n" not in line
        project.put_text("space", SPACE)
        project.put_choices(choices)
        assert project.choices() == choices and project.text("space") == SPACE
        assert project.unread == ()
    with closing(sqlite3.connect(path)) as db:
        kept = db.execute(
            "SELECT value FROM text WHERE name = ?", (f"{name} that could not be read",)
        ).fetchone()[0]
    # SQLite turns a number into text in a column of texts
    assert kept == (str(value) if isinstance(value, int) else value)
