"""Whatever Python files lie in the current folder: nothing that is started imports them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_llama import save_tiny_llama

from core.measure.process.session import find_devices
from core.measure.process.worker import child_environment

pytest.importorskip("transformers")
pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[4]
NAMES = ("core", "numpy", "torch", "transformers", "json", "pickle", "struct", "importlib", "runpy")
TRAP = "open({!r}, 'a').write(__name__ + '\\n')\nraise ImportError('a trap')\n"
# what an installed `paretoscope-cli` does
ENTRY = (
    "import sys\nfrom core.__main__ import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
)


@pytest.fixture
def trapped(tmp_path):
    """A folder of modules that note when they are imported, and the note."""
    folder, note = tmp_path / "downloaded", tmp_path / "note"
    folder.mkdir()
    for name in (*NAMES, "multiprocessing"):
        (folder / f"{name}.py").write_text(TRAP.format(str(note)))
    return folder, note


def test_the_measuring_process_of_this_and_of_a_named_python(trapped, monkeypatch):
    folder, note = trapped
    monkeypatch.chdir(folder)
    # an empty entry of the search path means the current folder, too
    monkeypatch.setenv("PYTHONPATH", os.pathsep + os.environ.get("PYTHONPATH", ""))
    assert find_devices()
    assert find_devices(sys.executable)
    assert not note.exists()


def test_a_model_is_timed_and_scored_from_within_its_own_folder(trapped, tmp_path):
    folder, note = trapped
    save_tiny_llama(folder, "a text of some words " * 40)
    (tmp_path / "text.txt").write_text("a text of some words " * 40)
    (tmp_path / "paretoscope-cli").write_text(ENTRY)
    words = ["model", ".", "--project", tmp_path / "p.paretoscope", "--text", tmp_path / "text.txt"]
    words += ["--prompt", 4, "--output", 3, "--budget-s", "1s", "--threads", 1]
    done = subprocess.run(
        [sys.executable, tmp_path / "paretoscope-cli", *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not note.exists(), note.read_text()
    assert done.returncode == 0, done.stderr


def test_the_users_own_search_path_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["", str(tmp_path / "a"), "libs", "."]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(given))
    kept = child_environment()["PYTHONPATH"].split(os.pathsep)
    assert kept == [str(tmp_path / "a"), str(tmp_path / "libs")]
