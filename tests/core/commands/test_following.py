"""Long work followed on the command line: its outcome, its results as lines, closed at the end."""

import pytest

from core.commands.following import SLOW_BYTES, followed, said_to_be_read
from core.records.progress import Progress


def test_the_outcome_comes_back_and_results_become_lines(capsys):
    def work():
        yield Progress(1, 2, "half")
        yield "a result"
        yield "another"
        return 42

    seen = []

    def on_result(value):
        seen.append(value)
        return f"line of {value}" if value == "a result" else None

    assert followed(work(), on_result) == 42
    assert seen == ["a result", "another"]
    # where nobody watches, no progress is written
    assert capsys.readouterr().err == "line of a result\n"


def test_on_a_terminal_progress_is_one_line_that_is_cleared(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    def work():
        yield Progress(1, 2, "half", 3.0)
        yield "a result"

    assert followed(work(), str) is None
    err = capsys.readouterr().err
    assert "1.0 of 2  half, 3 s left\r" in err and "\ra result\n" in err and err.endswith(" \r")


def test_a_bootstrap_leaves_no_progress_on_the_terminal(capsys, monkeypatch):
    from core.__main__ import main

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["bootstrap", "morph", "--law", "chinchilla", "--resamples", "4"]) == 0
    err = capsys.readouterr().err
    assert "resampling" in err and err.endswith(" \r")


def test_work_that_fails_or_is_left_is_closed():
    closed = []

    def work():
        try:
            yield "a result"
        finally:
            closed.append(True)

    def refuse(_value):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        followed(work(), refuse)
    assert closed == [True]


def test_a_large_file_is_said_to_be_read_and_a_small_or_missing_one_is_not(
    capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_bytes(b"x")
    with large.open("wb") as file:
        file.truncate(SLOW_BYTES + 1)
    for path in (small, tmp_path / "gone.csv"):
        with said_to_be_read(path):
            pass
    assert capsys.readouterr().err == ""
    with said_to_be_read(large):
        assert capsys.readouterr().err == "      reading large.csv, 3.00 MB\r"
    assert capsys.readouterr().err.strip(" ") == "\r"
