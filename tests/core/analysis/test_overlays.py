import json
from pathlib import Path

import numpy as np
import pytest
from measured import DEVICE, measured, shape

from core.__main__ import main
from core.analysis.contents import read_contents
from core.analysis.overlays import (
    HERE,
    imported_layers,
    load_devices,
    load_other,
    model_key,
    new_points,
    other_devices,
    other_layer,
    overlay_layers,
)
from core.analysis.pipeline import make_laws, make_table
from core.model.workload import Workload
from core.project.choices import Choices, LossChoice
from core.project.project import Project
from core.records.imported import Estimate, ImportedPoint
from core.records.measurement import Device
from core.records.progress import outcome
from core.resources import resource
from core.space.space_file import read_space

FIXTURES = Path(__file__).parents[2] / "fixtures" / "formats"


def project_at(path, space="spaces/small.toml", choices=None, models=()):
    described = read_space(resource(space))
    with Project.create(path) as made:
        made.put_text("space", described.text)
        for p in described.measurement_points():
            made.add_measurement(measured(p.architecture, p.workload, p.runtime))
        for model in models:
            made.add_measurement(measured(shape(4, 128), model=model))
        if choices is not None:
            made.put_choices(choices)
    return path


def derived(path):
    with Project.open(path) as opened:
        contents, choices = read_contents(opened), opened.choices()
    return contents, choices, make_table(contents, make_laws(contents, choices), choices)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    path = tmp_path_factory.mktemp("o") / "ours.paretoscope"
    return derived(project_at(path, models=("pythia-410m",)))


def point(name="acme/m", workload=None, source="/x/r.json", tool="a tool", **metrics):
    made = {key: Estimate(value) for key, value in metrics.items()}
    return ImportedPoint(name, workload, None, "", made, source, tool)


OURS = Workload(1, 128, 256)


def test_a_point_of_our_workload_is_comparable_and_another_is_not(ours):
    _, _, table = ours
    points = [
        point("m, tp 1", OURS, tpot_s=0.004, params_total=1e9),
        point("m, tp 2", Workload(64, 128, 256), tpot_s=0.009, params_total=1e9),
        point("m, tp 4", None, tpot_s=0.009, params_total=1e9),
    ]
    layers = imported_layers(points, table, "tpot_s", "params_total")
    assert [layer.caution for layer in layers] == [
        "",
        "its workload is batch 64, 128 in, 256 out",
        "its workload is not known",
    ]
    assert {layer.tag for layer in layers} == {"a tool (r.json)"}
    assert [float(layer.x[0]) for layer in layers] == [0.004, 0.009, 0.009]


def test_limits_are_judged_on_what_is_comparable_of_a_point_and_no_more(ours):
    _, _, table = ours
    known = {"tpot_s": 0.004, "memory_bytes": 9e9, "params_total": 1e9, "loss": 2.0}
    (alike, strange) = imported_layers(
        [point("m", OURS, **known), point("m2", Workload(64, 128, 256), **known)],
        table,
        "tpot_s",
        "params_total",
    )
    assert alike.known[0]["memory_bytes"] == 9e9 and alike.known[0]["output_tokens"] == 256
    # memory under another workload, and a loss on another text, say nothing about our limits
    assert {"memory_bytes", "tpot_s", "loss"}.isdisjoint(strange.known[0])
    assert "loss" not in alike.known[0] and strange.known[0]["params_total"] == 1e9


def test_axes_without_a_workload_need_none(ours):
    _, _, table = ours
    (layer,) = imported_layers(
        [point(accuracy=0.5, params_total=4e8)], table, "params_total", "accuracy"
    )
    assert layer.caution == ""


def test_quality_of_a_model_meets_its_speed_from_another_file(ours):
    _, _, table = ours
    points = [
        point("acme/m, tp 1", OURS, "/x/bench.json", "bench", tpot_s=0.004),
        point("m", None, "/x/eval.json", "lm-eval", accuracy=0.61),
        point("other", None, "/x/eval.json", "lm-eval", accuracy=0.9),
    ]
    (layer,) = imported_layers(points, table, "tpot_s", "accuracy")
    assert layer.tag == "bench (bench.json) + lm-eval (eval.json)"
    assert (layer.x.tolist(), layer.y.tolist()) == ([0.004], [0.61])
    # a speed is never taken from elsewhere: it belongs to its workload
    assert imported_layers(points[1:], table, "tpot_s", "accuracy") == ()


def test_quality_from_a_file_meets_a_speed_measured_here(ours):
    _, _, table = ours
    points = [point("EleutherAI/pythia-410m", None, "/x/e.json", "lm-eval", accuracy=0.51)]
    (layer,) = imported_layers(points, table, "tpot_s", "accuracy")
    row = next(row for row, name in table.names.items() if name == "pythia-410m")
    assert layer.tag == "measured here + lm-eval (e.json)"
    assert layer.x.tolist() == [table.column("tpot_s")[row]]
    assert layer.caution == ""


def test_names_of_one_model():
    assert model_key("EleutherAI/pythia-410m, tp 1") == model_key("pythia-410M") == "pythia-410m"


def test_a_point_read_twice_counts_once():
    first = point("m", OURS, "/a/r.json", tpot_s=0.004)
    moved = point("m", OURS, "/b/r.json", tpot_s=0.004)
    other = point("m", OURS, "/b/r.json", tpot_s=0.005)
    assert new_points([first], [moved, other, other]) == (other,)


