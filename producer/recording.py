"""Recorded market data: how the columns of a file become events. Pure: lines in, events out.

A **mapping** says where each field of a trade or a quote comes from: ``field=column``, separated by commas.

* ``field=column:unit`` for times: ``s``, ``ms``, ``us``, ``ns`` since 1970, or ``iso`` (ISO 8601, UTC where
  it names no zone). Without a unit whole numbers are microseconds and everything else is ISO 8601.
* ``field='text'`` gives every event the same value: ``source='binance'``.
* A mapping with ``bid`` and ``ask`` makes quotes, any other one trades.
* Needed: symbol, event_time, price and size, or bid, bid_size, ask and ask_size. ``received_at`` is the event
  time where there is no column for it, ``source`` the name of the file, ``sequence`` the ``trade_id`` where
  that is a whole number and else the number of the line, ``trade_id`` the sequence. ``conditions`` is a list
  in JSON, and text separated by ``|`` in CSV; ``updates_open_close``, ``updates_high_low``,
  ``updates_volume`` and ``correctable`` are 1/0 or true/false.

**Corrections** are rows of the same file, told by ``kind``: ``cancel`` and ``correct``; a row whose kind is
empty, null, ``trade`` or not there is a trade. Of a correction ``trade_id`` is that of the trade it is about,
``trade_time`` that trade's event time, if it is known, and ``event_time`` when it was corrected. It needs
symbol, event_time and trade_id, and to correct, the new price and size; those of a cancel, and what it
updates, are not looked at. ``sequence`` is the ``correction_id`` where that is a whole number, and else the
number of the line; ``correction_id`` is made of all of these where there is none.

**What a trade updates** the recording itself decides if its mapping names any of ``updates_open_close``,
``updates_high_low`` and ``updates_volume`` (with our own field names: if its first line does); those that it
does not name are true. Otherwise the conditions of a trade decide, by the rules for its source
(``producer.conditions``).

Example: ``symbol=pair,event_time=T:ms,price=p,size=q,trade_id=t,source='kraken'``

CSV files begin with a line that names the columns; JSON lines hold one object each. A row is one line. With
our own field names an object may lack what is not needed, so that one file can hold trades and corrections:
the payloads of dead letters, say.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from producer.recorded_values import TIMES, UNITS, UPDATES, converter
from schemas.errors import ConfigurationError, PoisonError
from schemas.events import Correction, Quote, Trade

RowKind = Literal["trade", "quote", "cancel", "correct"]
KIND = "kind"
TRADE_FIELDS = tuple(field.name for field in fields(Trade))
CORRECT_FIELDS = tuple(field.name for field in fields(Correction) if field.name != KIND)
QUOTE_FIELDS = tuple(field.name for field in fields(Quote))
FIELDS: Mapping[RowKind, Sequence[str]] = {
    "trade": TRADE_FIELDS,
    "cancel": tuple(name for name in CORRECT_FIELDS if name not in UPDATES | {"price", "size"}),
    "correct": CORRECT_FIELDS,
    "quote": QUOTE_FIELDS,
}
NEEDS: Mapping[RowKind, Sequence[str]] = {
    "trade": ("symbol", "event_time", "price", "size"),
    "cancel": ("symbol", "event_time", "trade_id"),
    "correct": ("symbol", "event_time", "trade_id", "price", "size"),
    "quote": ("symbol", "event_time", "bid", "bid_size", "ask", "ask_size"),
}
ROWS_OF: Mapping[Literal["trade", "quote"], Sequence[RowKind]] = {
    "trade": ("trade", "cancel", "correct"),
    "quote": ("quote",),
}
"""The kinds of row that a file of trades, or of quotes, may hold."""


FORMATS: Mapping[str, str] = {
    "tickstream": "our own field names, whichever of them the file has; times in microseconds or ISO 8601",
    "binance_trades": "symbol=symbol,event_time=trade_time_ms:ms,received_at=recv_ns:ns,price=price,"
    "size=size,trade_id=trade_id,sequence=trade_id,source='binance'",
    "binance_quotes": "symbol=symbol,event_time=recv_ns:ns,received_at=recv_ns:ns,bid=bid,bid_size=bid_size,"
    "ask=ask,ask_size=ask_size,sequence=update_id,source='binance'",
}
"""The formats that have a name. ``auto`` takes the first whose columns a file has."""

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
    """A mapping: field -> where it comes from. ``natural``: by our own field names, so that an object may
    lack what is not needed."""

    fields: Mapping[str, FieldSource]
    natural: bool = False

    @property
    def kind(self) -> Literal["trade", "quote"]:
        return "quote" if "bid" in self.fields or "ask" in self.fields else "trade"

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(source.column for source in self.fields.values() if source.column is not None)

    @property
    def decides(self) -> bool:
        """Whether the recording itself says what its trades update."""
        return not UPDATES.isdisjoint(self.fields)


def parse_mapping(text: str) -> Mapped:
    """The mapping that ``text`` describes; raises ConfigurationError saying what is wrong with it."""
    found: dict[str, FieldSource] = {}
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
        found[name] = FieldSource(item["column"], item["text"] or "", unit)
        position = item.end()
    mapped = Mapped(found)
    known = _known(mapped.kind)
    if unknown := sorted(found.keys() - known):
        raise ConfigurationError(
            f"REPLAY_FORMAT: a {mapped.kind} has no field {', '.join(unknown)}: it has {', '.join(known)}"
        )
    needs = NEEDS["cancel"] if KIND in found else NEEDS[mapped.kind]
    if missing := [name for name in needs if name not in found]:
        what = "correction" if KIND in found else mapped.kind
        raise ConfigurationError(f"REPLAY_FORMAT: says nothing about {', '.join(missing)} of a {what}")
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
    kinds: Iterable[tuple[Literal["trade", "quote"], RowKind]] = (
        ("quote", "quote"),
        ("trade", "trade"),
        ("trade", "cancel"),
    )
    for kind, row_kind in kinds:
        if set(NEEDS[row_kind]) <= set(columns) and (row_kind != "cancel" or KIND in columns):
            named = {name: FieldSource(name) for name in _known(kind) if name in columns}
            if "trade_id" not in named:
                named.pop(KIND, None)  # no correction could say what it is about
            return Mapped(named, natural=True)
    return None


def _known(kind: Literal["trade", "quote"]) -> Mapping[str, None]:
    """The fields of all rows that a file of trades or of quotes may hold, in their order."""
    names = [name for row_kind in ROWS_OF[kind] for name in FIELDS[row_kind]]
    return dict.fromkeys(names if kind == "quote" else [*names, KIND])


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the rows of one kind become events: what every row has, what an object may have, and what is needed
    and comes from nowhere."""

    always: Sequence[tuple[str, Getter]]
    maybe: Sequence[tuple[str, Column, Getter]]
    missing: Sequence[str]

    def values(self, row: Any) -> dict[str, Any]:
        if self.missing:
            raise ValueError(f"nothing says its {', '.join(self.missing)}")
        values = {name: get(row) for name, get in self.always}
        for name, key, get in self.maybe:
            if key in row:
                values[name] = get(row)
        return values


