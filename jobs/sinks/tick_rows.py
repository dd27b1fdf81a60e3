"""Trades, corrections and quotes as rows: which tables they go to, under which key, with which values.

Most trades never come here: what is beyond doubt the JVM makes the same rows of, see jobs/java.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np

from jobs.sinks import cql
from jobs.sinks.inserts import BRONZE, CORRECTION, LATEST_QUOTE, QUOTE, SILVER, UPDATES, Insert
from schemas.quotes import mid, spread
from schemas.record_batch import Fields, RecordBatch
from schemas.tables import SYMBOLS_PART, trade_minute, trade_shard
from schemas.validation import MAX_NAME_LENGTH, MAX_WRITE_TIME

SEQUENCE_BITS = 10
"""So many bits of a quote's sequence order the quotes of a microsecond; with the time before them they fit 63
bits until the year 2255."""

_BEFORE_SYMBOL = len(cql.sized(cql.bigint(0)) + cql.sized(cql.int32(0)))
"""Bytes of a minute and a shard in a row."""


class _Shards(dict[str, bytes]):
    """Of each symbol, computed once: its shard and itself, as rows have them."""

    def __missing__(self, symbol: str) -> bytes:
        shard = cql.int32(trade_shard(symbol))
        found = self[symbol] = cql.sized(shard) + cql.sized(symbol.encode())
        return found

    def row_keys(self, batch: RecordBatch, *names: str) -> list[bytes]:
        """The first columns of the rows of ticks, and after them the event's id, where it has one: ``names``
        are the text columns that end the key."""
        columns, integers = batch.columns, batch.integers
        pieces = zip(
            _pieces(integers["event_time"] // 60_000_000 * 60_000),
            map(self.__getitem__, columns["symbol"]),
            _pieces(integers["event_time"], integers["sequence"]),
            map(cql.name, columns["source"]),
            *(map(cql.sized, map(str.encode, columns[name])) for name in names),
            strict=True,
        )
        return list(map(b"".join, pieces))


class TradeRows:
    """Trades to bronze and silver, corrections to bronze and their own table."""

    def __init__(self) -> None:
        self._shards = _Shards()

    def rows(
        self, batch: RecordBatch, payloads: Sequence[bytes], partitions: Sequence[int], offsets: Sequence[int]
    ) -> Iterator[bytes]:
        """Both rows of what is valid, bronze of what was refused but has an identity."""
        keys, positions = self._shards.row_keys(batch, "trade_id"), batch.positions
        origins = _pieces(
            np.array([partitions[position] for position in positions], np.int32),
            np.array([offsets[position] for position in positions], np.int64),
        )
        received = [cql.sized(payloads[position]) for position in positions]
        bronze = _rows(BRONZE, keys, origins, received)
        silver = _rows(SILVER, keys, *_trade_values(batch))
        yield from chain.from_iterable(zip(bronze, silver, strict=True))
        for position, fields in {**batch.corrections, **batch.refused}.items():
            origin = (cql.int32(partitions[position]), cql.bigint(offsets[position]), payloads[position])
            yield from self._single(fields, origin, valid=position in batch.corrections)

    def _single(self, fields: Fields, origin: tuple[bytes, bytes, bytes], *, valid: bool) -> Iterator[bytes]:
        """A correction, or a record that was refused."""
        symbol, source = fields["symbol"], fields["source"]
        event_id = fields["correction_id"] if "correction_id" in fields else fields["trade_id"]
        if not all(0 < len(part) <= MAX_NAME_LENGTH for part in (symbol, source, event_id)):
            return  # no key that Cassandra takes; the dead letter has the payload
        minute, shard = cql.bigint(trade_minute(fields["event_time"])), cql.int32(trade_shard(symbol))
        key = (minute, shard, symbol.encode(), cql.bigint(fields["event_time"]),
               cql.bigint(fields["sequence"]), source.encode(), event_id.encode())  # fmt: skip
        yield BRONZE.row((*key, *origin))
        if valid:
            yield CORRECTION.row((*key, *_correction_values(fields)))


class QuoteRows:
    """Quotes to their table, and the latest of each symbol to another."""

    def __init__(self) -> None:
        self._shards = _Shards()

    def rows(self, batch: RecordBatch) -> Iterator[bytes]:
        """One of each quote, and one of the latest of each symbol."""
        keys, columns = self._shards.row_keys(batch), batch.columns
        values = list(map(b"".join, zip(*_quote_values(batch), strict=True)))
        yield from _rows(QUOTE, keys, values)
        latest: dict[str, tuple[tuple[int, int], int]] = {}
        orders = zip(columns["event_time"], columns["sequence"], strict=True)
        for at, (symbol, order) in enumerate(zip(columns["symbol"], orders, strict=True)):
            if symbol not in latest or order >= latest[symbol][0]:
                latest[symbol] = order, at
        part = cql.int32(SYMBOLS_PART)
        for order, at in latest.values():
            written = cql.sized(cql.bigint(_write_time(*order)))
            key = keys[at][_BEFORE_SYMBOL:]
            yield b"".join((LATEST_QUOTE.head, cql.sized(part), key, values[at], written))


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
    """The columns of a quote that are not part of its key, in pieces of rows."""
    floats = batch.floats
    bid, ask = floats["bid"], floats["ask"]
    pairs = list(zip(bid.tolist(), ask.tolist(), strict=True))
    mids, spreads = (np.array([of(*pair) for pair in pairs], np.float64) for of in (mid, spread))
    return (
        _pieces(bid, floats["bid_size"], ask, floats["ask_size"], mids, spreads),
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
