"""The vectorised functions that turn raw records into the columns that slices are summed from."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pyflink.table import DataTypes, FunctionContext, ScalarFunction
from pyflink.table.udf import udf

from jobs.domain import amounts, coverage, order_key, quote_key, trade_log
from jobs.flink.columns import Column, Integers, spread
from jobs.flink.worker import prepare_worker
from jobs.settings import JobSettings
from schemas.avro_codec import Decoder, SchemaJson
from schemas.errors import PoisonError
from schemas.events import Correction, Event, Gap, ProviderBar, Quote, Trade
from schemas.record_batch import QuoteReader, RecordBatch, TradeReader
from schemas.registry import RegistryLookup
from schemas.validation import check_gap, check_provider_bar

TRADE = {
    "symbol": DataTypes.STRING(),  # null for a heartbeat and for poison, which the store job reports
    "source": DataTypes.STRING(),
    "trade_id": DataTypes.STRING(),  # of a correction its own id
    "event_time": DataTypes.BIGINT(),
    "on_time": DataTypes.BOOLEAN(),  # the record's timestamp is the event time; never so of a correction
    "order_key": DataTypes.STRING(),  # null where the trade sets no open and close
    "price": DataTypes.DOUBLE(),  # null where it sets no high and low
    "volume_units": DataTypes.BIGINT(),
    "volume_billionths": DataTypes.BIGINT(),
    "notional_units": DataTypes.BIGINT(),
    "notional_billionths": DataTypes.BIGINT(),
    "counts": DataTypes.BIGINT(),  # 1 where it sets a price or adds volume
    "skewed": DataTypes.BIGINT(),  # 1 where it is dated further ahead of its receipt than two clocks may be
    "delay": DataTypes.BIGINT(),  # from the event to its being read here, us
    "correctable": DataTypes.BOOLEAN(),
    "log": DataTypes.STRING(),  # the trade by itself where it is correctable, or the correction
}
QUOTE = {
    "symbol": DataTypes.STRING(),  # null for a heartbeat and for poison
    "event_time": DataTypes.BIGINT(),
    "quote_key": DataTypes.STRING(),  # orders quotes, and holds all of them
    "on_time": DataTypes.BOOLEAN(),
    "crossed": DataTypes.BIGINT(),  # 1 where the bid is above the ask
}
GAP = {
    "symbol": DataTypes.STRING(),  # null for a heartbeat and for poison
    "source": DataTypes.STRING(),
    "event_time": DataTypes.BIGINT(),  # its end
    "log": DataTypes.STRING(),
}
NO_GAP: Mapping[str, Any] = {**dict.fromkeys(GAP), "event_time": 0}

PROVIDER_BAR = {
    "series": DataTypes.STRING(),  # symbol and source; empty for poison, null for a heartbeat
    "symbol": DataTypes.STRING(),
    "source": DataTypes.STRING(),
    "interval": DataTypes.STRING(),
    "start": DataTypes.BIGINT(),
    "end": DataTypes.BIGINT(),
    "open": DataTypes.DOUBLE(),
    "high": DataTypes.DOUBLE(),
    "low": DataTypes.DOUBLE(),
    "close": DataTypes.DOUBLE(),
    "volume": DataTypes.DOUBLE(),
    "vwap": DataTypes.DOUBLE(),  # null where the provider does not say
    "trades": DataTypes.BIGINT(),  # likewise UNKNOWN
    "final": DataTypes.BOOLEAN(),
    "received_at": DataTypes.BIGINT(),
    "reason": DataTypes.STRING(),  # of poison, and what it is exactly
    "detail": DataTypes.STRING(),
}
UNKNOWN = -1
"""numpy has no null in a column of whole numbers."""
NO_PROVIDER_BAR: Mapping[str, Any] = {
    **dict.fromkeys(PROVIDER_BAR),
    **dict.fromkeys(("start", "end", "trades", "received_at"), 0),
    **dict.fromkeys(("open", "high", "low", "close", "volume", "vwap"), np.nan),
    "final": False,
}


class DecodeFunction(ScalarFunction):
    """A vectorised function over one topic's records: ``decode(payload, record_time, partition, offset)``."""

    RESULT: ClassVar[dict[str, Any]]
    EVENTS: ClassVar[tuple[type[Event], ...]]

    def __init__(self, settings: JobSettings, known: Mapping[int, SchemaJson]) -> None:
        self._settings = settings
        self._known = known

    def open(self, function_context: FunctionContext) -> None:  # noqa: ARG002 -- Flink's signature
        prepare_worker()
        self._open(Decoder(self.EVENTS, RegistryLookup(self._settings.schema_registry_url), self._known))

    @abstractmethod
    def eval(
        self, payloads: Sequence[bytes | None], record_ms: Integers, partitions: Integers, offsets: Integers
    ) -> Mapping[str, Column]:
        """A column as long as the batch for each name of RESULT."""

    @abstractmethod
    def _open(self, decoder: Decoder) -> None: ...


