"""What every format of configurations keeps by having a row, and how a new one joins: by one module."""

import sys
from dataclasses import fields

import pytest
from hypothesis import given, settings
from known_shapes import shapes

from core import __main__ as command_line
from core.errors import Unusable
from core.export.formats import formats, refusal, write_shape
from core.formats import configs
from core.formats.configs.config_formats import config_formats, read_shape
from core.formats.configs.writing import ExportContext
from core.formats.own.own_formats import own_formats
from core.model.architecture import shape_from_label
from core.report.help_pages import formats_page

# the first 1B shape of open_lm's fork, which every format can express
MORPH_1B = shape_from_label("24x2048", n_heads=16)

every_format = pytest.mark.parametrize("row", config_formats(), ids=lambda row: row.key)


@every_format
def test_its_row_says_everything_people_read(row):
    texts = [getattr(row, f.name) for f in fields(row) if f.type == "str"]
    assert len(texts) == 4 and all(text.strip() == text != "" for text in texts)
    assert row.kind == "shape" and formats()[row.key] is row


@every_format
def test_its_text_is_its_own_and_reads_back(row, tmp_path):
    text = row.write(MORPH_1B, ExportContext("1B: a/design", 3e10, "bf16", "fp8", 8192, 16))
    path = tmp_path / row.file
    path.write_text(text)
    assert row.read(text) == MORPH_1B
    assert read_shape(path) == (MORPH_1B, row)


@every_format
def test_no_text_of_another_format_is_taken_for_its_own(row, tmp_path, monkeypatch):
    """Asked first of all, it leaves what the others wrote to them."""
    others = [other for other in config_formats() if other is not row]
    monkeypatch.setattr(
        "core.formats.configs.config_formats.config_formats", lambda: (row, *others)
    )
    for other in others:
        path = tmp_path / other.file
        path.write_text(other.write(MORPH_1B, ExportContext()))
        assert read_shape(path) == (MORPH_1B, other)


@every_format
def test_any_shape_is_written_truly_or_refused_with_a_reason(row, tmp_path):
    path = tmp_path / "file"

    @settings(deadline=None)
    @given(shapes)
    def check(shape):
        try:
            text = write_shape(row.key, shape, ExportContext())
        except Unusable as error:
            assert len(str(error)) > 20 and "\n" not in str(error)
            assert refusal(row.key, shape, ExportContext()) == str(error)
        else:
            path.write_text(text)
            assert read_shape(path) == (shape, row)
            assert refusal(row.key, shape, ExportContext()) == ""

    check()


@every_format
def test_a_text_cut_short_is_read_or_refused_in_one_line(row):
    text = row.write(MORPH_1B, ExportContext())
    for end in range(0, len(text), max(1, len(text) // 40)):
        try:
            row.read(text[:end])
        except Unusable as error:
            assert "\n" not in str(error)


NEW = """
from core.errors import Unusable
from core.formats.configs.config_formats import ConfigFormat
from core.model.architecture import shape_from_label


def read(text):
    return shape_from_label(text.split()[1], n_heads=16)


def write(architecture, context):
    if architecture.tied_embeddings:
        raise Unusable("a postcard has no room for tied embeddings")
    return f"postcard {architecture.n_layers}x{architecture.d_model}"


FORMAT = ConfigFormat(
    key="postcard",
    title="Postcard",
    file="postcard.txt",
    checked_against="a card by hand",
    recognises=lambda text, values: text.startswith("postcard "),
    read=read,
    write=write,
)
"""


def test_a_new_format_is_one_module(tmp_path, monkeypatch, capsys):
    """Reading, `info`, `export --to` and the list of formats: all offer it."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "postcard.py").write_text(NEW)
    file = tmp_path / "postcard.txt"
    file.write_text("postcard 24x2048")
    with pytest.raises(Unusable, match="no known model shape"):
        read_shape(file)
    monkeypatch.setattr(configs, "__path__", [*configs.__path__, str(folder)])
    config_formats.cache_clear()
    try:
        assert read_shape(file)[0] == MORPH_1B
        assert write_shape("postcard", MORPH_1B, ExportContext()) == "postcard 24x2048"
        assert command_line.main(["info", str(file)]) == 0
        assert "(Postcard)" in capsys.readouterr().out
        with pytest.raises(SystemExit):
            command_line.main(["export", "--help"])
        assert "postcard" in capsys.readouterr().out
        assert "| Postcard | `postcard` | `postcard.txt` |" in formats_page()
    finally:
        config_formats.cache_clear()
        sys.modules.pop("core.formats.configs.postcard", None)


def test_keys_are_told_apart():
    keys = [row.key for row in (*config_formats(), *own_formats())]
    assert len(set(keys)) == len(keys) == len(formats())
