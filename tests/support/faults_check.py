"""What must hold after all faults: stored is what was acknowledged, and the bars are made of exactly that."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import pytest
from cassandra.cluster import Session

from schemas.avro_codec import Decoder
from schemas.events import Candle, Correction, Trade
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.registry import RegistryLookup
from schemas.settings import KafkaSettings
from schemas.tables import GOLD_TABLES
from tests.support.faults_ledger import Key, Noted
from tests.support.reading import read_topic

UNCOMPARED = frozenset({"late_trades", "updated_at", "version"})
"""Of a bar: how it came about, which a fault may change; all else must not."""

ADDITIVE = 1e-12
"""Relative: each trade's notional is rounded once, to 1e-9."""

BarKey = tuple[str, str, int]
"""(symbol, interval, start)"""

EXACT = Context(prec=60, traps=[Inexact])


@dataclass(slots=True)
class ExactBar:
    """A bar computed trade by trade in decimal, without any rounding."""

    first: tuple[int, int]
    last: tuple[int, int]
    open: float
    high: float
    low: float
    close: float
    volume: Decimal
    notional: Decimal
    trades: int

    def add(self, other: "ExactBar") -> None:
        """Makes it a bar of the trades of both."""
        if other.first < self.first:
            self.first, self.open = other.first, other.open
        if other.last > self.last:
            self.last, self.close = other.last, other.close
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        self.volume += other.volume
        self.notional += other.notional
        self.trades += other.trades


def exact_bars(trades: Iterable[Noted]) -> dict[BarKey, ExactBar]:
    """The bars of all intervals, of trades that are each there once."""
    bars: dict[BarKey, ExactBar] = {}
    with localcontext(EXACT):
        for trade in trades:
            _merge(bars, (trade.symbol, "1m", trade.minute), _bar_of(trade))
        for (symbol, _, minute), bar in list(bars.items()):
            for interval, length in INTERVALS.items():
                if length > MINUTE_US:
                    _merge(bars, (symbol, interval, minute - minute % length), bar)
    return bars


def _bar_of(trade: Noted) -> ExactBar:
    at, price, size = (trade.event_time, trade.sequence), float(trade.price), Decimal(trade.size)
    return ExactBar(at, at, price, price, price, price, size, size * Decimal(trade.price), 1)


def _merge(bars: dict[BarKey, ExactBar], key: BarKey, bar: ExactBar) -> None:
    if key in bars:
        bars[key].add(bar)
    else:
        bars[key] = ExactBar(**{field.name: getattr(bar, field.name) for field in fields(ExactBar)})


def wrong_bars(bars: Mapping[BarKey, Candle], exact: Mapping[BarKey, ExactBar]) -> list[str]:
    """What differs between bars and the exact ones; nothing where all of them are there and right."""
    wrong = [f"{key}: not expected" for key in bars.keys() - exact.keys()]
    for key, want in exact.items():
        bar = bars.get(key)
        if bar is None:
            wrong.append(f"{key}: missing")
            continue
        if (bar.open, bar.high, bar.low, bar.close, bar.trades) != (
            want.open, want.high, want.low, want.close, want.trades
        ):  # fmt: skip
            wrong.append(f"{key}: {bar} instead of {want}")
        elif (bar.volume, bar.notional, bar.vwap) != pytest.approx(
            (float(want.volume), float(want.notional), float(want.notional / want.volume)), rel=ADDITIVE
        ):
            wrong.append(f"{key}: volume, notional or vwap of {bar} is not that of {want}")
    return sorted(wrong)


def differing_bars(bars: Mapping[BarKey, Candle], others: Mapping[BarKey, Candle]) -> list[str]:
    """What differs between two sets of bars, in every field that faults must not touch."""
    differing = [f"{key}: in one only" for key in bars.keys() ^ others.keys()]
    for key in bars.keys() & others.keys():
        names = [
            field.name
            for field in fields(Candle)
            if field.name not in UNCOMPARED
            and getattr(bars[key], field.name) != getattr(others[key], field.name)
        ]
        if names:
            differing.append(f"{key}: {', '.join(names)} of {bars[key]} and {others[key]}")
    return sorted(differing)


