import json

import pytest

from core.__main__ import main


def answer(capsys, *arguments):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_settings_come_worst_first_and_the_doubts_in_words(capsys):
    told = answer(capsys, "doubt", "morph", "--law", "inference-aware", "--tied")
    worst = [s["worst"] for s in told["sensitivity"] if s["worst"] is not None]
    assert worst == sorted(worst, reverse=True)
    assert worst[0] > 0.01
    assert any("non-embedding" in s["setting"] for s in told["sensitivity"])
    assert {a["verdict"] for a in told["answers"]} <= {"yes", "barely", "no"}
    shape = next(a for a in told["answers"] if "shape from size" in a["question"])
    assert shape["verdict"] == "yes"


def test_runs_that_move_together_are_a_worry(capsys):
    plain = answer(capsys, "doubt", "morph", "--law", "chinchilla", "--where", "name=*@20N")
    told = next(a for a in plain["answers"] if "more tokens" in a["question"])
    assert told["verdict"] == "no"
    assert "move together" in told["why"]


def test_an_unknown_suite_is_one_line(capsys):
    assert main(["doubt", "nothing.csv"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_reproduction_says_published_and_obtained(capsys):
    told = answer(capsys, "reproduce")
    assert len(told["rows"]) == 7
    for row in told["rows"]:
        for name, value in row["published"].items():
            assert row["obtained"][name] == pytest.approx(value, rel=1e-3), name
    assert told["draws"]["count"] == 7200
    assert told["draws"]["summaries"]["paper"]["median"] == pytest.approx(0.00145, abs=5e-6)
    assert told["draws"]["shape_wins_by_the_papers_solver"] == pytest.approx(0.79, abs=0.005)
    assert told["holds"] and told["fails"]
