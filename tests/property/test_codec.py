"""The codec over everything that hypothesis thinks of."""

import json
import math
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from schemas.avro_codec import SCHEMA_FILES, Decoder, Encoder, SchemaJson, schema_text
from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade

LONG = st.integers(-(2**63), 2**63 - 1)
INT = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
TEXTS = st.lists(TEXT, max_size=5).map(tuple)
DOUBLE = st.floats()
MAYBE_DOUBLE = st.none() | DOUBLE
BOOL = st.booleans()

EVENTS = {
    Trade: st.builds(
        Trade, symbol=TEXT, event_time=LONG, received_at=LONG, price=DOUBLE, size=DOUBLE, trade_id=TEXT,
        sequence=LONG, source=TEXT, exchange=TEXT, conditions=TEXTS, updates_open_close=BOOL,
        updates_high_low=BOOL, updates_volume=BOOL, correctable=BOOL,
    ),
    Correction: st.builds(
        Correction, symbol=TEXT, event_time=LONG, received_at=LONG, correction_id=TEXT, sequence=LONG,
        source=TEXT, trade_id=TEXT, trade_time=st.none() | LONG, kind=TEXT, price=MAYBE_DOUBLE,
        size=MAYBE_DOUBLE, exchange=TEXT, conditions=TEXTS, updates_open_close=BOOL, updates_high_low=BOOL,
        updates_volume=BOOL,
    ),
    Quote: st.builds(
        Quote, symbol=TEXT, event_time=LONG, received_at=LONG, bid=DOUBLE, bid_size=DOUBLE, ask=DOUBLE,
        ask_size=DOUBLE, sequence=LONG, source=TEXT, exchange=TEXT,
    ),
    Candle: st.builds(
        Candle, symbol=TEXT, interval=TEXT, start=LONG, end=LONG, open=MAYBE_DOUBLE, high=MAYBE_DOUBLE,
        low=MAYBE_DOUBLE, close=MAYBE_DOUBLE, volume=DOUBLE, notional=DOUBLE, vwap=MAYBE_DOUBLE, trades=LONG,
        final=BOOL, version=LONG, sources=TEXTS, late_trades=LONG, updated_at=LONG, quality=DOUBLE,
        indicators=st.dictionaries(TEXT, DOUBLE, max_size=5),
    ),
    Alert: st.builds(
        Alert, alert_id=TEXT, revision=INT, symbol=TEXT, type=TEXT, severity=TEXT, status=TEXT,
        event_time=LONG, updated_at=LONG, value=DOUBLE, threshold=DOUBLE, message=TEXT,
        interval=st.none() | TEXT, bar_start=st.none() | LONG, bar_version=st.none() | LONG,
    ),
    Gap: st.builds(
        Gap, gap_id=TEXT, symbol=TEXT, source=TEXT, start=LONG, end=LONG, closed=BOOL, reason=TEXT,
        detail=TEXT, updated_at=LONG,
    ),
    ProviderBar: st.builds(
        ProviderBar, symbol=TEXT, source=TEXT, interval=TEXT, start=LONG, end=LONG, open=DOUBLE, high=DOUBLE,
        low=DOUBLE, close=DOUBLE, volume=DOUBLE, vwap=MAYBE_DOUBLE, trades=st.none() | LONG, final=BOOL,
        received_at=LONG, version=LONG, indicators=st.dictionaries(TEXT, DOUBLE, max_size=5),
    ),
    DeadLetter: st.builds(
        DeadLetter, reason=TEXT, detail=TEXT, origin=TEXT, topic=TEXT, partition=st.none() | INT,
        offset=st.none() | LONG, payload=st.none() | st.binary(),
    ),
}  # fmt: skip
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""What is tested is what comes out, not how fast: the first text of a run alone takes a second or two."""
IDS = st.integers(0, 2**32 - 1)
GOOD_TRADE = Encoder(Trade, 1).encode(Trade("A", 1, 2, 3.0, 4.0, "t", 5, "s", "e", ("c",)))


def nobody(_: int) -> SchemaJson | None:
    """A registry that knows nothing."""
    return None


def ours(event_type: type[Event], schema_id: int) -> Decoder:
    """A decoder that knows our own schema under one id."""
    return Decoder(event_type, nobody, {schema_id: json.loads(schema_text(event_type))})


def alike(event: Event) -> str:
    """Text that two events share only if all fields are equal, NaN and the sign of zero included."""
    return repr(event)


def test_every_event_type_has_a_strategy() -> None:
    """A type that is added is tested here as well."""
    assert EVENTS.keys() == SCHEMA_FILES.keys()


@steady
@given(event=st.one_of(*EVENTS.values()), schema_id=IDS)
def test_what_is_encoded_is_decoded_to_the_same(event: Event, schema_id: int) -> None:
    """Every event type, under any schema id; doubles to the bit, text of all scripts."""
    payload = Encoder(type(event), schema_id).encode(event)
    assert payload[:5] == b"\x00" + schema_id.to_bytes(4, "big")
    assert alike(ours(type(event), schema_id).decode(payload)) == alike(event)


@steady
@given(events=st.lists(st.one_of(EVENTS[Trade], EVENTS[Correction]), max_size=5))
def test_one_decoder_tells_the_types_of_a_topic_apart(events: list[Trade | Correction]) -> None:
    """Trades and corrections of one topic, in any order, each by its schema id; another type is poison."""
    ids = {Trade: 1, Correction: 2, Quote: 3}
    known = {number: json.loads(schema_text(kind)) for kind, number in ids.items()}
    decoder = Decoder((Trade, Correction), nobody, known)
    for event in events:
        payload = Encoder(type(event), ids[type(event)]).encode(event)
        assert alike(decoder.decode(payload)) == alike(event)
        assert decoder.decode_typed(payload)[0] is type(event)


@steady
@given(events=st.lists(EVENTS[Trade], max_size=5))
def test_one_encoder_serves_many_events(events: list[Trade]) -> None:
    """Nothing of one record is left in the next, be it longer or shorter."""
    encoder = Encoder(Trade, 1)
    assert [encoder.encode(event) for event in events] == [
        Encoder(Trade, 1).encode(event) for event in events
    ]


@steady
@given(payload=st.binary(max_size=200), event_type=st.sampled_from(list(SCHEMA_FILES)))
@example(payload=b"\x00\x00\x00\x00\x01" + b"\x80" * 20, event_type=Trade)
def test_any_bytes_are_an_event_or_poison(payload: bytes, event_type: type[Event]) -> None:
    """Whatever a foreign producer sends, with a good header and without: never another exception."""
    decoder = ours(event_type, 1)
    for candidate in (payload, b"\x00\x00\x00\x00\x01" + payload):
        try:
            event: object = decoder.decode(candidate)
        except PoisonError as error:
            assert error.reason in ("not_avro", "unknown_schema")  # noqa: PT017 -- either is right
        else:
            assert isinstance(event, event_type)


@given(
    place=st.integers(0, len(GOOD_TRADE) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(GOOD_TRADE))
)
def test_a_damaged_record_is_an_event_or_poison(place: int, byte: int, cut: int) -> None:
    """One byte changed, or the end cut off: the likeliest accidents."""
    damaged = GOOD_TRADE[:place] + bytes([byte]) + GOOD_TRADE[place + 1 :]
    for candidate in (damaged, GOOD_TRADE[:cut], damaged[:cut]):
        try:
            event: object = ours(Trade, 1).decode(candidate)
        except PoisonError as error:
            assert error.reason in ("not_avro", "unknown_schema")  # noqa: PT017 -- either is right
        else:
            assert isinstance(event, Trade)


WORDS = st.sampled_from(["record", "market.Trade", "Trade", "market", "string", "enum", "fixed", "array", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["type", "name", "namespace", "fields", "items", "symbols", "size", "logicalType"])
TYPES: st.SearchStrategy[Any] = st.sampled_from(
    ["null", "boolean", "int", "long", "float", "double", "bytes", "string", ["null", "string"], [],
     {"type": "array", "items": "long"}, {"type": "map", "values": "double"}, {"type": "fixed", "size": 4},
     {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "nonsense", None, 5]
)  # fmt: skip


@st.composite
def changed_trade_schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Our trade schema with some of its fields of other types, or gone."""
    schema: dict[str, Any] = json.loads(schema_text(Trade))
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(schema["fields"]) - 1))
        if draw(st.booleans()):
            schema["fields"][number]["type"] = draw(TYPES)
        else:
            del schema["fields"][number]
    return schema


