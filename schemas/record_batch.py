"""Records decoded and validated by the batch: what both jobs do with each trade and quote, once.

What our own writers have made is decoded by the batch, anything else record by record; what comes after that
works on whole columns, and only a row that fails there is looked at by itself, to say why. Corrections, which
share the topic of the trades and are rare, are handed on one by one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.avro_codec import HEADER, Decoder, parsed_schema
from schemas.avro_columns import Column, ColumnReader
from schemas.errors import PoisonError
from schemas.events import Event, Quote, Trade
from schemas.validation import (
    MAX_AMOUNT,
    MAX_NAME_LENGTH,
    MAX_TIME_SKEW_US,
    SYMBOL,
    check_correction,
    check_quote,
    check_record_time,
    check_trade,
)

Fields = dict[str, Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

COMMON = ("symbol", "event_time", "received_at", "sequence", "source", "exchange")
TRADE_COLUMNS = (*COMMON, "price", "size", "trade_id", "conditions", "updates_open_close", "updates_high_low",
                 "updates_volume", "correctable")  # fmt: skip
QUOTE_COLUMNS = (*COMMON, "bid", "bid_size", "ask", "ask_size")

FEWEST = 32
"""Records from which on it takes less time to decode them all at once than one by one."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """The valid trades (or quotes) of a batch as columns, and whatever else was in it.

    ``positions[i]`` is where row i stood in the batch; ``on_time[i]`` tells that its event time and its
    record's timestamp are the same millisecond. ``corrections`` maps the positions of valid corrections to
    their fields, ``poison`` the position of a refused record to why, and ``refused`` to its fields, where it
    could be decoded at all.
    """

    positions: list[int]
    columns: Mapping[str, Sequence[Any]]
    integers: Mapping[str, Ints]
    floats: Mapping[str, Floats]
    flags: Mapping[str, Flags]
    on_time: Flags
    corrections: dict[int, Fields] = field(default_factory=dict)
    poison: dict[int, PoisonError] = field(default_factory=dict)
    refused: dict[int, Fields] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Table:
    """Decoded records: field -> a value for each, and where in the batch each stood."""

    positions: list[int]
    values: Mapping[str, Column]

    def row(self, index: int) -> Fields:
        """The fields of one record, as Python has them."""
        return {
            name: column[index].item() if isinstance(column, np.ndarray) else column[index]
            for name, column in self.values.items()
        }

    def without(self, indices: Collection[int]) -> "_Table":
        """The table without some of its records."""
        kept = [index for index in range(len(self.positions)) if index not in indices]
        return _Table(
            [self.positions[index] for index in kept],
            {
                name: column[kept] if isinstance(column, np.ndarray) else [column[index] for index in kept]
                for name, column in self.values.items()
            },
        )


class _Reader(ABC):
    """Turns payloads into RecordBatches. Remembers the symbols it has seen to be well formed."""

    event_type: type[Event]
    columns: tuple[str, ...]
    names: tuple[str, ...] = ("source",)
    floats: tuple[str, ...]
    flags: tuple[str, ...] = ()
    integers = ("event_time", "received_at", "sequence")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._all_at_once = ColumnReader(parsed_schema(self.event_type)).read
        self._row_of = itemgetter(*self.columns)
        self._good_symbols: set[str] = set()

    def read(self, payloads: Iterable[bytes | None], record_ms: Ints) -> RecordBatch:
        """Decodes and validates; a payload of None is a heartbeat and is passed over.

        ``record_ms`` are the records' timestamps, milliseconds.
        """
        given = {position: payload for position, payload in enumerate(payloads) if payload is not None}
        others: dict[int, Fields] = {}
        poison: dict[int, PoisonError] = {}
        table = self._decode(given, others, poison)
        batch = self._batch(table, record_ms)
        suspects = {index: table.row(index) for index in self._suspects(batch, record_ms)}
        bad = dict(self._refusals(suspects, table.positions, record_ms, self._check))
        refused = {table.positions[index]: error for index, error in bad.items()}
        if bad:
            others |= {table.positions[index]: suspects[index] for index in bad}
            batch = self._batch(table.without(bad), record_ms)
        places = range(len(record_ms))
        corrections = {position: row for position, row in others.items() if position not in refused}
        refused |= dict(self._refusals(corrections, places, record_ms, check_correction))
        return replace(
            batch,
            corrections={position: row for position, row in corrections.items() if position not in refused},
            poison=poison | refused,
            refused={position: others[position] for position in refused},
        )

    def _decode(
        self, given: Mapping[int, bytes], others: dict[int, Fields], poison: dict[int, PoisonError]
    ) -> _Table:
        """The records of the reader's type; adds those of other types to ``others``, and what is no record to
        ``poison``."""
        heads = {payload[: HEADER.size] for payload in given.values()}
        own = {head for head in heads if self._decoder.own_type(head) is self.event_type}
        ours = {at: payload for at, payload in given.items() if payload[: HEADER.size] in own}
        if len(ours) >= FEWEST:
            read = self._all_at_once(list(ours.values()))
            rest = {at: payload for at, payload in given.items() if at not in ours}
            strays = self._each(rest, others, poison)
            if read.good.all() and not strays.positions:
                return _Table(list(ours), read.values)
            others.clear()
            poison.clear()
        return self._each(given, others, poison)

    def _each(
        self, given: Mapping[int, bytes], others: dict[int, Fields], poison: dict[int, PoisonError]
    ) -> _Table:
        """What ``_decode`` does, record by record."""
        decode = self._decoder.decode_typed
        positions: list[int] = []
        rows: list[Fields] = []
        for position, payload in given.items():
            try:
                kind, row = decode(payload)
            except PoisonError as error:
                poison[position] = error
                continue
            if kind is self.event_type:
                rows.append(row)
                positions.append(position)
            else:
                others[position] = row
        values = zip(*map(self._row_of, rows), strict=True) if rows else ((),) * len(self.columns)
        return _Table(positions, dict(zip(self.columns, map(list, values), strict=True)))

    @staticmethod
    @abstractmethod
    def _check(row: Mapping[str, Any]) -> None:
        """Raises PoisonError for a row that is not valid: the rules of schemas.validation."""

    @abstractmethod
    def _good(self, batch: RecordBatch) -> Flags:
        """Whether the numbers of each row are valid, by whole columns."""

    def _batch(self, table: _Table, record_ms: Ints) -> RecordBatch:
        values = table.values
        integers = {name: np.asarray(values[name], np.int64) for name in self.integers}
        return RecordBatch(
            positions=table.positions,
            columns={
                name: column.tolist() if isinstance(column, np.ndarray) else column
                for name, column in values.items()
            },
            integers=integers,
            floats={name: np.asarray(values[name], np.float64) for name in self.floats},
            flags={name: np.asarray(values[name], np.bool_) for name in self.flags},
            on_time=integers["event_time"] // 1000 == record_ms[table.positions],
        )

    def _suspects(self, batch: RecordBatch, record_ms: Ints) -> set[int]:
        """Indices of the rows that may not be valid: the columns only find them, the rules decide."""
        event_time = batch.integers["event_time"]
        with np.errstate(invalid="ignore", over="ignore"):
            good = self._good(batch) & (batch.integers["sequence"] >= 0) & (event_time >= 0)
            good &= np.abs(event_time - record_ms[batch.positions] * 1000) <= MAX_TIME_SKEW_US
        suspects: set[int] = set(np.flatnonzero(~good).tolist())
        for name in self.names:
            lengths = set(map(len, batch.columns[name]))
            if lengths and (min(lengths) == 0 or max(lengths) > MAX_NAME_LENGTH):
                suspects.update(
                    index
                    for index, text in enumerate(batch.columns[name])
                    if not 0 < len(text) <= MAX_NAME_LENGTH
                )
        symbols = batch.columns["symbol"]
        new_symbols = set(symbols) - self._good_symbols
        self._good_symbols.update(filter(SYMBOL.fullmatch, new_symbols))
        if not new_symbols <= self._good_symbols:
            suspects.update(i for i, symbol in enumerate(symbols) if symbol not in self._good_symbols)
        return suspects

    @staticmethod
    def _refusals(
        rows: Mapping[int, Fields],
        positions: Sequence[int],
        record_ms: Ints,
        check: Callable[[Mapping[str, Any]], None],
    ) -> Iterable[tuple[int, PoisonError]]:
        """The rows that break a rule, and which."""
        for index, row in rows.items():
            try:
                check(row)
                check_record_time(row["event_time"], int(record_ms[positions[index]]))
            except PoisonError as error:
                yield index, error


class TradeReader(_Reader):
    """Trades, and the corrections among them. The decoder must know both types."""

    event_type = Trade
    columns = TRADE_COLUMNS
    names = ("trade_id", "source")
    floats = ("price", "size")
    flags = ("updates_open_close", "updates_high_low", "updates_volume", "correctable")

    @staticmethod
    def _check(row: Mapping[str, Any]) -> None:
        check_trade(row)

    def _good(self, batch: RecordBatch) -> Flags:
        price, size = batch.floats["price"], batch.floats["size"]
        return _is_price(price) & _is_size(size) & (price * size <= MAX_AMOUNT)


class QuoteReader(_Reader):
    """Quotes."""

    event_type = Quote
    columns = QUOTE_COLUMNS
    floats = ("bid", "bid_size", "ask", "ask_size")

    @staticmethod
    def _check(row: Mapping[str, Any]) -> None:
        check_quote(row)

    def _good(self, batch: RecordBatch) -> Flags:
        floats = batch.floats
        prices = _is_price(floats["bid"]) & _is_price(floats["ask"])
        return prices & _is_size(floats["bid_size"]) & _is_size(floats["ask_size"])


class EventReader:
    """Events of other types, which are few: decoded and validated one by one. ``check`` raises
    PoisonError."""

    def __init__(self, decoder: Decoder, check: Callable[[Any], None]) -> None:
        self._decode = decoder.decode
        self._check = check

    def read(
        self, payloads: Iterable[bytes | None], poison: dict[int, PoisonError]
    ) -> Iterator[tuple[int, Any]]:
        """The valid events, with where each stood; the others are added to ``poison``. A payload of None is a
        heartbeat and is passed over."""
        for position, payload in enumerate(payloads):
            if payload is None:
                continue
            try:
                event = self._decode(payload)
                self._check(event)
            except PoisonError as error:
                poison[position] = error
            else:
                yield position, event


def _is_price(values: Floats) -> Flags:
    return (values > 0) & (values <= MAX_AMOUNT)


def _is_size(values: Floats) -> Flags:
    return (values >= 0) & (values <= MAX_AMOUNT)
