"""The writer and its rows against a real Cassandra: what was written is what is read."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from threading import Timer
from typing import Any

import pytest
from cassandra.cluster import Session

from jobs.domain.bars import VERSIONS_PER_GENERATION
from jobs.sinks.event_rows import AlertRows, CandleRows, GapRows
from jobs.sinks.tick_rows import QuoteRows, TradeRows
from schemas.cassandra_session import connect
from schemas.events import Alert, Candle, Correction, Gap, Quote, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.quotes import mid, spread
from schemas.settings import CassandraSettings
from schemas.tables import GOLD_TABLES, alert_bucket, gold_bucket, trade_minute, trade_shard
from schemas.validation import MAX_NAME_LENGTH
from tests.support.gate import gate_to
from tests.support.java_writer import JavaWriter, WriteFailedError, java_writer
from tests.unit.jobs.builders import START_US, a_cancel
from tests.unit.jobs.payloads import milliseconds, payload, quote_reader, reader

pytestmark = pytest.mark.servers
RETRY_SECONDS = 60
BATCH_BYTES = 40 * 1024
IN_FLIGHT = 64
"""Of CassandraWriter in jobs/java: how large a batch is, and how many are on their way."""


@pytest.fixture(scope="module")
def session(cassandra: CassandraSettings) -> Iterator[Session]:
    session = connect(cassandra)
    yield session
    session.cluster.shutdown()


@pytest.fixture(scope="module")
def writer(cassandra: CassandraSettings, planner_environment: Mapping[str, str]) -> Iterator[JavaWriter]:
    with java_writer(planner_environment) as writer:
        writer.connect(cassandra, RETRY_SECONDS)
        yield writer


@pytest.fixture
def symbol() -> str:
    """One that no other test uses."""
    return f"T{uuid.uuid4().hex[:10].upper()}"


def some_trades(count: int, symbol: str, **changes: Any) -> list[Trade]:
    """Trades a microsecond apart, each with values of its own."""
    trade = Trade(symbol, 0, 0, 0.0, 0.0, "", 0, "feed", "XNAS", ("@", "取引", ""), False, True, False, True)
    return [
        replace(
            trade, event_time=START_US + n, received_at=START_US + 2 * n + 1, price=0.1 + n, size=1e-8 * n,
            trade_id=f"ü{n}", sequence=n, **changes,
        )
        for n in range(count)
    ]  # fmt: skip


def trade_rows(trades: Sequence[Trade | Correction], first_offset: int = 0) -> Iterator[bytes]:
    """As the store job makes them of the records of one batch."""
    payloads = [payload(trade) for trade in trades]
    batch = reader().read(payloads, milliseconds(*(trade.event_time for trade in trades)))
    offsets = range(first_offset, first_offset + len(trades))
    return TradeRows().rows(batch, payloads, [2] * len(trades), list(offsets))


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


def test_trades_are_read_as_they_were_written(session: Session, writer: JavaWriter, symbol: str) -> None:
    """Every field, to the bit and the microsecond; bronze has the very bytes and where they lay."""
    trades = [*some_trades(20, symbol), *some_trades(1, f"^{symbol}", conditions=(), exchange="")]
    writer.write(trade_rows(trades, first_offset=7))
    assert silver(session, symbol) == trades[:20]
    assert silver(session, f"^{symbol}") == trades[20:]
    assert bronze(session, symbol) == [(2, 7 + n, payload(trade)) for n, trade in enumerate(trades[:20])]


def test_a_redelivery_changes_nothing(session: Session, writer: JavaWriter, symbol: str) -> None:
    """After a restart from a checkpoint the same records come again."""
    trades = some_trades(20, symbol)
    writer.write(trade_rows(trades))
    before = silver(session, symbol), bronze(session, symbol)
    writer.write(trade_rows(trades[5:15], first_offset=5))
    writer.write(trade_rows(trades))
    assert (silver(session, symbol), bronze(session, symbol)) == before


def test_symbols_of_one_shard_stay_apart(session: Session, writer: JavaWriter, symbol: str) -> None:
    """They share partitions and batches, also with equal times, sequences and ids."""
    names = [f"{symbol}-{number}" for number in range(100)]
    one, other = [name for name in names if trade_shard(name) == trade_shard(names[0])][:2]
    ours, theirs = some_trades(5, one), some_trades(5, other, exchange="ARCX")
    writer.write(trade_rows([trade for pair in zip(ours, theirs, strict=True) for trade in pair]))
    assert silver(session, one) == ours
    assert silver(session, other) == theirs


def test_more_than_fits_one_batch_and_all_that_may_be_in_flight(
    session: Session, writer: JavaWriter, symbol: str
) -> None:
    """Nothing is lost at the seams."""
    trades = some_trades(3_000, symbol, exchange="X" * (IN_FLIGHT * BATCH_BYTES // 2_500))
    writer.write(trade_rows(trades))
    assert silver(session, symbol) == trades


def test_trades_of_many_minutes_and_shards(session: Session, writer: JavaWriter, symbol: str) -> None:
    """More partitions than batches in flight."""
    trades = [
        replace(trade, symbol=f"{symbol}-{n}", event_time=START_US + n * MINUTE_US)
        for n, trade in enumerate(some_trades(3 * IN_FLIGHT, symbol))
    ]
    writer.write(trade_rows(trades))
    assert [silver(session, trade.symbol, n) for n, trade in enumerate(trades)] == [[t] for t in trades]


def test_a_large_payload_is_stored(session: Session, writer: JavaWriter, symbol: str) -> None:
    """200 KB, more than a batch is meant to hold; its neighbours too."""
    trades = some_trades(3, symbol)
    trades[1] = replace(trades[1], conditions=("c" * 200_000, *["x"] * 500))
    writer.write(trade_rows(trades))
    assert silver(session, symbol) == trades
    assert bronze(session, symbol)[1] == (2, 1, payload(trades[1]))


def test_the_longest_names_have_a_row(session: Session, writer: JavaWriter, symbol: str) -> None:
    """Cassandra takes no key above 64 KiB; a record that it refuses would stop the job for good."""
    longest = "𝄞" * MAX_NAME_LENGTH
    [trade] = some_trades(1, symbol, source=longest)
    refused = replace(trade, symbol=longest, trade_id=longest)
    writer.write(trade_rows([replace(trade, trade_id=longest), refused]))
    assert silver(session, symbol) == [replace(trade, trade_id=longest)]
    assert bronze(session, longest) == [(2, 1, payload(refused))]


def test_a_refused_trade_is_in_bronze_only(session: Session, writer: JavaWriter, symbol: str) -> None:
    """As received, and not where bars are made of."""
    good, bad = some_trades(2, symbol)
    bad = replace(bad, price=-1.0)
    writer.write(trade_rows([good, bad]))
    assert bronze(session, symbol) == [(2, 0, payload(good)), (2, 1, payload(bad))]
    assert silver(session, symbol) == [good]


def corrections(session: Session, symbol: str, minute: int = 0) -> list[Correction]:
    found = []
    for row in read(session, "trade_corrections", symbol, minute):
        fields = {name: value for name, value in row.items() if name not in ("minute", "shard")}
        found.append(Correction(**fields | {"conditions": tuple(row["conditions"])}))
    return found


def test_corrections_are_read_as_they_were_written(session: Session, writer: JavaWriter, symbol: str) -> None:
    """Beside trades and what was refused, in one batch; the trade stays as it was first reported."""
    [trade] = some_trades(1, symbol)
    correct = Correction(symbol, START_US + 5, START_US + 6, "ü-c", 2**62, "feed", trade.trade_id, START_US,
                         "correct", 0.1 + 0.2, 1e-8, "XNAS", ("@", "取"), False, True, False)  # fmt: skip
    cancel = a_cancel(trade.trade_id, 7, symbol=symbol, correction_id="c-2", source="feed")
    refused = replace(cancel, correction_id="c-3", kind="bust", event_time=START_US + 8)
    later = replace(cancel, correction_id="c-4", event_time=START_US + MINUTE_US)
    events = [correct, trade, refused, cancel, later]
    for _ in range(2):  # a redelivery changes nothing
        writer.write(trade_rows(events))
        assert silver(session, symbol) == [trade]
        assert corrections(session, symbol) == [correct, cancel]
        assert corrections(session, symbol, minute=1) == [later]
        assert bronze(session, symbol) == [(2, offset, payload(events[offset])) for offset in (1, 0, 3, 2)]


def some_quotes(count: int, symbol: str, **changes: Any) -> list[Quote]:
    """Quotes a microsecond apart, each with values of its own."""
    return [
        Quote(**{
            "symbol": symbol, "event_time": START_US + n, "received_at": START_US + 2 * n, "bid": 0.1 + n,
            "bid_size": 1e-8 * n, "ask": 0.3 + n, "ask_size": 3.0 * n, "sequence": n, "source": "ü",
            "exchange": "XNAS",
        } | changes)
        for n in range(count)
    ]  # fmt: skip


def write_quotes(writer: JavaWriter, *quotes: Quote) -> None:
    """As the store job does with the records of one batch."""
    times = milliseconds(*(quote.event_time for quote in quotes))
    writer.write(QuoteRows().rows(quote_reader().read(map(payload, quotes), times)))


def as_quote(row: dict[str, Any]) -> Quote:
    """A row as a quote, after a look at what was computed from it."""
    quote = Quote(**{name: row[name] for name in Quote.__dataclass_fields__})
    assert (row["mid"], row["spread"]) == (mid(quote.bid, quote.ask), spread(quote.bid, quote.ask))
    return quote


def latest(session: Session, symbol: str) -> Quote:
    [row] = session.execute("SELECT * FROM latest_quotes WHERE part = 0 AND symbol = %s", (symbol,))
    return as_quote(row._asdict())


def test_quotes_are_read_as_they_were_written(session: Session, writer: JavaWriter, symbol: str) -> None:
    """Every field, to the bit and the microsecond, in the order of the quotes; crossed ones too."""
    quotes = [*some_quotes(20, symbol), *some_quotes(1, f"{symbol}.B", bid=2.0, ask=1.0)]
    write_quotes(writer, *reversed(quotes))
    assert [as_quote(row) for row in read(session, "quotes", symbol)] == quotes[:20]
    assert [as_quote(row) for row in read(session, "quotes", f"{symbol}.B")] == quotes[20:]
    assert (latest(session, symbol), latest(session, f"{symbol}.B")) == (quotes[19], quotes[20])


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_latest_quote_stays_whatever_the_order_of_the_writes(
    session: Session, writer: JavaWriter, symbol: str, order: tuple[int, ...]
) -> None:
    """By time, and within a microsecond by sequence; whole, not mixed of two of them."""
    early, one, other = some_quotes(3, symbol)
    one = replace(one, event_time=START_US + 9, bid=50.0, ask=2.0, bid_size=1.0, exchange="ZZZZ")
    other = replace(other, event_time=START_US + 9, bid=1.0, ask=60.0, bid_size=9.0, exchange="AAAA")
    assert one.sequence < other.sequence
    for number in order:
        write_quotes(writer, (early, one, other)[number])
    assert latest(session, symbol) == other
    assert len(read(session, "quotes", symbol)) == 3


@pytest.fixture
def candle(symbol: str) -> Candle:
    prices = 1.0, 4.0, 0.5, 2.0
    end = START_US + MINUTE_US
    indicators = {"sma_20": 0.1 + 0.2, "ema_9": -1.0, "ü": 5e-324}
    return Candle(symbol, "1m", START_US, end, *prices, 10.0, 25.0, 2.5, 3, False, 6, ("feed", "sim"), 2,
                  START_US + 61_000_001, 0.875, indicators)  # fmt: skip


def write_candles(writer: JavaWriter, *candles: Candle) -> None:
    """Each by itself."""
    for candle in candles:
        writer.write(CandleRows().rows([candle]))


def microseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000) * 1000


def gold(session: Session, symbol: str, interval: str = "1m") -> list[Candle]:
    query = f"SELECT * FROM {GOLD_TABLES[interval]} WHERE symbol = %s AND bucket = %s"  # noqa: S608
    candles = []
    for row in session.execute(query, (symbol, gold_bucket(interval, START_US))):
        fields = {name: value for name, value in row._asdict().items() if name != "bucket"}
        candles.append(as_candle(fields | {"interval": interval}))
    return candles


def as_candle(fields: dict[str, Any]) -> Candle:
    times = {name: microseconds(fields[name]) for name in ("start", "end")}
    collections = {"sources": tuple(fields["sources"]), "indicators": dict(fields["indicators"])}
    return Candle(**fields | times | collections)


def versions(session: Session, symbol: str, interval: str = "1m") -> list[Candle]:
    """What is kept of the bars of START's day, in the table's order."""
    query = "SELECT * FROM candle_versions WHERE symbol = %s AND interval = %s AND day = %s"
    rows = session.execute(query, (symbol, interval, "2024-08-09"))
    return [as_candle({n: v for n, v in row._asdict().items() if n != "day"}) for row in rows]


def test_a_candle_is_read_as_it_was_written(session: Session, writer: JavaWriter, candle: Candle) -> None:
    """In the table of its interval, the newest bar first."""
    candles = [
        replace(candle, interval=interval, start=START_US + n * length, end=START_US + (n + 1) * length)
        for interval, length in INTERVALS.items()
        for n in range(3)
    ]
    writer.write(CandleRows().rows(candles))
    for interval in INTERVALS:
        assert gold(session, candle.symbol, interval) == [
            c for c in reversed(candles) if c.interval == interval
        ]
        assert versions(session, candle.symbol, interval) == [
            c for c in reversed(candles) if c.interval == interval and c.start < START_US + INTERVALS["1d"]
        ]


def test_a_version_that_is_published_again_stays_as_it_was_known_first(
    session: Session, writer: JavaWriter, candle: Candle
) -> None:
    """Whichever is written first."""
    again = replace(candle, updated_at=candle.updated_at + 1)
    write_candles(writer, candle, again)
    assert versions(session, candle.symbol) == [candle]
    other = replace(candle, symbol=f"{candle.symbol}.2")
    write_candles(writer, replace(other, updated_at=candle.updated_at + 1), other)
    assert versions(session, other.symbol) == [other]


def test_a_bar_without_prices_is_read_with_nulls(
    session: Session, writer: JavaWriter, candle: Candle
) -> None:
    """Also where an older version had some, as after a cancel."""
    bare = replace(candle, open=None, high=None, low=None, close=None, vwap=None, volume=0.0, version=8,
                   indicators={}, sources=())  # fmt: skip
    write_candles(writer, candle, bare)
    assert gold(session, candle.symbol) == [bare]
    assert versions(session, candle.symbol) == [bare, candle]


def test_an_older_version_never_overwrites_a_newer_one(
    session: Session, writer: JavaWriter, candle: Candle
) -> None:
    """Whatever comes again after a failure, in whatever order."""
    newer = replace(candle, close=3.0, trades=4, version=8)
    write_candles(writer, newer, candle)
    assert gold(session, candle.symbol) == [newer]


def test_final_wins_over_live_of_the_same_events(
    session: Session, writer: JavaWriter, candle: Candle
) -> None:
    """And a correction over final; not one of them goes back."""
    final = replace(candle, final=True, version=7)
    write_candles(writer, final, candle)
    assert gold(session, candle.symbol) == [final]
    corrected = replace(final, close=0.5, version=9)
    write_candles(writer, corrected, replace(candle, version=8), final)
    assert gold(session, candle.symbol) == [corrected]


def test_every_version_is_kept_and_gold_has_the_greatest(
    session: Session, writer: JavaWriter, candle: Candle
) -> None:
    """In one batch and one by one, whatever the order; a version that comes again replaces itself."""
    made = [
        replace(candle, final=True, version=version, close=float(version), indicators={"n": float(version)})
        for version in (7, 9, 11)
    ]
    writer.write(CandleRows().rows([made[1], made[2], made[0]]))
    assert gold(session, candle.symbol) == [made[2]]
    assert versions(session, candle.symbol) == made[::-1]
    write_candles(writer, made[1], replace(candle, version=6), made[0])
    assert gold(session, candle.symbol) == [made[2]]
    assert versions(session, candle.symbol) == [*made[::-1], replace(candle, version=6)]


def test_a_generation_wins_over_every_version_before_it(
    session: Session, writer: JavaWriter, candle: Candle
) -> None:
    """A rebuild starts counting anew, and replaces what many more events had made."""
    old = replace(candle, final=True, version=2_000_001)
    rebuilt = replace(candle, close=1.5, final=True, version=VERSIONS_PER_GENERATION + 3)
    write_candles(writer, old, rebuilt, old)
    assert gold(session, candle.symbol) == [rebuilt]


def test_every_symbol_is_listed_once(session: Session, writer: JavaWriter, candle: Candle) -> None:
    """However many candles it has."""
    write_candles(writer, candle, replace(candle, symbol=f"{candle.symbol}.B"), replace(candle, version=8))
    rows = session.execute("SELECT symbol FROM symbols WHERE part = 0")
    ours = [row.symbol for row in rows if row.symbol.startswith(candle.symbol)]
    assert ours == [candle.symbol, f"{candle.symbol}.B"]


@pytest.fixture
def alert(symbol: str) -> Alert:
    at = START_US + 61_000_001
    return Alert(f"price_spike:{symbol}", 3, symbol, "price_spike", "critical", "raised", at, at + 1, 7.5,
                 5.0, "7.5 % up: 取", "1m", START_US + MINUTE_US, 2**40)  # fmt: skip


def write_alerts(writer: JavaWriter, *alerts: Alert) -> None:
    writer.write(AlertRows().rows(alerts))


def as_alert(row: Any) -> Alert:
    fields = {name: getattr(row, name) for name in Alert.__dataclass_fields__}
    return Alert(**fields | {"bar_start": row.bar_start and microseconds(row.bar_start)})


def alerts_of(session: Session, symbol: str) -> list[Alert]:
    """The alerts of a symbol; those of the day are the same."""
    query = "SELECT * FROM alerts_by_symbol WHERE symbol = %s AND bucket = %s"
    by_symbol = [as_alert(row) for row in session.execute(query, (symbol, alert_bucket(START_US)))]
    by_day = session.execute("SELECT * FROM alerts_by_day WHERE day = %s", ("2024-08-09",))
    assert [as_alert(row) for row in by_day if row.symbol == symbol] == by_symbol
    return by_symbol


def test_alerts_are_read_as_they_were_written(session: Session, writer: JavaWriter, alert: Alert) -> None:
    """By symbol and by day, the newest first; without a bar, too."""
    bare = replace(alert, alert_id="b", event_time=alert.event_time + 1, interval=None, bar_start=None,
                   bar_version=None)  # fmt: skip
    write_alerts(writer, alert, bare)
    assert alerts_of(session, alert.symbol) == [bare, alert]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_greatest_revision_of_an_alert_stays(
    session: Session, writer: JavaWriter, alert: Alert, order: tuple[int, ...]
) -> None:
    """Whatever the order of the writes; what a revision leaves out is null, and not of the one before."""
    revisions = [
        replace(alert, revision=0, message="zzz", value=9.0),
        replace(alert, revision=1, severity="high", message="mmm", interval="5m"),
        replace(alert, revision=2, status="retracted", message="aaa", value=1.0, interval=None,
                bar_start=None, bar_version=None),
    ]  # fmt: skip
    for number in order:
        write_alerts(writer, revisions[number])
    assert alerts_of(session, alert.symbol) == [revisions[2]]
    again = [replace(revision, alert_id=f"in one batch:{alert.symbol}") for revision in revisions]
    write_alerts(writer, *(again[number] for number in order))
    assert alerts_of(session, alert.symbol)[0] == again[2]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_longest_record_of_a_gap_stays(
    session: Session, writer: JavaWriter, symbol: str, order: tuple[int, ...]
) -> None:
    """Whatever the order of the writes; of two with the same end the closed one."""
    last = Gap(f"silence:{symbol}", symbol, "finnhub", START_US, START_US + 9, True, "silence", "取", 7)
    records = [replace(last, end=START_US + 5, closed=False), replace(last, closed=False), last]
    for number in order:
        writer.write(GapRows().rows([records[number]]))
    rows = session.execute("SELECT * FROM gaps WHERE symbol = %s AND bucket = '2024-08'", (symbol,))
    assert [Gap(**{name: getattr(row, name) for name in Gap.__dataclass_fields__}) for row in rows] == [last]


def test_of_one_key_the_row_that_came_last_is_stored(
    session: Session, writer: JavaWriter, symbol: str
) -> None:
    """Whole: in one batch both would have one timestamp, and Cassandra would keep of each column the greater
    value."""
    [one] = some_trades(1, symbol)
    other = replace(one, price=one.price + 1.0, exchange="AAAA", received_at=one.received_at - 1)
    for first, last in ((one, other), (other, one)):
        writer.write(trade_rows([first, last]))
        assert silver(session, symbol) == [last]
        assert bronze(session, symbol) == [(2, 1, payload(last))]


def test_what_is_added_goes_out_when_it_is_enough_or_sent(
    session: Session, writer: JavaWriter, symbol: str
) -> None:
    """And nothing of it is left behind when all is waited for."""
    trades = some_trades(2_000, symbol)
    for begin in range(0, len(trades), 100):
        writer.add(trade_rows(trades[begin : begin + 100], begin))
        if begin == 1_000:
            writer.send()
    writer.finish()
    assert silver(session, symbol) == trades


def test_what_cannot_be_written_is_tried_again_until_it_can(
    session: Session, cassandra: CassandraSettings, planner_environment: Mapping[str, str], symbol: str
) -> None:
    """Nothing is missing afterwards, and nothing of it is doubled."""
    trades = some_trades(500, symbol)
    with gate_to(cassandra.cassandra_port) as gate, java_writer(planner_environment) as writer:
        writer.connect(cassandra, RETRY_SECONDS, gate.port)
        writer.write(trade_rows(trades[:100]))
        gate.shut()
        opening = Timer(2.0, gate.open)
        opening.start()
        writer.write(trade_rows(trades[100:], 100))
        opening.join()
        writer.write(trade_rows([replace(trade, symbol=f"{symbol}.B") for trade in trades]))
    assert silver(session, symbol) == trades
    assert len(silver(session, f"{symbol}.B")) == len(trades)


def test_a_write_that_is_never_taken_fails_the_job(
    session: Session, cassandra: CassandraSettings, planner_environment: Mapping[str, str], symbol: str
) -> None:
    """So that nothing is acknowledged that is not stored; nor does it take anything more."""
    with gate_to(cassandra.cassandra_port) as gate, java_writer(planner_environment) as writer:
        writer.connect(cassandra, 1, gate.port)
        gate.shut()
        for _ in range(2):
            with pytest.raises(WriteFailedError, match=r"has not taken a write for 1 s .*; the job restarts"):
                writer.write(trade_rows(some_trades(1, symbol)))
    assert silver(session, symbol) == []


def test_cassandra_is_waited_for_no_longer_than_a_write(
    cassandra: CassandraSettings, planner_environment: Mapping[str, str]
) -> None:
    """Then whoever looks into the log reads what to do."""
    with gate_to(cassandra.cassandra_port) as gate, java_writer(planner_environment) as writer:
        gate.shut()
        with pytest.raises(WriteFailedError, match=r"does not answer at .* start it, or set CASSANDRA_HOSTS"):
            writer.connect(cassandra, 1, gate.port)
