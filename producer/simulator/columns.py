"""Simulated trades and quotes as columns, and their Avro straight from the columns.

Encoding one event at a time costs 5 us, most of one core at 50,000 events a second; here a batch is laid out
as one array of fixed-width rows. That needs every number of a batch to have the same Avro length; where it
does not (a sequence crossing a power of 128), the ordinary encoder does the batch.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Generic, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from producer.sources import Columns, Tally, WireRecord
from schemas.avro_codec import HEADER, Encoder
from schemas.events import Quote, Trade
from schemas.validation import MAX_AMOUNT

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]

SOURCE = "simulator"
EXCHANGES = ("Q", "N", "P", "Z", "V")
"""Nasdaq, NYSE, NYSE Arca, Cboe BZX, IEX: the codes of the US consolidated tapes. One letter each, which the
fixed-width layout relies on."""

ID_DIGITS = 15
NEVER = np.iinfo(np.int64).max
_POWERS = 10 ** np.arange(ID_DIGITS - 1, -1, -1, dtype=np.int64)
_EXCHANGE_BYTES = np.frombuffer("".join(EXCHANGES).encode(), dtype=np.uint8)

EventT = TypeVar("EventT", Trade, Quote)


def trade_id(sequence: int) -> str:
    """The id of the trade with this number: the number itself, so that no two trades can share one."""
    return f"{sequence:0{ID_DIGITS}d}"


@dataclass(frozen=True, slots=True, eq=False)
class _Columns(Columns, Sequence[EventT], Generic[EventT]):
    """What trades and quotes have in common. ``symbol`` indexes ``symbols``, ``exchange`` EXCHANGES."""

    symbols: tuple[str, ...]
    symbol: Ints
    event_time: Ints
    received_at: Ints
    sequence: Ints
    exchange: Ints

    def __len__(self) -> int:
        return len(self.symbol)

    @overload
    def __getitem__(self, index: int) -> EventT: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> EventT | Self:
        return self.rows(index) if isinstance(index, slice) else self._event(index)

    def __iter__(self) -> Iterator[EventT]:
        return (self._event(index) for index in range(len(self)))

    def rows(self, rows: NDArray[np.bool_] | Ints | slice) -> Self:
        """The chosen rows: a mask, indices, or a slice."""
        arrays = {name: getattr(self, name)[rows] for name in self.array_names()}
        return type(self)(symbols=self.symbols, **arrays)

    def before(self, ends: Mapping[str, int]) -> Self:
        """See ``producer.sources.Columns``."""
        limits = np.array([ends.get(symbol, NEVER) for symbol in self.symbols])
        return self.rows(self.event_time < limits[self.symbol])

    def add_to(self, tally: Tally) -> None:
        """See ``producer.sources.Columns``."""
        tally.counts[:] += np.bincount(self.symbol, minlength=len(self.symbols))
        tally.last[self.symbol] = self.event_time

    @property
    def source(self) -> str:
        return SOURCE

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls) if field.name != "symbols")

    def valid(self) -> bool:
        """Whether every event may be published; see ``producer.sources.Columns``."""
        prices, sizes = self._prices(), self._sizes()
        return bool(
            all(np.all((price > 0) & (price <= MAX_AMOUNT)) for price in prices)
            and all(np.all((size >= 0) & (size <= MAX_AMOUNT)) for size in sizes)
            and np.all(prices[0] * sizes[0] <= MAX_AMOUNT)
            and np.all(self.sequence >= 0)
        )

    def wire(self, schema_id: int) -> Iterable[WireRecord]:
        """The Kafka records; see ``producer.sources.Columns``."""
        keys, prefixes = _prefixes(self.symbols, schema_id)
        symbols, times = self.symbol.tolist(), (self.event_time // 1000).tolist()
        body = self._body()
        if body is None:
            encoder = Encoder(self._event_type(), schema_id)
            return [
                WireRecord(keys[symbol], encoder.encode(event), time)
                for symbol, event, time in zip(symbols, self, times, strict=True)
            ]
        return [
            WireRecord(keys[symbol], prefixes[symbol] + row, time)
            for symbol, row, time in zip(symbols, _rows(body), times, strict=True)
        ]

    @abstractmethod
    def _event(self, index: int) -> EventT: ...

    @staticmethod
    @abstractmethod
    def _event_type() -> type[EventT]: ...

    @abstractmethod
    def _prices(self) -> tuple[Floats, ...]: ...

    @abstractmethod
    def _sizes(self) -> tuple[Floats, ...]: ...

    @abstractmethod
    def _body(self) -> Bytes | None:
        """The rows' bytes after the symbol, shape (rows, width); None where widths differ."""