class DecodeTrades(DecodeFunction):
    """Trades and corrections to ``ROW(TRADE)``."""

    RESULT = TRADE
    EVENTS = (Trade, Correction)

    def _open(self, decoder: Decoder) -> None:
        self._reader = TradeReader(decoder)

    def eval(
        self, payloads: Sequence[bytes | None], record_ms: Integers, partitions: Integers, offsets: Integers
    ) -> Mapping[str, Column]:
        batch = self._reader.read(payloads, record_ms)
        columns = {
            name: spread(values, batch.positions, len(payloads))
            for name, values in _trades(batch, self._settings.clock_skew_us).items()
        }
        for position, correction in batch.corrections.items():
            packed = trade_log.pack_correction(correction, int(partitions[position]), int(offsets[position]))
            row = {name: correction[name] for name in ("symbol", "source", "event_time")}
            row |= {
                "trade_id": correction["correction_id"],
                "on_time": False,
                "correctable": True,
                "log": packed,
            }
            row |= {"order_key": None, "price": np.nan}
            for name, value in row.items():
                columns[name][position] = value
        return columns


def _trades(batch: RecordBatch, clock_skew_us: int) -> dict[str, Any]:
    event_time, sequence = batch.integers["event_time"], batch.integers["sequence"]
    price, size = batch.floats["price"], batch.floats["size"]
    open_close, volume_too = batch.flags["updates_open_close"], batch.flags["updates_volume"]
    # Or a bar could open above its high.
    high_low = batch.flags["updates_high_low"] | open_close
    volume = amounts.split(np.where(volume_too, size, 0.0))
    notional = amounts.split(np.where(volume_too, price * size, 0.0))
    keys = np.array(order_key.pack(event_time, sequence, price), dtype=object)
    skewed = event_time - batch.integers["received_at"] > clock_skew_us
    correctable = batch.flags["correctable"]
    log = np.full(len(keys), None, dtype=object)
    if correctable.any():
        rows = np.flatnonzero(correctable)
        ids = batch.columns["trade_id"]
        log[rows] = trade_log.pack(
            event_time[rows], sequence[rows], price[rows], size[rows],
            open_close[rows], high_low[rows], volume_too[rows], [ids[row] for row in rows], skewed[rows],
        )  # fmt: skip
    keys[~open_close] = None
    return {
        "symbol": batch.columns["symbol"],
        "source": batch.columns["source"],
        "trade_id": batch.columns["trade_id"],
        "event_time": event_time,
        "on_time": batch.on_time,
        "order_key": keys,
        "price": np.where(high_low, price, np.nan),
        "volume_units": volume[0],
        "volume_billionths": volume[1],
        "notional_units": notional[0],
        "notional_billionths": notional[1],
        "counts": (high_low | volume_too).astype(np.int64),
        "skewed": skewed.astype(np.int64),
        "delay": time.time_ns() // 1000 - event_time,
        "correctable": correctable,
        "log": log,
    }


