"""Trades, corrections and quotes as rows: which tables they go to, under which key, with which values.

All tables of ticks have partitions of a minute and a shard of the symbols, so that the rows of one event are
one mutation, whatever the number of tables.
"""

from collections.abc import Iterator, Sequence

from cassandra.cluster import Session

from jobs.sinks import cql
from jobs.sinks.cassandra_writer import Insert, Mutation, insert
from schemas.record_batch import Fields, Flags, Floats, Ints, RecordBatch
from schemas.tables import SYMBOLS_PART, trade_minute, trade_shard
from schemas.validation import MAX_NAME_LENGTH, MAX_WRITE_TIME

PLACE = ("minute", "shard", "symbol", "event_time", "sequence", "source")
BRONZE = (*PLACE, "trade_id", "kafka_partition", "kafka_offset", "payload")
UPDATES = ("updates_open_close", "updates_high_low", "updates_volume")
SILVER = (*PLACE, "trade_id", "price", "size", "exchange", "conditions", *UPDATES, "correctable",
          "received_at")  # fmt: skip
CORRECTION = (*PLACE, "correction_id", "trade_id", "trade_time", "kind", "price", "size", "exchange",
              "conditions", *UPDATES, "received_at")  # fmt: skip
QUOTE_VALUES = ("bid", "bid_size", "ask", "ask_size", "mid", "spread", "exchange", "received_at")
QUOTE = (*PLACE, *QUOTE_VALUES)
LATEST = ("part", "symbol", "event_time", "sequence", "source", *QUOTE_VALUES)

SEQUENCE_BITS = 10
"""So many bits of a quote's sequence order the quotes of a microsecond; with the time before them they fit 63
bits until the year 2255."""

Partition = tuple[bytes, bytes]
Key = tuple[bytes, ...]
Values = tuple[bytes, ...]


class _Shards(dict[str, bytes]):
    """Binary shard of each symbol, computed once."""

    def __missing__(self, symbol: str) -> bytes:
        shard = self[symbol] = cql.int32(trade_shard(symbol))
        return shard


class TradeRows:
    """Trades to bronze and silver, corrections to bronze and their own table."""

    def __init__(self, session: Session) -> None:
        self._bronze = session.prepare(insert("trades_bronze", BRONZE))
        self._silver = session.prepare(insert("trades_silver", SILVER))
        self._correction = session.prepare(insert("trade_corrections", CORRECTION))
        self._shards = _Shards()

    def mutations(
        self, batch: RecordBatch, payloads: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]
    ) -> Iterator[Mutation]:
        """Both rows of what is valid, bronze of what was refused but has an identity."""
        places = _places(batch, self._shards, "trade_id")
        for position, (partition, key), values in zip(
            batch.positions, places, _trade_values(batch), strict=True
        ):
            origin = (partitions[position], offsets[position], payloads[position])
            silver = Insert(self._silver, partition + key + values)
            yield Mutation(partition, key, (self._bronze_row(partition, key, *origin), silver))
        for position, fields in {**batch.corrections, **batch.refused}.items():
            yield from self._single(
                fields,
                (partitions[position], offsets[position], payloads[position]),
                valid=position in batch.corrections,
            )

    def _single(self, fields: Fields, origin: tuple[int, int, bytes], *, valid: bool) -> Iterator[Mutation]:
        """A correction, or a record that was refused."""
        symbol, source = fields["symbol"], fields["source"]
        event_id = fields["correction_id"] if "correction_id" in fields else fields["trade_id"]
        if not all(0 < len(part) <= MAX_NAME_LENGTH for part in (symbol, source, event_id)):
            return  # no key that Cassandra takes; the dead letter has the payload
        partition = (cql.bigint(trade_minute(fields["event_time"])), self._shards[symbol])
        key = (symbol.encode(), cql.bigint(fields["event_time"]), cql.bigint(fields["sequence"]),
               source.encode(), event_id.encode())  # fmt: skip
        rows = [self._bronze_row(partition, key, *origin)]
        if valid:
            rows.append(self._correction_row(fields, partition, key))
        yield Mutation(partition, key, rows)

    def _correction_row(self, fields: Fields, partition: Partition, key: Key) -> Insert:
        return Insert(
            self._correction,
            (*partition, *key, fields["trade_id"].encode(), cql.optional_bigint(fields["trade_time"]),
             fields["kind"].encode(), *(cql.optional_double(fields[name]) for name in ("price", "size")),
             fields["exchange"].encode(), cql.text_list(tuple(fields["conditions"])),
             *(cql.boolean(fields[name]) for name in UPDATES),
             cql.bigint(fields["received_at"])),
        )  # fmt: skip

    def _bronze_row(
        self,
        partition: Partition,
        key: Key,
        kafka_partition: int,
        kafka_offset: int,
        payload: bytes,
    ) -> Insert:
        origin = (cql.int32(kafka_partition), cql.bigint(kafka_offset), payload)
        return Insert(self._bronze, partition + key + origin)


