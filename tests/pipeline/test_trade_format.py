"""What the source decodes in the JVM is what DecodeTrades makes of it, or it is left to DecodeTrades."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import isnan
from typing import Any

import numpy as np
import pytest

from jobs.flink import decode_functions
from jobs.flink.decode_functions import DecodeTrades
from jobs.flink.trade_format import COLUMNS
from jobs.settings import JobSettings
from schemas.avro_codec import HEADER, Decoder
from schemas.errors import PoisonError
from schemas.events import Trade
from schemas.validation import MAX_AMOUNT, MAX_NAME_LENGTH
from tests.support.jvm_program import answer_of
from tests.unit.jobs.builders import START_US, a_cancel, a_trade
from tests.unit.jobs.payloads import KNOWN, TRADE_ID, UNKNOWN_ID, payload, without_symbol

pytestmark = pytest.mark.servers
TIMELY = [name for name in COLUMNS if name != "delay"]
"""Columns that say nothing about when a record is read."""


def read(values: list[bytes | None], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """As the source does it."""
    given = [None if value is None else value.hex() for value in values]
    rows: list[dict[str, Any]] = answer_of("tests.pipeline.read_trades", environment, given)
    return rows


@pytest.fixture
def decode(monkeypatch: pytest.MonkeyPatch) -> DecodeTrades:
    monkeypatch.setattr(decode_functions, "prepare_worker", lambda: None)
    function = DecodeTrades(JobSettings(schema_registry_url="http://registry.invalid"), KNOWN)
    function.open(None)  # type: ignore[arg-type]
    return function


def expected(decode: DecodeTrades, value: bytes) -> dict[str, Any] | None:
    """As Python does it, of a record with the time of its event; None for what is no valid trade."""
    try:
        event_time = Decoder((Trade,), lambda _: None, KNOWN).decode_fields(value)["event_time"]
    except PoisonError:
        return None
    columns = decode.eval([value], np.array([event_time // 1000]), np.array([3]), np.array([40]))
    row = {name: np.asarray(columns[name], object).tolist()[0] for name in TIMELY}
    if row["symbol"] is None or not columns["on_time"][0]:
        return None
    return {name: None if isinstance(each, float) and isnan(each) else each for name, each in row.items()}


def some_trades(generator: random.Random) -> Iterator[Trade]:
    """With everything that may vary in a trade of ours."""
    symbols = ("AAPL", "BRK.B", "BTC-USD", "^GSPC", "A" * 32)
    for number in range(300):
        at = generator.randrange(10**15)
        yield replace(
            a_trade(at, price=generator.choice((0.01, 99.995, 1e-12, 64_000.5)) * generator.random() + 1e-9),
            size=generator.choice((0.0, -0.0, 1.0, 0.1, 1e-10, 123_456.789)),
            symbol=generator.choice(symbols),
            source=generator.choice(("sim", "replay:binance", "A")),
            trade_id=f"{number:x}" * generator.randrange(1, 60),
            sequence=generator.choice((0, 1, 2**40, 2**63 - 1)),
            received_at=START_US + at + generator.randrange(-(10**7), 10**7),
            exchange=generator.choice(("", "XNAS")),
            conditions=("@", "T", "I")[: generator.randrange(4)],
            updates_open_close=generator.random() < 0.7,
            updates_high_low=generator.random() < 0.7,
            updates_volume=generator.random() < 0.7,
            correctable=generator.random() < 0.5,
        )


PLAIN = payload(a_trade(conditions=("@",)))
LEFT_TO_PYTHON: Mapping[str, bytes | None] = {
    "a heartbeat": None,
    "nothing": b"",
    "no Avro": b"\x00" * 40,
    "another magic byte": b"\1" + PLAIN[1:],
    "another schema": HEADER.pack(0, UNKNOWN_ID) + PLAIN[HEADER.size :],
    "a schema of somebody else": without_symbol(a_trade()),
    "a correction": payload(a_cancel("t")),
    "more than a trade": PLAIN + b"\0",
    "a text that is not ASCII": payload(a_trade(trade_id="ü")),
    "an exchange that is not ASCII": payload(a_trade(exchange="ü")),
    "no symbol": payload(a_trade(symbol="")),
    "a source as symbol": payload(a_trade(symbol="sim", source="sim")),
    "a long symbol": payload(a_trade(symbol="A" * 33)),
    "no id": payload(a_trade(trade_id="")),
    "a long id": payload(a_trade(trade_id="x" * (MAX_NAME_LENGTH + 1))),
    "no source": payload(a_trade(source="")),
    "a negative sequence": payload(a_trade(sequence=-1)),
    "a time before 1970": payload(replace(a_trade(), event_time=-1)),
    "a price of 0": payload(a_trade(price=0.0)),
    "a price that is no number": payload(a_trade(price=float("nan"))),
    "an endless price": payload(a_trade(price=float("inf"))),
    "a large price": payload(a_trade(price=MAX_AMOUNT * 1.1, size=0.0)),
    "a negative size": payload(a_trade(size=-1.0)),
    "a large size": payload(a_trade(price=0.1, size=MAX_AMOUNT * 1.1)),
    "too much of both": payload(a_trade(price=1e7, size=1e7)),
    **{f"cut off after {length} bytes": PLAIN[:length] for length in range(len(PLAIN))},
}


def test_the_source_decodes_as_python_does_or_not_at_all(
    decode: DecodeTrades, planner_environment: Mapping[str, str]
) -> None:
    """Trades of ours to equal columns, the longest id among them; nothing that is not one of them; and of
    whatever chance makes of their bytes only what Python takes, too, and alike."""
    generator = random.Random(1)
    trades = [
        *some_trades(generator),
        a_trade(trade_id="x" * MAX_NAME_LENGTH),
        a_trade(price=1.0, size=MAX_AMOUNT),
    ]
    whole = list(map(payload, trades))
    broken = [damaged(generator, generator.choice(whole)) for _ in range(1_500)]
    rows = read([*whole, *LEFT_TO_PYTHON.values(), *broken], planner_environment)

    for value, row in zip([*whole, *LEFT_TO_PYTHON.values(), *broken], rows, strict=True):
        assert row["payload"] == (None if value is None else value.hex())
    for value, row in zip(whole, rows, strict=False):
        assert {name: row[name] for name in TIMELY} == expected(decode, value)
    for what, row in zip(LEFT_TO_PYTHON, rows[len(whole) :], strict=False):
        assert {row[name] for name in COLUMNS} == {None}, what
    taken = 0
    for value, row in zip(broken, rows[-len(broken) :], strict=True):
        if row["symbol"] is None:
            assert {row[name] for name in COLUMNS} == {None}
        else:
            taken += 1
            assert {name: row[name] for name in TIMELY} == expected(decode, value)
    assert 100 < taken < len(broken) - 100


def damaged(generator: random.Random, value: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(generator.randrange(1, 4)):
        changed[generator.randrange(HEADER.size, len(changed))] = generator.randrange(256)
    return bytes(changed)


def test_the_header_is_that_of_our_own_schema() -> None:
    """Of which the payloads here are."""
    assert PLAIN[: HEADER.size] == HEADER.pack(0, TRADE_ID)
