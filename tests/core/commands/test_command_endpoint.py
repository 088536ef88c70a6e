"""The endpoint command against a real server on loopback: realised counts, shapes, refusals."""

import json
import struct

import completion_server as served
import pytest
from server_with_pages import CONFIG, Handler, serving

from core.__main__ import main
from core.measure.backends.served import Endpoint
from core.measure.backends.served_shape import served_shape
from core.model.workload import Runtime, Workload
from core.project.project import Project
from core.table.table import Table


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder / "config.json"


def run(capsys, *words):
    status = main(["endpoint", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]) if status == 0 else None, out, err


def test_a_served_model_is_timed_and_stored_under_its_name(config, tmp_path, capsys):
    project = tmp_path / "p.paretoscope"
    words = ["--model", "tiny", "--project", project, "--config", config]
    asked = ["--prompt", 20, "--output", 9, "--requests", 3, "--batch", 2]
    with serving(tokens=6) as url:
        status, answer, out, _ = run(capsys, url, *words, *asked)
    assert status == 0
    with Project.open(project) as stored:
        (m,) = stored.measurements()
    assert m.model == "tiny" and m.runtime == Runtime("served", "bf16", "bf16")
    assert m.workload == Workload(2, 20, 6)
    assert answer["realised"] == {"prompt_tokens": 20, "output_tokens": 6}
    assert answer["asked"] == {"prompt_tokens": 20, "output_tokens": 9}
    assert (answer["requests"], answer["chunk_is_token"]) == (6, True)
    metrics = answer["metrics"]
    assert {"ttft", "itl", "tpot", "e2e"} <= set(metrics)
    # the server slept this long
    assert metrics["ttft"]["value"] >= served.FIRST
    assert metrics["e2e"]["value"] >= served.FIRST + 5 * served.GAP
    assert metrics["itl"]["n"] == 6 * 5
    assert "6 output tokens came where 9" in out and "between tokens" in out
    table = Table(None, measurements=[m])
    assert table.label(0) == "tiny"
    assert table.estimates("tpot_s").measured[0]


def test_the_server_may_name_its_own_shape(config, tmp_path, capsys):
    page = {"data": [{"id": "tiny", "root": str(config.parent)}]}
    project = tmp_path / "p.paretoscope"
    words = ["--model", "tiny", "--project", project, "--output", 3, "--requests", 1]
    with serving(pages={"/v1/models": page}) as url:
        status, answer, _, _ = run(capsys, url, *words, "--prompt", 4)
    assert status == 0
    assert (answer["shape"]["n_layers"], answer["shape"]["d_ff"]) == (2, 128)


def gguf(path):
    """A GGUF file of keys only: 3 layers of width 64."""

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    numbers = {
        "block_count": 3,
        "embedding_length": 64,
        "attention.head_count": 2,
        "feed_forward_length": 160,
        "vocab_size": 500,
    }
    pairs = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    pairs += [text(f"llama.{k}") + struct.pack("<II", 4, v) for k, v in numbers.items()]
    head = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    path.write_bytes(head + b"".join(pairs))
    return path


def test_llama_cpp_names_its_file(tmp_path):
    path = gguf(tmp_path / "m.gguf")
    pages = {"/v1/models": {"data": [{"id": "m"}]}, "/props": {"model_path": str(path)}}
    with serving(pages=pages) as url:
        shape, precision = served_shape(Endpoint(url, "m"))
    assert (shape.n_layers, shape.d_model, shape.d_ff, shape.vocab_size) == (3, 64, 160, 500)
    assert precision == ""


def test_an_untold_precision_is_said_to_be_assumed(tmp_path, capsys):
    path = gguf(tmp_path / "m.gguf")
    words = ["--model", "m", "--project", tmp_path / "p.paretoscope", "--config", path]
    asked = ["--output", 3, "--requests", 1, "--prompt", 4]
    with serving() as url:
        status, answer, out, _ = run(capsys, url, *words, *asked)
        assert status == 0 and answer["runtime"]["weights"] == "bf16"
        assert "its precision is unknown" in out
        status, answer, out, _ = run(capsys, url, *words, *asked, "--weights", "int8")
    assert (
        status == 0 and answer["runtime"]["weights"] == "int8" and "precision is unknown" not in out
    )


def test_refusals_are_one_line_and_leave_no_file(config, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EMPTY_KEY", "\n")
    monkeypatch.setenv("BROKEN_KEY", "s3cret\nX-More: 1")
    project = tmp_path / "p.paretoscope"
    words = ["--model", "tiny", "--project", project]
    with serving() as url:
        closed = url
    with serving(pages={"/v1/models": {"data": [{"id": "other"}]}}) as url:
        cases = [
            ((closed, *words, "--config", config), "is the server running"),
            ((url, *words), "serves other, not 'tiny'"),
            ((url, *words, "--config", config.with_name("none.json")), "no such file"),
            (("http://192.0.2.7:8000", *words), "is not this machine"),
            (
                (url, *words, "--key-from", "NO_SUCH_VARIABLE"),
                "NO_SUCH_VARIABLE is not in the environment",
            ),
            ((url, *words, "--key-from", "EMPTY_KEY"), "EMPTY_KEY holds no key"),
            ((url, *words, "--key-from", "BROKEN_KEY"), "no key can"),
            ((url, *words, "--requests", 0), "must be at least 1"),
            (("http://[::1", *words), "is not an address"),
        ]
        for given, reason in cases:
            status, _, out, err = run(capsys, *given)
            assert (status, out) == (2, "") and reason in err, (reason, err)
            assert err.count("\n") == 1 and "s3cret" not in err
    with serving(pages={"/v1/models": {"data": [{"id": "tiny", "root": "org/name"}]}}) as url:
        status, _, _, err = run(capsys, url, *words)
        assert status == 2 and "does not say which shape" in err and "--config" in err
    assert not project.exists()


def test_a_server_that_fails_in_the_middle_stores_nothing(config, tmp_path, capsys):
    project = tmp_path / "p.paretoscope"
    words = ["--model", "tiny", "--project", project, "--config", config, "--output", 4]
    with serving(dies_after=2) as url:
        status, _, _, err = run(capsys, url, *words)
    assert status == 2 and "ended its answer early" in err and err.count("\n") == 1
    with Project.open(project) as stored:
        assert stored.measurements() == ()


def test_the_key_is_read_from_the_environment_and_sent(config, tmp_path, capsys, monkeypatch):
    # as a secret mounted as a file often ends
    monkeypatch.setenv("TEST_KEY", "s3cret\n")
    seen = []
    monkeypatch.setattr(
        Handler, "stream", lambda self, *a: (seen.append(self.headers["Authorization"]),
                                             served.Handler.stream(self, *a)),
    )  # fmt: skip
    project = tmp_path / "p.paretoscope"
    words = ["--model", "tiny", "--project", project, "--config", config, "--prompt", 4]
    with serving() as url:
        status, answer, out, _ = run(
            capsys, url, *words, "--output", 2, "--requests", 1, "--key-from", "TEST_KEY"
        )
    assert status == 0 and set(seen) == {"Bearer s3cret"}
    assert "s3cret" not in out and "s3cret" not in json.dumps(answer)
    assert b"s3cret" not in project.read_bytes()
