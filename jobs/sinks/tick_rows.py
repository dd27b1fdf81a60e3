"""Trades, corrections and quotes as rows: which tables they go to, under which key, with which values.

All tables of ticks have partitions of a minute and a shard of the symbols, so that the rows of one event are
one mutation, whatever the number of tables.
"""

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from cassandra.cluster import Session

from jobs.sinks import cql
from jobs.sinks.cassandra_writer import Mutation
from jobs.sinks.rows import Insert
from schemas.record_batch import Fields, RecordBatch
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
_LENGTH = len(cql.sized(b""))
"""Bytes before each value in a row."""
_BEFORE_SYMBOL = len(cql.sized(cql.bigint(0)) + cql.sized(cql.int32(0)))
"""Bytes of a minute and a shard in a row."""


class _Places(NamedTuple):
    """Where rows of ticks go: their partitions, and in ``keys`` the first columns of each, as rows have
    them: PLACE, and after it the event's id, where it has one."""

    partitions: Sequence[Partition]
    keys: Sequence[bytes]


class _Shards(dict[str, tuple[bytes, bytes]]):
    """Of each symbol, computed once: its shard in binary form, and shard and symbol as rows have them."""

    def __missing__(self, symbol: str) -> tuple[bytes, bytes]:
        shard = cql.int32(trade_shard(symbol))
        found = self[symbol] = shard, cql.sized(shard) + cql.sized(symbol.encode())
        return found

    def places(self, batch: RecordBatch, *names: str) -> _Places:
        """Of each row; ``names`` are text columns that end the key."""
        columns, integers = batch.columns, batch.integers
        minutes = _pieces(integers["event_time"] // 60_000_000 * 60_000)
        shards = [self[symbol] for symbol in columns["symbol"]]
        keys = zip(
            minutes,
            [of_symbol for _, of_symbol in shards],
            _pieces(integers["event_time"], integers["sequence"]),
            map(cql.name, columns["source"]),
            *(map(cql.sized, map(str.encode, columns[name])) for name in names),
            strict=True,
        )
        partitions = [(minute[_LENGTH:], shard) for minute, (shard, _) in zip(minutes, shards, strict=True)]
        return _Places(partitions, list(map(b"".join, keys)))


class TradeRows:
    """Trades to bronze and silver, corrections to bronze and their own table."""

    def __init__(self, session: Session) -> None:
        self._bronze = Insert(session, "trades_bronze", BRONZE)
        self._silver = Insert(session, "trades_silver", SILVER)
        self._correction = Insert(session, "trade_corrections", CORRECTION)
        self._shards = _Shards()

    def mutations(
        self, batch: RecordBatch, payloads: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]
    ) -> Iterator[Mutation]:
        """Both rows of what is valid, bronze of what was refused but has an identity."""
        places, positions = self._shards.places(batch, "trade_id"), batch.positions
        origins = _pieces(
            np.array([partitions[position] for position in positions], np.int32),
            np.array([offsets[position] for position in positions], np.int64),
        )
        received = [cql.sized(payloads[position]) for position in positions]
        bronze = _rows(self._bronze, places.keys, origins, received)
        silver = _rows(self._silver, places.keys, *_trade_values(batch))
        rows = zip(bronze, silver, strict=True)
        yield from map(Mutation, places.partitions, places.keys, rows)
        for position, fields in {**batch.corrections, **batch.refused}.items():
            origin = (cql.int32(partitions[position]), cql.bigint(offsets[position]), payloads[position])
            yield from self._single(fields, origin, valid=position in batch.corrections)

    def _single(
        self, fields: Fields, origin: tuple[bytes, bytes, bytes], *, valid: bool
    ) -> Iterator[Mutation]:
        """A correction, or a record that was refused."""
        symbol, source = fields["symbol"], fields["source"]
        event_id = fields["correction_id"] if "correction_id" in fields else fields["trade_id"]
        if not all(0 < len(part) <= MAX_NAME_LENGTH for part in (symbol, source, event_id)):
            return  # no key that Cassandra takes; the dead letter has the payload
        partition = (cql.bigint(trade_minute(fields["event_time"])), self._shards[symbol][0])
        key = (*partition, symbol.encode(), cql.bigint(fields["event_time"]), cql.bigint(fields["sequence"]),
               source.encode(), event_id.encode())  # fmt: skip
        rows = [self._bronze.row((*key, *origin))]
        if valid:
            rows.append(self._correction.row((*key, *_correction_values(fields))))
        yield Mutation(partition, b"".join(map(cql.sized, key)), rows)


