"""The vectorised functions that store a batch of records and return the dead letters among them.

When a call returns, everything it was given is in Cassandra or is a letter in its result. Flink finishes the
open batch before a checkpoint's barrier passes, so a checkpoint covers only what is stored.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pyflink.table import DataTypes, FunctionContext, ScalarFunction
from pyflink.table.udf import udf

from jobs.domain.record_batch import QuoteReader, TradeReader
from jobs.flink.columns import milliseconds
from jobs.flink.worker import prepare_worker
from jobs.flink.worker_session import shared_session
from jobs.letters import carried
from jobs.settings import JobSettings
from jobs.sinks.cassandra_writer import CassandraWriter
from jobs.sinks.event_rows import AlertRows, CandleRows, GapRows
from jobs.sinks.live_bars import LiveBars
from jobs.sinks.provider_rows import ProviderBarRows
from jobs.sinks.tick_rows import QuoteRows, TradeRows
from schemas.avro_codec import Decoder, Encoder, SchemaJson
from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade
from schemas.registry import RegistryLookup
from schemas.topics import Topics
from schemas.validation import check_alert, check_candle, check_gap, check_provider_bar


class WriteFunction(ScalarFunction):
    """``write(payload, partition, offset, record_time) -> letter``: null, or the dead letter's bytes."""

    def __init__(
        self, settings: JobSettings, topic: str, schemas: Mapping[int, SchemaJson], letter_schema_id: int
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._schemas = schemas
        self._letter_schema_id = letter_schema_id

    def open(self, function_context: FunctionContext) -> None:  # noqa: ARG002 -- Flink's signature
        prepare_worker()
        self._session = shared_session(self._settings)
        self._writer = CassandraWriter(self._session, self._settings.cassandra_retry_seconds)
        self._encode_letter = Encoder(DeadLetter, self._letter_schema_id)

    def is_deterministic(self) -> bool:
        """It writes: the planner must call it once for each record, and never fold it away."""
        return False

    def _decoder(self, *event_types: type[Event]) -> Decoder:
        return Decoder(event_types, RegistryLookup(self._settings.schema_registry_url), self._schemas)

    def _letters(
        self, poison: Mapping[int, PoisonError], payloads: Any, partitions: Any, offsets: Any
    ) -> "pd.Series[Any]":
        letters = np.full(len(payloads), None, dtype=object)
        for position, error in poison.items():
            letter = DeadLetter(
                error.reason, error.detail, "store", self._topic, int(partitions[position]),
                int(offsets[position]), carried(payloads[position]),
            )  # fmt: skip
            letters[position] = self._encode_letter.encode(letter)
        return pd.Series(letters)


class WriteTrades(WriteFunction):
    """Trades to bronze and silver, corrections to bronze and their own table."""

    def open(self, function_context: FunctionContext) -> None:
        super().open(function_context)
        self._rows = TradeRows(self._session)
        self._reader = TradeReader(self._decoder(Trade, Correction))

    def eval(
        self,
        payloads: "pd.Series[Any]",
        partitions: "pd.Series[Any]",
        offsets: "pd.Series[Any]",
        record_times: "pd.Series[Any]",
    ) -> "pd.Series[Any]":
        values, kafka_partitions, kafka_offsets = payloads.tolist(), partitions.tolist(), offsets.tolist()
        batch = self._reader.read(values, milliseconds(record_times))
        self._writer.write(self._rows.mutations(batch, values, kafka_partitions, kafka_offsets))
        return self._letters(batch.poison, values, kafka_partitions, kafka_offsets)


class WriteQuotes(WriteFunction):
    """Quotes, and the latest of each symbol."""

    def open(self, function_context: FunctionContext) -> None:
        super().open(function_context)
        self._rows = QuoteRows(self._session)
        self._reader = QuoteReader(self._decoder(Quote))

    def eval(
        self,
        payloads: "pd.Series[Any]",
        partitions: "pd.Series[Any]",
        offsets: "pd.Series[Any]",
        record_times: "pd.Series[Any]",
    ) -> "pd.Series[Any]":
        values = payloads.tolist()
        batch = self._reader.read(values, milliseconds(record_times))
        self._writer.write(self._rows.mutations(batch))
        return self._letters(batch.poison, values, partitions.tolist(), offsets.tolist())


class WriteEach(WriteFunction):
    """Events that are taken one by one: they are few beside trades and quotes."""

    EVENT: ClassVar[type[Event]]
    ROWS: ClassVar[type[Any]]
    check: "ClassVar[staticmethod[[Any], None]]"

    def open(self, function_context: FunctionContext) -> None:
        super().open(function_context)
        self._rows = self.ROWS(self._session)
        self._decode = self._decoder(self.EVENT).decode

    def eval(
        self,
        payloads: "pd.Series[Any]",
        partitions: "pd.Series[Any]",
        offsets: "pd.Series[Any]",
        record_times: "pd.Series[Any]",  # noqa: ARG002 -- one signature for all functions
    ) -> "pd.Series[Any]":
        values = payloads.tolist()
        poison: dict[int, PoisonError] = {}
        events = self._due(valid_events(values, self._decode, self.check, poison))
        self._writer.write(self._rows.mutations(list(events)))
        return self._letters(poison, values, partitions.tolist(), offsets.tolist())

    def _due(self, events: Iterator[Any]) -> Iterable[Any]:
        """Those that are stored; reads all of them."""
        return events


class WriteCandles(WriteEach):
    """Candles to gold and to the versions; live ones no more often than the settings allow."""

    EVENT = Candle
    ROWS = CandleRows
    check = staticmethod(check_candle)

    def open(self, function_context: FunctionContext) -> None:
        super().open(function_context)
        self._live_bars = LiveBars(self._settings.live_every_ms / 1000, time.monotonic)

    def _due(self, events: Iterator[Any]) -> Iterable[Any]:
        return self._live_bars.due(events)


class WriteAlerts(WriteEach):
    """Alerts by symbol and by day."""

    EVENT = Alert
    ROWS = AlertRows
    check = staticmethod(check_alert)


class WriteGaps(WriteEach):
    """Gaps by symbol."""

    EVENT = Gap
    ROWS = GapRows
    check = staticmethod(check_gap)


class WriteProviderBars(WriteEach):
    """Bars of providers."""

    EVENT = ProviderBar
    ROWS = ProviderBarRows
    check = staticmethod(check_provider_bar)


def valid_events(
    payloads: list[bytes | None],
    decode: Callable[[bytes], Any],
    check: Callable[[Any], None],
    poison: dict[int, PoisonError],
) -> Iterator[Any]:
    """The events of the payloads that pass the check; the others are added to ``poison`` by position."""
    for position, payload in enumerate(payloads):
        if payload is None:
            continue
        try:
            event = decode(payload)
            check(event)
        except PoisonError as error:
            poison[position] = error
        else:
            yield event


def as_udf(function: WriteFunction) -> Any:
    """The function as Flink registers it."""
    return udf(function, result_type=DataTypes.BYTES(), func_type="pandas", deterministic=False)


def write_functions(
    settings: JobSettings, schemas: Mapping[int, SchemaJson], ids: Mapping[str, int]
) -> dict[str, Any]:
    """Topic -> the function that stores its records."""
    topics = Topics(settings.topic_prefix)
    kinds = {
        topics.trades: WriteTrades,
        topics.quotes: WriteQuotes,
        topics.candles: WriteCandles,
        topics.alerts: WriteAlerts,
        topics.gaps: WriteGaps,
        topics.provider_candles: WriteProviderBars,
    }
    letter_id = ids[topics.dead_letter]
    return {topic: as_udf(kind(settings, topic, schemas, letter_id)) for topic, kind in kinds.items()}
