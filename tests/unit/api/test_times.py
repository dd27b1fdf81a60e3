"""Times as users write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from api.times import parse_time, to_datetime, to_micros, wall_clock

NOON = 1_723_204_800_000_000  # 2024-08-09T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-08-09T12:00:00Z", NOON),
        ("2024-08-09T12:00:00", NOON),
        ("2024-08-09T12:00", NOON),
        ("2024-08-09 12:00", NOON),
        ("2024-08-09T14:00:00+02:00", NOON),
        ("2024-08-09T14:00:00 02:00", NOON),
        ("2024-08-09T07:00:00-05:00", NOON),
        ("2024-08-09T12:00:00.123456Z", NOON + 123_456),
        ("2024-08-09", NOON - 12 * 3_600_000_000),
        ("1723204800000", NOON),
        ("0", 0),
        ("100000000000", 100_000_000_000_000),
    ],
)
def test_every_documented_spelling_is_understood(text: str, expected: int) -> None:
    """ISO 8601 with and without zone, a date, and milliseconds; a '+' lost in the URL is found again."""
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a time"),
        ("yesterday", "is not a time"),
        ("2024-13-01", "is not a time"),
        ("2024-08-09T25:00", "is not a time"),
        ("-5", "is not a time"),
        ("1723204800", "seconds"),
        ("99999999999", "seconds"),
        ("20240809", "seconds"),
        ("253402300800000", "too far ahead"),
        ("9" * 30, "too far ahead"),
        ("1969-12-31T23:59:59Z", "before 1970"),
        ("٣", "is not a time"),
    ],
)
def test_what_is_no_time_is_refused_with_the_reason(text: str, says: str) -> None:
    """Each refusal says what is wrong with it."""
    with pytest.raises(ValueError, match=says):
        parse_time(text)


def test_only_text_is_a_time() -> None:
    """A value that did not come from a URL is refused as well."""
    with pytest.raises(ValueError, match="write ISO 8601"):
        parse_time(5)


def test_microseconds_survive_the_way_to_datetime_and_back() -> None:
    """No rounding, at either end of the range."""
    for micros in (0, 1, NOON + 123_457, 253_402_300_799_999_999):
        assert to_micros(to_datetime(micros)) == micros


def test_a_time_without_zone_is_utc_and_others_are_converted() -> None:
    """The driver gives naive times in UTC."""
    east = timezone(timedelta(hours=9))
    assert to_micros(datetime(2024, 8, 9, 12)) == NOON  # noqa: DTZ001 -- what the driver gives
    assert to_micros(datetime(2024, 8, 9, 21, tzinfo=east)) == NOON


def test_the_wall_clock_counts_microseconds() -> None:
    """It agrees with the standard library's clock to the second and is an integer."""
    before = datetime.now(UTC)
    now = wall_clock()
    assert isinstance(now, int)
    assert before - timedelta(seconds=1) < to_datetime(now) < datetime.now(UTC) + timedelta(seconds=1)
