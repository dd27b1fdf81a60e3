"""Intervals and their spelling."""

from itertools import pairwise

import pytest

from schemas.errors import ConfigurationError
from schemas.intervals import ALIASES, INTERVALS, MINUTE_US, bar_start, parse_interval


def test_intervals_are_these_and_each_divides_the_next() -> None:
    """So that coarser bars can be made of finer ones."""
    assert {name: length // MINUTE_US for name, length in INTERVALS.items()} == {
        "1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440
    }  # fmt: skip
    lengths = list(INTERVALS.values())
    assert all(longer % shorter == 0 for shorter, longer in pairwise(lengths))


def test_names_and_aliases_are_understood() -> None:
    """An alias means its interval, a name itself."""
    assert {text: parse_interval(text) for text in INTERVALS} == {name: name for name in INTERVALS}
    assert {text: parse_interval(text) for text in ALIASES} == ALIASES
    assert parse_interval("1min") == "1m"
    assert parse_interval("60min") == "1h"


@pytest.mark.parametrize("text", ["", "1M", "2m", "1 m", "1d ", "60", "1w"])
def test_another_interval_is_refused_with_those_there_are(text: str) -> None:
    """1M is a month elsewhere: upper case is not taken for a minute."""
    with pytest.raises(ConfigurationError, match="use one of 1m, 5m, 15m, 1h, 4h, 1d"):
        parse_interval(text)


def test_a_bar_holds_its_start_and_not_its_end() -> None:
    """For each interval, at both edges."""
    for interval, length in INTERVALS.items():
        start = 20_000 * INTERVALS["1d"]
        assert bar_start(start, interval) == start
        assert bar_start(start + length - 1, interval) == start
        assert bar_start(start + length, interval) == start + length