class QuoteRows:
    """Quotes to their table, and the latest of each symbol to another."""

    def __init__(self, session: Session) -> None:
        self._quote = Insert(session, "quotes", QUOTE)
        self._latest = Insert(session, "latest_quotes", LATEST, at_time=True)
        self._shards = _Shards()

    def mutations(self, batch: RecordBatch) -> Iterator[Mutation]:
        """A row of each quote, and one of the latest of each symbol."""
        places, columns = self._shards.places(batch), batch.columns
        values = list(map(b"".join, zip(*_quote_values(batch), strict=True)))
        rows = zip(_rows(self._quote, places.keys, values))
        yield from map(Mutation, places.partitions, places.keys, rows)
        latest: dict[str, tuple[tuple[int, int], int]] = {}
        orders = zip(columns["event_time"], columns["sequence"], strict=True)
        for at, (symbol, order) in enumerate(zip(columns["symbol"], orders, strict=True)):
            if symbol not in latest or order >= latest[symbol][0]:
                latest[symbol] = order, at
        part = cql.int32(SYMBOLS_PART)
        for symbol, (order, at) in latest.items():
            written = cql.sized(cql.bigint(_write_time(*order)))
            key = places.keys[at][_BEFORE_SYMBOL:]
            row = b"".join((self._latest.head, cql.sized(part), key, values[at], written))
            yield Mutation((part,), symbol, (row,))


def _write_time(event_time: int, sequence: int) -> int:
    """The timestamp under which the latest quote is written: it grows with the order of the quotes, also
    within a microsecond. Of two writes with one timestamp Cassandra would keep the greater value of each
    column by itself, and so mix their rows."""
    ticks = event_time << SEQUENCE_BITS | sequence & (1 << SEQUENCE_BITS) - 1
    return min(ticks, MAX_WRITE_TIME)


def _trade_values(batch: RecordBatch) -> tuple[Sequence[bytes], ...]:
    """The columns of silver that are not part of its key, in pieces of its rows."""
    columns, flags = batch.columns, batch.flags
    return (
        _pieces(batch.floats["price"], batch.floats["size"]),
        list(map(cql.name, columns["exchange"])),
        [cql.sized(cql.text_list(tuple(conditions))) for conditions in columns["conditions"]],
        _pieces(*(flags[name] for name in (*UPDATES, "correctable")), batch.integers["received_at"]),
    )


def _correction_values(fields: Fields) -> tuple[bytes | None, ...]:
    """The columns of a correction after its id."""
    return (
        fields["trade_id"].encode(), cql.optional_bigint(fields["trade_time"]), fields["kind"].encode(),
        *(cql.optional_double(fields[name]) for name in ("price", "size")),
        fields["exchange"].encode(), cql.text_list(tuple(fields["conditions"])),
        *(cql.boolean(fields[name]) for name in UPDATES), cql.bigint(fields["received_at"]),
    )  # fmt: skip


def _quote_values(batch: RecordBatch) -> tuple[Sequence[bytes], ...]:
    """QUOTE_VALUES, in pieces of rows."""
    floats = batch.floats
    bid, ask = floats["bid"], floats["ask"]
    return (
        _pieces(bid, floats["bid_size"], ask, floats["ask_size"], (bid + ask) / 2, ask - bid),
        list(map(cql.name, batch.columns["exchange"])),
        _pieces(batch.integers["received_at"]),
    )


def _rows(insert: Insert, *pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Rows that are put together from pieces of them, the first of all rows, the second of all, and so on."""
    return map(b"".join, zip(repeat(insert.head, len(pieces[0])), *pieces, strict=True))


def _pieces(*columns: "np.ndarray[Any, Any]") -> list[bytes]:
    """Of each row the values of neighbouring columns, as CQL ints, bigints, doubles or booleans, each after
    its length. Whole columns turned at once and cut cost a third of packing value by value."""
    kinds = [column.dtype.newbyteorder(">") for column in columns]
    lengths = [(f"length {at}", ">i4") for at in range(len(columns))]
    values = [(f"value {at}", kind) for at, kind in enumerate(kinds)]
    table = np.empty(len(columns[0]), [field for pair in zip(lengths, values, strict=True) for field in pair])
    for at, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
        table[f"length {at}"] = kind.itemsize
        table[f"value {at}"] = column
    pieces: list[bytes] = table.view(f"V{table.itemsize}").tolist()
    return pieces
