import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.document import open_document
from core.errors import Unusable


def written(tmp_path, content, name="file"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


TABLE = "name,loss\na,3.1\nb,2.9\n"


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("x.csv", '{"a": 1}', "json"),
        ("x", '[{"a": 1}]', "json"),
        ("x.json", TABLE, "csv"),
        ("x.jsonl", '{"a": 1}', "jsonl"),
        ("x", '{"a": 1}\n{"a": 2}', "jsonl"),
        ("x.ndjson", '{"a": 1,\n "b": 2}', "jsonl"),
        ("x.jsonl", '[{"a": 1}]', "json"),
        ("x.yaml", "a: 1", "yaml"),
        ("x.yml", "a,b\n1,2", "yaml"),
    ],
)
def test_what_a_file_holds_decides(tmp_path, name, text, kind):
    assert open_document(written(tmp_path, text, name)).kind == kind


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_reads_the_same_in_every_encoding(tmp_path, encoding):
    text = "größe,loss\nä,3.1\n"
    found = open_document(written(tmp_path, text.encode(encoding)))
    assert found.header == ("größe", "loss") and found.rows == ({"größe": "ä", "loss": "3.1"},)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_usual_delimiter_is_found(tmp_path, delimiter):
    found = open_document(written(tmp_path, TABLE.replace(",", delimiter)))
    assert found.rows == ({"name": "a", "loss": "3.1"}, {"name": "b", "loss": "2.9"})


def test_between_semicolons_a_comma_is_the_decimal_point(tmp_path):
    (row,) = open_document(written(tmp_path, "name;a;b\nx, y;1,5;-2,25\n")).rows
    assert row == {"name": "x, y", "a": "1.5", "b": "-2.25"}


def test_rows_that_are_not_whole_are_named_by_row_and_line(tmp_path):
    found = open_document(written(tmp_path, '# by me\n\nname,loss\n"a\nb",3\nc\nd,1,2\ne,4\n'))
    assert found.lines == (4, 6, 7, 8)
    assert found.problems == (
        (2, 6, "1 cells where the header has 2"),
        (3, 7, "3 cells where the header has 2"),
    )
    assert found.cells[1] == ("c", "") and found.cells[2] == ("d", "1")
    assert [row["name"] for row in found.rows] == ["a\nb", "e"]
    assert found.left_out == ("2 of 4 rows have another number of cells",)


def test_lines_that_are_not_json_are_named_by_row_and_line(tmp_path):
    found = open_document(written(tmp_path, '{"a": 1}\n\n{oops\n[3]\n{"a": 2}\n'))
    assert found.rows == ({"a": 1}, {"a": 2}) and found.lines == (1, 3, 4, 5)
    assert [(row, line) for row, line, _ in found.problems] == [(2, 3), (3, 4)]
    assert found.left_out == ("2 of 4 lines are not JSON",)
    # the first line may be broken where the name says what the file is
    broken = open_document(written(tmp_path, '{oops\n{"a": 2}\n', "x.jsonl"))
    assert broken.rows == ({"a": 2},) and broken.object == {"a": 2}


def test_repeated_and_blank_names_are_told_apart(tmp_path):
    assert open_document(written(tmp_path, "a,a,\n1,2,3\n")).header == ("a", "a (2)", "column 3")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (" \n".encode("utf-16"), "the file is empty"),
        (b"PK\x03\x04\0", r"a binary file \(a zip archive or spreadsheet\)"),
        (b"\x1f\x8b\0", r"a binary file \(gzip\)"),
        (b"text\0", "a binary file, not text"),
        ("a\0b".encode("utf-16"), "a binary file, not text"),
        ("a,b\ngröße,1\n".encode("latin-1"), r"line 2 is not valid UTF-8 \(byte 0xf6\)"),
        (b"\xff\xfea", "is not valid UTF-16"),
        (b"# nothing else\n", "only comments"),
        (b"a sentence\nand more", "neither JSON.* it begins 'a sentence'"),
        (b"1,2\n3,4\n", "only numbers"),
        (b"a,b\n", r"a header \(a, b\) but no row under it"),
        (b"a,b\n1\n", "no complete row; line 2: 1 cells where the header has 2"),
        (b'a,b\n"' + b"x" * 200_000 + b'",1', "is not CSV: field larger than field limit"),
        (b'{"a": 1', "line 1, column 8: .*the file seems cut off"),
        (b'[{"a": 1},\n{"a": }]', "not valid JSON at line 2, column 7: Expecting value$"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON that can be read"),
    ],
)
def test_what_cannot_be_read_is_refused_by_file_and_place(tmp_path, content, reason):
    path = written(tmp_path, content)
    with pytest.raises(Unusable, match=reason) as caught:
        open_document(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_yaml_builds_plain_values_only(tmp_path):
    pytest.importorskip("yaml")
    for text in ("a: [", "a: !!python/object/apply:os.getcwd []"):
        with pytest.raises(Unusable, match="not valid YAML"):
            open_document(written(tmp_path, text, "x.yaml"))


def test_objects_are_found_in_every_kind(tmp_path):
    one, other = {"a": 1}, {"a": 2}
    for text in (json.dumps([one, other]), f"{json.dumps(one)}\n{json.dumps(other)}"):
        found = open_document(written(tmp_path, text))
        assert found.objects == (one, other) and found.object == {}
    assert open_document(written(tmp_path, json.dumps(one))).object == one
    assert open_document(written(tmp_path, "[1, 2]")).found == "JSON holding list"


@given(st.binary(max_size=200), st.sampled_from(["x", "x.jsonl", "x.yaml"]))
def test_no_bytes_do_anything_but_open_or_be_refused(tmp_path_factory, data, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data)
    with contextlib.suppress(Unusable):
        found = open_document(path)
        assert found.found and len(found.rows) + len(found.problems) >= len(found.cells)


YAML = (
    ("a: 2001-99-99", "month must be in"),
    ("a: " + "9" * 5000, "digits"),
    ("a: " + "[" * 5000, "nested more than 100 deep"),
    ("a: &x [*x]", "references repeat each other"),
    (
        "- &a [1]\n"
        + "".join(f"- &{c} [*{b}, *{b}, *{b}, *{b}]\n" for b, c in pairwise("abcdefghijklm")),
        "references",
    ),
    ("a: [1", "not valid YAML at line"),
    ("a: " + "[" * 2000 + "]" * 2000, "nested more than 100 deep"),
)


@pytest.mark.parametrize(("text", "reason"), YAML, ids=[reason for _, reason in YAML])
def test_yaml_that_python_cannot_hold_is_refused_in_one_line(tmp_path, text, reason):
    path = written(tmp_path, text, "x.yaml")
    with pytest.raises(Unusable, match=reason) as caught:
        open_document(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_json_lines_with_a_number_too_long_lose_that_line_only(tmp_path):
    found = open_document(written(tmp_path, '{"a": 1}\n{"a": ' + "9" * 5000 + "}\n"))
    assert found.rows == ({"a": 1},) and "5,000 digits" in found.problems[0][2]


def test_a_name_over_two_lines_is_one_line_in_every_message(tmp_path):
    found = open_document(written(tmp_path, '"run\nname",loss\na,3\n'))
    assert found.header == ("run name", "loss")
    with pytest.raises(Unusable, match=r"a header \(run name, loss\) but no row"):
        open_document(written(tmp_path, '"run\nname",loss\n'))
    assert "\n" not in open_document(written(tmp_path, '{"a\\nb": 1}')).found
