"""The profile command: from a space to stored measurements, a table and one JSON object."""

import json
import types
from dataclasses import replace

import pytest
from measured import DEVICE, measured
from profiled_space import SPACE

import core.measure.process.session
import core.measure.sweeps.sweep
from core.__main__ import main
from core.commands.measured import described, measured_lines, one_line
from core.commands.profile_report import _row
from core.measure.sweeps.sweep import Swept
from core.model.architecture import Architecture
from core.model.workload import Runtime, Workload
from core.project.project import Project
from core.records.measurement import Device, Measurement, Timing
from core.records.progress import Progress
from core.samples.roofline import floor_ratio, floor_s, launch_overhead_s
from core.samples.statistics import estimate
from core.samples.summary import summary_lines


@pytest.fixture
def space(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE)
    return str(tmp_path / "space.toml")


@pytest.fixture
def sweeps(monkeypatch):
    """Replace the measuring process by the machine whose physics is known."""
    asked = []

    def sweep(points, *, device, budget_s, store, already, **options):
        asked.append(types.SimpleNamespace(device=device, budget_s=budget_s, **options))
        count = skipped = 0
        for point in points:
            m = measured(point.architecture, point.workload, point.runtime)
            if m.key in already:
                skipped += 1
                continue
            count += 1
            yield Progress(count, count, "measuring", 1.0)
            yield store(m)
        return Swept(count, skipped, 0, DEVICE, 1.0)

    monkeypatch.setattr(core.measure.sweeps.sweep, "sweep", sweep)
    monkeypatch.setattr(
        core.measure.process.session, "find_devices", lambda _python=None: (DEVICE,)
    )
    return asked


