import csv
import json
import os
from pathlib import Path

import pytest
from known_shapes import counted_by_transformers
from measured import measured, shape

from core.__main__ import main
from core.analysis.contents import read_contents
from core.analysis.pipeline import make_laws, make_table
from core.errors import Unusable
from core.export.formats import format_of
from core.formats.configs.config_formats import config_formats, read_shape
from core.formats.configs.hf import read_config
from core.formats.own.table_csv import read as read_csv
from core.formats.own.table_json import read as read_json
from core.formats.own.training_plan import read as read_plan
from core.formats.results.reading import read_results
from core.model.workload import Workload
from core.pareto.limits import parse_limit
from core.project.choices import Choices, LossChoice
from core.project.project import Project
from core.space.candidates import Candidates

SPACE = """
schema_version = 1
name = "Tiny"

[shape]
n_layers = [2, 4, 8]
d_model = [128, 192, 256]
d_head = 32
kv_groups = [1, 2]
ffn_ratio = 2.6667
ffn_multiple = 256
vocab_size = 50432

[run]
execution = ["eager"]
weights = ["fp32"]
batch = 1
prompt_tokens = 128
output_tokens = 256

[train]
tokens_per_parameter = 20
"""
CHOICES = Choices(loss=LossChoice(law="chinchilla"))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "tiny.paretoscope"
    with Project.create(path) as p:
        p.put_text("space", SPACE)
        p.put_choices(CHOICES)
        for layers, width in ((2, 128), (4, 128), (8, 128), (2, 256), (4, 256), (8, 256), (4, 192)):
            p.add_measurement(measured(shape(layers, width)))
    return path


@pytest.fixture(scope="module")
def table(project):
    with Project.open(project, read_only=True) as p:
        contents = read_contents(p)
    return make_table(contents, make_laws(contents, CHOICES), CHOICES)


@pytest.fixture(scope="module")
def identity(table):
    """A candidate with full attention, so that every format can say it."""
    assert isinstance(table.candidates, Candidates)
    kv = table.candidates.shapes
    row = next(r for r in range(len(table)) if kv.n_kv_heads[r] == kv.n_heads[r] == 8)
    return table.id_of(row)


