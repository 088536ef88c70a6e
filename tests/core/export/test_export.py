"""An order is written from the values it is handed, without a project file."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pictured import pictured

from core.analysis.contents import Contents
from core.analysis.frame import make_frame, rows_of
from core.analysis.pipeline import Laws
from core.errors import Unusable
from core.export.export import ExportOrder, export
from core.formats.own.table_json import read
from core.pareto.limits import parse_limit
from core.project.choices import Choices


@pytest.fixture(scope="module")
def drawn():
    """Contents, laws, and the table with a front of several rows."""
    return Contents("drawn", None, (), ()), Laws(None, "", (), ()), *pictured(0.2)


def test_the_front_is_that_of_the_frame_and_so_are_the_limits(drawn, tmp_path):
    contents, laws, table, whole = drawn
    limited = make_frame(table, Choices(x=whole.x, y=whole.y, limits=(parse_limit("params<=20M"),)))
    assert 2 < len(limited.front) < len(whole.front)
    for frame in (whole, limited):
        order = ExportOrder("json", tmp_path / "front.json", force=True)
        written = export(contents, laws, table, frame, order)
        ids = tuple(table.id_of(row) for row in rows_of(frame))
        text = order.out.read_text()
        assert tuple(row.identity for row in read(text)) == ids == written.candidates
        assert written.files == (str(order.out),)
        about = json.loads(text)["provenance"]
        assert about["limits"] == [limit.text for limit in frame.limits]
        first = ExportOrder("json", tmp_path / "front.json", top=2, force=True)
        assert export(contents, laws, table, frame, first).candidates == ids[:2]


def test_a_shape_is_the_selected_row_unless_one_is_named(drawn, tmp_path):
    contents, laws, table, frame = drawn
    chosen, named = (int(row) for row in frame.front[:2])
    out = tmp_path / "config.json"
    frame = replace(frame, selected=chosen)
    written = export(contents, laws, table, frame, ExportOrder("hf", out))
    assert written.candidates == (table.id_of(chosen),)
    assert sorted(written.files) == sorted(str(path) for path in tmp_path.iterdir())
    order = ExportOrder("hf", out, (table.id_of(named),), force=True)
    assert export(contents, laws, table, frame, order).candidates == (table.id_of(named),)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (ExportOrder("sparkle", Path("x")), "not a format"),
        (ExportOrder("hf", Path("x"), ("L1-gone",)), "no candidate with id 'L1-gone'"),
        (ExportOrder("hf", Path("x"), max_context=8), "shorter than prompt"),
        (ExportOrder("csv", Path("no-such-folder/x")), "no such folder"),
    ],
    ids=str,
)
def test_what_cannot_be_written_is_refused_and_leaves_nothing(
    drawn, order, reason, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unusable, match=reason):
        export(*drawn, order)
    assert list(tmp_path.iterdir()) == []
