import json
import re

import pytest
from measured import measured

from core.__main__ import main
from core.pareto.limits import parse_limit
from core.project.project import Project
from core.resources import resource
from core.space.space_file import read_space


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    path = tmp_path_factory.mktemp("p") / "a.paretoscope"
    space = read_space(resource("spaces/small.toml"))
    with Project.create(path) as made:
        made.put_text("space", space.text)
        for p in space.measurement_points():
            made.add_measurement(measured(p.architecture, p.workload, p.runtime))
    return path


def test_the_front_as_json(project, capsys):
    arguments = ["frontier", str(project), "--x", "tpot", "--y", "loss"]
    arguments += ["--limit", "tpot<=15ms", "--limit", "memory<=400MB", "--top", "5", "--json"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    answer = json.loads(out.splitlines()[-1])
    assert len(answer["front"]) == 5
    assert answer["front"][0] == answer["best"]
    assert all(0 <= row["chance_on_front"] <= 1 for row in answer["front"])
    assert [parse_limit(limit["text"]).value for limit in answer["limits"]] == [0.015, 400e6]
    for row in answer["front"]:
        assert row["metrics"]["tpot_s"]["value"] <= 0.015
        assert row["metrics"]["memory_bytes"]["value"] <= 400e6
        assert row["metrics"]["tpot_s"]["source"] in ("measured", "predicted")
        assert "law" in row["metrics"]["loss"]["provenance"]
    losses = [row["metrics"]["loss"]["value"] for row in answer["front"]]
    assert losses == sorted(losses)
    box = answer["hypervolume"]
    assert 0 < box["share"] < 1 and box["unit"] == "s x nats/token"
    assert (box["x"]["reference"], box["x"]["reference_is"]) == (0.015, "limit")
    assert box["y"]["reference_is"] == "worst"
    assert any("of the box" in sentence for sentence in answer["sentences"])
    assert answer["feasible"] <= answer["candidates"]
    assert "~ predicted" in out
    assert re.search(r"[\d.]+ nats/token~ +[\d.]+ – [\d.]+ ", out)


def test_tokens_served_over_a_life_are_counted_and_bring_the_optimum(project, capsys):
    arguments = ["frontier", str(project), "--x", "lifetime", "--top", "1", "--json"]
    answers = []
    for more in ([], ["--served-tokens", "2T"]):
        assert main([*arguments, *more]) == 0
        answers.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    plain, served = answers
    assert plain["serving_optimum"] is None
    optimum = served["serving_optimum"]
    assert optimum["served_tokens"] == 2e12
    best = served["best"]["metrics"]["lifetime_flops"]["value"]
    assert best > plain["best"]["metrics"]["lifetime_flops"]["value"]
    assert optimum["metrics"]["lifetime_flops"] <= best * (1 + 1e-9)
    (said,) = (text for text in served["sentences"] if "cheapest over a life" in text)
    assert "intervals are of the law's mean" in said


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["frontier", "nowhere.paretoscope"], "there is no file"),
        (["frontier", "PROJECT", "--x", "speed"], "'speed' is not a metric"),
        (["frontier", "PROJECT", "--x", "layers"], "no direction of it is better"),
        (["frontier", "PROJECT", "--limit", "tpot=3"], "one-sided"),
        (["frontier", "PROJECT", "--x", "energy"], "has a energy per token"),
        (["frontier", "PROJECT", "--top", "0"], "at least 1"),
        (["frontier"], "required: project"),
        (["frobnicate"], "invalid choice"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(project, capsys, arguments, part):
    assert main([str(project) if a == "PROJECT" else a for a in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert part in captured.err
    assert captured.err.count("\n") == 1


LOW = """
schema_version = 1
name = "Low"
[shape]
n_layers = { from = 4, to = 12, step = 4 }
d_model = { from = 512, to = 1024, step = 128 }
d_head = [64]
vocab_size = 50432
[run]
weights = ["bf16", "int8"]
[train]
tokens_per_parameter = [20]
"""


def test_below_16_bits_a_loss_is_unknown_or_the_published_illustration(tmp_path, capsys):
    path = tmp_path / "low.paretoscope"
    with Project.create(path) as made:
        made.put_text("space", LOW)
    arguments = ["frontier", str(path), "--x", "memory", "--json"]

    def asked(*more):
        assert main([*arguments, *more]) == 0
        out = capsys.readouterr().out
        # NaN is not JSON
        answer = json.loads(out.splitlines()[-1], parse_constant=pytest.fail)
        return answer, out

    plain, out = asked()
    assert all(".int8." not in row["id"] for row in plain["front"]) and plain["front"]
    assert any("below 16 bits" in note for note in plain["notes"]) and "illustration" not in out
    # no run was below 16 bits, so an illustration counts only where it is asked for
    kept, out = asked("--published-precision", "trained")
    assert kept["front"] == plain["front"] and kept["outside"]["columns"]["precision"]
    drawn, out = asked("--published-precision", "trained", "--outside")
    low = [row for row in drawn["front"] if ".int8." in row["id"]]
    assert low and all(row["metrics"]["loss"]["source"] == "published" for row in low)
    assert all("low" not in row["metrics"]["loss"] for row in low)
    assert "? published illustration, not measured here" in out