def export(capsys, *words):
    assert main(["export", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refused(capsys, *words):
    assert main(["export", *map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("key", [row.key for row in config_formats()])
def test_a_candidate_in_every_format(key, project, table, identity, tmp_path, capsys):
    out = tmp_path / format_of(key).file
    answer = export(capsys, project, "--candidate", identity, "--to", key, "--out", out)
    wanted = table.candidates.shapes.row(table.find(identity))
    assert read_shape(out) == (wanted, format_of(key))
    assert answer["params_total"] == [wanted.params_total]
    assert out.suffix != ".sh" or key == "megatron" or os.access(out, os.X_OK)
    about = json.loads(Path(f"{out}.paretoscope.json").read_text())
    assert sorted(answer["files"]) == sorted(str(p) for p in tmp_path.iterdir())
    assert about["provenance"]["candidate"] == identity
    numbers = about["provenance"]["numbers"]
    assert numbers["loss"]["kind"] == "predicted" and "chinchilla" in numbers["loss"]["source"]
    assert numbers["params_total"] == {
        "value": wanted.params_total,
        "low": None,
        "high": None,
        "kind": "exact",
        "source": "counted from the shape",
    }


def test_the_exported_config_builds_in_transformers(project, identity, tmp_path, capsys):
    out = tmp_path / "config.json"
    answer = export(capsys, project, "--candidate", identity, "--to", "hf", "--out", out)
    assert counted_by_transformers(json.loads(out.read_text())) == answer["params_total"][0]
    assert read_config(tmp_path).max_context == 4096
    words = ("--candidate", identity, "--to", "hf", "--out", out, "--force")
    export(capsys, project, *words, "--max-context", "512")
    assert read_config(tmp_path).max_context == 512
    assert "shorter than prompt + output" in refused(
        capsys, project, *words, "--max-context", "100"
    )


def test_the_front_as_tables(project, table, tmp_path, capsys):
    out = tmp_path / "front.json"
    answer = export(capsys, project, "--to", "json", "--out", out)
    rows = read_json(out.read_text())
    assert len(rows) == answer["rows"] > 1
    for row in rows:
        at = table.find(row.identity)
        assert table.candidates.shapes.row(at) == row.architecture
        assert row.values["tpot_s"].value == table.column("tpot_s")[at]
        assert row.values["tpot_s"].kind in ("measured", "predicted")
    # best loss first, each next one faster
    losses = [row.values["loss"].value for row in rows]
    speeds = [row.values["tpot_s"].value for row in rows]
    assert losses == sorted(losses) and speeds == sorted(speeds, reverse=True)

    flat = tmp_path / "front.csv"
    export(capsys, project, "--to", "csv", "--out", flat, "--top", 2)
    assert read_csv(flat.read_text()) == tuple(rows[:2])
    with flat.open(newline="") as file:
        header = next(csv.reader(file))
    assert "tpot_s [s]" in header and "tpot_s_source" in header and len(set(header)) == len(header)
    about = json.loads(Path(f"{flat}.paretoscope.json").read_text())
    assert about["metrics"]["memory_bytes"]["unit"] == "B"
    # what was exported can be laid over another project
    for file in (out, flat):
        points = read_results(file)
        assert points[0].architecture == rows[0].architecture
        assert points[0].metrics["tpot_s"].value == speeds[0]
        assert points[0].workload == Workload(1, 128, 256)


def test_limits_of_the_project_hold(project, table, tmp_path, capsys):
    middle = float(sorted(table.column("tpot_s"))[len(table) // 2])
    limited = tmp_path / "limited.paretoscope"
    with Project.open(project, read_only=True) as p:
        p.save_copy(limited)
    with Project.open(limited) as p:
        p.put_choices(CHOICES.changed(limits=(parse_limit(f"tpot<={middle}"),)))
    out = tmp_path / "x.json"
    export(capsys, limited, "--to", "json", "--out", out)
    assert all(r.values["tpot_s"].value <= middle for r in read_json(out.read_text()))
    assert "tpot" in json.loads(out.read_text())["provenance"]["limits"][0]
    with Project.open(limited) as p:
        p.put_choices(CHOICES.changed(limits=(parse_limit("tpot<=1ns"),)))
    words = (limited, "--out", tmp_path / "y")
    assert "no candidate meets the limits" in refused(capsys, *words, "--to", "csv")
    assert "no candidate meets the limits" in refused(capsys, *words, "--to", "hf")


def test_a_training_plan(project, tmp_path, capsys):
    out = tmp_path / "plan.json"
    words = ("--to", "plan", "--out", out, "--top", "3", "--device", "A100", "--devices", "4")
    export(capsys, project, *words, "--price", "1.5")
    plan = json.loads(out.read_text())
    assert len(plan["runs"]) == 3 == len(read_plan(out.read_text()))
    run = plan["runs"][0]
    assert run["train_flops"] == pytest.approx(
        6 * (run["params_total"] - 50432 * run["architecture"]["d_model"]) * run["train_tokens"]
    )
    assert run["time_s"] == pytest.approx(run["train_flops"] / (4 * 312e12 * 0.4))
    assert run["cost"] == pytest.approx(run["time_s"] / 3600 * 4 * 1.5)
    assert run["tokens_per_param"] == pytest.approx(20, rel=0.3)
    assert "is not known; state it" in refused(
        capsys, project, "--to", "plan", "--out", tmp_path / "z", "--device", "Z80"
    )


def test_the_selected_candidate_is_the_default(project, identity, tmp_path, capsys):
    chosen = tmp_path / "chosen.paretoscope"
    with Project.open(project, read_only=True) as p:
        p.save_copy(chosen)
    with Project.open(chosen) as p:
        p.put_choices(CHOICES.changed(selected=identity))
    answer = export(capsys, chosen, "--to", "hf", "--out", tmp_path / "config.json")
    assert answer["candidates"] == [identity]


def test_nothing_is_overwritten(project, identity, tmp_path, capsys):
    out = tmp_path / "config.json"
    words = (project, "--candidate", identity, "--to", "hf", "--out")
    export(capsys, *words, out)
    before = out.read_bytes()
    assert "exists already" in refused(capsys, *words, out)
    assert out.read_bytes() == before
    export(capsys, *words, out, "--force")
    assert "there is no such folder" in refused(capsys, *words, tmp_path / "no" / "x")
    assert "is a folder" in refused(capsys, *words, tmp_path)
    beside = tmp_path / "y.paretoscope.json"
    beside.write_text("mine")
    assert "exists already" in refused(capsys, *words, tmp_path / "y")
    assert beside.read_text() == "mine" and not (tmp_path / "y").exists()


def test_what_cannot_be_written_leaves_no_file(project, table, tmp_path, capsys):
    shapes = table.candidates.shapes
    row = next(r for r in range(len(table)) if shapes.n_kv_heads[r] < shapes.n_heads[r])
    words = (project, "--candidate", table.id_of(row), "--to", "open_lm", "--out", tmp_path / "m")
    assert "no grouped queries" in refused(capsys, *words)
    assert list(tmp_path.iterdir()) == []


def test_unusable_input_is_one_line(project, identity, tmp_path, capsys):
    out = ("--out", tmp_path / "x")
    assert "no candidate with id 'L1'" in refused(
        capsys, project, "--candidate", "L1", "--to", "hf", *out
    )
    two = ("--candidate", identity) * 2
    assert "writes one candidate" in refused(capsys, project, *two, "--to", "hf", *out)
    assert "invalid choice" in refused(capsys, project, "--to", "onnx", *out)
    assert "argument --top: 0 must be at least 1" in refused(
        capsys, project, "--to", "csv", *out, "--top", "0"
    )
    assert "no.paretoscope" in refused(capsys, tmp_path / "no.paretoscope", "--to", "hf", *out)
    empty = tmp_path / "empty.paretoscope"
    Project.create(empty).close()
    assert "nothing to show" in refused(capsys, empty, "--to", "hf", *out)
    unmeasured = tmp_path / "unmeasured.paretoscope"
    with Project.create(unmeasured) as p:
        p.put_text("space", SPACE)
        p.put_choices(CHOICES)
    assert "no candidate has a known Time per output token" in refused(
        capsys, unmeasured, "--to", "hf", *out
    )


def test_raw_measurements_hold_every_tokens_time_and_read_back(project, tmp_path, capsys):
    from core.formats.own.raw_json import read

    out = tmp_path / "raw.json"
    assert main(["export", str(project), "--to", "raw", "--out", str(out), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    with Project.open(project) as stored:
        rows = stored.measurements()
    back = read(out.read_text(), "raw.json")
    assert len(back) == len(rows) == answer["rows"] > 1
    for m, again in zip(rows, back, strict=True):
        assert again.samples == m.samples and again.environment == m.environment
        assert len(again.samples["tpot"][0]) == m.workload.output_tokens - 1
    # one line a measurement
    assert len(out.read_text().splitlines()) == len(rows) + 2


def test_raw_measurements_of_a_candidate_are_all_its_visits_or_none(project, tmp_path, capsys):
    from core.formats.own.raw_json import read

    with Project.open(project) as stored:
        contents = read_contents(stored)
    table = make_table(contents, make_laws(contents, CHOICES), CHOICES)
    timed = next(iter(table.measured_rows))
    other = next(row for row in range(len(table)) if row not in table.measured_rows)
    out = tmp_path / "one.json"
    words = ["export", str(project), "--to", "raw", "--out", str(out), "--candidate"]
    assert main([*words, table.id_of(timed)]) == 0
    (found,) = read(out.read_text(), "one.json")
    assert found.architecture == table.point(timed).architecture
    assert main([*words, table.id_of(other), "--force"]) == 2
    assert "never measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[]", "object"),
        ('{"schema_version": 7}', "schema_version 7"),
        ('{"schema_version": 1, "measurements": [{}]}', "no measurements"),
    ],
)
def test_what_holds_no_measurements_is_refused(text, reason):
    from core.formats.own.raw_json import read

    with pytest.raises(Unusable, match=reason):
        read(text, "raw.json")
