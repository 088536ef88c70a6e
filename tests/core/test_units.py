import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.units import (
    factor_of,
    format_quantity,
    number,
    parse_quantity,
    plain_number,
    plus_minus,
    whole_number,
)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("8ms", "s", 0.008),
        ("8 ms", "s", 0.008),
        ("1.5B", "count", 1.5e9),
        ("24GB", "B", 24e9),
        ("24GiB", "B", 24 * 2**30),
        ("24gb", "B", 24e9),
        ("3e21", "FLOP", 3e21),
        ("50%", "", 0.5),
        ("1,000", "", 1000.0),
        ("-3", "", -3.0),
        ("2min", "s", 120.0),
        ("9ms", "s", 0.009),
        ("9 milliseconds", "s", 0.009),
        ("2 million", "count", 2e6),
        ("5MJ", "J", 5e6),
        ("5mJ", "J", 0.005),
        ("50 tokens/sec", "tokens/s", 50.0),
    ],
)
def test_quantities_read_as_people_write_them(text, unit, value):
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit"), [("fast", "s"), ("8 apples", "s"), ("", "B"), ("1e", "")]
)
def test_what_is_no_quantity_is_refused_with_its_own_words(text, unit):
    with pytest.raises(Unusable) as refused:
        parse_quantity(text, unit)
    assert text.strip() in str(refused.value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0082, "s", "8.20 ms"),
        (0.99999999, "s", "1.00 s"),
        (1.5e9, "count", "1.50B"),
        (999.96e6, "B", "1.00 GB"),
        (0.0, "s", "0 s"),
        (float("nan"), "s", "unknown"),
        (float("inf"), "B", "∞"),
        (12345.0, "", "12,345"),
        (123.45, "", "123"),
        (1234567.0, "", "1.23e6"),
        (-0.0042, "s", "-4.20 ms"),
    ],
)
def test_quantities_are_written_short(value, unit, text):
    assert format_quantity(value, unit) == text


@given(
    st.floats(min_value=1e-9, max_value=1e15),
    st.sampled_from(["s", "B", "count", "J", "tokens/s", "W", "", "FLOP"]),
)
def test_what_is_written_reads_back_to_three_digits(value, unit):
    text = format_quantity(value, unit)
    if "e" in text and unit in ("B", "count") and text[-1] == "B":
        return
    assert math.isclose(parse_quantity(text, unit), value, rel_tol=6e-3)


@pytest.mark.parametrize(
    "text", ["1e400", "-1e400ms", "1e309s", "1e99999999999999999999", "9e307h"]
)
def test_a_number_too_large_to_keep_is_said(text):
    with pytest.raises(Unusable, match="too large a number"):
        parse_quantity(text, "s")


def test_a_comma_is_one_between_thousands_or_refused():
    assert parse_quantity("3,500ms", "s") == 3.5
    assert parse_quantity("1,234,567.5") == 1234567.5
    for text in ("3,5", "3,5ms", "1,23,456", "12,34"):
        with pytest.raises(Unusable, match="decimal point"):
            parse_quantity(text, "s")


# --- cells of tables


@given(st.floats(1e-3, 1e15), st.sampled_from(["", "k", "M", "B", "T"]))
def test_numbers_read_back_what_was_written(value, suffix):
    scale = {"": 1, "k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}[suffix]
    assert number(f"{value!r}{suffix}") == pytest.approx(value * scale, rel=1e-9, abs=1e-6)
    assert number(f" -{value!r}{suffix} ") == pytest.approx(-value * scale, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1.1B", 1_100_000_000),
        ("1,000,000", 1e6),
        ("1 000 000", 1e6),
        ("1_000", 1000),
        ("-Infinity", -math.inf),
        ("1e400", math.inf),
        (10**400, math.inf),
        (3, 3.0),
    ],
)
def test_cells_read_as_the_numbers_they_are(cell, value):
    assert number(cell) == value


@pytest.mark.parametrize("cell", ["", " NaN ", "n/a", None, "--", math.nan])
def test_empty_cells_are_not_a_number(cell):
    assert math.isnan(number(cell)) and math.isnan(plain_number(cell))


@pytest.mark.parametrize("cell", ["red", "3,5", "1 0", "1.5 GB", "B", True, "²", "1e", "0x10"])
def test_cells_that_are_no_number_are_refused(cell):
    with pytest.raises(ValueError, match=r"."):
        number(cell)
    assert plain_number(cell) is None


def test_a_suffix_makes_a_cell_no_plain_number():
    assert plain_number("125M") is None and plain_number(" 1e3 ") == 1000.0


@pytest.mark.parametrize(
    ("spelling", "unit", "factor"),
    [
        ("GiB", "B", 2**30),
        ("mib", "B", 2**20),
        ("b", "B", 1.0),
        ("b", "count", 1e9),
        ("Millions", "count", 1e6),
        ("kWh", "J", 3.6e6),
        ("mJ", "J", 1e-3),
        ("mj", "J", None),
        ("%", "", 0.01),
        ("", "", 1.0),
        ("", "s", None),
        ("s", "B", None),
        ("count", "count", None),
        ("nats/token", "nats/token", 1.0),
    ],
)
def test_spellings_of_units(spelling, unit, factor):
    assert factor_of(spelling, unit) == factor


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("0", None), ("²", None), ("-1", None), ("1.0", None), ("", None)],
)
def test_whole_numbers(text, value):
    assert whole_number(text) == value
    assert whole_number("1" * 5000) is None


def test_what_may_be_off_by_more_than_itself_is_unknown():
    assert plus_minus(0.0412) == "± 4.1 %" and plus_minus(0.3) == "± 30 %"
    assert plus_minus(1.0) == "± 100 %" and plus_minus(0.0) == "± 0 %"
    for share in (1.01, 115.51, float("inf"), float("nan"), -0.1):
        assert plus_minus(share) == "interval unknown" and plus_minus(share, "") == ""
