"""Two starts of the program: the second hands over and ends. Real processes where that matters."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gui.app import single
from gui.app.single import LONGEST_MESSAGE, Listener, hand_over, read_message, server_name

ROOT = Path(__file__).resolve().parents[3]
unix = pytest.mark.skipif(sys.platform == "win32", reason="looks at Unix sockets")


@pytest.fixture
def name(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return server_name(tmp_path / "home")


@pytest.fixture
def listener(qtbot, name):
    found = Listener(name)
    assert found.listen()
    yield found
    found.close()


# a window on a busy machine answers late, and then a second start would open one of its own
PATIENT = """
import sys
from gui.app import single
single.PATIENCE_MS = 600_000
from gui.__main__ import main
sys.exit(main())
"""


def start(home, *words):
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PARETOSCOPE_HOME": str(home)}
    return subprocess.Popen(
        [sys.executable, "-c", PATIENT, *map(str, words)],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(done, process, seconds=600):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if done():
            return
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def recent(home):
    try:
        return json.loads((home / "settings.json").read_text())["recent"]
    except (OSError, ValueError, KeyError):
        return []


def answers(name):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(name)
        except OSError:
            return False
    return True


def send(name, line):
    """Hand over from a thread, while the other side runs its event loop."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(600)
    client.connect(name)
    client.sendall(line)
    return client


def test_nobody_there_means_open_it_here(name):
    assert not hand_over(name, "x.paretoscope")


@unix
def test_a_file_is_taken_and_acknowledged(qtbot, name, listener):
    with qtbot.waitSignal(listener.asked) as asked:
        client = send(name, json.dumps({"file": "/data/a b.paretoscope"}).encode() + b"\n")
    assert asked.args == ["/data/a b.paretoscope"]
    assert client.recv(100) == b"taken\n"
    client.close()


@unix
@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"hello\n",
        b'{"file": 3}\n',
        b"[]\n",
        b"x" * (LONGEST_MESSAGE + 4096),
        b"[" * 60_000 + b"\n",
        b"9" * 60_000 + b"\n",
        b'{"file": "/a\\u0000b"}\n',
        b'{"file": "/\\ud800"}\n',
        b'{"file": "/%s"}\n' % (b"a" * 300),
        b'{"file": "", "tokens": 5}\n',
        b"\xff\xfe\n",
    ],
    ids=range(12),
)
def test_nonsense_is_hung_up_on_and_the_next_is_received(qtbot, name, listener, line):
    heard = []
    listener.asked.connect(heard.append)
    client = send(name, line)
    client.setblocking(False)

    def hung_up():
        try:
            return client.recv(10) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    qtbot.waitUntil(hung_up)
    client.close()
    with qtbot.waitSignal(listener.asked):
        client = send(name, b'{"file": ""}\n')
    client.close()
    assert heard == [""]


def test_only_the_desktops_tokens_reach_the_environment():
    line = json.dumps(
        {
            "file": "",
            "tokens": {"XDG_ACTIVATION_TOKEN": "t", "PATH": "/evil", "DESKTOP_STARTUP_ID": 3},
        }
    ).encode()
    assert read_message(line) == ("", {"XDG_ACTIVATION_TOKEN": "t"})


def test_a_token_that_no_environment_can_hold_is_left_out():
    for token in ("t\0", "\ud800", "t\nX=1", "", "t" * 5000):
        line = json.dumps({"file": "/a", "tokens": {"XDG_ACTIVATION_TOKEN": token}}).encode()
        assert read_message(line) == ("/a", {})


@unix
def test_whoever_says_nothing_is_hung_up_on_and_so_are_too_many(qtbot, name, monkeypatch):
    monkeypatch.setattr(single, "SAY_WITHIN_MS", 300)
    monkeypatch.setattr(single, "MOST_HEARD", 3)
    listener = Listener(name)
    assert listener.listen()
    silent = [send(name, b"") for _ in range(8)]
    for client in silent:
        client.setblocking(False)

    def hung_up(client):
        try:
            return client.recv(10) == b""
        except BlockingIOError:
            return False

    qtbot.waitUntil(lambda: all(hung_up(client) for client in silent), timeout=60_000)
    for client in silent:
        client.close()
    with qtbot.waitSignal(listener.asked):
        client = send(name, b'{"file": ""}\n')
    client.close()
    listener.close()


