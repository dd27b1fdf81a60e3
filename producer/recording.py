"""Recorded market data: how the columns of a file become events. Pure: lines in, events out.

A **mapping** says where each field of a trade or a quote comes from: ``field=column``, separated by commas.

* ``field=column:unit`` for times: ``s``, ``ms``, ``us``, ``ns`` since 1970, or ``iso`` (ISO 8601, UTC where
  it names no zone). Without a unit whole numbers are microseconds and everything else is ISO 8601.
* ``field='text'`` gives every event the same value: ``source='binance'``.
* A mapping with ``bid`` and ``ask`` makes quotes, any other one trades.
* Needed: symbol, event_time, price and size, or bid, bid_size, ask and ask_size. ``received_at`` is the event
  time where there is no column for it, ``source`` the name of the file, ``sequence`` the ``trade_id`` where
  that is a whole number and else the number of the line, ``trade_id`` the sequence. ``conditions`` is a list
  in JSON, and text separated by ``|`` in CSV; ``updates_open_close``,
  ``updates_high_low``, ``updates_volume`` and ``correctable`` are 1/0 or true/false.

Example: ``symbol=pair,event_time=T:ms,price=p,size=q,trade_id=t,source='kraken'``

CSV files begin with a line that names the columns; JSON lines hold one object each. A row is one line.
"""

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from schemas.errors import ConfigurationError, PoisonError
from schemas.events import Quote, Trade

TRADE_FIELDS = (
    "symbol",
    "event_time",
    "received_at",
    "price",
    "size",
    "trade_id",
    "sequence",
    "source",
    "exchange",
    "conditions",
    "updates_open_close",
    "updates_high_low",
    "updates_volume",
)
QUOTE_FIELDS = (
    "symbol",
    "event_time",
    "received_at",
    "bid",
    "bid_size",
    "ask",
    "ask_size",
    "sequence",
    "source",
    "exchange",
)
TRADE_NEEDS = ("symbol", "event_time", "price", "size")
QUOTE_NEEDS = ("symbol", "event_time", "bid", "bid_size", "ask", "ask_size")
TIMES = frozenset({"event_time", "received_at"})
NUMBERS = frozenset({"price", "size", "bid", "bid_size", "ask", "ask_size"})
FLAGS = frozenset({"updates_open_close", "updates_high_low", "updates_volume", "correctable"})

