"""Numbers, lists and errors as texts have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaae_nipype.words import (
    capitalised,
    counted,
    duration,
    few_and_more,
    first_few,
    in_one_line,
    listed,
    number,
    one_line,
    percent,
)

NAMES = st.lists(st.text("abc", min_size=1), max_size=8)


@given(st.integers(0, 1000))
def test_only_one_is_not_plural(n):
    assert counted(n, "run") == f"{n} run" + ("" if n == 1 else "s")


@given(NAMES)
def test_a_list_names_everything_and_says_and_once(names):
    text = listed(names)
    assert text.replace(" and ", ", ").split(", ") == (names or [""])
    assert text.count(" and ") == (len(names) > 1)


@given(NAMES, st.integers(0, 8))
def test_shortened_lists_tell_whether_there_are_others(names, most):
    assert first_few(names, most) == ", ".join(names[:most]) + (" …" if len(names) > most else "")
    left = len(names) - most
    assert few_and_more(names, most) == ", ".join(names[:most]) + (f" and {left} more" if left > 0 else "")


def test_lists_take_what_is_no_text_and_what_can_be_walked_through_once():
    assert listed(iter(range(3))) == "0, 1 and 2"
    assert first_few(iter(range(3)), 2, end="!", separator="; ") == "0; 1!"
    assert few_and_more(iter(range(7))) == "0, 1, 2, 3, 4 and 2 more"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations_are_in_seconds_minutes_or_hours(seconds, text):
    assert duration(seconds) == text


@given(st.floats(-1e6, 1e6), st.integers(0, 4))
def test_numbers_are_rounded_and_never_minus_zero(value, digits):
    text = number(value, digits)
    assert abs(float(text) - value) <= 0.5 * 10**-digits + 1e-9
    assert float(text) != 0 or "-" not in text


@pytest.mark.parametrize("value", [None, True, "3", float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_said_to_be_none(value):
    assert number(value) == "n/a"
    assert value is True or percent(value) == "n/a"


@given(st.text())
def test_one_line_is_one_line_and_stays_as_it_is(text):
    once = one_line(text)
    assert len(once.splitlines()) <= 1
    assert one_line(once) == once
    assert once.split() == text.split()


def test_an_error_without_words_is_called_by_its_kind():
    assert in_one_line(EOFError(" \n")) == "EOFError"


@given(st.text("abcÄß ", min_size=1))
def test_only_the_first_letter_becomes_a_capital(text):
    assert capitalised(text)[-len(text[1:]) :] == text[1:] or len(text) == 1
    assert capitalised(text)[:1].isupper() or not text[0].isalpha()
