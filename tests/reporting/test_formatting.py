"""Values as text."""

import math

import pytest

from brainmri.reporting.documents import Text, as_html, as_markdown
from brainmri.reporting.formatting import change, code, number, p_value, pair, score, signed, with_ends


def test_figures_have_three_digits_and_say_where_there_is_none():
    assert (number(0.12345), number(2, 1), number(None), number(math.nan, 1)) == (
        "0.123",
        "2.0",
        "not known",
        "not known",
    )
    assert (number(None, absent=""), score(0.5), score(None)) == ("", "0.500", "not defined")
    assert (pair(1, 2.5, 1), pair(math.nan, 1, 1)) == ("1.0 x 2.5", "not known")


def test_an_interval_stands_in_brackets_where_there_is_one():
    ends = {"low": 0.25, "high": 0.75}
    assert with_ends(0.5, ends) == "0.500 (0.250 to 0.750)"
    assert with_ends(0.5, None) == with_ends(0.5, {"low": None, "high": 0.75}) == "0.500"
    assert (with_ends(None, ends), with_ends(None, ends, "none")) == ("not known", "none")


@pytest.mark.parametrize(
    ("difference", "low", "high", "said"),
    [
        (-0.1, -0.25, 0.05, "−0.100 (−0.250 to 0.050)"),
        (0.0, None, None, "+0.000 (no interval)"),
        (None, None, None, "not defined"),
    ],
)
def test_a_change_has_its_sign_and_its_interval(difference, low, high, said):
    assert change({"difference": difference, "low": low, "high": high}) == said


def test_a_difference_of_what_is_no_number_is_nothing():
    assert (signed(0.5), signed(-0.5), signed(None), signed(math.inf)) == ("+0.500", "−0.500", "", "not defined")


def test_small_p_values_are_not_written_out():
    assert (p_value(0.0009), p_value(0.21), p_value(1.0)) == ("p < 0.001", "p = 0.21", "p = 1")


def test_a_value_is_code_whatever_it_holds():
    assert (code("a `b`\n c"), code(""), code([1, 2])) == ("`a 'b' c`", "empty", "`[1, 2]`")
    text = [Text(f"{code('```<img src=x>')} and {code('|')}")]
    assert as_markdown(text) == "`'''<img src=x>` and `\\|`\n"
    assert "<code>&#x27;&#x27;&#x27;&lt;img src=x&gt;</code> and <code>|</code>" in as_html([*text, *text])