FORMATS: Mapping[str, str] = {
    "tickstream": "our own field names, whichever of them the file has; times in microseconds or ISO 8601",
    "binance_trades": "symbol=symbol,event_time=trade_time_ms:ms,received_at=recv_ns:ns,price=price,"
    "size=size,trade_id=trade_id,sequence=trade_id,source='binance'",
    "binance_quotes": "symbol=symbol,event_time=recv_ns:ns,received_at=recv_ns:ns,bid=bid,bid_size=bid_size,"
    "ask=ask,ask_size=ask_size,sequence=update_id,source='binance'",
}
"""The formats that have a name. ``auto`` takes the first whose columns a file has."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNITS: Mapping[str, tuple[int, int]] = {"s": (1_000_000, 1), "ms": (1000, 1), "us": (1, 1), "ns": (1, 1000)}
"""Unit -> (factor, divisor) to microseconds."""

ITEM = re.compile(
    r"\s*(?P<field>\w+)\s*=\s*(?:'(?P<text>[^']*)'|(?P<column>[^,':]+?)(?::(?P<unit>\w+))?)\s*(?:,|$)"
)

Row = Sequence[str] | Mapping[str, Any]
Column = int | str
Getter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where a field comes from: a column, or the same text for every event."""

    column: str | None = None
    text: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping: field -> where it comes from."""

    fields: Mapping[str, FieldSource]

    @property
    def kind(self) -> Literal["trade", "quote"]:
        return "quote" if "bid" in self.fields or "ask" in self.fields else "trade"

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(source.column for source in self.fields.values() if source.column is not None)


def parse_mapping(text: str) -> Mapped:
    """The mapping that ``text`` describes; raises ConfigurationError saying what is wrong with it."""
    fields: dict[str, FieldSource] = {}
    position = 0
    while position < len(text):
        item = ITEM.match(text, position)
        if item is None:
            raise ConfigurationError(
                f"REPLAY_FORMAT: {text[position:]!r} is not field=column, field=column:unit or field='text';"
                f" named formats are auto, {', '.join(FORMATS)}"
            )
        name, unit = item["field"], item["unit"] or ""
        if unit and (name not in TIMES or unit not in (*UNITS, "iso")):
            raise ConfigurationError(
                f"REPLAY_FORMAT: unit {unit!r} of {name}: times take s, ms, us, ns or iso, other fields none"
            )
        if name in TIMES and item["column"] is None:
            raise ConfigurationError(f"REPLAY_FORMAT: {name} must come from a column")
        fields[name] = FieldSource(item["column"], item["text"] or "", unit)
        position = item.end()
    mapped = Mapped(fields)
    known, needs = (QUOTE_FIELDS, QUOTE_NEEDS) if mapped.kind == "quote" else (TRADE_FIELDS, TRADE_NEEDS)
    if unknown := sorted(fields.keys() - set(known)):
        raise ConfigurationError(
            f"REPLAY_FORMAT: a {mapped.kind} has no field {', '.join(unknown)}: it has {', '.join(known)}"
        )
    if missing := [name for name in needs if name not in fields]:
        raise ConfigurationError(f"REPLAY_FORMAT: says nothing about {', '.join(missing)} of a {mapped.kind}")
    return mapped


def mapping_for(format_text: str, columns: Sequence[str], file: str) -> Mapped:
    """The mapping for a file with these columns: the one that REPLAY_FORMAT gives or names, or, for ``auto``,
    the first named format that fits. Raises ConfigurationError."""
    if format_text in ("auto", *FORMATS):
        names = FORMATS if format_text == "auto" else (format_text,)
        for name in names:
            mapped = _natural(columns) if name == "tickstream" else parse_mapping(FORMATS[name])
            if mapped is not None and mapped.columns <= set(columns):
                return mapped
        raise ConfigurationError(
            f"{file}: its columns {', '.join(columns)} do not fit format {format_text}: set REPLAY_FORMAT to"
            f" a mapping like symbol=pair,event_time=time:ms,price=price,size=amount"
        )
    mapped = parse_mapping(format_text)
    if missing := sorted(mapped.columns - set(columns)):
        raise ConfigurationError(
            f"{file}: REPLAY_FORMAT names column {', '.join(missing)}, the file has {', '.join(columns)}"
        )
    return mapped


def _natural(columns: Sequence[str]) -> Mapped | None:
    """Our own field names, where all that are needed are there."""
    for fields, needs in ((QUOTE_FIELDS, QUOTE_NEEDS), (TRADE_FIELDS, TRADE_NEEDS)):
        if set(needs) <= set(columns):
            return Mapped({name: FieldSource(name) for name in fields if name in columns})
    return None


class Parser:
    """Makes events of the lines of one file."""

    def __init__(self, mapped: Mapped, columns: Sequence[str] | None, source: str) -> None:
        """``columns``: those of a CSV file in their order; None for JSON lines. ``source``: for events whose
        mapping names none."""
        self._columns = None if columns is None else tuple(columns)
        self.kind = mapped.kind
        self._get: dict[str, Getter] = {
            name: self._getter(name, field) for name, field in mapped.fields.items()
        }
        self._get.setdefault("source", lambda _: source)
        self._own_received_at = "received_at" in self._get
        self._own_sequence = "sequence" in self._get
        self._own_id = "trade_id" in self._get

    def parse(self, line: str, number: int) -> Trade | Quote:
        """The event in ``line``, the ``number``-th of its file; raises PoisonError ``unreadable_row``. The
        values are of the right types, and not yet validated."""
        try:
            row = self._row(line)
            values = {name: get(row) for name, get in self._get.items()}
            if not line.isascii():
                line.encode()  # bytes that were no UTF-8 came as surrogates
        except (ValueError, ArithmeticError, TypeError, LookupError, csv.Error, RecursionError) as error:
            raise PoisonError("unreadable_row", f"{type(error).__name__}: {error}") from error
        if not self._own_received_at:
            values["received_at"] = values["event_time"]
        if not self._own_sequence:
            values["sequence"] = self._sequence(values, number)
        if self.kind == "quote":
            return Quote(**values)
        if not self._own_id:
            values["trade_id"] = str(values["sequence"])
        return Trade(**values)

    def _row(self, line: str) -> Row:
        if self._columns is None:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            return row
        cells = line.split(",") if '"' not in line else next(csv.reader([line], strict=True))
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} columns instead of {len(self._columns)}")
        return cells

    def _sequence(self, values: Mapping[str, Any], number: int) -> int:
        identity = values.get("trade_id", "")
        return int(identity) if identity.isascii() and identity.isdigit() else number

    def _getter(self, name: str, field: FieldSource) -> Getter:
        convert = _converter(name, field.unit, from_text=self._columns is not None)
        if field.column is None:
            try:
                value = _converter(name, "", from_text=True)(field.text)
            except ValueError as error:
                raise ConfigurationError(f"REPLAY_FORMAT: {name}={field.text!r}: {error}") from error
            return lambda _: value
        key: Column = field.column if self._columns is None else self._columns.index(field.column)
        return lambda row: convert(row[key])


def _converter(name: str, unit: str, *, from_text: bool) -> Callable[[Any], Any]:
    """What makes a field's value of a cell of a CSV file (text), or of a JSON value."""
    if name in TIMES:
        return _time_in(unit)
    if name in NUMBERS:
        return float if from_text else _number
    if name == "sequence":
        return int if from_text else _whole
    if name in FLAGS:
        return _flag
    if name == "conditions":
        return _conditions
    return _text


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{value!r} is not a whole number")
    return int(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # an id that the provider writes as a number
    raise TypeError(f"{value!r} is not text")


def _flag(value: Any) -> bool:
    text = str(value).strip().lower()
    if text in ("1", "true", "t", "yes"):
        return True
    if text in ("0", "false", "f", "no"):
        return False
    raise ValueError(f"{value!r} is neither true nor false")


def _conditions(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(code.strip() for code in value.split("|") if code.strip())
    return tuple(_text(code) for code in value)


def _time_in(unit: str) -> Callable[[Any], int]:
    if unit == "iso":
        return _iso
    factor, divisor = UNITS[unit or "us"]

    def whole(value: Any) -> int:
        try:
            return int(value) * factor // divisor
        except ValueError:
            return _decimal(value, factor, divisor) if unit else _iso(value)

    def from_any(value: Any) -> int:
        if type(value) is str or type(value) is int:
            return whole(value)
        if type(value) is float:
            return _decimal(repr(value), factor, divisor)
        raise TypeError(f"{value!r} is not a time")

    return from_any


def _decimal(text: str, factor: int, divisor: int) -> int:
    """A time with a fraction, as many providers write seconds; beyond microseconds it is cut off."""
    return int(Decimal(text) * factor / divisor)


def _iso(value: Any) -> int:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MICROSECOND
