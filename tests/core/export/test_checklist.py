"""The checklist of a fit: every part is filled or said to be not known."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import Unusable
from core.export.checklist import checked, checklist
from core.fit.solve import fit
from core.formats.runs.suites import load_suite, suite
from core.records.progress import outcome


@pytest.fixture(scope="module")
def whole():
    runs = suite("morph")
    return outcome(checked(fit(runs, "chinchilla", tied=True, method="huber"), runs, 40))


def lines_of(text):
    """The value of every line '- name: value'."""
    rows = [line[2:].partition(": ") for line in text.splitlines() if line.startswith("- ")]
    return {name: value for name, _, value in rows}


def test_every_part_is_filled_from_the_fit_and_the_reading(whole):
    reading = load_suite("morph")
    text = checklist(whole, reading.runs, reading.report)
    for title in ("Hypothesis and form", "Training", "Data", "Fitting", "Validation"):
        assert f". {title}" in text
    told = lines_of(text)
    assert told["Tied parameters"] == "beta = alpha" and told["Free parameters"].startswith("4: ")
    assert told["L"] == "train average loss, in nats/token"
    assert told["Runs fitted"] == "76 of 35 shapes" and told["Rows read"] == "76"
    assert "delta 0.001" in told["Minimised"] and "points of the grid" in told["Starts"]
    assert told["Bounds"] == "0 <= A, 0 <= B, 0 <= E, 0 <= alpha"
    assert "40 resamples of whole shapes" in told["Intervals of the parameters"]
    assert "35 shapes" in told["Intervals of the parameters"]
    assert f"{100 * whole.heldout['shape_rms']:.2f} %" in text
    assert "% of" in told["Losses in the 95 % prediction interval made without their shape"]
    assert f"| alpha | {whole.theta['alpha']:.8g} |" in text
    assert text.count("| N = ") == sum(c.column == "N" for c in whole.left_out.cuts)
    assert all(told.values()) and " nan" not in text


def test_what_is_not_known_says_so(whole):
    bare = replace(suite("morph"), source="", labels={}, loss_meaning="unknown")
    few = {k: v for k, v in bare.columns.items() if k in ("params_total", "tokens", "loss")}
    runs = replace(bare, columns=few)
    told = lines_of(checklist(fit(runs, "chinchilla", tied=True), runs))
    unknown = [name for name, value in told.items() if value == "not known"]
    assert {
        "Optimiser, learning rate, schedule, batch size",
        "Training data",
        "Where the runs come from",
        "Rows read, left out, guessed",
        "Intervals of the parameters",
        "Error on shapes left out, root mean square",
    } <= set(unknown)
    assert told["L"].startswith("loss whose meaning is not known")


def test_settings_of_training_are_listed_where_the_table_has_them(whole):
    runs = suite("morph")
    rates = np.full(len(runs), 3e-4)
    told = lines_of(checklist(whole, replace(runs, columns={**runs.columns, "lr": rates})))
    assert told["Optimiser, learning rate, schedule, batch size"] == "lr 0.0003"


def test_without_a_fit_there_is_no_checklist():
    runs = suite("morph").take(np.arange(2))
    with pytest.raises(Unusable, match="no fit"):
        checklist(fit(runs, "chinchilla"), runs)


def test_the_command_writes_it(tmp_path, capsys):
    from core.__main__ import main

    target = tmp_path / "fit.md"
    words = ["fit", "morph", "--law", "chinchilla", "--tied", "--checklist", str(target)]
    assert main(words) == 0 and "# Checklist of a fit" in target.read_text(encoding="utf-8")
    capsys.readouterr()
    assert main(words) == 2 and "exists already" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
