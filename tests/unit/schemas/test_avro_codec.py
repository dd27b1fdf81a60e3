"""The wire format to the byte, what it refuses and why, and records of older and newer schemas."""

import json
from dataclasses import asdict, replace
from io import BytesIO
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from schemas.avro_codec import (
    HEADER,
    MAX_UNKNOWN_IDS,
    SCHEMA_FILES,
    UNKNOWN_ID_SECONDS,
    Decoder,
    Encoder,
    SchemaJson,
    parsed_schema,
    schema_text,
    without_logical_types,
)
from schemas.errors import PoisonError
from schemas.events import Alert, Candle, Correction, DeadLetter, Event, Gap, ProviderBar, Quote, Trade

TRADE = Trade(
    "AAPL", 1_723_204_800_123_456, 1_723_204_800_123_999, 187.25, 100.0, "t-1", 7, "sim", "X", ("@", "I"),
    False, True, False, True,
)  # fmt: skip
CANCEL = Correction("A", 1, 2, "c", 3, "s", "t")
CORRECTION = Correction(
    "A", 1, 2, "c-9", 3, "s", "t-1", 64, "correct", 1.5, 2.0, "e", ("C",), False, True, False
)
QUOTE = Quote("A", 1, 2, 1.5, 2.0, 1.75, 3.0, 4, "s", "e")
CANDLE = Candle(
    "A", "1m", 60_000_000, 120_000_000, None, None, None, None, 0.0, 0.0, None, 0, False, 2, ("s",), 5, 1,
    0.5, {"rsi_14": 1.5},
)  # fmt: skip
ALERT = Alert(
    "a", 2, "A", "price_spike", "high", "raised", 1, 2, 1.5, 2.0, "m", interval="1m", bar_start=60_000_000
)
GAP = Gap("g", "A", "s", 1, 64, True, "shed", "d", 2)
PROVIDER_BAR = ProviderBar(
    "A", "s", "1m", 60_000_000, 120_000_000, 1.5, 2.0, 1.75, 3.0, 0.5, None, 64, True, 2, 7, {"rsi_14": 1.5}
)
DEAD_LETTER = DeadLetter("r", "d", "o", "t", 3, None, b"\x00\xff")

# Written by hand from the Avro specification: zig-zag varints, little-endian doubles, length before text.
GOLDEN: list[tuple[Event, int, str]] = [
    (
        TRADE,
        258,
        "00 00000102"  # magic byte, schema id
        "08 4141504c"  # symbol: length 4
        "80c9e49fdccf8f06 bed1e49fdccf8f06"  # event_time, received_at
        "0000000000686740 0000000000005940"  # price, size
        "06 742d31 0e 06 73696d 02 58"  # trade_id, sequence 7, source, exchange
        "04 02 40 02 49 00"  # conditions: a block of 2, then the end
        "00 01 00 01",  # updates_open_close, updates_high_low, updates_volume, correctable
    ),
    (
        CANCEL,
        1,
        "00 00000001 02 41 02 04 02 63 06 02 73 02 74"  # up to correction_id, sequence, source, trade_id
        "00 0c 63616e63656c 00 00 00 00 01 01 01",  # no trade_time, cancel, no price, no size, the defaults
    ),
    (
        CORRECTION,
        1,
        "00 00000001 02 41 02 04 06 632d39 06 02 73 06 742d31"
        "02 8001 0e 636f7272656374 02 000000000000f83f 02 0000000000000040"  # each union's branch 1
        "02 65 02 02 43 00 00 01 00",
    ),
    (
        QUOTE,
        1,
        "00 00000001 02 41 02 04 000000000000f83f 0000000000000040 000000000000fc3f 0000000000000840"
        "08 02 73 02 65",
    ),
    (
        CANDLE,
        1,
        "00 00000001 02 41 04 316d 809c9c39 80b8b872 00 00 00 00"  # four prices: branch 0 of the union, null
        "0000000000000000 0000000000000000 00 00 00 04 02 02 73 00"
        "0a 02 000000000000e03f"  # late_trades, updated_at, quality
        "02 0c 7273695f3134 000000000000f83f 00"  # indicators: a block of 1, then the end
        "000000000000f03f",  # observed
    ),
    (
        ALERT,
        1,
        "00 00000001 02 61 04 02 41 16 70726963655f7370696b65 08 68696768 0c 726169736564 02 04"
        "02 04 316d 02 809c9c39 00 000000000000f83f 0000000000000040 02 6d",
    ),
    (GAP, 1, "00 00000001 02 67 02 41 02 73 02 8001 01 08 73686564 02 64 04 00"),
    (
        PROVIDER_BAR,
        1,
        "00 00000001 02 41 02 73 04 316d 809c9c39 80b8b872"
        "000000000000f83f 0000000000000040 000000000000fc3f 0000000000000840 000000000000e03f"
        "00 02 8001 01 04 0e"  # no vwap, 64 trades, final, received_at, version
        "02 0c 7273695f3134 000000000000f83f 00",
    ),
    (DEAD_LETTER, 1, "00 00000001 02 72 02 64 02 6f 02 74 02 06 00 02 04 00ff"),
]