def stored_final_bars(session: Session, symbols: set[str]) -> dict[BarKey, dict[str, Any]]:
    """The final bars in the gold tables, by their fields but those that faults may change."""
    names = {field.name for field in fields(Candle)} - UNCOMPARED - {"interval"}
    bars = {}
    for interval in INTERVALS:
        for row in session.execute(f"SELECT * FROM {GOLD_TABLES[interval]}"):  # noqa: S608
            if row.symbol in symbols and row.final:
                values = {name: _plain(getattr(row, name)) for name in names if name in row._fields}
                bars[row.symbol, interval, values["start"]] = values
    return bars


def wrong_rows(stored: Mapping[BarKey, Mapping[str, Any]], bars: Mapping[BarKey, Candle]) -> list[str]:
    """What differs between the gold tables and the last versions on the topic."""
    wrong = [f"{key}: in one only" for key in stored.keys() ^ bars.keys()]
    for key in stored.keys() & bars.keys():
        names = [name for name, value in stored[key].items() if value != _plain(getattr(bars[key], name))]
        if names:
            wrong.append(f"{key}: {', '.join(names)} of {stored[key]} and {bars[key]}")
    return sorted(wrong)


def _plain(value: Any) -> Any:
    """A value of the driver or of a candle as both can be compared; times in us."""
    if hasattr(value, "timestamp"):
        return round(value.replace(tzinfo=UTC).timestamp()) * 1_000_000
    if isinstance(value, Mapping):
        return dict(value)
    return tuple(value) if isinstance(value, list | tuple) else value


def log_records(settings: KafkaSettings) -> list[Noted]:
    """Every record of the trades topic: trades, then corrections."""
    topic = f"{settings.topic_prefix}.trades"
    events: list[Trade | Correction] = [
        *read_topic(settings, topic, Trade),
        *read_topic(settings, topic, Correction),
    ]
    return [_noted(event) for event in events]


def bronze_rows(session: Session, settings: KafkaSettings) -> Iterator[Noted]:
    """Bronze: each row by its payload. Raises AssertionError for a row whose key is not its payload's."""
    decoder = Decoder((Trade, Correction), RegistryLookup(settings.schema_registry_url))
    columns = "symbol, source, trade_id, event_time, sequence"
    for row in session.execute(f"SELECT {columns}, payload FROM trades_bronze"):  # noqa: S608
        event = decoder.decode(row.payload)
        assert isinstance(event, Trade | Correction)
        noted = _noted(event)
        assert tuple(row)[:5] == (*noted.key, noted.event_time, noted.sequence)
        yield noted


def silver_rows(session: Session) -> Iterator[Noted]:
    """Silver: each row."""
    columns = "symbol, source, trade_id, event_time, sequence, price, size"
    for row in session.execute(f"SELECT {columns} FROM trades_silver"):  # noqa: S608
        *identity, price, size = row
        yield Noted._make((*identity, repr(price), repr(size), "trade", ""))


def correction_rows(session: Session) -> Iterator[Noted]:
    """The table of corrections: each row."""
    columns = "symbol, source, trade_id, event_time, sequence, price, size, kind, correction_id"
    for row in session.execute(f"SELECT {columns} FROM trade_corrections"):  # noqa: S608
        *identity, price, size, kind, correction_id = row
        yield Noted._make((*identity, _exact(price), _exact(size), kind, correction_id))


def _noted(event: Trade | Correction) -> Noted:
    about = event.symbol, event.source, event.trade_id, event.event_time, event.sequence
    amounts = _exact(event.price), _exact(event.size)
    if isinstance(event, Correction):
        return Noted(*about, *amounts, event.kind, event.correction_id)
    return Noted(*about, *amounts)


def _exact(number: float | None) -> str:
    return "" if number is None else repr(number)


def difference(expected: Iterable[Noted], found: Iterable[Noted]) -> dict[str, list[Noted]]:
    """What is ``missing`` and what is ``extra`` in ``found``, each as often as it is; empty for the same."""
    want, have = Counter(expected), Counter(found)
    both = {"missing": sorted((want - have).elements()), "extra": sorted((have - want).elements())}
    return {name: values for name, values in both.items() if values}


def in_flight(
    log: Iterable[Noted], ledger: Iterable[Noted], kills: Iterable[float], seconds: float
) -> dict[Key, Noted]:
    """Trades that Kafka has and the ledger has not, because the producer was killed (``kills``: when, in s
    since 1970) before it heard of their acknowledgement: made in the last ``seconds`` of its life."""
    known = {record.key for record in ledger}
    return {
        record.key: record
        for record in log
        if record.key not in known and any(at - seconds <= record.event_time / 1e6 <= at for at in kills)
    }
