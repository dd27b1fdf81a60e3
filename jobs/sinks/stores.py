"""What becomes of the records of each topic: their rows, and which of them are refused."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jobs.sinks.event_rows import AlertRows, CandleRows, GapRows
from jobs.sinks.live_bars import LiveBars
from jobs.sinks.provider_rows import ProviderBarRows
from jobs.sinks.tick_rows import QuoteRows, TradeRows
from schemas.avro_codec import Decoder
from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, Event, Gap, ProviderBar, Quote, Trade
from schemas.record_batch import EventReader, QuoteReader, RecordBatch, TradeReader
from schemas.topics import Topics
from schemas.validation import check_alert, check_candle, check_gap, check_provider_bar


class Records(NamedTuple):
    """Records of one topic, in columns; a payload may be None. ``times_ms``: timestamps since 1970 UTC."""

    payloads: Sequence[Any]
    partitions: Sequence[int]
    offsets: Sequence[int]
    times_ms: "np.ndarray[Any, np.dtype[np.int64]]"


Poison = dict[int, PoisonError]
"""By position among the records."""


class Store(Protocol):
    """Of one topic."""

    def rows(self, records: Records, poison: Poison) -> Iterable[bytes]:
        """Those of the valid records, see jobs.sinks.inserts; adds the others to ``poison``."""


class TickStore:
    """Trades or quotes, which are read as columns. ``rows``: those of the valid and of the refused."""

    def __init__(
        self,
        reader: TradeReader | QuoteReader,
        rows: Callable[[RecordBatch, Records], Iterable[bytes]],
    ) -> None:
        self._reader = reader
        self._rows = rows

    def rows(self, records: Records, poison: Poison) -> Iterable[bytes]:
        batch = self._reader.read(records.payloads, records.times_ms)
        poison.update(batch.poison)
        return self._rows(batch, records)


class EventRows(Protocol):
    def rows(self, events: Sequence[Any]) -> Iterable[bytes]: ...


class EventStore:
    """Events that are taken one by one: they are few beside trades and quotes. ``due``: which of those that
    are valid are written now."""

    def __init__(
        self,
        rows: EventRows,
        decoder: Decoder,
        check: Callable[[Any], None],
        due: Callable[[Iterable[Any]], list[Any]] = list,
    ) -> None:
        self._rows = rows
        self._reader = EventReader(decoder, check)
        self._due = due

    def rows(self, records: Records, poison: Poison) -> Iterable[bytes]:
        valid = (event for _, event in self._reader.read(records.payloads, poison))
        return self._rows.rows(self._due(valid))


def stored_topics(topics: Topics) -> tuple[str, ...]:
    """Those whose records have tables."""
    return (
        topics.trades,
        topics.quotes,
        topics.candles,
        topics.alerts,
        topics.gaps,
        topics.provider_candles,
    )


def stores(
    topics: Topics, decoder: Callable[[tuple[type[Event], ...]], Decoder], live_every: float
) -> Mapping[str, Store]:
    """Topic -> its store. ``live_every``: least seconds between two rows of a live bar."""
    trades, quotes, live_bars = TradeRows(), QuoteRows(), LiveBars(live_every, time.monotonic)
    return {
        topics.trades: TickStore(
            TradeReader(decoder((Trade, Correction))),
            lambda batch, each: trades.rows(batch, each.payloads, each.partitions, each.offsets),
        ),
        topics.quotes: TickStore(QuoteReader(decoder((Quote,))), lambda batch, _: quotes.rows(batch)),
        topics.candles: EventStore(CandleRows(), decoder((Candle,)), check_candle, live_bars.due),
        topics.alerts: EventStore(AlertRows(), decoder((Alert,)), check_alert),
        topics.gaps: EventStore(GapRows(), decoder((Gap,)), check_gap),
        topics.provider_candles: EventStore(ProviderBarRows(), decoder((ProviderBar,)), check_provider_bar),
    }
