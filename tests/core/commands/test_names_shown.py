"""What a file names itself never reaches the terminal as it is."""

import json

from core.__main__ import main
from core.commands.following import followed
from core.project.project import Project

NAME = "tiny\x1b]0;pwned\x07\x9b2J"


def test_a_name_from_a_file_cannot_write_to_the_terminal(tmp_path, capsys):
    results, project = tmp_path / "r.csv", tmp_path / "p.paretoscope"
    rows = f"model,params,ttft_ms,tpot_ms\n{NAME},1000000,3,1\nother,2000000,5,2\n"
    results.write_text(rows, encoding="utf-8")
    assert main(["import", str(project), str(results)]) == 0
    assert main(["import", str(project), str(tmp_path / NAME)]) == 2
    out, err = capsys.readouterr()
    assert not any(c in out + err for c in "\x1b\x07\x9b")
    assert "\\x1b]0;pwned\\x07" in out and "\\x1b]0;pwned\\x07" in err


def test_a_name_of_two_lines_forges_no_line(tmp_path, capsys):
    results, project = tmp_path / "r.jsonl", tmp_path / "p.paretoscope"
    row = {"model": "tiny\nstored in another.paretoscope", "params": 1000000, "ttft_ms": 3}
    results.write_text(json.dumps(row) + "\n" + json.dumps(row | {"model": "b"}))
    assert main(["import", str(project), str(results)]) == 0
    out = capsys.readouterr().out
    assert "\nstored in another" not in out
    with Project.open(project) as stored:
        assert "\n" not in "".join(p.name for p in stored.imported())


def test_nor_does_what_is_told_on_the_way(capsys):
    def steps():
        yield NAME

    followed(steps(), lambda name: name)
    assert "\\x1b]0;pwned" in capsys.readouterr().err
