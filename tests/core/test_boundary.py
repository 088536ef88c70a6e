"""The engine knows no window, loads nothing heavy, and imports run from the roof to the ground only."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACT = "from importlinter.cli import lint_imports as run; raise SystemExit(run(no_cache=True))"
LOAD_ALL = """
import importlib, json, pkgutil, sys
import core
for found in pkgutil.walk_packages(core.__path__, "core."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
print(json.dumps(sorted(sys.modules)))
"""


def loaded_by(code):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.strip().splitlines()[-1]))


def test_every_module_of_the_engine_imports_without_qt():
    roots = {name.split(".")[0] for name in loaded_by(LOAD_ALL)}
    assert "core" in roots
    assert not roots & {"PySide6", "shiboken6", "pyqtgraph", "gui"}


def test_no_module_of_the_engine_imports_what_is_heavy_or_optional():
    roots = {name.split(".")[0] for name in loaded_by(LOAD_ALL)}
    assert not roots & {"torch", "transformers", "onnxruntime", "pyarrow", "dask", "psutil"}


def test_packaging_never_becomes_a_package():
    assert not (ROOT / "packaging" / "__init__.py").exists()
    assert not list((ROOT / "packaging").rglob("test_*.py"))


def test_imports_keep_the_order_of_the_folders():
    done = subprocess.run(
        [sys.executable, "-c", CONTRACT], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "added",
    [
        {"core/model/workload.py": "core.table.table"},
        {"core/units.py": "gui"},
        {"gui/plot/plane.py": "gui.shell.window"},
        {"core/errors.py": "core.units", "core/units.py": "core.errors"},
    ],
    ids=["against the order", "the window from the engine", "within the window", "a circle"],
)
def test_an_import_that_must_not_be_is_found(tmp_path, added):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("core", "gui"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for importer, imported in added.items():
        with (tmp_path / importer).open("a", encoding="utf-8") as file:
            file.write(f"import {imported}\n")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", CONTRACT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


WITHOUT = """
import sys
for name in ("torch", "psutil", "pynvml", "transformers", "onnxruntime", "onnx", "pyarrow", "dask",
             "distributed", "asyncssh", "PySide6", "shiboken6", "pyqtgraph"):
    sys.modules[name] = None  # as where it is not installed
from core.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "words",
    [
        "info 24x2048",
        "fit morph --law inference-aware --tied",
        "frontier demo --limit tpot<=20ms",
        "export demo --to csv --out table.csv",
    ],
)
def test_what_times_nothing_runs_with_numpy_and_scipy_alone(tmp_path, words):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *words.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout and "Traceback" not in done.stderr