class DecodeQuotes(DecodeFunction):
    """Quotes to ``ROW(QUOTE)``."""

    RESULT = QUOTE
    EVENTS = (Quote,)

    def _open(self, decoder: Decoder) -> None:
        self._reader = QuoteReader(decoder)

    def eval(
        self,
        payloads: Sequence[bytes | None],
        record_ms: Integers,
        partitions: Integers,  # noqa: ARG002 -- one signature for both functions
        offsets: Integers,  # noqa: ARG002
    ) -> Mapping[str, Column]:
        batch = self._reader.read(payloads, record_ms)
        columns = {
            "symbol": batch.columns["symbol"],
            "event_time": batch.integers["event_time"],
            "quote_key": np.array(quote_key.pack(batch), dtype=object),
            "on_time": batch.on_time,
            "crossed": (batch.floats["bid"] > batch.floats["ask"]).astype(np.int64),
        }
        return {name: spread(values, batch.positions, len(payloads)) for name, values in columns.items()}


class DecodeEach(DecodeFunction):
    """Events that are taken one by one: they are few beside trades and quotes."""

    NOTHING: ClassVar[Mapping[str, Any]]

    def _open(self, decoder: Decoder) -> None:
        self._fields = decoder.decode_fields

    def eval(
        self,
        payloads: Sequence[bytes | None],
        record_ms: Integers,  # noqa: ARG002 -- one signature for all functions
        partitions: Integers,  # noqa: ARG002
        offsets: Integers,  # noqa: ARG002
    ) -> Mapping[str, Column]:
        rows = [self.NOTHING if payload is None else self._row(payload) for payload in payloads]
        return {name: [row[name] for row in rows] for name in self.RESULT}

    @abstractmethod
    def _row(self, payload: bytes) -> Mapping[str, Any]:
        """A value for each name of RESULT."""


class DecodeProviderBars(DecodeEach):
    """Bars of providers to ``ROW(PROVIDER_BAR)``."""

    RESULT = PROVIDER_BAR
    EVENTS = (ProviderBar,)
    NOTHING = NO_PROVIDER_BAR

    def _row(self, payload: bytes) -> Mapping[str, Any]:
        try:
            fields = self._fields(payload)
            check_provider_bar(ProviderBar(**fields))
        except PoisonError as error:
            return {**NO_PROVIDER_BAR, "series": "", "reason": error.reason, "detail": error.detail}
        known = {name: value for name, value in fields.items() if name in PROVIDER_BAR and value is not None}
        series = f"{fields['symbol']} {fields['source']}"  # no symbol has a space
        return {**NO_PROVIDER_BAR, "trades": UNKNOWN, **known, "series": series}


class DecodeGaps(DecodeEach):
    """Gaps to ``ROW(GAP)``, as far as bars made of the trades in the same run's topics are concerned."""

    RESULT = GAP
    EVENTS = (Gap,)
    NOTHING = NO_GAP

    def _row(self, payload: bytes) -> Mapping[str, Any]:
        try:
            gap = Gap(**self._fields(payload))
            check_gap(gap)
        except PoisonError:
            return NO_GAP  # the store job reports it
        if coverage.is_filled_elsewhere(gap, self._settings.rules.horizon):
            return NO_GAP
        return {"symbol": gap.symbol, "source": gap.source, "event_time": gap.end, "log": coverage.pack(gap)}


def decode_function(
    kind: type[DecodeFunction], settings: JobSettings, known: Mapping[int, SchemaJson]
) -> Any:
    """The function as Flink registers it."""
    return udf(
        kind(settings, known),
        result_type=DataTypes.ROW([DataTypes.FIELD(name, type_) for name, type_ in kind.RESULT.items()]),
        func_type="pandas",
    )
