"""Values in CQL's binary form, read back by the driver's own types."""

from datetime import UTC, datetime

import pytest
from cassandra.cqltypes import BooleanType, DateType, DoubleType, Int32Type, ListType, LongType, UTF8Type

from jobs.sinks import cql
from tests.unit.jobs.builders import START_US

PROTOCOL = 5
TEXTS = ListType.apply_parameters([UTF8Type])


@pytest.mark.parametrize("value", [0, 1, -1, 2**31 - 1, -(2**31)])
def test_int(value: int) -> None:
    """Four bytes."""
    assert Int32Type.from_binary(cql.int32(value), PROTOCOL) == value


@pytest.mark.parametrize("value", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_bigint(value: int) -> None:
    """Eight bytes."""
    assert LongType.from_binary(cql.bigint(value), PROTOCOL) == value


@pytest.mark.parametrize("value", [0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308])
def test_double(value: float) -> None:
    """To the bit."""
    assert DoubleType.from_binary(cql.double(value), PROTOCOL) == value


def test_timestamp() -> None:
    """Milliseconds: what is below is cut."""
    assert DateType.from_binary(cql.timestamp(START_US + 1_999), PROTOCOL).replace(tzinfo=UTC) == datetime(
        2024, 8, 9, 0, 0, 0, 1_000, tzinfo=UTC
    )


@pytest.mark.parametrize("value", [True, False])
def test_boolean(value: bool) -> None:
    """One byte."""
    assert BooleanType.from_binary(cql.boolean(value), PROTOCOL) is value


@pytest.mark.parametrize("value", [[], ["@"], ["", "é", "取引", "x" * 70_000]])
def test_text_list(value: list[str]) -> None:
    """Empty, with empty elements, in any script, longer than 64 KiB; the same bytes as the driver's."""
    assert TEXTS.from_binary(cql.text_list(value), PROTOCOL) == value
    assert cql.text_list(tuple(value)) == TEXTS.to_binary(value, PROTOCOL)