@unix
def test_one_start_asks_for_one_file(qtbot, name, listener):
    heard = []
    listener.asked.connect(heard.append)
    with qtbot.waitSignal(listener.asked):
        client = send(name, b'{"file": "/a"}\n' * 50)
    client.close()
    with qtbot.waitSignal(listener.asked):
        client = send(name, b'{"file": "/b"}\n')
    client.close()
    assert heard == ["/a", "/b"]


@unix
def test_only_the_user_may_connect(name, listener):
    assert Path(name).stat().st_mode & 0o077 == 0


@unix
def test_a_socket_left_by_a_killed_window_is_replaced(qtbot, name):
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(name)
    left.close()
    assert Path(name).exists()
    assert not hand_over(name, None)
    listener = Listener(name)
    assert listener.listen()
    assert answers(name)
    listener.close()
    assert not Path(name).exists()


@unix
def test_a_second_listener_leaves_the_first_alone(qtbot, name, listener):
    assert not Listener(name).listen()
    with qtbot.waitSignal(listener.asked):
        client = send(name, b'{"file": ""}\n')
    client.close()


@unix
def test_a_window_that_hangs_is_not_waited_for_long(name, monkeypatch):
    from gui.app import single

    monkeypatch.setattr(single, "PATIENCE_MS", 200)
    hanging = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    hanging.bind(name)
    hanging.listen()
    assert not hand_over(name, None)
    hanging.close()


def test_other_folders_and_screens_have_windows_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    here = server_name(tmp_path)
    assert here == server_name(tmp_path)
    assert here != server_name(tmp_path / "other")
    monkeypatch.setenv("DISPLAY", "localhost:10.0")
    assert here != server_name(tmp_path)


def test_a_long_runtime_folder_still_gives_a_usable_path(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    if sys.platform != "win32":
        assert len(server_name(tmp_path)) < 104


@unix
def test_a_second_start_hands_its_file_over_and_a_killed_window_is_no_obstacle(
    project_path, tmp_path, monkeypatch
):
    from core.project.project import Project

    home = tmp_path / "home"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    other = tmp_path / "other.paretoscope"
    with Project.open(project_path) as project:
        project.save_copy(other)
    first = start(home, project_path)
    try:
        name = server_name(home)
        wait_for(lambda: answers(name) and recent(home)[:1] == [str(project_path)], first)
        second = start(home, other)
        _, words = second.communicate(timeout=600)
        assert second.returncode == 0, words
        wait_for(lambda: recent(home)[:1] == [str(other)], first)
        # one that wants a window of its own does not hand over
        own = start(home, project_path, "--new-window")
        try:
            wait_for(lambda: recent(home)[:1] == [str(project_path)], own)
            assert own.poll() is None
        finally:
            own.kill()
            own.communicate()
        first.send_signal(signal.SIGKILL)
        first.communicate()
        assert Path(name).exists()
        first = start(home, other)
        wait_for(lambda: answers(name), first)
    finally:
        first.kill()
        first.communicate()


def test_a_file_opened_in_the_desktop_is_received(qapp):
    """What macOS sends to the running program."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from gui.app.application import Application\n"
            "from PySide6.QtCore import QCoreApplication, QUrl\n"
            "from PySide6.QtGui import QFileOpenEvent\n"
            "app = Application([])\n"
            "heard = []\n"
            "app.asked.connect(heard.append)\n"
            "QCoreApplication.sendEvent(app, QFileOpenEvent('/data/x.paretoscope'))\n"
            "print(heard)\n",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        timeout=600,
        check=False,
    )
    assert "['/data/x.paretoscope']" in done.stdout, done.stderr
