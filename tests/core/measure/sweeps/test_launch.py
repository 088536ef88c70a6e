"""Dask's launchers: over SSH to a server on loopback, Slurm by what it would be asked; and refusals."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.errors import Unusable
from core.measure.sweeps.cluster import cluster_sweep
from core.measure.sweeps.launch import connect, launched, overheard, ssh_host
from core.measure.timing.protocol import Settings
from core.records.measurement import Measurement

pytest.importorskip("torch")
distributed = pytest.importorskip("distributed")
asyncssh = pytest.importorskip("asyncssh")

from dask_cluster import POINTS  # noqa: E402


def test_tls_without_certificates_is_one_line():
    for where in ("tls://127.0.0.1:9", "tls://127.0.0.1:x"):
        with pytest.raises(Unusable, match=r"distributed\.comm\.tls"):
            connect(where)


QUICK = Settings(min_blocks=2, max_blocks=2, block_s=0.01, warm_s=0.05, budget_s=100, retries=0)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A home with a key and a trusted host '127.0.0.1'; yields 'USER@HOST:PORT'."""
    home, server = tmp_path / "home", tmp_path / "server"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    server.mkdir()
    host, user = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    host.write_private_key(str(server / "host_key"))
    user.write_private_key(str(home / ".ssh" / "id_ed25519"))
    user.write_public_key(str(server / "authorized_keys"))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    script = Path(__file__).parents[3] / "helpers" / "ssh_server.py"
    process = subprocess.Popen([sys.executable, str(script), str(server)])
    try:
        for _ in range(1200):
            if (server / "port").exists():
                break
            assert process.poll() is None
            time.sleep(0.1)
        port = (server / "port").read_text()
        public = host.export_public_key().decode()
        (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
        yield f"someone@127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=120)


def test_a_sweep_runs_on_machines_reached_by_ssh(machine):
    client = connect(f"ssh:{machine}")
    launcher = client.cluster
    try:
        with client:
            steps = cluster_sweep(
                POINTS[:2],
                client=client,
                store=lambda m: m,
                device="cpu",
                settings=QUICK,
                probe=False,
                threads=1,
            )
            found = [s for s in steps if isinstance(s, Measurement)]
    finally:
        launcher.close()
    assert {m.architecture for m in found} == {p.architecture for p in POINTS[:2]}
    assert not any(m.failed for m in found) and all(m.device.host for m in found)


def test_a_key_that_is_refused_and_a_stranger_are_told(machine, tmp_path):
    key = tmp_path / "home" / ".ssh" / "id_ed25519"
    key.unlink()
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(key))
    with pytest.raises(Unusable, match=r"cannot be used over SSH: Permission denied"):
        connect(f"ssh:{machine}")
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(Unusable, match="Host key is not trusted"):
        connect(f"ssh:{machine}")


def test_a_python_that_has_no_dask_is_told(machine, tmp_path):
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(Unusable, match="No module named"):
        connect(f"ssh:{machine}", python=str(bare))


def test_nobody_there():
    with pytest.raises(Unusable, match=r"machines 127\.0\.0\.1:9 cannot be used over SSH"):
        connect("ssh:127.0.0.1:9")


@pytest.mark.parametrize(
    ("text", "host", "options"),
    [
        ("gpu1", "gpu1", {}),
        ("me@gpu1", "gpu1", {"username": "me"}),
        ("me@gpu1:2222", "gpu1", {"username": "me", "port": 2222}),
    ],
)
def test_machines_are_written_as_for_ssh(text, host, options):
    assert ssh_host(text) == (host, options)


@pytest.mark.parametrize("text", ["gpu1:port", "me@", "gpu1:0", ":22", "gpu1:"])
def test_what_is_no_machine_is_refused(text):
    with pytest.raises(Unusable, match="is no machine"):
        ssh_host(text)


def test_slurm_without_its_commands_or_its_settings_says_so(tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unusable, match="no sbatch here"):
        connect("slurm:2")
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(Unusable, match=r"jobqueue.yaml\): .*memory"):
        connect("slurm:2")


def test_a_launcher_that_says_nothing_is_still_told():
    def start():
        raise RuntimeError

    with pytest.raises(Unusable, match="it cannot: RuntimeError"):
        launched(start, "it cannot", "nobody")


def test_a_launchers_words_are_kept_from_the_terminal_meanwhile(capsys):
    logger = logging.getLogger("a launcher")
    loud = logging.StreamHandler()
    logger.addHandler(loud)
    with overheard("a launcher") as lines:
        logging.getLogger("a launcher.worker").info("worker   at tcp://there")
    assert lines == ["worker at tcp://there"] and capsys.readouterr().err == ""
    assert logger.handlers == [loud] and logger.propagate
