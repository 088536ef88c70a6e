import json

import pytest

from gui.app.settings import MOST_RECENT, Settings


def test_defaults_then_what_was_set(tmp_path):
    path = tmp_path / "deep" / "settings.json"
    settings = Settings(path)
    assert settings["theme"] == "system"
    settings["theme"] = "dark"
    assert Settings(path)["theme"] == "dark"


def test_unknown_names_and_types_are_refused(tmp_path):
    settings = Settings(tmp_path / "settings.json")
    with pytest.raises(KeyError):
        settings["colour"]
    with pytest.raises(TypeError):
        settings["theme"] = 3


def test_a_broken_file_counts_as_empty_and_newer_names_are_kept(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text("{broken")
    assert Settings(path)["theme"] == "system"
    path.write_text(json.dumps({"future": 1, "theme": 5}))
    settings = Settings(path)
    assert settings["theme"] == "system"
    settings["tab"] = "space"
    assert json.loads(path.read_text())["future"] == 1


def test_a_place_that_cannot_be_written_stops_nothing(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    settings = Settings(blocked / "settings.json")
    settings["theme"] = "light"
    assert settings["theme"] == "light"


def test_recent_files_are_newest_first_and_few(tmp_path):
    settings = Settings(None)
    for i in range(15):
        settings.opened(f"/data/{i}.paretoscope")
    settings.opened("/data/9.paretoscope")
    assert settings["recent"][0] == "/data/9.paretoscope"
    assert len(settings["recent"]) == MOST_RECENT
    assert len(set(settings["recent"])) == MOST_RECENT
