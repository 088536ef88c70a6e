"""What every format of this program's own files keeps by its row, and how a new one joins: by one module."""

import sys
from dataclasses import fields, replace

import pytest
from measured import measured, shape
from pictured import pictured

from core import __main__ as command_line
from core.analysis.contents import Contents
from core.analysis.pipeline import Laws
from core.errors import Unusable
from core.export.export import ExportOrder, export, write_measurements
from core.export.formats import formats
from core.formats import own
from core.formats.configs.writing import sidecar_path
from core.formats.own.own_formats import own_formats
from core.report.help_pages import formats_page

every_format = pytest.mark.parametrize("row", own_formats(), ids=lambda row: row.key)
LAWS = Laws(None, "", (), ())


@pytest.fixture(scope="module")
def drawn():
    """The contents with one measurement, and the table with a front of several rows."""
    return Contents("drawn", None, (measured(shape(2, 128)),), ()), *pictured(0.2)


@every_format
def test_its_row_says_everything_people_read(row):
    texts = [getattr(row, f.name) for f in fields(row) if f.type == "str"]
    assert len(texts) == 5 and all(text.strip() == text != "" for text in texts)
    assert row.kind in ("selection", "measurements") and formats()[row.key] is row


@every_format
def test_an_order_writes_its_text_and_a_sidecar_where_it_has_one(row, drawn, tmp_path):
    contents, table, frame = drawn
    order = ExportOrder(row.key, tmp_path / row.file)
    written = export(contents, LAWS, table, frame, order)
    beside = [sidecar_path(order.out)] if row.sidecar is not None else []
    assert sorted(tmp_path.iterdir()) == sorted([order.out, *beside])
    assert written.files == tuple(str(path) for path in (order.out, *beside))
    assert written.rows == (1 if row.kind == "measurements" else len(frame.front))
    for path in (order.out, *beside):
        with pytest.raises(Unusable, match="exists already"):
            order.check_target()
        path.unlink()


def test_only_a_format_of_measurements_writes_measurements(drawn, tmp_path):
    for row in formats().values():
        if row.kind != "measurements":
            order = ExportOrder(row.key, tmp_path / "x")
            with pytest.raises(Unusable, match="not a format of measurements"):
                write_measurements(drawn[0].measurements, order)
    assert list(tmp_path.iterdir()) == []


NEW = """
from core.formats.own.own_formats import OwnFormat

FORMAT = OwnFormat(
    key="queue",
    title="A queue",
    file="queue.txt",
    checked_against="a list by hand",
    write=lambda content: "".join(f"{row.identity}\\n" for row in content.rows),
    sidecar=lambda content: f"of {content.provenance['project']}",
)
"""
NEW_OF_MEASUREMENTS = """
from core.formats.own.own_formats import OwnFormat

FORMAT = OwnFormat(
    key="tally",
    title="A tally",
    file="tally.txt",
    checked_against="a count by hand",
    kind="measurements",
    write=lambda content: "|" * len(content.measurements),
)
"""


def test_a_new_format_is_one_module(drawn, tmp_path, monkeypatch, capsys):
    """`export`, its help and the list of formats: all offer it."""
    contents, table, frame = drawn
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "queue.py").write_text(NEW)
    (folder / "tally.py").write_text(NEW_OF_MEASUREMENTS)
    order = ExportOrder("queue", tmp_path / "queue.txt")
    with pytest.raises(Unusable, match="not a format"):
        export(contents, LAWS, table, frame, order)
    monkeypatch.setattr(own, "__path__", [*own.__path__, str(folder)])
    own_formats.cache_clear()
    try:
        written = export(contents, LAWS, table, frame, order)
        assert tuple(order.out.read_text().split()) == written.candidates != ()
        assert sidecar_path(order.out).read_text() == "of drawn"
        order.out.unlink()
        with pytest.raises(Unusable, match=r"queue\.txt\.paretoscope\.json exists already"):
            order.check_target()
        tally = replace(order, format="tally", out=tmp_path / "tally.txt")
        assert export(contents, LAWS, table, frame, tally).files == (str(tally.out),)
        assert tally.out.read_text() == "|"
        with pytest.raises(SystemExit):
            command_line.main(["export", "--help"])
        text = " ".join(capsys.readouterr().out.split())
        assert "for queue, csv, json and plan: at most K rows" in text
        assert "tally" in text
        assert "| A queue | `queue` | `queue.txt` |" in formats_page()
    finally:
        own_formats.cache_clear()
        for name in ("queue", "tally"):
            sys.modules.pop(f"core.formats.own.{name}", None)
            vars(own).pop(name, None)
