import json
from pathlib import Path

import pytest

from core import guarded
from core.errors import Unusable
from core.formats.detect import what_file
from core.project.project import Project
from core.resources import resource

FIXTURES = Path(__file__).parents[2] / "fixtures" / "formats"


@pytest.mark.parametrize("path", sorted(p for p in FIXTURES.rglob("*") if p.is_file()), ids=str)
def test_every_result_file_is_told_as_results(path):
    found = what_file(path)
    assert found.kind == "results"
    assert found.value and all(point.metrics for point in found.value)


@pytest.mark.parametrize("name", ["morph_runs.csv", "gemstones_cooldown_runs.csv"])
def test_run_tables_are_told_as_runs(name):
    found = what_file(resource(f"runs/{name}"))
    assert found.kind == "runs"
    assert len(found.value.reading.runs) > 50


def test_a_project_is_told_by_its_content(tmp_path):
    path = tmp_path / "renamed.dat"
    Project.create(path).close()
    assert what_file(path).kind == "project"


def test_a_space_a_model_and_a_folder(tmp_path):
    found = what_file(resource("spaces/small.toml"))
    assert (found.kind, "[shape]" in found.value) == ("space", True)
    config = {"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert what_file(tmp_path).kind == what_file(tmp_path / "config.json").kind == "model"
    assert what_file(FIXTURES / "vllm_sweep").kind == "results"


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.json", b'{"colour": "red"}', "found JSON, top-level keys colour"),
        ("a.toml", b"[shape", "not valid TOML"),
        ("a.csv", b"x,y\n1,2\n", "found CSV, columns x, y"),
        ("a.paretoscope", b"text", None),
        ("a.json", b"", ""),
        ("a.bin", bytes(range(256)), ""),
    ],
)
def test_what_is_unknown_says_what_was_looked_for_and_found(tmp_path, name, content, part):
    path = tmp_path / name
    path.write_bytes(content)
    if part is None:
        # a damaged project is still one: opening it says what is wrong
        assert what_file(path).kind == "project"
        return
    with pytest.raises(Unusable) as error:
        what_file(path)
    assert part in str(error.value)
    assert name in str(error.value) or str(path) in str(error.value) or "TOML" in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(Unusable, match="there is no such file"):
        what_file(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["aiperf.json", "generic.csv", "sglang_serving.jsonl", "runs.csv"])
def test_a_file_is_read_once(name, monkeypatch):
    path = resource("runs/morph_runs.csv") if name == "runs.csv" else FIXTURES / name
    opened = []
    real = guarded.read_bytes
    monkeypatch.setattr(
        guarded, "read_bytes", lambda file, most: opened.append(file) or real(file, most)
    )
    assert what_file(path).kind in ("results", "runs")
    assert opened == [path]


def test_a_damaged_multimodal_config_is_no_crash(tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"model_type": "llama", "text_config": 3}')
    with pytest.raises(Unusable, match="of no known kind"):
        what_file(path)
