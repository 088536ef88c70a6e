"""The model command: a folder becomes one named measurement, and every refusal is one line."""

import json
import math

import pytest
from tiny_llama import save_tiny_llama

from core.__main__ import main
from core.measure.backends.folder import read_folder
from core.measure.backends.quality import measure_quality
from core.measure.sweeps.real_model import measure_model, plan_model
from core.measure.timing.protocol import Settings
from core.model.workload import Workload
from core.project.project import Project
from core.records.measurement import Measurement
from core.records.progress import Progress
from core.table.table import Table

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TEXT = "zebras über größe — 🦓 zig zag, " * 40


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A random Llama with a byte-level tokenizer."""
    return save_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-llama", TEXT)


@pytest.fixture
def folder(tmp_path, tiny):
    """A copy that a test may spoil."""
    path = tmp_path / "spoilt"
    path.mkdir()
    for file in tiny.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    return path


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


def run(capsys, *words):
    status = main(["model", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]) if status == 0 else None, out, err


def test_a_folder_stands_in_the_table_as_a_real_model(tiny, text, tmp_path, capsys):
    project = tmp_path / "p.paretoscope"
    words = ["--project", project, "--prompt", 6, "--output", 5, "--budget-s", "1s", "--threads", 1]
    status, answer, out, _ = run(capsys, tiny, *words, "--text", text)
    assert status == 0
    with Project.open(project) as stored:
        (m,) = stored.measurements()
    assert (m.model, m.runtime.execution, m.runtime.weights) == (
        "tiny-llama",
        "transformers",
        "fp32",
    )
    assert m.workload == Workload(1, 6, 5)
    assert m.environment["model_weights"] == "files"
    assert m.environment["scored_in"] == "fp32"
    assert m.environment["text"] == "text.txt" and len(m.environment["text_sha256"]) == 64
    # the loss is the engine's own, taken in another process
    steps = measure_quality(read_folder(tiny), text, dtype="fp32", threads=1)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            expected = end.value
            break
    assert m.quality["loss"] == pytest.approx(expected.loss, rel=1e-5)
    assert answer["quality"]["bits_per_byte"] == pytest.approx(expected.bits_per_byte, rel=1e-5)
    table = Table(None, measurements=[m])
    for key, value in (("loss", expected.loss), ("bits_per_byte", expected.bits_per_byte)):
        found = table.estimates(key)
        assert found.measured[0] and found.value[0] == pytest.approx(value, rel=1e-5)
        assert found.low[0] < found.value[0] < found.high[0]
    assert table.label(0) == "tiny-llama"
    assert table.column("tpot_s")[0] == answer["metrics"]["tpot"]["value"] > 0
    assert table.source("memory_bytes", 0).kind == "measured"
    assert math.isclose(answer["params"], m.architecture.params_total)
    assert "bits per byte" in out and "stored in" in out and "95 %" in out


def test_disjoint_windows_are_stored_as_the_other_metric(tiny, text, tmp_path, capsys):
    project = tmp_path / "p.paretoscope"
    words = ["--project", project, "--prompt", 6, "--output", 4, "--budget-s", 1, "--threads", 1]
    status, answer, out, _ = run(capsys, tiny, *words, "--text", text, "--windows", "disjoint")
    assert status == 0 and "bits_per_byte" not in answer["quality"]
    assert answer["quality"]["bits_per_byte_disjoint"] > 0 and "windows of 64 every 63" in out
    with Project.open(project) as stored:
        table = Table(None, measurements=stored.measurements())
    assert table.known("loss_disjoint") and not table.known("loss")
    assert table.axis_label("loss_disjoint").startswith("Loss in disjoint windows on text.txt (")


def test_without_weights_random_ones_are_timed_and_said_to_be(folder, tmp_path, capsys):
    (folder / "model.safetensors").unlink()
    project = tmp_path / "p.paretoscope"
    words = ["--project", project, "--prompt", 6, "--output", 4, "--budget-s", 1, "--threads", 1]
    status, answer, out, _ = run(capsys, folder, *words)
    assert status == 0 and not answer["has_weights"] and answer["quality"] is None
    assert "random" in out
    with Project.open(project) as stored:
        (m,) = stored.measurements()
    assert m.environment["model_weights"] == "random" and "random weights" in m.message
    assert not m.failed and not m.quality
    assert math.isnan(Table(None, measurements=[m]).column("loss")[0])


def change(folder, **keys):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **keys}))


def bad_missing(folder, text):
    return folder / "nowhere", "is not a folder", ()


def bad_code(folder, text):
    change(folder, auto_map={"AutoModelForCausalLM": "modeling.Model"})
    return folder, "needs code of its own", ()


def bad_tokenizer(folder, text):
    (folder / "tokenizer.json").unlink()
    return folder, "no tokenizer", ("--text", text)


def bad_no_weights(folder, text):
    (folder / "model.safetensors").unlink()
    return folder, "random ones have a speed but no quality", ("--text", text)


def bad_text(folder, text):
    return folder, "no such text file", ("--text", text.with_name("none.txt"))


def bad_length(folder, text):
    return folder, "more than the 64 its config allows", ("--output", 60)


def bad_device(folder, text):
    return folder, "--device is 'cpu' or 'cuda:N'", ("--device", "tpu")


def bad_network(folder, text):
    change(folder, hidden_act="gelu")
    return folder, "the decoder computes another network: 'hidden_act'", ("--execution", "eager")


def bad_weights(folder, text):
    return folder, "invalid choice: 'int8'", ("--weights", "int8")


@pytest.mark.parametrize(
    "spoil",
    [
        bad_missing,
        bad_code,
        bad_tokenizer,
        bad_no_weights,
        bad_text,
        bad_length,
        bad_device,
        bad_network,
        bad_weights,
    ],
    ids=lambda f: f.__name__,
)
def test_a_refusal_is_one_line_and_leaves_no_file(folder, text, tmp_path, capsys, spoil):
    where, reason, words = spoil(folder, text)
    project = tmp_path / "p.paretoscope"
    short = ("--prompt", 6, "--output", 5)
    status, _, out, err = run(capsys, where, "--project", project, *short, *words)
    assert (status, out) == (2, "")
    assert reason in err and err.count("\n") == 1 and "Traceback" not in err
    assert not project.exists()


def test_what_only_loading_finds_is_one_line_too(folder, tmp_path, capsys):
    """A tensor the model needs is not in its file: transformers would fill it with noise."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    project = tmp_path / "p.paretoscope"
    words = ["--project", project, "--prompt", 6, "--output", 4, "--threads", 1]
    status, _, _, err = run(capsys, folder, *words)
    assert status == 2 and "up_proj" in err and err.count("\n") == 1
    with Project.open(project) as stored:
        assert stored.measurements() == ()


def test_closing_while_it_loads_ends_it_and_stores_nothing(tiny, text):
    stored = []
    plan = plan_model(tiny, Workload(1, 6, 5), text=text)
    steps = measure_model(
        plan, device="cpu", store=stored.append, settings=Settings(budget_s=1.0), probe=False
    )
    first = next(steps)
    assert isinstance(first, Progress) and first.total == 2
    steps.close()
    assert stored == []
    assert list(steps) == []


def test_the_plan_says_how_a_folder_will_be_run(tiny, monkeypatch):
    monkeypatch.chdir(tiny)
    plan = plan_model(".", Workload(1, 6, 5), weights="bf16", execution="eager")
    assert plan.point.model == "tiny-llama"
    assert (plan.point.runtime.execution, plan.point.runtime.cache) == ("eager", "bf16")
    assert isinstance(plan.folder.params, int) and not isinstance(plan, Measurement)
