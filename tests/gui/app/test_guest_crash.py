"""A window that is killed, an unexpected error, a log that cannot be written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog, QMessageBox
from tiny_project import DEVICE, SPACE

from core.pareto.limits import parse_limit
from core.project.project import Project
from core.records.progress import Progress
from core.space.space_file import parse_space
from gui.app import crash, logs
from gui.panels.space import SpacePanel

ROOT = Path(__file__).resolve().parents[3]
WINDOW = """
import sys, gui.__main__ as program
from PySide6.QtCore import QTimer
from core.pareto.limits import parse_limit
from core.project.project import Project
app, window = program.build(program._parser().parse_args(["--new-window", sys.argv[1]]))
def act():
    if window.store.state.frame is None or not window.store.settled:
        return
    watch.stop()
    window.store.choose(x="memory_bytes")
    window.store.set_limit(parse_limit("tpot<=4ms"))
    panel = window.show_panel("space")
    panel.text.setPlainText(panel.text.toPlainText() + "\\n# half a thought")
    kept.start(50)
def look():
    with Project.open(sys.argv[1], read_only=True) as project:
        choices = project.choices()
    if choices.x == "memory_bytes" and choices.limits and "half" in window.store.draft():
        kept.stop()
        print("done", flush=True)
kept = QTimer()
kept.timeout.connect(look)
watch = QTimer()
watch.timeout.connect(act)
watch.start(50)
window.show()
app.exec()
"""


def test_choices_and_unused_text_survive_a_killed_window(qtbot, store, project_path, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WINDOW, str(project_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ
        | {"QT_QPA_PLATFORM": "offscreen", "PARETOSCOPE_HOME": str(tmp_path / "home")},
    )
    try:
        assert process.stdout.readline() == "done\n"
    finally:
        process.send_signal(signal.SIGKILL) if os.name != "nt" else process.kill()
        process.wait()
        process.stdout.close()
    store.open(project_path)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    assert not store.state.read_only
    assert store.state.choices.x == "memory_bytes"
    assert store.state.choices.limits == (parse_limit("tpot<=4ms"),)
    panel = SpacePanel(store)
    qtbot.addWidget(panel)
    panel.refresh(store.state, None)
    assert panel.text.toPlainText().endswith("# half a thought")
    assert "half a thought" not in store.state.contents.space.text
    # once undone, the draft is gone for good
    panel.on_revert()
    panel.check()
    qtbot.waitUntil(lambda: store.draft() == "", timeout=10_000)


def test_a_used_space_leaves_no_draft(qtbot, opened):
    panel = SpacePanel(opened)
    qtbot.addWidget(panel)
    opened.changed.connect(panel.refresh)
    panel.refresh(opened.state, None)
    panel.text.setPlainText(SPACE.replace("to = 12", "to = 10"))
    panel.check()
    qtbot.waitUntil(lambda: "to = 10" in opened.draft(), timeout=10_000)
    panel.on_apply()
    panel.check()
    qtbot.waitUntil(lambda: opened.draft() == "", timeout=10_000)
    qtbot.waitUntil(lambda: opened.settled and not opened.state.busy, timeout=120_000)


def test_going_to_another_project_in_a_sweep_asks(qtbot, opened, monkeypatch, tmp_path):
    from gui.app.settings import Settings
    from gui.shell.window import Window

    def endless(project, points, device, *, pause, **options):
        while True:
            time.sleep(0.01)
            yield Progress(0, 1, "measuring")

    window = Window(opened, Settings(None))
    qtbot.addWidget(window)
    window.fill()
    other = tmp_path / "other.paretoscope"
    Project.create(other).close()
    opened.measuring.sweeper = endless
    opened.measure(parse_space(SPACE).measurement_points(), DEVICE)
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Close]
    asked = []

    def question(parent, title, text, *rest):
        asked.append(text)
        return answers.pop(0)

    monkeypatch.setattr(QMessageBox, "question", question)
    here = opened.state.path
    window.on_asked(str(other))
    assert opened.state.path == here
    assert opened.state.sweep.running
    # what is open already is only brought to the front
    window.on_asked(here)
    assert len(asked) == 1
    window.on_asked(str(other))
    qtbot.waitUntil(lambda: opened.state.path == str(other), timeout=30_000)
    assert "the sweep can be resumed" in asked[1]
    qtbot.waitUntil(lambda: not opened.measuring.running, timeout=30_000)


@pytest.fixture
def own_log():
    """The log as this test makes it, and as it was afterwards."""
    log = logs.logger()
    before = list(log.handlers)
    yield log
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    for handler in before:
        log.addHandler(handler)


def write_log(folder):
    """Install in a process of its own: it takes over Qt's messages and Python's fault handler."""
    code = (
        "import sys; from pathlib import Path; from gui.app import crash, logs\n"
        "from PySide6.QtCore import qWarning\n"
        "folder = Path(sys.argv[1]); print(logs.install(folder)); crash.install(folder)\n"
        "for i in range(20_000): logs.logger().info('line %d %s', i, 'x' * 60)\n"
        "qWarning('a Qt warning')\n"
        "logs.logger().info('%s of \\x1b[2J', Path.home() / 'p.paretoscope')\n"
        "try: raise RuntimeError('a wheel came off')\n"
        "except RuntimeError as error: sys.excepthook(type(error), error, error.__traceback__)\n"
        "if len(sys.argv) > 2:\n    import faulthandler; faulthandler._sigsegv()\n"
    )
    return code


def run(folder, *more):
    return subprocess.run(
        [sys.executable, "-c", write_log(folder), str(folder), *more],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=600,
        check=False,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )


def test_the_log_rotates_and_holds_what_went_wrong(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    files = sorted(logs.log_folder(tmp_path).glob(f"{logs.FILE}*"))
    assert len(files) == logs.KEPT
    assert all(f.stat().st_size <= logs.LARGEST_BYTES for f in files)
    if os.name == "posix":
        private = [*files, logs.log_folder(tmp_path) / logs.DIED]
        assert not any(f.stat().st_mode & 0o077 for f in private)
    newest = (logs.log_folder(tmp_path) / logs.FILE).read_text()
    # the checkout's own path stands in the stack, and names the user where it lies in the home folder
    assert str(Path.home()) + os.sep not in newest and "\x1b" not in newest
    assert "a wheel came off" in newest
    assert "Qt: a Qt warning" in newest
    assert "a Qt warning" in done.stderr


def test_a_death_below_python_leaves_a_stack(tmp_path):
    done = run(tmp_path, "die")
    assert done.returncode != 0
    assert "Current thread" in (logs.log_folder(tmp_path) / logs.DIED).read_text()


def test_no_place_for_a_log_stops_nothing(tmp_path, own_log):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert logs.install(blocked) is None
    logs.logger().info("to nowhere")


def test_a_log_on_a_full_disk_stays_silent(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no device that is always full here")
    folder = logs.log_folder(tmp_path)
    folder.mkdir()
    (folder / logs.FILE).symlink_to(full)
    done = run(tmp_path)
    assert done.returncode == 0
    assert "Logging error" not in done.stderr
    assert "No space left" not in done.stderr


def test_the_dialog_saves_what_it_shows_or_shows_why_it_cannot(qtbot, monkeypatch, tmp_path):
    warned = []
    monkeypatch.setattr(QMessageBox, "warning", lambda *words: warned.append(words[-1]))
    for target in (tmp_path / "report.txt", tmp_path / "missing" / "report.txt"):
        monkeypatch.setattr(
            QFileDialog, "getSaveFileName", lambda *a, target=target: (str(target), "")
        )
        dialogs = []
        crash._show("what happened", tmp_path, dialogs)
        box = dialogs[0]
        qtbot.addWidget(box)
        assert box.detailedText() == "what happened"
        assert "nothing is sent anywhere" in box.informativeText()
        next(b for b in box.buttons() if "Save" in b.text()).click()
        # the next one is shown again
        assert dialogs == []
    assert (tmp_path / "report.txt").read_text() == "what happened"
    assert len(warned) == 1
    assert "cannot be written" in warned[0]
