"""The engine knows no window: importing every module of `core` loads no Qt, and nothing heavy."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
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
