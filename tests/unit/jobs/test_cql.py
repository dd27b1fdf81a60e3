"""Values in CQL's binary form, read back by the driver's own types."""

from datetime import UTC, datetime
from io import BytesIO
from math import inf, isnan, nan

import pytest
from cassandra.cqltypes import (
    BooleanType,
    DateType,
    DoubleType,
    Int32Type,
    ListType,
    LongType,
    MapType,
    SimpleDateType,
    UTF8Type,
)
from cassandra.protocol import read_value
from cassandra.util import Date

from jobs.sinks import cql
from tests.unit.jobs.builders import DAY_US, START_US

PROTOCOL = 5
TEXTS = ListType.apply_parameters([UTF8Type])
DOUBLES = MapType.apply_parameters([UTF8Type, DoubleType])


@pytest.mark.parametrize("value", [0, 1, -1, 2**31 - 1, -(2**31)])
def test_int(value: int) -> None:
    """Four bytes."""
    assert Int32Type.from_binary(cql.int32(value), PROTOCOL) == value


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_bigint(value: int) -> None:
    """Eight bytes."""
    assert LongType.from_binary(cql.bigint(value), PROTOCOL) == value


@pytest.mark.parametrize("value", [0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, inf, -inf])
def test_double(value: float) -> None:
    """To the bit."""
    assert DoubleType.from_binary(cql.double(value), PROTOCOL) == value


def test_timestamp() -> None:
    """Milliseconds: what is below is cut."""
    assert DateType.from_binary(cql.timestamp(START_US + 1_999), PROTOCOL).replace(tzinfo=UTC) == datetime(
        2024, 8, 9, 0, 0, 0, 1_000, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("time_us", "day"),
    [
        (START_US, "2024-08-09"),
        (START_US + DAY_US - 1, "2024-08-09"),
        (START_US + DAY_US, "2024-08-10"),
        (0, "1970-01-01"),
        (-1, "1969-12-31"),
        (253_402_300_799_999_999, "9999-12-31"),
    ],
)
def test_date(time_us: int, day: str) -> None:
    """The UTC day, from its first microsecond to its last; the same bytes as the driver's."""
    assert SimpleDateType.from_binary(cql.date(time_us), PROTOCOL) == Date(day)
    assert cql.date(time_us) == SimpleDateType.to_binary(Date(day), PROTOCOL)


@pytest.mark.parametrize("value", [True, False])
def test_boolean(value: bool) -> None:
    """One byte."""
    assert BooleanType.from_binary(cql.boolean(value), PROTOCOL) is value


@pytest.mark.parametrize("value", [[], ["@"], ["", "é", "取引", "x" * 70_000]])
def test_text_list(value: list[str]) -> None:
    """Empty, with empty elements, in any script, longer than 64 KiB; the same bytes as the driver's."""
    assert TEXTS.from_binary(cql.text_list(tuple(value)), PROTOCOL) == value
    assert cql.text_list(tuple(value)) == TEXTS.to_binary(value, PROTOCOL)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"sma_20": 0.1 + 0.2},
        {"vwap": -0.0, "": 5e-324, "é": inf, "取引": -inf, "x" * 70_000: 1.5},
        {"b": 1.0, "a": 2.0, "B": 3.0, "aa": 4.0},
    ],
)
def test_double_map(value: dict[str, float]) -> None:
    """Empty, in any script, with a name longer than 64 KiB; the same bytes as the driver's, in the order that
    Cassandra keeps: by the bytes of the names, whatever the order they come in."""
    written = cql.double_map(value)
    assert dict(DOUBLES.from_binary(written, PROTOCOL)) == value
    ordered = dict(sorted(value.items(), key=lambda item: item[0].encode()))
    assert written == DOUBLES.to_binary(ordered, PROTOCOL)
    assert written == cql.double_map(dict(reversed(value.items())))


def test_double_map_keeps_a_value_that_is_not_a_number() -> None:
    """An indicator of a foreign producer stops nothing."""
    assert isnan(DOUBLES.from_binary(cql.double_map({"sma_20": nan}), PROTOCOL)["sma_20"])


def test_optional_values() -> None:
    """None is null, 0 is not."""
    assert [cql.optional_double(value) for value in (None, 0.0)] == [None, cql.double(0.0)]
    assert [cql.optional_bigint(value) for value in (None, 0)] == [None, cql.bigint(0)]


@pytest.mark.parametrize("value", [b"", b"x", b"\0" * 300])
def test_a_value_in_a_row_follows_its_length(value: bytes) -> None:
    """Four bytes of it; an empty value is not null."""
    stream = BytesIO(cql.sized(value))
    assert read_value(stream) == value
    assert not stream.read()


def test_null_in_a_row() -> None:
    """Has a length of its own, and no bytes."""
    assert read_value(BytesIO(cql.sized(None))) is None


@pytest.mark.parametrize("value", ["", "XNAS", "取引"])
def test_a_name_in_a_row(value: str) -> None:
    """The text in UTF-8, after its length in bytes."""
    assert cql.name(value) == cql.sized(value.encode())