@steady
@given(schema=st.dictionaries(KEYS, JSON) | changed_trade_schemas(), body=st.binary(max_size=50))
def test_any_schema_of_the_registry_is_usable_or_poison(schema: dict[str, Any], body: bytes) -> None:
    """A registry may hold whatever somebody put there under an id."""
    decoder = Decoder(Trade, lambda _: schema)
    for candidate in (body, GOOD_TRADE[5:]):
        try:
            event: object = decoder.decode(b"\x00\x00\x00\x00\x07" + candidate)
        except PoisonError as error:
            assert error.reason in ("wrong_schema", "not_avro", "invalid_symbol")  # noqa: PT017 -- any is right
        else:
            assert isinstance(event, Trade)


def test_the_comparison_tells_what_equality_does_not() -> None:
    """NaN is NaN, and -0.0 is not 0.0."""
    nan = Quote("A", 1, 2, math.nan, 0.0, 1.0, 1.0, 1, "s")
    zero = Quote("A", 1, 2, 1.0, 0.0, 1.0, 1.0, 1, "s")
    assert alike(nan) == alike(Quote("A", 1, 2, math.nan, 0.0, 1.0, 1.0, 1, "s"))
    assert alike(zero) != alike(Quote("A", 1, 2, 1.0, -0.0, 1.0, 1.0, 1, "s"))
