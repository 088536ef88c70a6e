"""Importing runs: guesses confirmed or changed, rows left out named, nothing stored before OK."""

import math
from pathlib import Path

import pytest

from core.formats.runs.reading import open_runs, preview
from core.resources import resource
from gui.panels.import_runs import ImportRuns

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"

ODD = """run,params (M),train_tokens_b,final,layers,hidden,color
a,10,0.2,4.5,4,256,red
b,20,0.4,4.2,6,320,red
c,30,0.6,x,8,384,blue
d,40,-3,3.9,8,448,blue
e,50,1.0,3.8,10,512,blue
"""


def opened_dialog(qtbot, store, path):
    dialog = ImportRuns(store, preview(open_runs(path)))
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
    return dialog


def choose(qtbot, dialog, box, text):
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())
    qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)


@pytest.fixture
def odd(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text(ODD)
    return path


def test_a_plain_table_needs_no_work(qtbot, opened):
    dialog = opened_dialog(qtbot, opened, resource("runs/morph_runs.csv"))
    assert "76 of 76 rows" in dialog.head.text()
    assert dialog._columns["params_non_embedding"].currentText() == "params_non_embedding"
    assert dialog.ok.isEnabled()
    assert dialog.table.rowCount() == 20
    heads = [dialog.table.horizontalHeaderItem(c).text() for c in range(dialog.table.columnCount())]
    assert "tokens\n→ Training tokens D" in heads
    assert all(run.suite != "morph_runs" for run in opened.state.contents.runs)
    dialog.use.setChecked(True)
    dialog.licence.setText("MIT")
    with qtbot.waitSignal(dialog.taken) as sent:
        dialog.ok.click()
    assert sent.args == ["morph_runs"]
    stored = opened.state.contents.suite("morph_runs")
    assert len(stored) == 76 and stored.licence == "MIT"
    assert opened.state.choices.loss.suite == "morph_runs"
    qtbot.waitUntil(lambda: opened.settled, timeout=30_000)
    assert opened.state.laws.loss.suite == "morph_runs"


def test_a_loss_nobody_recognised_is_chosen_by_hand(qtbot, opened, odd):
    dialog = opened_dialog(qtbot, opened, odd)
    if not dialog.ok.isEnabled():
        assert "⚠" in dialog.head.text()
    choose(qtbot, dialog, dialog._columns["loss"], "final")
    choose(qtbot, dialog, dialog._columns["d_model"], "hidden")
    assert "3 of 5 rows" in dialog.head.text() and "2 left out" in dialog.head.text()
    assert "row 3" in dialog.notes.toPlainText() and "tokens is -3" in dialog.notes.toPlainText()
    runs = dialog.runs()
    assert list(runs.columns["params_total"]) == [10e6, 20e6, 50e6]
    assert list(runs.columns["d_model"]) == [256, 320, 512]
    assert runs.labels["color"] == ("red", "red", "blue")


def test_the_way_a_column_is_written_can_be_changed(qtbot, opened, odd):
    dialog = opened_dialog(qtbot, opened, odd)
    choose(qtbot, dialog, dialog._columns["loss"], "final")
    choose(qtbot, dialog, dialog._scales["params_total"], "billions")
    assert dialog.runs().columns["params_total"][0] == 10e9
    choose(qtbot, dialog, dialog._scales["loss"], "bits: times ln 2")
    assert dialog.runs().columns["loss"][0] == pytest.approx(4.5 * math.log(2))
    choose(qtbot, dialog, dialog._scales["loss"], "perplexity: take ln")
    assert dialog.runs().columns["loss"][0] == pytest.approx(math.log(4.5))


def test_a_column_is_one_thing_only(qtbot, opened, odd):
    dialog = opened_dialog(qtbot, opened, odd)
    choose(qtbot, dialog, dialog._columns["loss"], "final")
    choose(qtbot, dialog, dialog._columns["d_model"], "layers")
    assert dialog._columns["n_layers"].currentIndex() == 0
    runs = dialog.runs()
    assert "n_layers" not in runs.columns and runs.columns["d_model"][0] == 4


def test_a_field_can_be_given_up(qtbot, opened):
    dialog = opened_dialog(qtbot, opened, resource("runs/morph_runs.csv"))
    choose(qtbot, dialog, dialog._columns["n_heads"], "not in this file")
    assert "n_heads" not in dialog.runs().columns
    choose(qtbot, dialog, dialog._columns["tokens"], "not in this file")
    assert not dialog.ok.isEnabled() and "training tokens" in dialog.head.text()


def test_meaning_and_name_are_the_users(qtbot, opened):
    dialog = opened_dialog(qtbot, opened, resource("runs/morph_runs.csv"))
    dialog.meaning.setCurrentIndex(dialog.meaning.findData("train average"))
    dialog.suite.setText("  mine ")
    runs = dialog.runs()
    assert (runs.suite, runs.loss_meaning) == ("mine", "train average")
    dialog.suite.setText(" ")
    assert not dialog.ok.isEnabled()


def test_another_mapping_opens_no_file(qtbot, opened, odd):
    dialog = opened_dialog(qtbot, opened, odd)
    odd.unlink()
    choose(qtbot, dialog, dialog._columns["loss"], "final")
    assert "3 of 5 rows" in dialog.head.text()
    assert dialog.runs().suite == "odd"


@pytest.mark.parametrize(
    ("file", "choice", "sign", "kept"),
    [
        ("lr_sweep", "best", "3 learning rates (lr)", [3.4, 3.1, 3.2, 2.9]),
        ("trajectory", "last", "checkpoints of 3 runs", [3.8, 3.4, 3.1]),
    ],
)
def test_sweeps_and_checkpoints_are_told_and_can_be_thinned(
    qtbot, opened, file, choice, sign, kept
):
    dialog = opened_dialog(qtbot, opened, RUNS / f"{file}.csv")
    assert "12 of 12 rows" in dialog.head.text() and sign in dialog.head.text()
    getattr(dialog, choice).click()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
    assert f"{len(kept)} of 12 rows" in dialog.head.text() and sign not in dialog.head.text()
    assert dialog.runs().columns["loss"].tolist() == kept
    assert "row 1 (line 2)" in dialog.notes.toPlainText()
    getattr(dialog, choice).click()
    qtbot.waitUntil(lambda: not dialog.busy, timeout=10_000)
    assert len(dialog.runs()) == 12


def test_what_a_file_says_of_itself_is_filled_in(qtbot, opened, tmp_path):
    path = tmp_path / "mine.csv"
    lines = ["# suite: ours", "# loss meaning: train average", "# loss unit: bits/token"]
    path.write_text("\n".join([*lines, "# source: a paper", "# licence: CC0", ODD]))
    dialog = opened_dialog(qtbot, opened, path)
    choose(qtbot, dialog, dialog._columns["loss"], "final")
    runs = dialog.runs()
    assert (runs.suite, runs.source, runs.licence) == ("ours", "a paper", "CC0")
    assert (runs.loss_meaning, runs.loss_unit) == ("train average", "bits/token")
    # a copy of a bundled table does not take the bundled one's place
    copy = opened_dialog(qtbot, opened, resource("runs/morph_runs.csv"))
    assert (copy.runs().suite, copy.runs().loss_meaning) == ("morph_runs", "train average")
