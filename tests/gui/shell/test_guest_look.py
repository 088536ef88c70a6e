"""Icon, colours that follow the desktop, settings of two windows, pictures on fine screens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QIcon, QImage

from core.resources import resource
from gui.app import theme as themes
from gui.app.settings import Settings, data_folder, settings_path
from gui.shell.window import Window

ROOT = Path(__file__).resolve().parents[3]
# a 1920 pixel wide screen at 200 %
SMALL = ("--size", "960x700", "--theme", "light")


@pytest.mark.parametrize("extent", [16, 22, 32, 48, 256])
def test_the_icon_draws_at_every_size(qapp, extent):
    icon = QIcon(str(resource("icons/paretoscope.svg")))
    image = icon.pixmap(extent, extent).toImage()
    assert (image.width(), image.height()) == (extent, extent)
    assert image.pixelColor(extent // 2, extent // 2).alpha() == 255
    assert image.pixelColor(0, 0).alpha() < 128
    colours = {image.pixel(x, y) for x in range(extent) for y in range(extent)}
    assert len(colours) > 8


def test_the_window_follows_the_desktop_while_it_runs(qtbot, opened, monkeypatch):
    scheme = [Qt.ColorScheme.Light]
    window = Window(opened, Settings(None))
    qtbot.addWidget(window)
    window.fill()
    monkeypatch.setattr(themes, "theme_of", lambda name: theme_for(name, scheme[0]))
    schemes = []
    monkeypatch.setattr(themes, "set_colour_scheme", schemes.append)
    scheme[0] = Qt.ColorScheme.Dark
    QGuiApplication.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert window.theme is themes.DARK
    # the plot, which has colours of its own, too
    assert window.plot_view.plot.image(400).pixelColor(2, 2).lightness() < 80
    # chosen by hand it stays, whatever the desktop does
    window.set_theme("light")
    assert schemes == ["light"]
    QGuiApplication.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Dark)
    assert window.theme is themes.LIGHT
    window.set_theme("system")
    assert window.theme is themes.DARK


def theme_for(name, scheme):
    """A desktop on which `theme_of` finds this scheme."""
    if name == "system":
        return themes.DARK if scheme == Qt.ColorScheme.Dark else themes.LIGHT
    return themes.DARK if name == "dark" else themes.LIGHT


def test_two_windows_do_not_undo_each_others_settings(tmp_path):
    path = tmp_path / "settings.json"
    one, other = Settings(path), Settings(path)
    one.opened("/data/a.paretoscope")
    other.opened("/data/b.paretoscope")
    one["tab"] = "space"
    other["statistic"] = "p95"
    read = Settings(path)
    assert read["recent"] == ["/data/b.paretoscope", "/data/a.paretoscope"]
    assert (read["tab"], read["statistic"]) == ("space", "p95")
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]


def test_settings_and_data_are_in_the_platforms_places(qapp, monkeypatch, tmp_path):
    monkeypatch.delenv("PARETOSCOPE_HOME", raising=False)
    if not sys.platform.startswith("linux"):
        pytest.skip("the folders' variables are those of Linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert tmp_path / "config" in settings_path().parents
    assert tmp_path / "data" in (data_folder(), *data_folder().parents)


@pytest.mark.parametrize("scale", ["1.5", "2"])
def test_a_fine_screen_gets_a_fine_picture(project_path, tmp_path, scale):
    """Text and points are drawn in the screen's pixels, not drawn small and blown up."""
    picture = tmp_path / "shot.png"
    done = subprocess.run(
        [sys.executable, "-m", "gui", str(project_path), "--shot", str(picture), *SMALL],
        cwd=ROOT,
        env=os.environ
        | {
            "QT_SCALE_FACTOR": scale,
            "QT_QPA_PLATFORM": "offscreen",
            "PARETOSCOPE_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    image = QImage(str(picture))
    assert (image.width(), image.height()) == (960 * float(scale), 700 * float(scale))
    if scale == "2":
        # blown up, all pixels of each 2x2 block would be equal
        blocks = [(x, y) for x in range(0, 1200, 2) for y in range(200, 900, 2)]
        unequal = sum(
            len({image.pixel(x + i, y + j) for i in (0, 1) for j in (0, 1)}) > 1 for x, y in blocks
        )
        assert unequal > 0.004 * len(blocks)