class QuoteRows:
    """Quotes to their table, and the latest of each symbol to another."""

    def __init__(self, session: Session) -> None:
        self._quote = session.prepare(insert("quotes", QUOTE))
        self._latest = session.prepare(insert("latest_quotes", LATEST) + " USING TIMESTAMP ?")
        self._shards = _Shards()

    def mutations(self, batch: RecordBatch) -> Iterator[Mutation]:
        """A row of each quote, and one of the latest of each symbol."""
        latest: dict[str, tuple[tuple[int, int], Key, Values]] = {}
        columns = batch.columns
        for symbol, order, (partition, key), values in zip(
            columns["symbol"],
            zip(columns["event_time"], columns["sequence"], strict=True),
            _places(batch, self._shards),
            _quote_values(batch),
            strict=True,
        ):
            if symbol not in latest or order >= latest[symbol][0]:
                latest[symbol] = order, key, values
            yield Mutation(partition, key, (Insert(self._quote, partition + key + values),))
        part = cql.int32(SYMBOLS_PART)
        for order, key, values in latest.values():
            row = (part, *key, *values, cql.bigint(_write_time(*order)))
            yield Mutation((part,), key[:1], (Insert(self._latest, row),))


def _write_time(event_time: int, sequence: int) -> int:
    """The timestamp under which the latest quote is written: it grows with the order of the quotes, also
    within a microsecond. Of two writes with one timestamp Cassandra would keep the greater value of each
    column by itself, and so mix their rows."""
    ticks = event_time << SEQUENCE_BITS | sequence & (1 << SEQUENCE_BITS) - 1
    return min(ticks, MAX_WRITE_TIME)


def _trade_values(batch: RecordBatch) -> Iterator[Values]:
    """The columns of silver that are not part of its key."""
    columns = batch.columns
    return zip(
        _binary(batch.floats["price"]),
        _binary(batch.floats["size"]),
        map(str.encode, columns["exchange"]),
        map(cql.text_list, map(tuple, columns["conditions"])),
        *(_binary(batch.flags[name]) for name in (*UPDATES, "correctable")),
        _binary(batch.integers["received_at"]),
        strict=True,
    )


def _quote_values(batch: RecordBatch) -> Iterator[Values]:
    """QUOTE_VALUES of each quote."""
    bid, ask = batch.floats["bid"], batch.floats["ask"]
    numbers = (bid, batch.floats["bid_size"], ask, batch.floats["ask_size"], (bid + ask) / 2, ask - bid)
    return zip(
        *map(_binary, numbers),
        map(str.encode, batch.columns["exchange"]),
        _binary(batch.integers["received_at"]),
        strict=True,
    )


def _places(batch: RecordBatch, shards: _Shards, *names: str) -> Iterator[tuple[Partition, Key]]:
    """Partition and key of each row; ``names`` are text columns that end the key."""
    columns = batch.columns
    minutes = _binary(batch.integers["event_time"] // 60_000_000 * 60_000)
    keys = zip(
        map(str.encode, columns["symbol"]),
        _binary(batch.integers["event_time"]),
        _binary(batch.integers["sequence"]),
        *(map(str.encode, columns[name]) for name in ("source", *names)),
        strict=True,
    )
    return zip(zip(minutes, map(shards.__getitem__, columns["symbol"]), strict=True), keys, strict=True)


def _binary(column: Ints | Floats | Flags) -> list[bytes]:
    """The values of a column as CQL bigints, doubles or booleans. A whole column turned at once and cut costs
    a third of packing value by value."""
    pieces: list[bytes] = column.astype(column.dtype.newbyteorder(">")).view(f"V{column.itemsize}").tolist()
    return pieces
