"""Payloads as they lie in a topic, and readers that know their schemas."""

import json
from dataclasses import asdict
from io import BytesIO

import numpy as np
from fastavro import parse_schema, schemaless_writer

from schemas.avro_codec import HEADER, Decoder, Encoder, schema_text
from schemas.events import Correction, Event, Gap, ProviderBar, Quote, Trade
from schemas.record_batch import QuoteReader, TradeReader

TRADE_ID, QUOTE_ID, NULLABLE_ID, CORRECTION_ID, PROVIDER_BAR_ID, GAP_ID, UNKNOWN_ID = 1, 2, 3, 4, 5, 6, 99
_IDS: dict[type[Event], int] = {
    Trade: TRADE_ID,
    Quote: QUOTE_ID,
    Correction: CORRECTION_ID,
    ProviderBar: PROVIDER_BAR_ID,
    Gap: GAP_ID,
}
_TRADE_SCHEMA = json.loads(schema_text(Trade))
_NULLABLE = {
    **_TRADE_SCHEMA,
    "fields": [
        {**field, "type": ["null", "string"]} if field["name"] == "symbol" else field
        for field in _TRADE_SCHEMA["fields"]
    ],
}
KNOWN = {_IDS[event_type]: json.loads(schema_text(event_type)) for event_type in _IDS} | {
    NULLABLE_ID: _NULLABLE
}


def payload(event: Event) -> bytes:
    """The event in the wire format, under the id of its schema."""
    return Encoder(type(event), _IDS[type(event)]).encode(event)


def without_symbol(trade: Trade) -> bytes:
    """What a foreign producer may send whose own schema lets the symbol be null."""
    body = BytesIO()
    schemaless_writer(body, parse_schema(_NULLABLE), asdict(trade) | {"symbol": None})
    return HEADER.pack(0, NULLABLE_ID) + body.getvalue()


def reader() -> TradeReader:
    return TradeReader(Decoder((Trade, Correction), lambda _: None, KNOWN))


def quote_reader() -> QuoteReader:
    return QuoteReader(Decoder(Quote, lambda _: None, KNOWN))


def milliseconds(*times_us: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Record timestamps of these event times."""
    return np.array([time_us // 1000 for time_us in times_us], dtype=np.int64)
