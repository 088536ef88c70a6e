import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unusable
from core.units import format_quantity, parse_quantity


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