# --- other projects --------------------------------------------------------------------------------


def test_another_project_comes_as_its_front_and_its_measurements(ours, tmp_path):
    _, choices, table = ours
    other = outcome(load_other(project_at(tmp_path / "theirs.paretoscope")))
    inside = other_layer(other, table, choices, "tpot_s", "loss")
    choices = choices.changed(outside_counts=True)
    layer = other_layer(other, table, choices, "tpot_s", "loss")
    # what the runs cannot speak for counts there only if it does here
    assert 0 < len(inside.x) < len(layer.x) and inside.y.min() > layer.y.min()
    assert (layer.tag, layer.caution) == ("theirs", "")
    assert layer.x.min() == np.nanmin(other.table.column("tpot_s")[: other.table.described])
    # the same law of loss on the same space
    assert layer.y.min() == pytest.approx(np.nanmin(table.column("loss")))
    assert 10 < len(layer.x) < len(table) / 10
    assert other_layer(other, table, choices, "tpot_s", "accuracy") is None


def test_another_law_or_device_is_said(ours, tmp_path):
    _, choices, table = ours
    path = project_at(
        tmp_path / "theirs.paretoscope", choices=Choices(loss=LossChoice(law="chinchilla"))
    )
    other = outcome(load_other(path))
    layer = other_layer(other, table, choices, "tpot_s", "loss")
    assert layer.caution == "its losses come from another law (chinchilla, morph)"
    assert other_layer(other, table, choices, "tpot_s", "params_total").caution == ""


def test_another_device_of_the_project_is_the_same_candidates_elsewhere(tmp_path):
    from dataclasses import replace

    path = project_at(tmp_path / "two.paretoscope")
    with Project.open(path) as project:
        faster = Device("cuda", "Quick GPU", 80 * 2**30)
        for m in project.measurements():
            half = {k: tuple(tuple(s / 2 for s in b) for b in v) for k, v in m.samples.items()}
            project.add_measurement(replace(m, device=faster, samples=half))
    contents, choices, _ = derived(path)
    choices = choices.changed(device_key=DEVICE.key)
    laws = make_laws(contents, choices)
    table = make_table(contents, laws, choices)
    assert other_devices(contents, table) == (faster.key,)
    (other,) = outcome(load_devices(contents, laws, table, choices))
    layer = other_layer(other, table, choices, "tpot_s", "loss")
    assert (layer.tag, layer.caution) == ("two, Quick GPU", "")
    # everything there takes half the time
    ratio = other.table.column("tpot_s") / table.column("tpot_s")
    assert np.allclose(ratio[np.isfinite(ratio)], 0.5, rtol=0.01)


def test_a_file_that_is_no_project_is_refused(tmp_path):
    from core.errors import Unusable

    (tmp_path / "a.paretoscope").write_text("no")
    with pytest.raises(Unusable, match="not a Paretoscope project"):
        outcome(load_other(tmp_path / "a.paretoscope"))


# --- the command -----------------------------------------------------------------------------------


def test_import_stores_points_that_lie_over_the_candidates(tmp_path, capsys):
    path = project_at(tmp_path / "p.paretoscope")
    files = [FIXTURES / "vllm_serve.json", FIXTURES / "lm_eval_results.json"]
    assert main(["import", str(path), *map(str, files), "--json"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(out.splitlines()[-1])
    assert [f["stored"] for f in answer["files"]] == [f["read"] for f in answer["files"]]
    assert "vLLM bench serve" in out and "batch 2, 128 in, 256 out" in out
    contents, choices, table = derived(path)
    assert len(contents.imported) == answer["total"]
    layers = overlay_layers(contents, (), table, choices, "tpot_s", "ttft_s")
    assert [layer.caution for layer in layers] == ["its workload is batch 2, 128 in, 256 out"]
    # once more: nothing new
    assert main(["import", str(path), *map(str, files), "--json"]) == 0
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again["total"] == answer["total"]
    assert [f["stored"] for f in again["files"]] == [0, 0]


def test_imported_points_are_read_once_and_not_at_every_redraw(tmp_path, monkeypatch):
    path = project_at(tmp_path / "p.paretoscope")
    assert main(["import", str(path), str(FIXTURES / "vllm_serve.json")]) == 0
    contents, choices, table = derived(path)
    assert contents.imported and all(isinstance(p, ImportedPoint) for p in contents.imported)
    made = []
    make = ImportedPoint.__init__

    def counting(self, *values, **named):
        make(self, *values, **named)
        made.append(self.tool)

    monkeypatch.setattr(ImportedPoint, "__init__", counting)
    for x in ("tpot_s", "ttft_s", "params_total"):
        overlay_layers(contents, (), table, choices, x, "ttft_s")
    assert set(made) <= {HERE}


def test_one_broken_file_and_nothing_is_stored(tmp_path, capsys):
    path = tmp_path / "p.paretoscope"
    Project.create(path).close()
    strange = tmp_path / "strange.json"
    strange.write_text('{"colour": "red"}')
    words = ["import", str(path), str(FIXTURES / "vllm_serve.json"), str(strange)]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "not a known result file" in error and "found JSON, top-level keys colour" in error
    with Project.open(path) as project:
        assert project.imported() == ()