@dataclass(frozen=True, slots=True, eq=False)
class TradeColumns(_Columns[Trade]):
    """Simulated trades. ``sequence`` is the global number of the trade, and its id; ``correctable`` says of
    which a correction may follow."""

    price: Floats
    size: Floats
    correctable: Bools

    def _event(self, index: int) -> Trade:
        sequence = int(self.sequence[index])
        return Trade(
            symbol=self.symbols[self.symbol[index]],
            event_time=int(self.event_time[index]),
            received_at=int(self.received_at[index]),
            price=float(self.price[index]),
            size=float(self.size[index]),
            trade_id=trade_id(sequence),
            sequence=sequence,
            source=SOURCE,
            exchange=EXCHANGES[self.exchange[index]],
            correctable=bool(self.correctable[index]),
        )

    @staticmethod
    def _event_type() -> type[Trade]:
        return Trade

    def _prices(self) -> tuple[Floats, ...]:
        return (self.price,)

    def _sizes(self) -> tuple[Floats, ...]:
        return (self.size,)

    def _body(self) -> Bytes | None:
        times, received, sequences = _longs(self.event_time), _longs(self.received_at), _longs(self.sequence)
        if times is None or received is None or sequences is None:
            return None
        count = len(self)
        digits = self.sequence[:, None] // _POWERS % 10 + ord("0")
        return np.hstack(
            (
                times,
                received,
                _doubles(self.price),
                _doubles(self.size),
                _constant(bytes([2 * ID_DIGITS]), count),
                digits.astype(np.uint8),
                sequences,
                _constant(_string(SOURCE) + b"\x02", count),
                _EXCHANGE_BYTES[self.exchange][:, None],
                _constant(b"\x00\x01\x01\x01", count),  # no conditions, updates all
                self.correctable[:, None].view(np.uint8),
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class QuoteColumns(_Columns[Quote]):
    """Simulated quotes. ``sequence`` counts the quotes of this run of the simulator."""

    bid: Floats
    bid_size: Floats
    ask: Floats
    ask_size: Floats

    def _event(self, index: int) -> Quote:
        return Quote(
            symbol=self.symbols[self.symbol[index]],
            event_time=int(self.event_time[index]),
            received_at=int(self.received_at[index]),
            bid=float(self.bid[index]),
            bid_size=float(self.bid_size[index]),
            ask=float(self.ask[index]),
            ask_size=float(self.ask_size[index]),
            sequence=int(self.sequence[index]),
            source=SOURCE,
            exchange=EXCHANGES[self.exchange[index]],
        )

    @staticmethod
    def _event_type() -> type[Quote]:
        return Quote

    def _prices(self) -> tuple[Floats, ...]:
        return self.bid, self.ask

    def _sizes(self) -> tuple[Floats, ...]:
        return self.bid_size, self.ask_size

    def _body(self) -> Bytes | None:
        times, received, sequences = _longs(self.event_time), _longs(self.received_at), _longs(self.sequence)
        if times is None or received is None or sequences is None:
            return None
        return np.hstack(
            (
                times,
                received,
                *(_doubles(column) for column in (self.bid, self.bid_size, self.ask, self.ask_size)),
                sequences,
                _constant(_string(SOURCE) + b"\x02", len(self)),
                _EXCHANGE_BYTES[self.exchange][:, None],
            )
        )


def _rows(body: Bytes) -> list[bytes]:
    """Each row of a (rows, width) array as bytes."""
    data, width = body.tobytes(), body.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]


def _doubles(values: Floats) -> Bytes:
    """Avro doubles: 8 bytes each, little endian."""
    return values.astype("<f8").view(np.uint8).reshape(-1, 8)


def _longs(values: Ints) -> Bytes | None:
    """Avro longs (zigzag, 7 bits a byte, least first), shape (rows, length); None where lengths differ."""
    if not len(values):
        return np.empty((0, 1), np.uint8)
    zigzag = values.astype(np.uint64) << np.uint64(1)  # none is negative
    length = _long_length(int(zigzag.max()))
    if length != _long_length(int(zigzag.min())):
        return None
    groups = (zigzag[:, None] >> (np.uint64(7) * np.arange(length, dtype=np.uint64))) & np.uint64(0x7F)
    groups[:, :-1] |= np.uint64(0x80)
    return groups.astype(np.uint8)


def _long_length(zigzag: int) -> int:
    return max(1, -(-zigzag.bit_length() // 7))


def _constant(value: bytes, count: int) -> Bytes:
    return np.broadcast_to(np.frombuffer(value, np.uint8), (count, len(value)))


def _string(text: str) -> bytes:
    """An Avro string of fewer than 64 bytes."""
    data = text.encode()
    return bytes([2 * len(data)]) + data


@cache
def _prefixes(symbols: tuple[str, ...], schema_id: int) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """For each symbol its key, and how its records begin: header and symbol."""
    header = HEADER.pack(0, schema_id)
    return tuple(symbol.encode() for symbol in symbols), tuple(header + _string(symbol) for symbol in symbols)
