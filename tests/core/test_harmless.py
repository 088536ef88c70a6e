"""Names of strangers: a terminal shows them, a spreadsheet does not run them, and they come back."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.harmless import FORMULA, NUMBER, cell, from_cell, visible


def test_a_terminal_is_shown_what_it_would_obey():
    assert visible("\x1b]0;pwn\x07 a\nb\x9b") == "\\x1b]0;pwn\\x07 a\\nb\\x9b".replace(
        "\\n", "\\x0a"
    )
    assert visible("a\n\tb\r", keep="\n\t") == "a\n\tb\\x0d"
    assert visible("gpj.\u202egnp") == "gpj.\\u202egnp"
    # a file name with a byte that is no UTF-8
    assert visible("x\udcff") == "x\\xff"
    plain = "größe 模型 🦓👩‍🚀 ± 3 %"
    assert visible(plain) == plain


@given(st.text(st.characters()))
@example("\ud800")
def test_whatever_it_is_can_be_printed(text):
    assert visible(text).isprintable() or any(not c.isprintable() for c in text)
    visible(text).encode()
    assert visible(visible(text)) == visible(text)


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_a_name_is_no_formula(name):
    assert cell(name) == f"'{name}" and from_cell(cell(name)) == name


@pytest.mark.parametrize(
    "number",
    [
        "+3.1 % higher",
        "-2 ms",
        "+1,234.5",
        "-1.5",
        "+3",
        "-inf",
        "nan",
        "1e-9",
        "",
        "llama-7b",
        "'s",
    ],
)
def test_numbers_and_plain_names_stay(number):
    assert cell(number) == number and from_cell(number) == number


@given(st.text(st.sampled_from("'=+-@\t\r1a"), max_size=5))
def test_every_text_comes_back(text):
    assert from_cell(cell(text)) == text
    assert not cell(text).startswith(FORMULA) or NUMBER.fullmatch(text)
    out = io.StringIO(newline="")
    csv.writer(out).writerow([cell(text), "x"])
    assert from_cell(next(csv.reader(io.StringIO(out.getvalue(), newline="")))[0]) == text
