"""Where there is no transformers, as in the bundle, real models are refused with what to do instead."""

import importlib.util
import sys

import pytest
from tiny_llama import save_tiny_llama

from core.errors import Unusable
from core.measure.backends.folder import load_model, read_folder
from core.measure.backends.quality import measure_quality

TEXT = "a few words, " * 12


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers")
    return read_folder(save_tiny_llama(tmp_path / "tiny", TEXT))


@pytest.fixture
def without(folder, monkeypatch):
    look = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "transformers" else look(name)
    )
    monkeypatch.setattr(sys, "frozen", True, raising=False)


def test_a_model_is_to_be_measured_by_another_python(folder, without):
    with pytest.raises(Unusable, match=r"not in this bundle; measure with a Python that has it"):
        load_model(folder, "fp32", "cpu")


def test_a_text_is_to_be_scored_from_a_checkout(folder, without, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(TEXT)
    with pytest.raises(Unusable, match=r"not in this bundle; a text is scored .* checkout"):
        for _ in measure_quality(folder, text):
            pass