def nobody(schema_id: int) -> SchemaJson | None:
    raise AssertionError(f"asked for {schema_id}")


def decoder(event_type: type[Event], schema_id: int = 1) -> Decoder:
    """A decoder that knows our own schema under ``schema_id`` and asks nobody."""
    return Decoder(event_type, nobody, {schema_id: json.loads(schema_text(event_type))})


def written(schema: dict[str, Any], record: dict[str, Any], schema_id: int = 9) -> bytes:
    """A record as a foreign producer with a schema of its own writes it."""
    buffer = BytesIO()
    schemaless_writer(buffer, parse_schema(without_logical_types(schema)), record)
    return HEADER.pack(0, schema_id) + buffer.getvalue()


def trade_schema(*changes: dict[str, Any], without: str = "") -> dict[str, Any]:
    """Our trade schema with fields changed, added or taken out."""
    schema: dict[str, Any] = json.loads(schema_text(Trade))
    fields = {field["name"]: field for field in schema["fields"]}
    fields.pop(without, None)
    fields |= {change["name"]: change for change in changes}
    return schema | {"fields": list(fields.values())}


def refusal(payload: bytes, schema: SchemaJson | None) -> PoisonError:
    """Why a trade decoder refuses ``payload`` where the registry answers with ``schema``."""
    with pytest.raises(PoisonError) as refused:
        Decoder(Trade, lambda _: schema).decode(payload)
    return refused.value


@pytest.mark.parametrize(("event", "schema_id", "golden"), GOLDEN)
def test_every_event_type_is_encoded_to_these_bytes_and_back(
    event: Event, schema_id: int, golden: str
) -> None:
    """The bytes that any Confluent consumer reads."""
    payload = bytes.fromhex(golden.replace(" ", ""))
    assert Encoder(type(event), schema_id).encode(event).hex() == payload.hex()
    assert decoder(type(event), schema_id).decode(payload) == event


def test_fields_as_a_mapping_encode_to_the_same_bytes() -> None:
    """Both ways in give one format."""
    encoder = Encoder(Trade, 5)
    assert encoder.encode_fields(asdict(TRADE)) == encoder.encode(TRADE)


@pytest.mark.parametrize(
    "change",
    [{"symbol": None}, {"price": "x"}, {"price": None}, {"event_time": 2**63}, {"sequence": -(2**63) - 1},
     {"symbol": "\ud800"}, {"conditions": (1,)}, {"size": 2**2000}],
)  # fmt: skip
def test_a_value_that_the_schema_cannot_hold_is_an_error_and_spoils_nothing(change: dict[str, Any]) -> None:
    """The next record is whole although the last one broke off half-way."""
    encoder = Encoder(Trade, 258)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        encoder.encode(replace(TRADE, **change))
    assert encoder.encode(TRADE).hex() == GOLDEN[0][2].replace(" ", "")


def test_the_registered_schema_says_timestamps_and_the_bytes_are_plain_longs() -> None:
    """Logical types are taken out on our side only."""
    assert '"timestamp-micros"' in schema_text(Trade)
    for event_type in SCHEMA_FILES:
        assert "logicalType" not in json.dumps(parsed_schema(event_type))
    assert without_logical_types({"type": "array", "items": {"type": "long", "logicalType": "x"}}) == {
        "type": "array",
        "items": "long",
    }


