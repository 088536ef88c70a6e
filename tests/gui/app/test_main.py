import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*words, code=None, **environment):
    env = os.environ | {"QT_QPA_PLATFORM": "offscreen"} | environment
    command = [sys.executable, *(["-c", code] if code else ["-m", "gui", *words])]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, cwd=ROOT, env=env, check=False
    )


def test_it_opens_a_project_and_takes_a_picture_without_torch(project_path, tmp_path):
    picture = tmp_path / "shot.png"
    done = run(
        code="import sys; from gui.__main__ import main;"
        f"status = main([{str(project_path)!r}, '--shot', {str(picture)!r}, '--size', '1280x800',"
        " '--theme', 'dark']);"
        "heavy = [m for m in ('torch', 'transformers') if m in sys.modules];"
        "print('heavy', heavy); sys.exit(status)",
        PARETOSCOPE_HOME=str(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stderr
    assert "heavy []" in done.stdout
    from PySide6.QtGui import QImage

    image = QImage(str(picture))
    assert (image.width(), image.height()) == (1280, 800)
    # dark ground, and something on it
    assert image.pixelColor(5, 790).lightness() < 80
    colours = {image.pixel(x, y) for x in range(60, 860, 7) for y in range(140, 440, 7)}
    assert len(colours) > 20


def test_a_file_that_is_no_project_is_one_line(tmp_path):
    bad = tmp_path / "bad.paretoscope"
    bad.write_text("text")
    done = run(str(bad), "--shot", str(tmp_path / "x.png"), PARETOSCOPE_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "is not a Paretoscope project" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_display_is_one_line():
    env = {k: "" for k in ("DISPLAY", "WAYLAND_DISPLAY")}
    done = run(QT_QPA_PLATFORM="", **env)
    if sys.platform.startswith("linux"):
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr


def test_missing_libraries_name_the_command(monkeypatch, capsys):
    from gui import __main__
    from gui.app import system_libraries

    monkeypatch.setattr(system_libraries, "missing_packages", lambda platform: ["libxcb-cursor0"])
    assert __main__.main(["--shot", "x.png"]) == 1
    assert "apt-get install -y --no-install-recommends libxcb-cursor0" in capsys.readouterr().err


def test_without_qt_one_line_names_the_extra(monkeypatch, capsys):
    from gui import __main__

    monkeypatch.setattr(__main__, "NEEDED", ("no_such_qt",))
    assert __main__.main(["--shot", "x.png"]) == 1
    message = capsys.readouterr().err
    assert (
        "needs no_such_qt: pip install 'paretoscope[gui]'" in message and message.count("\n") == 1
    )


@pytest.mark.parametrize("words", [["--size", "big"], ["--theme", "blue"]])
def test_wrong_options_are_refused(words):
    done = run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_panel_that_is_not_there_is_one_line_that_names_them(tmp_path):
    picture = tmp_path / "x.png"
    done = run("--shot", str(picture), "--panel", "prices", PARETOSCOPE_HOME=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "'prices'" in done.stderr and "front_table" in done.stderr
    assert not picture.exists()


def test_it_survives_without_standard_streams():
    done = run(
        code="import sys; sys.stdout = None; sys.stderr = None;"
        "from gui.__main__ import _survive_without_console; _survive_without_console();"
        "print('to nowhere'); sys.exit(0 if sys.stdout is not None else 1)"
    )
    assert done.returncode == 0


def test_the_measuring_child_starts_before_any_qt():
    done = run(
        code="import sys; from gui.__main__ import main;"
        "import core.measure.process.child as child;"
        "child.main = lambda: 1 if any(m.startswith('PySide6') for m in sys.modules) else 0;"
        "sys.exit(main(['--measure-child']))"
    )
    assert done.returncode == 0, done.stderr


def test_qt_keeps_the_references_of_common_values():
    """PySide6 6.12.0 drops references to None and True, which ends Python 3.11 after some thousand emits."""
    done = run(
        code="from PySide6.QtCore import QObject, Signal\n"
        "from PySide6.QtWidgets import QApplication, QWidget\n"
        "app = QApplication([])\n"
        "class Speaker(QObject):\n"
        "    signal = Signal(bool)\n"
        "speaker, widget = Speaker(), QWidget()\n"
        "for _ in range(20_000): widget.update()\n"
        "for _ in range(5_000): speaker.signal.emit(True)\n"
        "print('alive')\n"
    )
    assert done.returncode == 0, done.stderr
    assert "alive" in done.stdout


def test_an_uncaught_error_becomes_a_readable_report(qtbot, monkeypatch, tmp_path):
    from gui.app import crash

    shown = []
    monkeypatch.setattr(crash, "_show", lambda text, folder, dialogs: shown.append(text))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    crash.install(tmp_path)
    try:
        raise RuntimeError("a wheel came off")
    except RuntimeError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    assert "a wheel came off" in shown[0]
    assert "Python 3" in shown[0]
    path = tmp_path / "report.txt"
    crash.save(shown[0], path)
    assert path.read_text() == shown[0]
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


def test_a_report_names_neither_the_user_nor_the_machine(monkeypatch, tmp_path):
    from gui.app import crash

    monkeypatch.setenv("HOME", str(tmp_path / "alice"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "alice"))
    monkeypatch.setattr(platform, "node", lambda: "alices-laptop")
    work = Path.home() / "work"
    try:
        raise RuntimeError(f"{work} is gone")
    except RuntimeError as error:
        text = crash.report(type(error), error, error.__traceback__)
    assert "alice" not in text and f"~{os.sep}work is gone" in text
