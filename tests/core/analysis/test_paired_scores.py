"""Two models on the same questions."""

import json

import numpy as np
import pytest

from core import __main__ as command_line
from core.analysis.paired_scores import paired_scores
from core.records.imported import ImportedPoint


def point(name, scores):
    found = {str(i): float(s) for i, s in enumerate(scores)}
    return ImportedPoint(name, None, None, "", {}, f"{name}.jsonl", "x", scores=found)


def test_the_difference_is_known_better_than_either_share():
    """Both answers depend on the question; the interval of the mean difference holds the truth."""
    draws = np.random.default_rng(7)
    held = 0
    for _ in range(300):
        hard = draws.random(200) < 0.5
        one = np.where(hard, draws.random(200) < 0.15, draws.random(200) < 0.95)
        two = np.where(hard, draws.random(200) < 0.10, draws.random(200) < 0.90)
        (pair,) = paired_scores(points := [point("a, t", one), point("b, t", two)], points)
        assert pair.difference == pytest.approx(one.mean() - two.mean())
        held += pair.low <= 0.05 <= pair.high
        # apart each share has 3.5 %, their difference 5 %
        assert (pair.high - pair.low) / 2 < 1.96 * np.sqrt(2 * 0.25 / 200)
    assert 0.91 <= held / 300 <= 0.98


def test_only_the_same_task_and_shared_questions_count():
    a, b = point("a, t", [1, 0] * 6), point("b, t", [1, 0] * 6)
    other, few = point("b, u", [1] * 12), point("c, t", [1] * 5)
    (pair,) = paired_scores([a, b, other, few], [b])
    assert (pair.task, pair.first, pair.second, pair.questions) == ("t", "a", "b", 12)
    # nothing tells them apart: no interval of width 0
    assert (pair.difference, pair.low, pair.high) == (0.0, None, None)
    assert not paired_scores([a, b], [])


def test_import_compares_what_it_stores(tmp_path, capsys):
    project = str(tmp_path / "p.paretoscope")
    for model, right in (("org__a", 9), ("org__b", 6)):
        (tmp_path / model).mkdir()
        rows = (f'{{"doc_id": {i}, "resps": [], "acc": {int(i < right)}}}' for i in range(12))
        (tmp_path / model / "samples_t.jsonl").write_text("\n".join(rows))
        assert command_line.main(["import", project, str(tmp_path / model), "--json"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("t, 12 questions of both: org/a - org/b = +0.250 (-0.")
    (pair,) = json.loads(last)["paired"]
    assert pair["questions"] == 12 and pair["difference"] == pytest.approx(0.25)
