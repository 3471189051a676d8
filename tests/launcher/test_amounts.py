"""What a plan prints for people: plain figures with a unit, of any size."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.launcher import amounts

PLAIN = re.compile(r"|under 1 (s|MB)|(\d{1,3}(,\d{3})*|\d+)(\.\d+)? (\w+)( \d+ \w+)?|\d{1,3}(,\d{3})*")


@pytest.mark.parametrize(
    ("spelled", "text"),
    [
        (amounts.duration(0), ""), (amounts.duration(1e-5), "under 1 s"), (amounts.duration(0.0095), "34 s"),
        (amounts.duration(278), "278 h"), (amounts.size(0.0032), "3 MB"), (amounts.size(2.26), "2.3 GB"),
        (amounts.size(3448.5), "3,448 GB"), (amounts.count(11_100), "11,100"), (amounts.count(31.35e9), "31.4 billion"),
        (amounts.count(999_999_999), "1 billion"),
    ],
)  # fmt: skip
def test_amounts(spelled: str, text: str) -> None:
    assert spelled == text


@given(st.floats(0, 1e7) | st.integers(0, 10**15), st.sampled_from([amounts.duration, amounts.size, amounts.count]))
def test_no_amount_is_spelled_with_an_exponent_or_as_a_zero_that_is_none(value: float, spell) -> None:
    text = spell(value)
    assert PLAIN.fullmatch(text), text
    assert value < 0.5 or not text.startswith(("0.0", "0 "))
