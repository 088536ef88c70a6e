"""The Laws panel's rows: parameters that the runs leave open have no number."""

from pathlib import Path

from core.fit.solve import fit
from core.fit.terms import SIZES, term_answers
from core.formats.runs.reading import read_runs
from gui.panels.law_rows import answer_rows, parameter_rows

ONE_SIZE = Path(__file__).parents[2] / "fixtures" / "runs" / "one_size.csv"


def texts(fits):
    _, rows = parameter_rows(fits)
    return {row[0].text: row[1:] for row in rows}


def test_a_parameter_that_the_runs_leave_open_is_not_a_number():
    runs = read_runs(ONE_SIZE)
    found, insisted = (fit(runs, "chinchilla", insist=insist) for insist in (False, True))
    shown = texts([found, insisted])
    for name in ("A", "alpha", "E"):
        left, right = shown[name]
        assert left.text == "not determined" and "one size" in left.tip and left.tone == "warn"
        assert right.text.endswith("(not determined)") and right.tip == left.tip
    assert float(shown["beta"][0].text) == float(shown["beta"][1].text)


def test_the_answers_of_the_panel_are_the_reasons_of_the_refusal():
    runs = read_runs(ONE_SIZE)
    found = fit(runs, "chinchilla")
    rows = answer_rows(term_answers(found, runs))
    first = next(row for row in rows if row[1].text == SIZES)
    assert first[0].text == "✗ no" and first[2].text == found.withheld
