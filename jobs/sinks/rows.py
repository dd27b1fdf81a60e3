"""Events as rows: which tables an event goes to, under which key, with which values."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from cassandra.cluster import Session

from jobs.domain.trade_batch import TradeBatch
from jobs.sinks import cql
from jobs.sinks.cassandra_writer import Insert, Mutation
from schemas.events import Candle
from schemas.tables import GOLD_TABLES, SYMBOLS_PART, gold_bucket, trade_minute, trade_shard
from schemas.validation import MAX_NAME_LENGTH

TRADE_KEY = ("minute", "shard", "symbol", "event_time", "sequence", "source", "trade_id")
BRONZE = (*TRADE_KEY, "kafka_partition", "kafka_offset", "payload")
SILVER = (*TRADE_KEY, "price", "size", "exchange", "conditions", "updates_open_close", "updates_high_low",
          "updates_volume", "correctable", "received_at")  # fmt: skip
GOLD = ("symbol", "bucket", "start", "end", "open", "high", "low", "close", "volume", "notional", "vwap",
        "trades", "final", "version", "sources")  # fmt: skip


class TradeRows:
    """Trades to bronze and silver. Both tables have the same partition key: one mutation holds both rows."""

    def __init__(self, session: Session) -> None:
        self._bronze = session.prepare(insert("trades_bronze", BRONZE))
        self._silver = session.prepare(insert("trades_silver", SILVER))
        self._shards: dict[str, bytes] = {}

    def mutations(
        self, batch: TradeBatch, payloads: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]
    ) -> Iterator[Mutation]:
        """Bronze and silver of the valid trades, bronze of the refused ones that have an identity."""
        columns = batch.columns
        times, sequences, prices, sizes, received = (
            column.astype(kind).tobytes()
            for column, kind in (
                (batch.event_time, ">i8"), (batch.sequence, ">i8"), (batch.price, ">f8"), (batch.size, ">f8"),
                (np.array(columns["received_at"], dtype=np.int64), ">i8"),
            )
        )  # fmt: skip
        minutes = (batch.event_time // 60_000_000 * 60_000).astype(">i8").tobytes()
        for index, position in enumerate(batch.positions):
            at = slice(8 * index, 8 * index + 8)
            symbol = columns["symbol"][index]
            partition = (minutes[at], self._shard(symbol))
            key = (symbol.encode(), times[at], sequences[at], columns["source"][index].encode(),
                   columns["trade_id"][index].encode())  # fmt: skip
            bronze = self._bronze_insert(
                partition, key, partitions[position], offsets[position], payloads[position]
            )
            silver = Insert(
                self._silver,
                (*partition, *key, prices[at], sizes[at], columns["exchange"][index].encode(),
                 cql.text_list(columns["conditions"][index]), cql.boolean(columns["updates_open_close"][index]),
                 cql.boolean(columns["updates_high_low"][index]), cql.boolean(columns["updates_volume"][index]),
                 cql.boolean(columns["correctable"][index]), received[at]),
            )  # fmt: skip
            yield Mutation(partition, key, (bronze, silver))
        for position, fields in batch.refused.items():
            yield from self._refused(fields, partitions[position], offsets[position], payloads[position])

    def _refused(
        self, fields: dict[str, Any], kafka_partition: int, kafka_offset: int, payload: bytes
    ) -> Iterator[Mutation]:
        symbol, source, trade_id = fields["symbol"], fields["source"], fields["trade_id"]
        if not all(0 < len(part) <= MAX_NAME_LENGTH for part in (symbol, source, trade_id)):
            return  # no key that Cassandra takes; the dead letter has the payload
        partition = (cql.bigint(trade_minute(fields["event_time"])), self._shard(symbol))
        key = (symbol.encode(), cql.bigint(fields["event_time"]), cql.bigint(fields["sequence"]),
               source.encode(), trade_id.encode())  # fmt: skip
        yield Mutation(
            partition, key, (self._bronze_insert(partition, key, kafka_partition, kafka_offset, payload),)
        )

    def _bronze_insert(
        self,
        partition: tuple[bytes, ...],
        key: tuple[bytes, ...],
        kafka_partition: int,
        kafka_offset: int,
        payload: bytes,
    ) -> Insert:
        origin = (cql.int32(kafka_partition), cql.bigint(kafka_offset), payload)
        return Insert(self._bronze, (*partition, *key, *origin))

    def _shard(self, symbol: str) -> bytes:
        shard = self._shards.get(symbol)
        if shard is None:
            shard = self._shards[symbol] = cql.int32(trade_shard(symbol))
        return shard


class CandleRows:
    """Candles to the gold table of their interval, and each symbol once to the list of symbols."""

    def __init__(self, session: Session) -> None:
        self._gold = {
            interval: session.prepare(insert(table, GOLD) + " USING TIMESTAMP ?")
            for interval, table in GOLD_TABLES.items()
        }
        self._symbol = session.prepare(insert("symbols", ("part", "symbol")))
        self._listed: set[str] = set()

    def mutations(self, candles: Sequence[Candle]) -> Iterator[Mutation]:
        """One row for each bar, written with a timestamp that grows with the version: whatever the order of
        the writes, the greatest version stays."""
        for candle in candles:
            if candle.symbol not in self._listed:
                self._listed.add(candle.symbol)
                symbol = (cql.int32(SYMBOLS_PART), candle.symbol.encode())
                yield Mutation(symbol[:1], symbol[1:], (Insert(self._symbol, symbol),))
            yield self._bar(candle)

    def _bar(self, candle: Candle) -> Mutation:
        partition = (candle.symbol.encode(), gold_bucket(candle.interval, candle.start).encode())
        start = cql.timestamp(candle.start)
        prices = (candle.open, candle.high, candle.low, candle.close)
        values = (
            *partition, start, cql.timestamp(candle.end), *map(optional_double, prices),
            cql.double(candle.volume), cql.double(candle.notional), optional_double(candle.vwap),
            cql.bigint(candle.trades), cql.boolean(candle.final), cql.bigint(candle.version),
            cql.text_list(candle.sources), cql.bigint(candle.start + candle.version),
        )  # fmt: skip
        statement = self._gold[candle.interval]
        return Mutation(partition, (candle.interval.encode(), start), (Insert(statement, values),))


def insert(table: str, columns: Sequence[str]) -> str:
    """INSERT of these columns, with a marker for each."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608


def optional_double(value: float | None) -> bytes | None:
    """A double, or null: a bar in which nothing has set a price yet has none."""
    return None if value is None else cql.double(value)