class Parser:
    """Makes events of the lines of one file."""

    def __init__(self, mapped: Mapped, columns: Sequence[str] | None, source: str) -> None:
        """``columns``: those of a CSV file in their order; None for JSON lines. ``source``: for events whose
        mapping names none."""
        self._columns = None if columns is None else tuple(columns)
        self._source = source
        self.kind = mapped.kind
        self.decides = mapped.decides
        named = mapped.fields
        loose = mapped.natural and columns is None
        if loose:
            named = {name: FieldSource(name) for name in _known(mapped.kind)}
        self._plans = {kind: self._plan(kind, named, loose=loose) for kind in ROWS_OF[mapped.kind]}
        self._get_kind = self._kind_getter(named[KIND]) if KIND in named else None

    def parse(self, line: str, number: int) -> Trade | Correction | Quote:
        """The event in ``line``, the ``number``-th of its file; raises PoisonError ``unreadable_row``. The
        values are of the right types, and not yet validated."""
        try:
            row = self._row(line)
            kind = self.kind if self._get_kind is None else _row_kind(self._get_kind(row))
            values = self._plans[kind].values(row)
            if not line.isascii():
                line.encode()  # bytes that were no UTF-8 came as surrogates
        except (ValueError, ArithmeticError, TypeError, LookupError, csv.Error, RecursionError) as error:
            raise PoisonError("unreadable_row", f"{type(error).__name__}: {error}") from error
        if "source" not in values:
            values["source"] = self._source
        if "received_at" not in values:
            values["received_at"] = values["event_time"]
        if kind == "quote":
            values.setdefault("sequence", number)
            return Quote(**values)
        if kind == "trade":
            if "sequence" not in values:
                values["sequence"] = _sequence(values.get("trade_id", ""), number)
            if "trade_id" not in values:
                values["trade_id"] = str(values["sequence"])
            return Trade(**values)
        if "sequence" not in values:
            values["sequence"] = _sequence(values.get("correction_id", ""), number)
        if not values.get("correction_id"):
            trade_id, time, sequence = values["trade_id"], values["event_time"], values["sequence"]
            values["correction_id"] = f"{trade_id}-{kind}-{time}-{sequence}"
        return Correction(kind=kind, **values)

    def _plan(self, kind: RowKind, named: Mapping[str, FieldSource], *, loose: bool) -> _Plan:
        """``loose``: a row may lack what is not needed."""
        getters = {name: self._getter(name, named[name]) for name in FIELDS[kind] if name in named}
        needed = NEEDS[kind] if loose else tuple(getters)
        return _Plan(
            always=[(name, get) for name, (_, get) in getters.items() if name in needed],
            maybe=[(name, key, get) for name, (key, get) in getters.items() if name not in needed],
            missing=[name for name in NEEDS[kind] if name not in getters],
        )

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

    def _kind_getter(self, field: FieldSource) -> Getter:
        column = field.column
        if column is None:
            return lambda _: field.text
        if self._columns is None:
            return lambda row: row.get(column)
        index = self._columns.index(column)
        return lambda row: row[index].strip()

    def _getter(self, name: str, field: FieldSource) -> tuple[Column, Getter]:
        """The key of its cell, and what makes its value of a row."""
        convert = converter(name, field.unit, from_text=self._columns is not None)
        if field.column is None:
            try:
                value = converter(name, "", from_text=True)(field.text)
            except ValueError as error:
                raise ConfigurationError(f"REPLAY_FORMAT: {name}={field.text!r}: {error}") from error
            return "", lambda _: value
        key: Column = field.column if self._columns is None else self._columns.index(field.column)
        return key, lambda row: convert(row[key])


def _row_kind(text: Any) -> RowKind:
    if not text or text == "trade":
        return "trade"
    if text == "cancel" or text == "correct":  # noqa: PLR1714 -- mypy follows this one
        return text
    raise ValueError(f"kind is {text!r:.100}, neither trade, cancel nor correct")


def _sequence(identity: str, number: int) -> int:
    """The id, where it is a whole number; else the number of the line."""
    return int(identity) if identity.isascii() and identity.isdigit() else number