def run(capsys, *words):
    status = main(["profile", *words, "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]) if status == 0 else None, out, err


def test_a_space_is_measured_stored_and_reported(space, sweeps, tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    status, answer, out, err = run(
        capsys, space, "--project", project, "--budget-s", "30", "--threads", "2"
    )
    assert status == 0
    with Project.open(project) as stored:
        rows = stored.measurements()
    assert answer["measured"] == len(rows) == len(answer["measurements"]) > 6
    assert [m["id"] for m in answer["measurements"]] == [m.id for m in rows]
    first = answer["measurements"][0]["metrics"]["tpot"]
    assert first["low"] <= first["value"] <= first["high"]
    laws = {law["metric"]: law for law in answer["laws"]}
    assert laws["tpot"]["heldout_error"] < 0.01 and f"{len(rows)} measured" in out
    assert err.count("TPOT") == len(rows)
    assert (sweeps[0].device, sweeps[0].budget_s, sweeps[0].threads) == ("cpu", 30.0, 2)


def test_the_project_holds_the_space_it_was_measured_for(space, sweeps, tmp_path, capsys):
    path = str(tmp_path / "p.paretoscope")
    run(capsys, space, "--project", path)
    with Project.open(path) as project:
        assert project.text("space") == SPACE
    assert main(["frontier", path, "--x", "tpot", "--y", "loss", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["front_size"] > 1
    # a space that is there already is the user's
    with Project.open(path) as project:
        project.put_text("space", SPACE.replace("tiny", "mine"))
    run(capsys, space, "--project", path)
    with Project.open(path) as project:
        assert "mine" in project.text("space")


def test_a_second_run_resumes_unless_told_to_repeat(space, sweeps, tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    _, first, _, _ = run(capsys, space, "--project", project, "--points", "4")
    _, second, out, _ = run(capsys, space, "--project", project, "--points", "4")
    assert (first["measured"], second["measured"], second["skipped"]) == (4, 0, 4)
    assert "4 known already" in out
    _, third, _, _ = run(capsys, space, "--project", project, "--points", "4", "--again")
    assert third["measured"] == 4


def test_overrides_replace_the_runtimes_of_the_space(space, sweeps, tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    words = ["--execution", "transformers", "--execution", "eager", "--weights", "bf16"]
    _, answer, _, _ = run(capsys, space, "--project", project, "--points", "4", *words)
    runtimes = {
        (m["runtime"]["execution"], m["runtime"]["weights"]) for m in answer["measurements"]
    }
    assert runtimes == {("transformers", "bf16"), ("eager", "bf16")}


@pytest.mark.parametrize(
    "words", [("--visits", "2", "--in-turns", "4"), ("--repetitions", "2", "--interleave", "4")]
)
def test_options_keep_their_earlier_names(space, sweeps, tmp_path, capsys, words):
    status, _, _, _ = run(capsys, space, "--project", str(tmp_path / "p.paretoscope"), *words)
    assert status == 0 and (sweeps[0].repetitions, sweeps[0].interleave) == (2, 4)
    with pytest.raises(SystemExit):
        main(["profile", "--help"])
    assert "--visits" not in capsys.readouterr().out


def test_until_error_measures_less_than_everything(space, sweeps, tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    status, answer, _, _ = run(capsys, space, "--project", project, "--until-error", "5%")
    assert status == 0 and answer["reason"] == "target"
    assert answer["measured"] <= answer["candidates"]
    assert answer["curve"][-1]["error"] <= 0.05


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "tpu"], "'cpu' or 'cuda:N'"),
        (["--until-error", "5"], "between 0 and 100%"),
        (["--execution", "telepathy"], "telepathy"),
        (["--model", "/no/such/folder"], "/no/such/folder"),
    ],
)
def test_unusable_words_are_refused_in_one_line(space, tmp_path, capsys, words, message):
    status, _, out, err = run(capsys, space, "--project", str(tmp_path / "p.paretoscope"), *words)
    assert status == 2 and out == ""
    assert message in err and err.count("\n") == 1


def test_one_point_is_really_measured(space, tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    status, answer, out, _ = run(
        capsys, space, "--project", project, "--points", "1", "--budget-s", "2", "--threads", "1"
    )
    assert status == 0 and answer["failed"] == 0
    (m,) = answer["measurements"]
    assert m["metrics"]["tpot"]["value"] > 0 and m["floor_ratio"] > 0
    assert m["memory_bytes"]["weights"] == 4 * m["params_total"]
    assert m["shape"]["n_layers"] in (2, 3, 4, 6, 8) and "flags" in out


def test_floor_is_bytes_over_bandwidth_and_unknown_without_it():
    from measured import shape

    fast = Device("cpu", "Test machine", 2**34, bandwidth_bytes_per_s=20e9)
    m = measured(shape(4, 128), device=fast)
    a, work = m.architecture, m.workload
    assert floor_s(m) == pytest.approx(a.decode_bytes(work.mean_context, 1, 4, 4) / 20e9)
    assert floor_ratio(m) == pytest.approx((3e-4 + floor_s(m)) / floor_s(m), rel=0.01)
    assert floor_s(measured(shape(4, 128))) is None and floor_ratio(measured(shape(4, 128))) is None
    assert launch_overhead_s(m) is None
    counted = measured(shape(4, 128), timing=Timing(kernel_s_per_token=1e-4))
    assert launch_overhead_s(counted) == pytest.approx(estimate(counted, "itl").value - 1e-4)
    assert isinstance(m, Measurement)


def test_one_block_is_told_without_an_interval():
    m = measured(Architecture(2, 64, 2, 2, 32, 128, 512), Workload(1, 16, 5), Runtime())
    assert "±" in one_line(m)
    single = replace(m, samples={k: blocks[:1] for k, blocks in m.samples.items()})
    assert "TPOT" in one_line(single)
    assert "inf" not in one_line(single) and "±" not in one_line(single)


def test_an_interval_wider_than_the_value_is_unknown_and_not_a_number():
    m = measured(Architecture(2, 64, 2, 2, 32, 128, 512), Workload(1, 16, 5), Runtime())
    slow = {k: [tuple(30 * v for v in b) for b in blocks[:1]] for k, blocks in m.samples.items()}
    wild = replace(
        m,
        flags=("noisy",),
        samples={k: (*blocks[1:3], *slow[k]) for k, blocks in m.samples.items()},
    )
    assert estimate(wild, "tpot").half_width > 1
    line = one_line(wild)
    assert "±" not in line and "interval unknown" in line and "[noisy]" in line
    assert not any("±" in text for text in summary_lines(wild))
    assert not any("95 %" in text for text in measured_lines(wild))
    row = described(wild)
    assert "%" not in _row(wild, row) and " unknown " in _row(wild, row)
