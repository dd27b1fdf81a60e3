"""The writer and its rows against a real Cassandra: what was written is what is read."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cassandra import OperationTimedOut
from cassandra.cluster import Session
from cassandra.query import BatchStatement

from jobs.domain.bars import VERSIONS_PER_GENERATION
from jobs.sinks.cassandra_writer import MAX_BATCH_BYTES, MAX_IN_FLIGHT, CassandraWriter
from jobs.sinks.rows import CandleRows, TradeRows
from schemas.cassandra_session import connect
from schemas.errors import UnavailableError
from schemas.events import Candle, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.settings import CassandraSettings
from schemas.tables import GOLD_TABLES, gold_bucket, trade_minute, trade_shard
from schemas.validation import MAX_NAME_LENGTH
from tests.unit.jobs.builders import START_US
from tests.unit.jobs.payloads import milliseconds, payload, reader

pytestmark = pytest.mark.servers
RETRY_SECONDS = 60.0


@pytest.fixture(scope="module")
def session(cassandra: CassandraSettings) -> Iterator[Session]:
    session = connect(cassandra)
    yield session
    session.cluster.shutdown()


@pytest.fixture
def symbol() -> str:
    """One that no other test uses."""
    return f"T{uuid.uuid4().hex[:10].upper()}"


def some_trades(count: int, symbol: str, **changes: Any) -> list[Trade]:
    """Trades a microsecond apart, each with values of its own."""
    trade = Trade(symbol, 0, 0, 0.0, 0.0, "", 0, "feed", "XNAS", ("@", "取引", ""), False, True)
    return [
        replace(
            trade, event_time=START_US + n, received_at=START_US + 2 * n + 1, price=0.1 + n, size=1e-8 * n,
            trade_id=f"ü{n}", sequence=n, **changes,
        )
        for n in range(count)
    ]  # fmt: skip


def write_trades(session: Session, trades: Sequence[Trade], first_offset: int = 0, **changes: Any) -> None:
    """As the store job does with the records of one batch."""
    payloads = [payload(trade) for trade in trades]
    batch = reader().read(payloads, milliseconds(*(trade.event_time for trade in trades)))
    offsets = range(first_offset, first_offset + len(trades))
    rows = TradeRows(changes.pop("prepare", session))
    writer = CassandraWriter(session, changes.pop("retry_seconds", RETRY_SECONDS))
    writer.write(rows.mutations(batch, payloads, [2] * len(trades), list(offsets)))


def read(session: Session, table: str, symbol: str, minute: int = 0) -> list[dict[str, Any]]:
    """A symbol's rows of one minute, in the table's order."""
    query = f"SELECT * FROM {table} WHERE minute = %s AND shard = %s AND symbol = %s"  # noqa: S608
    rows = session.execute(query, (trade_minute(START_US + minute * MINUTE_US), trade_shard(symbol), symbol))
    return [row._asdict() for row in rows]


def silver(session: Session, symbol: str, minute: int = 0) -> list[Trade]:
    trades = []
    for row in read(session, "trades_silver", symbol, minute):
        fields = {name: value for name, value in row.items() if name not in ("minute", "shard")}
        trades.append(Trade(**fields | {"conditions": tuple(row["conditions"])}))
    return trades


def bronze(session: Session, symbol: str) -> list[tuple[int, int, bytes]]:
    return [
        (row["kafka_partition"], row["kafka_offset"], row["payload"])
        for row in read(session, "trades_bronze", symbol)
    ]


def test_trades_are_read_as_they_were_written(session: Session, symbol: str) -> None:
    """Every field, to the bit and the microsecond; bronze has the very bytes and where they lay."""
    trades = [*some_trades(20, symbol), *some_trades(1, f"^{symbol}", conditions=(), exchange="")]
    write_trades(session, trades, first_offset=7)
    assert silver(session, symbol) == trades[:20]
    assert silver(session, f"^{symbol}") == trades[20:]
    assert bronze(session, symbol) == [(2, 7 + n, payload(trade)) for n, trade in enumerate(trades[:20])]


def test_a_redelivery_changes_nothing(session: Session, symbol: str) -> None:
    """After a restart from a checkpoint the same records come again."""
    trades = some_trades(20, symbol)
    write_trades(session, trades)
    before = silver(session, symbol), bronze(session, symbol)
    write_trades(session, trades[5:15], first_offset=5)
    write_trades(session, trades)
    assert (silver(session, symbol), bronze(session, symbol)) == before


def test_symbols_of_one_shard_stay_apart(session: Session, symbol: str) -> None:
    """They share partitions and batches, also with equal times, sequences and ids."""
    names = [f"{symbol}-{number}" for number in range(100)]
    one, other = [name for name in names if trade_shard(name) == trade_shard(names[0])][:2]
    ours, theirs = some_trades(5, one), some_trades(5, other, exchange="ARCX")
    write_trades(session, [trade for pair in zip(ours, theirs, strict=True) for trade in pair])
    assert silver(session, one) == ours
    assert silver(session, other) == theirs


def test_more_than_fits_one_batch_and_all_that_may_be_in_flight(session: Session, symbol: str) -> None:
    """Nothing is lost at the seams."""
    trades = some_trades(3_000, symbol, exchange="X" * (MAX_IN_FLIGHT * MAX_BATCH_BYTES // 2_500))
    write_trades(session, trades)
    assert silver(session, symbol) == trades


def test_trades_of_many_minutes_and_shards(session: Session, symbol: str) -> None:
    """More partitions than batches in flight."""
    trades = [
        replace(trade, symbol=f"{symbol}-{n}", event_time=START_US + n * MINUTE_US)
        for n, trade in enumerate(some_trades(3 * MAX_IN_FLIGHT, symbol))
    ]
    write_trades(session, trades)
    assert [silver(session, trade.symbol, n) for n, trade in enumerate(trades)] == [[t] for t in trades]


def test_a_large_payload_is_stored(session: Session, symbol: str) -> None:
    """200 KB, more than a batch is meant to hold; its neighbours too."""
    trades = some_trades(3, symbol)
    trades[1] = replace(trades[1], conditions=("c" * 200_000, *["x"] * 500))
    write_trades(session, trades)
    assert silver(session, symbol) == trades
    assert bronze(session, symbol)[1] == (2, 1, payload(trades[1]))


def test_the_longest_names_have_a_row(session: Session, symbol: str) -> None:
    """Cassandra takes no key above 64 KiB; a record that it refuses would stop the job for good."""
    longest = "𝄞" * MAX_NAME_LENGTH
    [trade] = some_trades(1, symbol, source=longest)
    refused = replace(trade, symbol=longest, trade_id=longest)
    write_trades(session, [replace(trade, trade_id=longest), refused])
    assert silver(session, symbol) == [replace(trade, trade_id=longest)]
    assert bronze(session, longest) == [(2, 1, payload(refused))]


def test_a_refused_trade_is_in_bronze_only(session: Session, symbol: str) -> None:
    """As received, and not where bars are made of."""
    good, bad = some_trades(2, symbol)
    bad = replace(bad, price=-1.0)
    write_trades(session, [good, bad])
    assert bronze(session, symbol) == [(2, 0, payload(good)), (2, 1, payload(bad))]
    assert silver(session, symbol) == [good]


@pytest.fixture
def candle(symbol: str) -> Candle:
    prices = 1.0, 4.0, 0.5, 2.0
    end = START_US + MINUTE_US
    return Candle(symbol, "1m", START_US, end, *prices, 10.0, 25.0, 2.5, 3, False, 6, ("feed", "sim"))


def write_candles(session: Session, *candles: Candle) -> None:
    for candle in candles:  # each a write of its own: within one, of a bar only the last one counts
        CassandraWriter(session, RETRY_SECONDS).write(CandleRows(session).mutations([candle]))


def microseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000) * 1000


def gold(session: Session, symbol: str, interval: str = "1m") -> list[Candle]:
    query = f"SELECT * FROM {GOLD_TABLES[interval]} WHERE symbol = %s AND bucket = %s"  # noqa: S608
    candles = []
    for row in session.execute(query, (symbol, gold_bucket(interval, START_US))):
        fields = {name: value for name, value in row._asdict().items() if name != "bucket"}
        times = {name: microseconds(fields[name]) for name in ("start", "end")}
        candles.append(Candle(interval=interval, **fields | times | {"sources": tuple(row.sources)}))
    return candles


def test_a_candle_is_read_as_it_was_written(session: Session, candle: Candle) -> None:
    """In the table of its interval, the newest bar first."""
    candles = [
        replace(candle, interval=interval, start=START_US + n * length, end=START_US + (n + 1) * length)
        for interval, length in INTERVALS.items()
        for n in range(3)
    ]
    CassandraWriter(session, RETRY_SECONDS).write(CandleRows(session).mutations(candles))
    for interval in INTERVALS:
        assert gold(session, candle.symbol, interval) == [
            c for c in reversed(candles) if c.interval == interval
        ]


def test_a_bar_without_prices_is_read_with_nulls(session: Session, candle: Candle) -> None:
    """Also where an older version had some, as after a cancel."""
    bare = replace(candle, open=None, high=None, low=None, close=None, vwap=None, volume=0.0, version=8)
    write_candles(session, candle, bare)
    assert gold(session, candle.symbol) == [bare]


def test_an_older_version_never_overwrites_a_newer_one(session: Session, candle: Candle) -> None:
    """Whatever comes again after a failure, in whatever order."""
    newer = replace(candle, close=3.0, trades=4, version=8)
    write_candles(session, newer, candle)
    assert gold(session, candle.symbol) == [newer]


def test_final_wins_over_live_of_the_same_events(session: Session, candle: Candle) -> None:
    """And a correction over final; not one of them goes back."""
    final = replace(candle, final=True, version=7)
    write_candles(session, final, candle)
    assert gold(session, candle.symbol) == [final]
    corrected = replace(final, close=0.5, version=9)
    write_candles(session, corrected, replace(candle, version=8), final)
    assert gold(session, candle.symbol) == [corrected]


def test_a_generation_wins_over_every_version_before_it(session: Session, candle: Candle) -> None:
    """A rebuild starts counting anew, and replaces what many more events had made."""
    old = replace(candle, final=True, version=2_000_001)
    rebuilt = replace(candle, close=1.5, final=True, version=VERSIONS_PER_GENERATION + 3)
    write_candles(session, old, rebuilt, old)
    assert gold(session, candle.symbol) == [rebuilt]


def test_every_symbol_is_listed_once(session: Session, candle: Candle) -> None:
    """However many candles it has."""
    write_candles(session, candle, replace(candle, symbol=f"{candle.symbol}.B"), replace(candle, version=8))
    rows = session.execute("SELECT symbol FROM symbols WHERE part = 0")
    ours = [row.symbol for row in rows if row.symbol.startswith(candle.symbol)]
    assert ours == [candle.symbol, f"{candle.symbol}.B"]


class Refusing:
    """A session whose first batches time out: ``refusals`` of them, and then the real one's answers."""

    def __init__(self, session: Session, refusals: int) -> None:
        self._session = session
        self.keyspace = session.keyspace
        self.refusals = refusals

    def execute_async(self, batch: BatchStatement) -> Any:
        if self.refusals > 0:
            self.refusals -= 1
            return self
        return self._session.execute_async(batch)

    def result(self) -> None:
        raise OperationTimedOut()


def test_a_refused_write_is_repeated_until_it_is_taken(session: Session, symbol: str) -> None:
    """Nothing is missing afterwards, and nothing of it is doubled."""
    trades = some_trades(5, symbol) + [
        replace(trade, symbol=f"{symbol}.B") for trade in some_trades(5, symbol)
    ]
    refusing = Refusing(session, refusals=3)
    write_trades(refusing, trades, prepare=session)
    assert refusing.refusals == 0
    assert silver(session, symbol) == trades[:5]
    assert silver(session, f"{symbol}.B") == trades[5:]


def test_a_write_that_is_never_taken_fails_the_job(session: Session, symbol: str) -> None:
    """So that nothing is acknowledged that is not stored."""
    with pytest.raises(UnavailableError, match=r"has not taken a write for 0\.3 s"):
        write_trades(
            Refusing(session, refusals=10**9), some_trades(1, symbol), prepare=session, retry_seconds=0.3
        )
    assert silver(session, symbol) == []