GOOD = Encoder(Trade, 1).encode(TRADE)


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b"", "no Confluent wire format header"),
        (b"\x00", "no Confluent wire format header"),
        (b"\x00\x00\x00\x00", "no Confluent wire format header"),
        (b"{}", "no Confluent wire format header"),
        (b'{"symbol": "AAPL", "price": 1}', "no Confluent wire format header"),
        (b"\x01" + GOOD[1:], "no Confluent wire format header"),
        (GOOD[:5], "body is not schema 1"),
        (GOOD[:-1], "body is not schema 1"),
        (GOOD[:5] + b"\xff" * 20, "body is not schema 1"),
        (GOOD[:5] + b"\x02\xff" + GOOD[10:], "body is not schema 1"),
        (GOOD + b"\x00", "1 bytes left over"),
        (GOOD + GOOD, f"{len(GOOD)} bytes left over"),
    ],
)
def test_bytes_that_are_no_record_are_not_avro(payload: bytes, detail: str) -> None:
    """Too short, another format, cut off, random, text that is no UTF-8, something after the end."""
    with pytest.raises(PoisonError) as refused:
        decoder(Trade).decode(payload)
    assert refused.value.reason == "not_avro"
    assert detail in refused.value.detail


def test_an_id_that_the_registry_does_not_know_is_an_unknown_schema() -> None:
    """The id is in the message."""
    error = refusal(HEADER.pack(0, 4_294_967_295), None)
    assert (error.reason, "4294967295" in error.detail) == ("unknown_schema", True)


@pytest.mark.parametrize(
    "schema",
    [
        json.loads(schema_text(Quote)),
        {"type": "string"},
        {"type": "PROTOBUF"},
        {"type": ["null", "string"]},
        {"type": "record", "name": "Trade", "fields": []},
        {"type": "record", "name": "market.Trade"},
        {"type": "record", "name": "market.Trade", "fields": [{"name": "symbol", "type": "nonsense"}]},
    ],
)
def test_a_schema_of_another_type_is_the_wrong_schema(schema: dict[str, Any]) -> None:
    """Another record, no record at all, another namespace, another format, and one that cannot be parsed."""
    assert refusal(HEADER.pack(0, 9) + b"\x02A", schema).reason == "wrong_schema"


def test_a_schema_that_lacks_what_we_need_is_the_wrong_schema() -> None:
    """A required field missing, or of a type that cannot become ours."""
    without_price = {key: value for key, value in asdict(TRADE).items() if key != "price"}
    for schema, record in (
        (trade_schema(without="price"), without_price),
        (trade_schema({"name": "price", "type": "string"}), asdict(TRADE) | {"price": "187.25"}),
    ):
        assert refusal(written(schema, record), schema).reason == "wrong_schema"


def test_a_null_symbol_is_an_invalid_symbol() -> None:
    """A foreign schema may allow null: its records with a symbol are good, those without are named."""
    schema = trade_schema({"name": "symbol", "type": ["null", "string"]})
    error = refusal(written(schema, asdict(TRADE) | {"symbol": None}), schema)
    assert (error.reason, error.detail) == ("invalid_symbol", "symbol is None")
    assert Decoder(Trade, lambda _: schema).decode(written(schema, asdict(TRADE))) == TRADE
    broken = written(schema, asdict(TRADE))[:-1]
    assert refusal(broken, schema).reason == "not_avro"


def test_a_record_of_an_older_schema_gets_the_defaults_of_what_it_lacks() -> None:
    """BACKWARD compatibility: the consumer is newer."""
    schema = trade_schema(without="updates_volume")
    record = {key: value for key, value in asdict(TRADE).items() if key != "updates_volume"}
    decoded = Decoder(Trade, lambda _: schema).decode(written(schema, record))
    assert decoded == replace(TRADE, updates_volume=True)


def test_a_record_of_a_newer_schema_loses_only_what_we_do_not_know() -> None:
    """A producer that is ahead, with a field added and one widened from int to long."""
    schema = trade_schema({"name": "liquidity", "type": "string"}, {"name": "sequence", "type": "int"})
    payload = written(schema, asdict(TRADE) | {"liquidity": "maker"})
    assert Decoder(Trade, lambda _: schema).decode(payload) == TRADE


def test_a_decoder_of_two_types_gives_each_record_its_own() -> None:
    """Trades and corrections share a topic: the schema id, and the name of its schema, tell which."""
    schemas = {1: json.loads(schema_text(Trade)), 2: json.loads(schema_text(Correction))}
    both = Decoder((Trade, Correction), schemas.get)
    for event, schema_id in ((TRADE, 1), (CANCEL, 2), (CORRECTION, 2)):
        payload = Encoder(type(event), schema_id).encode(event)
        assert both.decode(payload) == event
        kind, values = both.decode_typed(payload)
        assert (kind, values) == (type(event), asdict(event) | {"conditions": list(event.conditions)})
        assert both.decode_fields(payload) == values


