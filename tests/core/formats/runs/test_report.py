"""What reading did is told: rows left out, columns guessed, tokens derived, odd rows."""

import json
from pathlib import Path

import pytest

from core.__main__ import main
from core.formats.runs.reading import load
from core.formats.runs.report import SHOWN, Report, joined
from core.formats.runs.suites import bundled_suites

RUNS = Path(__file__).parents[3] / "fixtures" / "runs"


def answer(capsys, *words):
    code = main([*words, "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out.splitlines()[-1])


def test_rows_left_out_columns_guessed_and_tokens_derived_are_told():
    report = load(RUNS / "rows_dropped.csv").report
    assert report.rows == 13
    assert report.dropped == (
        "row 8 (line 9): loss is 'n.a.', not a number",
        "row 9 (line 10): loss is -1",
    )
    assert {name: column for name, (column, _) in report.guessed.items()} == {
        "params_total": "Model Size",
        "flops": "Training FLOP",
    }
    assert report.derived == ("tokens: training FLOPs / (6 params_total)",)
    # eleven rows are enough to see a loss three times as high
    (warning,) = report.warnings
    assert warning.startswith("row 6 (line 7): loss 9.9 lies far")
    text = report.text()
    assert text.startswith("13 rows read, 2 left out:") and "loss is -1" in text
    assert "params_total from 'Model Size'" in text and "tokens: training FLOPs" in text


def test_a_column_named_by_hand_is_not_guessed():
    report = load(RUNS / "one_size.csv", {"params_total": "params"}).report
    assert (report.rows, report.dropped, report.guessed) == (7, (), {})


def test_seven_rows_on_a_line_have_no_outlier():
    assert load(RUNS / "one_size.csv").report.warnings == ()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fit", ("--law", "chinchilla")),
        ("compare", ("--law", "chinchilla", "--params", "total")),
        ("bootstrap", ("--law", "chinchilla", "--method", "huber", "--resamples", "10")),
        ("doubt", ("--law", "chinchilla", "--resamples", "5")),
    ],
)
def test_every_command_on_runs_tells_it(capsys, command, words):
    path = str(RUNS / "rows_dropped.csv")
    reading = answer(capsys, command, path, *words)["reading"]
    assert reading["rows"] == 13 and len(reading["dropped"]) == 2
    assert reading["guessed"]["params_total"]["column"] == "Model Size"
    assert len(reading["derived"]) == len(reading["warnings"]) == 1
    assert main([command, path, *words]) == 0
    assert capsys.readouterr().out.startswith("13 rows read, 2 left out:\n  row 8 (line 9): loss")


@pytest.mark.parametrize("name", bundled_suites())
def test_nothing_is_left_out_of_a_bundled_suite(capsys, name):
    reading = answer(capsys, "fit", name, "--law", "chinchilla")["reading"]
    assert reading["dropped"] == [] and reading["guessed"] == {}


def test_several_tables_are_told_as_one_each_line_with_its_table(capsys):
    paths = [str(RUNS / f"{name}.csv") for name in ("rows_dropped", "one_size")]
    reading = answer(capsys, "fit", *paths, "--together", "--law", "chinchilla")["reading"]
    assert reading["rows"] == 20
    assert [line.partition(":")[0] for line in reading["dropped"]] == ["rows_dropped"] * 2
    assert set(reading["guessed"]) == {
        "rows_dropped: params_total",
        "rows_dropped: flops",
        "one_size: params_total",
    }


def test_a_long_report_is_cut_in_text_and_whole_in_json():
    many = Report(100, tuple(f"row {i}: loss is missing" for i in range(1, 31)))
    lines = many.text().splitlines()
    assert len(lines) == SHOWN + 2 and lines[-1] == "  and 25 more"
    assert len(many.plain()["dropped"]) == 30
    assert joined({"only": many}) is many
