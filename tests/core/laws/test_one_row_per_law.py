"""A loss law is one row: registered, it is fitted, compared, resampled and questioned by every door."""

import json

import numpy as np
import pytest

from core.laws.law import Law, Parameter, Tying
from core.laws.loss import ALPHA, LAWS, A, E


def only_size(p, x, slopes=False):
    """E + A/N^alpha: a law that knows nothing of the tokens."""
    n = np.exp(-p["alpha"] * x["N"])
    value = p["E"] + p["A"] * n
    if not slopes:
        return value, {}
    return value, {"A": n, "E": np.ones_like(value), "alpha": -p["A"] * n * x["N"]}


@pytest.fixture
def registered(monkeypatch):
    law = Law(
        "only-size",
        "Only size",
        "E + A/N^alpha",
        "this test",
        only_size,
        (A, E, Parameter("alpha", "1", 0.0, starts=ALPHA.starts)),
        ("N", "D"),
        (Tying("free"),),
        "either count",
        implied=lambda p: {"loss_at_1b": p["E"] + p["A"] / 1e9 ** p["alpha"]},
    )
    monkeypatch.setitem(LAWS, law.name, law)
    return law.name


def answer(capsys, *words):
    from core.__main__ import main

    code = main([*words, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out.splitlines()[-1])


def test_a_new_law_needs_nothing_but_its_row(capsys, registered):
    fitted = answer(capsys, "fit", "morph", "--law", registered)
    assert fitted["theta"].keys() == {"A", "E", "alpha"} and "loss_at_1b" in fitted["derived"]
    resampled = answer(capsys, "bootstrap", "morph", "--law", registered, "--resamples", "40",
                       "--predict", "1e9,2e10,24x2048")  # fmt: skip
    low, high = resampled["intervals"]["loss_at_1b"]
    assert low < high and resampled["predictions"][0]["loss"] > 0
    compared = answer(capsys, "compare", "morph", "--law", registered, "--law", "chinchilla")
    assert {row["law"] for row in compared["laws"]} == {registered, "chinchilla"}
    # the tokens explain most of what is left: the law that ignores them is the worst by far
    assert compared["laws"][-1]["law"] == registered
