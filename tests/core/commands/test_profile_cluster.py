"""`profile --cluster` with a real scheduler and worker on loopback, in processes of their own."""

import json
import subprocess
import sys

import pytest
from dask_cluster import QUICK, Cluster
from profiled_space import SPACE

import core.commands.clustered
from core.__main__ import main
from core.project.project import Project

pytest.importorskip("distributed")
pytest.importorskip("torch")


@pytest.fixture
def space(tmp_path):
    (tmp_path / "space.toml").write_text(SPACE)
    return str(tmp_path / "space.toml")


def run(capsys, *words):
    status = main(["profile", *map(str, words), "--json"])
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]) if status == 0 else None, out, err


def test_results_of_a_cluster_stream_into_the_project_and_are_not_repeated(
    space, tmp_path, capsys, monkeypatch
):
    whole = core.commands.clustered.cluster_sweep

    def quick(points, **options):
        return whole(points, **{**options, "settings": QUICK, "probe": False})

    monkeypatch.setattr(core.commands.clustered, "cluster_sweep", quick)
    cluster = Cluster(tmp_path)
    project = tmp_path / "p.paretoscope"
    try:
        cluster.worker("a")
        with cluster.client() as client:
            client.wait_for_workers(1, timeout=200)
            address = client.scheduler_info()["address"]
        words = (space, "--project", project, "--cluster", address, "--threads", 1, "--points", 3)
        words += ("--repetitions", 2)
        status, answer, out, err = run(capsys, *words, "--device", "cpu")
        assert status == 0 and answer["reason"] == "all measured"
        with Project.open(project) as stored:
            rows = stored.measurements()
        assert len(rows) == answer["measured"] == 6
        # each once, then each a second time
        assert len({m.key for m in rows[:3]}) == len({m.key for m in rows[3:]}) == 3
        assert {m.key for m in rows[:3]} == {m.key for m in rows[3:]}
        assert not any(m.failed for m in rows) and rows[0].device.host
        assert sum(answer["by_lane"].values()) == 6 and f"6 on {rows[0].device.host}" in out
        assert err.count("TPOT") == 6
        status, again, out, _ = run(capsys, *words)
        assert (status, again["measured"], again["skipped"]) == (0, 0, 6)
        _, third, _, _ = run(capsys, *words, "--repetitions", 3)
        assert (third["measured"], third["skipped"]) == (3, 6)
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--cluster", "nonsense"), "write tcp://HOST:PORT"),
        (("--cluster", "slurm:none"), "how many workers"),
        (("--cluster", "tcp://127.0.0.1:9", "--energy"), "--energy is for this machine alone"),
        (("--cluster", "tcp://127.0.0.1:9", "--until-error", "5%"), "--until-error is for this"),
        (("--cluster", "tcp://127.0.0.1:9", "--device", "cuda:1"), "--device is auto, cpu, cuda"),
        (("--device", "auto"), "--device is 'cpu' or 'cuda:N'"),
    ],
)
def test_what_a_cluster_cannot_do_is_said_in_one_line(space, tmp_path, capsys, words, reason):
    status, _, out, err = run(capsys, space, "--project", tmp_path / "p.paretoscope", *words)
    assert (status, out) == (2, "") and reason in err and err.count("\n") == 1


def test_the_command_loads_no_dask_before_it_is_asked_for():
    code = "import core.commands.profile, sys; assert 'distributed' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
