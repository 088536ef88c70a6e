"""Starts in hard places: no standard streams, no libraries, nobody at a terminal."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import Unusable
from gui.app import system_libraries

ROOT = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(os.name == "nt", reason="descriptors and scripts of POSIX")


@posix
def test_closed_streams_are_never_taken_by_a_file_of_ours(tmp_path):
    descriptor = tmp_path / "descriptor"
    code = (
        "import os, sys\n"
        "for descriptor in (0, 1, 2): os.close(descriptor)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        "from gui.__main__ import _survive_without_console\n"
        "_survive_without_console()\n"
        "print('to nowhere')\n"
        "os.write(2, b'what a library prints')\n"
        f"file = open({str(descriptor)!r}, 'w')\n"
        "file.write(str(file.fileno()))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600, cwd=ROOT)
    assert int(descriptor.read_text()) > 2


@posix
def test_a_text_is_shown_by_what_the_desktop_has(tmp_path, monkeypatch):
    shown = tmp_path / "shown"
    for name, status in (("zenity", 5), ("xmessage", 0)):
        script = tmp_path / name
        script.write_text(
            f'#!/bin/sh\nfor word; do :; done\necho "{name}: $word ($LD_LIBRARY_PATH)" >>{shown}\n'
            f"exit {status}\n"
        )
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/of/the/bundle")
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/of/the/system")
    assert system_libraries.show("Qt needs libraries")
    # the first one could not, e.g. for lack of a screen
    assert shown.read_text().splitlines() == [
        "zenity: Qt needs libraries (/of/the/system)",
        "xmessage: Qt needs libraries (/of/the/system)",
    ]
    monkeypatch.setenv("PATH", "")
    assert not system_libraries.show("Qt needs libraries")


def test_the_library_that_is_missing_itself_is_named(monkeypatch):
    def load(name):
        if name == "libEGL.so.1":
            raise OSError("libEGL.so.1: cannot open shared object file: No such file or directory")
        if name == "libxcb-shape.so.0":
            raise OSError("libxcb.so.1: cannot open shared object file: No such file or directory")
        if name == "libxcb-cursor.so.0":
            # as the loader of a bundle words it
            reason = "/in/the/bundle/libxcb.so.1: cannot open shared object file"
            raise OSError("Failed to load dynlib/dll 'libxcb-cursor.so.0'.") from OSError(reason)

    monkeypatch.setattr(system_libraries.ctypes, "CDLL", load)
    monkeypatch.setattr(sys, "platform", "linux")
    assert system_libraries.missing_packages("xcb") == ["libegl1", "libxcb1"]
    assert system_libraries.missing_packages("offscreen") == ["libegl1"]


@posix
def test_what_is_missing_is_shown_where_nobody_reads_the_terminal(monkeypatch, capsys):
    from gui import __main__

    shown = []
    monkeypatch.setattr(system_libraries, "missing_packages", lambda platform: ["libxcb-cursor0"])
    monkeypatch.setattr(system_libraries, "show", shown.append)
    monkeypatch.setenv("DISPLAY", ":99")
    assert __main__.main([]) == 1
    assert "libxcb-cursor0" in shown[0] and shown[0] in capsys.readouterr().err
    # a script takes pictures
    assert __main__.main(["--shot", "x.png"]) == 1
    assert len(shown) == 1


@pytest.mark.parametrize("screen, fills", [((1280, 800), True), ((1920, 1080), False)])
def test_a_window_larger_than_the_screen_fills_it(qtbot, monkeypatch, screen, fills):
    from PySide6.QtCore import QSize
    from PySide6.QtWidgets import QWidget

    from gui.__main__ import fit_screen

    window = QWidget()
    qtbot.addWidget(window)
    window.resize(1280, 800)
    room = SimpleNamespace(availableSize=lambda: QSize(*screen))
    monkeypatch.setattr(window, "screen", lambda: room)
    fit_screen(window)
    assert window.isMaximized() == fills


@pytest.mark.parametrize("why", ["no folder", "full"])
def test_where_nothing_can_be_kept_the_demonstration_opens_to_be_read(
    qtbot, store, monkeypatch, tmp_path, why
):
    import gui.state.demonstration as demonstration

    def full(folder):
        raise Unusable("the disk of demo.paretoscope is full; free some space")

    # a file where the folder should be: nobody can make it, not even root
    (tmp_path / "taken").write_text("")
    home = tmp_path / "taken" / "home" if why == "no folder" else tmp_path
    monkeypatch.setattr(demonstration, "data_folder", lambda: home)
    if why == "full":
        monkeypatch.setattr(demonstration, "open_demo", full)
    demonstration.open_demonstration(store)
    qtbot.waitUntil(lambda: store.state.frame is not None and store.settled, timeout=120_000)
    assert store.state.demo and store.state.read_only
    assert (
        f"{home / 'demo.paretoscope'} is read-only (it could not be written there"
        in store.state.message
    )
    assert ("is full" in store.state.message) == (why == "full")
    assert len(store.state.contents.measurements) > 0
    store.close()
