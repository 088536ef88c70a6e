import json
import os

import numpy as np
import pytest

from core.errors import Unusable
from core.files import check_target, json_object, key_of, to_json, write_atomically


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, "one")
    with pytest.raises(Unusable, match="exists already"):
        write_atomically(path, "two")
    assert path.read_text() == "one"
    write_atomically(path, b"two", force=True)
    assert path.read_text() == "two"
    with pytest.raises(Unusable, match="no such folder"):
        write_atomically(tmp_path / "missing" / "a.json", "x")
    with pytest.raises(Unusable, match="is a folder"):
        write_atomically(tmp_path, "x", force=True)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unusable, match="No space left"):
        write_atomically(path, "three", force=True)
    assert path.read_text() == "two"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_is_written_without_what_it_cannot_hold_and_refused_by_what_is_wrong():
    written = {"nan": float("nan"), "array": np.arange(2), "scalar": np.float32(0.5)}
    assert json.loads(to_json(written)) == {"nan": None, "array": [0, 1], "scalar": 0.5}
    assert json_object('{"a": 1}', "x") == {"a": 1}
    for text, reason in (
        ("{", "x: not complete JSON"),
        ("[" * 100_000, "nested more than 100 deep"),
    ):
        with pytest.raises(Unusable, match=reason):
            json_object(text, "x")
    with pytest.raises(Unusable, match="found list"):
        json_object("[]", "x")
    with pytest.raises(Unusable, match="key 'b' is missing"):
        key_of({"a": 1}, "b", "x")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_a_name_that_no_file_can_have_is_refused_before_the_work(tmp_path, name):
    with pytest.raises(Unusable, match="cannot be written"):
        check_target(tmp_path / name)
