"""The plan of a sweep: what is still to do, what fits, how long it may take."""

import json
from dataclasses import replace

from core.__main__ import main
from core.measure.backends.registry import needed_bytes
from core.measure.sweeps.plan import plan
from core.measure.timing.protocol import Settings
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.records.measurement import Device, Point
from core.samples.repetitions import MOST

SMALL = Point(Architecture(2, 64, 4, 4, 16, 128, 512), Workload(1, 8, 8), Runtime())
LARGE = Point(Architecture(80, 8192, 64, 8, 128, 28672, 128256), Workload(1, 8, 8), Runtime())
DEVICE = Device("cpu", "a machine", 16 * 2**30)
SETTINGS = Settings(budget_s=12.0, warm_s=2.0)


def test_repetitions_made_are_not_planned_again():
    made = {SMALL.key(DEVICE): 2}
    told = plan([SMALL, LARGE], DEVICE, made, repetitions=3, settings=SETTINGS)
    assert (
        [p.repetitions for p in told.points] == [1, 3] and told.repetitions == 4 and told.known == 0
    )
    # a third of the point's budget for each repetition, and a warm-up each
    assert told.most_s == 4 * (12 / 3 + 2)
    assert plan([SMALL], DEVICE, made, repetitions=2).text == "All 1 point measured already."


def test_what_failed_for_good_is_known():
    told = plan([SMALL], DEVICE, {SMALL.key(DEVICE): MOST}, repetitions=MOST * 2)
    assert told.repetitions == 0 and told.known == 1


def test_the_budget_caps_the_time_and_energy_adds_to_it():
    most = plan([SMALL], DEVICE, {}, settings=SETTINGS).most_s
    assert plan([SMALL], DEVICE, {}, budget_s=5.0, settings=SETTINGS).most_s == 5.0
    assert plan([SMALL], DEVICE, {}, budget_s=1e6, settings=SETTINGS).most_s == most == 14.0
    # at least five seconds of work, two of rest, and up to fifteen to cool before
    assert plan([SMALL], DEVICE, {}, energy_s=1.0, settings=SETTINGS).most_s == most + 22.0


def test_what_the_device_can_never_hold_is_named():
    told = plan([SMALL, LARGE], DEVICE, {})
    assert told.too_large == (LARGE,) and "1 cannot fit" in told.text
    assert told.points[0].needed_bytes == needed_bytes(SMALL)["total"]
    unknown = Device("cpu", "tells nothing", 0)
    assert plan([LARGE], unknown, {}).too_large == ()
    assert plan([], DEVICE, {}).text == "There is nothing to measure."


def test_the_command_tells_and_does_nothing(tmp_path, capsys, monkeypatch):
    import core.measure.process.session

    monkeypatch.setattr(
        core.measure.process.session, "find_devices", lambda _python=None: (DEVICE,)
    )
    space = tmp_path / "space.toml"
    space.write_text(
        "schema_version = 1\n[shape]\nn_layers = [2, 4]\nd_model = 64\nd_head = 16\n"
        "ffn_ratio = 2.0\nffn_multiple = 32\nvocab_size = 512\n[run]\nexecution = ['eager']\n"
        "weights = ['fp32']\n[measure]\nlevels = [148000, 230000]\nshapes_per_level = 1\n"
    )
    project = tmp_path / "p.paretoscope"
    words = ["profile", str(space), "--project", str(project), "--plan", "--json"]
    assert main(words) == 0
    out = capsys.readouterr().out
    answer = json.loads(out.splitlines()[-1])
    assert len(answer["points"]) == 2 and answer["visits"] == 6
    assert answer["points"][0]["needed_bytes"] > 0 and "2x64" in out
    assert not project.exists()
    assert main([*words, "--cluster", "tcp://127.0.0.1:1"]) == 2
    assert "--plan" in capsys.readouterr().err


def test_what_a_backend_cannot_run_on_the_device_is_planned_with_the_reason():
    card = Device("cuda", "A card", 2**34)
    found = plan([replace(SMALL, runtime=Runtime("onnx")), SMALL], card, {})
    assert [bool(p.refusal) for p in found.points] == [True, False]
    assert "1 cannot run here (ONNX Runtime needs a CPU)" in found.text
    assert "cannot run here" not in plan([SMALL], card, {}).text
