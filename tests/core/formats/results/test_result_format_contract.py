"""What every format of results keeps by having a row, and how a new one joins: by one module."""

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from core import __main__ as command_line
from core.document import open_document
from core.errors import Unusable
from core.formats import results
from core.formats.detect import what_file
from core.formats.own import table_csv, table_json
from core.formats.own.selection import Row, Value
from core.formats.results.readers import ResultFormat, result_formats
from core.formats.results.reading import format_of, read_results
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.report.help_pages import formats_page

FIXTURES = Path(__file__).parents[3] / "fixtures" / "formats"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One result file or more of every format; those of this program are written here."""
    folder = tmp_path_factory.mktemp("own")
    shape = Architecture(2, 64, 4, 2, 16, 96, 97)
    row = Row("a", "a", shape, Workload(1, 2, 3), Runtime("eager"), "gpu", {"tpot_s": Value(0.01)})
    (folder / "own.csv").write_text(table_csv.write((row,)))
    (folder / "own.json").write_text(table_json.write((row,)))
    return sorted(p for root in (FIXTURES, folder) for p in root.rglob("*") if p.is_file())


formats = pytest.mark.parametrize("row", result_formats(), ids=lambda row: row.title)


@formats
def test_its_row_says_everything_people_read(row):
    texts = [getattr(row, f.name) for f in fields(row) if f.type == "str"]
    assert len(texts) == 4 and all(text.strip() == text != "" for text in texts)
    assert all(pattern.startswith("**/") for pattern in row.in_folders)


@formats
def test_its_files_are_its_own_and_read(row, files):
    """Some file is its own, and no file of another format is; only general ones take what is left."""
    documents = {file: open_document(file) for file in files}
    own = [d for d in documents.values() if row.recognises(d)]
    if row.general:
        others = [r for r in result_formats() if not r.general]
        own = [d for d in own if not any(r.recognises(d) for r in others)]
    assert own, "there is no fixture of this format"
    for document in own:
        others = [r for r in result_formats() if r is not row and not r.general]
        assert not any(r.recognises(document) for r in others), document.path.name
        points = row.read(document)
        assert points and all(p.metrics and p.tool and p.source for p in points)
        assert format_of(document) is row
        assert read_results(document.path) == points
        assert what_file(document.path).value == points


@formats
def test_a_file_without_numbers_is_refused_in_one_line(row, files, tmp_path):
    """Its own keys with nothing usable behind them, which it may still recognise."""
    file = next(f for f in files if row.recognises(open_document(f)))
    document = open_document(file)
    path = tmp_path / file.name
    if document.kind == "csv":
        header = file.read_text().splitlines()[0]
        path.write_text(f"{header}\n{',' * header.count(',')}\n{header}\n")
    else:
        text = json.dumps(emptied(document.value or list(document.rows)))
        path.write_text(text)
    try:
        damaged = open_document(path)
    except Unusable as error:
        assert "\n" not in str(error)
        return
    if row.recognises(damaged):
        with pytest.raises(Unusable) as caught:
            row.read(damaged)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))


def emptied(value):
    """The same keys with null for every number."""
    if isinstance(value, dict):
        return {key: emptied(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [emptied(inner) for inner in value]
    return value if isinstance(value, str | bool) else None


NEW = """
from core.formats.results.imported import keep, need, single
from core.records.imported import ImportedPoint
from core.formats.results.readers import ResultFormat


def read(document):
    metrics = keep({"tpot_s": single(document.object["stopwatch_ms"], "tpot_s", 1e-3)})
    point = ImportedPoint("m", None, None, "", metrics, str(document.path), "stopwatch")
    return need([point], document, "'stopwatch_ms'")


FORMAT = ResultFormat(
    title="Stopwatch",
    file="stopwatch.json",
    checked_against="a file by hand",
    looked_for="'stopwatch_ms' (Stopwatch)",
    recognises=lambda document: "stopwatch_ms" in document.object,
    read=read,
    in_folders=("**/stopwatch.json",),
)
"""


def test_a_new_format_is_one_module(tmp_path, monkeypatch, capsys):
    """Reader, folder, detection, the command and its help, the list of formats: all offer it."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "stopwatch.py").write_text(NEW)
    file = tmp_path / "stopwatch.json"
    file.write_text('{"stopwatch_ms": 8}')
    with pytest.raises(Unusable, match="not a known result file"):
        read_results(file)
    monkeypatch.setattr(results, "__path__", [*results.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "core.formats.results.stopwatch", raising=False)
    result_formats.cache_clear()
    try:
        (point,) = read_results(file)
        assert point.metrics["tpot_s"].value == 0.008
        assert read_results(tmp_path) == (point,)
        assert what_file(file).value == (point,)
        assert command_line.main(["import", str(tmp_path / "p.paretoscope"), str(file)]) == 0
        assert "stopwatch" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            command_line.main(["import", "--help"])
        assert "Stopwatch" in capsys.readouterr().out
        assert "| Stopwatch | `stopwatch.json` |" in formats_page()
        other = tmp_path / "other.json"
        other.write_text('{"epoch": 1}')
        with pytest.raises(Unusable, match="not a known result file"):
            read_results(other)
        other.write_text('{"stopwatch": {"stopwatch_ms": 8}}')
        with pytest.raises(Unusable, match="nearest is Stopwatch; found"):
            read_results(other)
        assert result_formats()[-1].general
    finally:
        result_formats.cache_clear()
        sys.modules.pop("core.formats.results.stopwatch", None)


def test_a_row_of_another_kind_is_named(tmp_path, monkeypatch):
    (tmp_path / "wrong.py").write_text("FORMAT = 3")
    monkeypatch.setattr(results, "__path__", [str(tmp_path)])
    result_formats.cache_clear()
    try:
        with pytest.raises(TypeError, match=r"results\.wrong\.FORMAT is a int, not a ResultFormat"):
            result_formats()
    finally:
        result_formats.cache_clear()
        sys.modules.pop("core.formats.results.wrong", None)


def test_titles_are_told_apart():
    titles = [row.title.casefold() for row in result_formats()]
    assert len(set(titles)) == len(titles) > 5
    assert all(isinstance(row, ResultFormat) for row in result_formats())