def test_an_older_correction_is_read_beside_trades_of_today() -> None:
    """Each type is resolved against its own schema."""
    old = json.loads(schema_text(Correction))
    old["fields"] = [field for field in old["fields"] if field["name"] != "updates_volume"]
    both = Decoder((Trade, Correction), nobody, {1: json.loads(schema_text(Trade)), 2: old})
    record = {key: value for key, value in asdict(CORRECTION).items() if key != "updates_volume"}
    assert both.decode(written(old, record, 2)) == replace(CORRECTION, updates_volume=True)
    assert both.decode(GOOD) == TRADE


def test_an_own_type_is_one_of_the_very_schema_that_is_known() -> None:
    """Only then the bytes may be read without looking at how they were written."""
    old = json.loads(schema_text(Correction))
    old["fields"].pop()
    known = {1: old, 300: json.loads(schema_text(Correction))}
    both = Decoder((Trade, Correction), lambda _: json.loads(schema_text(Trade)), known)
    assert both.own_type(HEADER.pack(0, 300)) is Correction
    assert both.own_type(HEADER.pack(0, 1)) is None  # resolved
    assert both.own_type(HEADER.pack(1, 300)) is None
    assert both.own_type(HEADER.pack(0, 300)[:4]) is None
    assert both.own_type(b"") is None
    assert both.own_type(HEADER.pack(0, 9)) is None  # nobody has asked for it yet
    both.decode(Encoder(Trade, 9).encode(TRADE))
    assert both.own_type(HEADER.pack(0, 9)) is Trade


def test_a_type_that_the_topic_does_not_hold_is_the_wrong_schema() -> None:
    """A correction is no trade to who asks for trades only; a quote is neither; what is expected is said."""
    schemas = {1: json.loads(schema_text(Quote)), 2: json.loads(schema_text(Correction))}
    for kinds, schema_id, expected in (
        (Trade, 2, "schema 2 is market.Correction, expected market.Trade"),
        ((Trade, Correction), 1, "schema 1 is market.Quote, expected market.Trade or market.Correction"),
    ):
        with pytest.raises(PoisonError) as refused:
            Decoder(kinds, schemas.get).decode(HEADER.pack(0, schema_id))
        assert (refused.value.reason, refused.value.detail) == ("wrong_schema", expected)


def test_the_registry_is_asked_once_for_an_id() -> None:
    """A known schema stays known; a wrong one stays wrong."""
    asked: list[int] = []

    def registry(schema_id: int) -> SchemaJson:
        asked.append(schema_id)
        return json.loads(schema_text(Trade if schema_id == 1 else Quote))  # type: ignore[no-any-return]

    ours = Decoder(Trade, registry)
    for _ in range(3):
        assert ours.decode(GOOD) == TRADE
        with pytest.raises(PoisonError):
            ours.decode(HEADER.pack(0, 2))
    assert asked == [1, 2]


def test_an_unknown_id_is_asked_for_again_after_a_while() -> None:
    """A schema may be registered after a bad record has made up its id: its records are good then."""
    now, schemas, asked = [0.0], dict[int, SchemaJson](), []

    def registry(schema_id: int) -> SchemaJson | None:
        asked.append(schema_id)
        return schemas.get(schema_id)

    ours = Decoder(Trade, registry, monotonic=lambda: now[0])
    for moment in (0.0, UNKNOWN_ID_SECONDS - 0.1):
        now[0] = moment
        with pytest.raises(PoisonError):
            ours.decode(GOOD)
    assert asked == [1]
    schemas[1] = json.loads(schema_text(Trade))
    now[0] = UNKNOWN_ID_SECONDS
    assert ours.decode(GOOD) == TRADE
    assert asked == [1, 1]


def test_made_up_ids_do_not_fill_the_memory() -> None:
    """More of them than are remembered: the oldest is asked for again, within its time."""
    asked: list[int] = []
    ours = Decoder(Trade, asked.append, monotonic=lambda: 0.0)
    for schema_id in (*range(MAX_UNKNOWN_IDS + 1), 0):
        with pytest.raises(PoisonError):
            ours.decode(HEADER.pack(0, schema_id))
    assert asked == [*range(MAX_UNKNOWN_IDS + 1), 0]
