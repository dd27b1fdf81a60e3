"""The rows that the JVM makes of plain trades are those that Python makes of them, byte for byte."""

import random
from collections.abc import Iterator, Mapping

import pytest

from jobs.flink.trade_format import fields_of_trades
from jobs.sinks.tick_rows import TradeRows
from schemas.avro_codec import Decoder
from schemas.errors import PoisonError
from schemas.events import Trade
from schemas.validation import MAX_AMOUNT, MAX_NAME_LENGTH, SYMBOL
from tests.pipeline.test_trade_format import LEFT_TO_PYTHON, damaged, some_trades
from tests.support.java_writer import JavaWriter, java_writer
from tests.unit.jobs.builders import a_trade
from tests.unit.jobs.payloads import KNOWN, TRADE_ID, milliseconds, payload, reader

pytestmark = pytest.mark.servers
PARTITION, OFFSET = 7, 2**40


@pytest.fixture(scope="module")
def java(planner_environment: Mapping[str, str]) -> Iterator[JavaWriter]:
    with java_writer(planner_environment) as java:
        java.set_rules(TRADE_ID, fields_of_trades(), SYMBOL.pattern, (MAX_NAME_LENGTH, MAX_AMOUNT))
        yield java


def rows_of_python(value: bytes) -> bytes:
    """Of a record with the time of its event; nothing where it is no valid trade."""
    try:
        event_time = Decoder((Trade,), lambda _: None, KNOWN).decode_fields(value)["event_time"]
    except PoisonError:
        return b""
    batch = reader().read([value], milliseconds(event_time))
    if not batch.positions:
        return b""
    return b"".join(TradeRows().rows(batch, [value], [PARTITION], [OFFSET]))


def test_rows_of_plain_trades_are_those_of_python(java: JavaWriter) -> None:
    """With all that may vary in a trade of ours: long and many conditions, and the longest id."""
    trades = [
        *some_trades(random.Random(2)),
        a_trade(trade_id="x" * MAX_NAME_LENGTH, conditions=("",) * 200),
        a_trade(exchange="X" * 5_000, conditions=("c" * 70, "d" * 20_000)),
    ]
    for value in map(payload, trades):
        assert java.trade_rows(PARTITION, OFFSET, value) == rows_of_python(value) != b""


@pytest.mark.parametrize("what", [name for name, value in LEFT_TO_PYTHON.items() if value is not None])
def test_whatever_else_is_left_to_python(java: JavaWriter, what: str) -> None:
    """Be it valid or not."""
    value = LEFT_TO_PYTHON[what]
    assert value is not None
    assert java.trade_rows(PARTITION, OFFSET, value) == b""


def test_of_what_chance_makes_of_trades_rows_are_those_of_python_or_left_to_it(java: JavaWriter) -> None:
    """Nothing that Python would refuse is written."""
    generator = random.Random(3)
    whole = list(map(payload, some_trades(generator)))
    taken = 0
    for _ in range(1_500):
        value = damaged(generator, generator.choice(whole))
        rows = java.trade_rows(PARTITION, OFFSET, value)
        assert rows in (b"", rows_of_python(value))
        taken += rows != b""
    assert 100 < taken < 1_400
