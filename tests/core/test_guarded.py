import json
import os
import socket

import pytest

from core import guarded
from core.errors import Unusable
from core.formats.configs.config_formats import read_shape
from core.formats.configs.gguf import read_header
from core.formats.configs.hf import read_config
from core.formats.configs.safetensors import read_stored, tensor_headers
from core.formats.detect import what_file
from core.formats.results.reading import read_results
from core.formats.runs.reading import load
from core.measure.backends.folder import read_folder
from core.project.project import Project
from core.space.space_file import read_space

READERS = (
    *(guarded.read_text, what_file, read_results, load, read_space, read_shape, read_config),
    *(read_header, tensor_headers, read_stored, Project.open),
)
readers = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__qualname__)


def a_pipe(folder):
    os.mkfifo(folder / "x")


def a_socket(folder):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "x"))


def a_device(folder):
    (folder / "x").symlink_to("/dev/zero")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("make", [a_pipe, a_socket, a_device])
@readers
def test_what_is_no_plain_file_is_refused_and_never_waited_for(read, make, tmp_path, monkeypatch):
    # a socket's path may have some hundred characters only
    monkeypatch.chdir(tmp_path)
    make(tmp_path.relative_to(tmp_path))
    with pytest.raises(
        Unusable, match=f"{make.__name__.replace('a_pipe', 'a_named_pipe')}".replace("_", " ")
    ):
        read(tmp_path / "x")


@readers
@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\udcff", "gone"])
def test_names_that_no_file_has_are_refused(read, name, tmp_path):
    with pytest.raises(Unusable):
        read(tmp_path / name)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_model_folder_with_pipes_in_it_is_refused(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(Unusable, match="a named pipe"):
        read_folder(tmp_path)
    with pytest.raises(Unusable, match="a named pipe"):
        what_file(tmp_path / "config.json")


def test_files_too_large_for_their_kind_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "x.toml"
    with path.open("wb") as file:
        file.truncate(guarded.MOST_SETTINGS_BYTES + 1)
    for read in (read_space, read_shape, read_config):
        with pytest.raises(Unusable, match=r"64\.0 MiB is too large .*at most 64\.0 MiB"):
            read(path)
    path.write_bytes(b"x" * 11)
    with pytest.raises(Unusable, match="too large"):
        guarded.read_bytes(path, 10)
    assert guarded.read_bytes(path, 11) == b"x" * 11


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="there is no /proc")  # noqa: PTH110
def test_a_file_that_says_it_is_empty_is_read_up_to_the_limit():
    assert b"Name:" in guarded.read_bytes(guarded.Path("/proc/self/status"))
    with pytest.raises(Unusable, match="too large"):
        guarded.read_bytes(guarded.Path("/proc/self/status"), 20)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(Unusable, match="is a folder, not a plain file"):
        guarded.read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("9" * 301, "a number of 301 digits"),
        ("[" * 102 + "]" * 102, "nested more than 100 deep"),
        ("[" * 100_000, "nested more than 100 deep"),
        ('{"a":' * 102 + "1" + "}" * 102, "nested more than 100 deep"),
    ],
)
def test_json_that_python_cannot_hold_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        guarded.json_value(text)


def test_json_within_the_limits_is_read_as_it_is():
    deep = "[" * 101 + "]" * 101
    assert json.dumps(guarded.json_value(deep)) == deep
    assert guarded.json_value("9" * 300) == int("9" * 300)
    assert guarded.json_value("[1e400, 2]") == [float("inf"), 2]


def test_half_a_pair_of_surrogates_becomes_text_that_can_be_written():
    value = guarded.json_value(r'{"a\ud800": "\ud83d\ude00 \udfff"}')
    assert value == {"a?": "\N{GRINNING FACE} ?"}
    assert json.dumps(value, ensure_ascii=False).encode()


def test_a_table_larger_than_memory_can_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded, "memory_bytes", lambda: 20 * 2**20)
    path = tmp_path / "x.csv"
    with path.open("wb") as file:
        file.truncate(2**20 + 1)
    for read in (load, read_results, what_file):
        with pytest.raises(Unusable, match=r"1\.0 MiB is too large .*at most 1\.0 MiB"):
            read(path)


def test_a_message_stays_one_line_however_long_what_it_quotes_is():
    assert str(Unusable("short")) == "short"
    text = str(Unusable(f"x.csv: {'a' * 100_000}: rename it"))
    assert len(text) < 1600 and text.startswith("x.csv: a") and text.endswith("a: rename it")
