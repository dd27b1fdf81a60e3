"""Records decoded all at once are what fastavro makes of each, whatever bytes there are."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro_codec import Decoder, Encoder, parsed_schema, schema_text
from schemas.avro_columns import LONGEST_LIST, ColumnReader
from schemas.errors import PoisonError
from schemas.events import Candle, Trade

ID = 7
READER = ColumnReader(parsed_schema(Trade))
DECODER = Decoder(Trade, lambda _: None, {ID: json.loads(schema_text(Trade))})
ENCODER = Encoder(Trade, ID)

longs = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**14), 2**14),
    st.integers(0, 63).map(lambda bits: 2**bits - 1),
    st.integers(0, 63).map(lambda bits: -(2**bits)),
)
texts = st.text(max_size=9)
trades = st.builds(
    Trade,
    symbol=texts,
    event_time=longs,
    received_at=longs,
    price=st.floats(),
    size=st.floats(),
    trade_id=st.text(max_size=200),
    sequence=longs,
    source=texts,
    exchange=texts,
    conditions=st.lists(texts, max_size=LONGEST_LIST + 2).map(tuple),
    updates_open_close=st.booleans(),
    updates_high_low=st.booleans(),
    updates_volume=st.booleans(),
    correctable=st.booleans(),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A record that was cut, lengthened or changed somewhere, or noise."""
    data = bytearray(ENCODER.encode(draw(trades)))
    for _ in range(draw(st.integers(0, 3))):
        data[draw(st.integers(5, len(data) - 1))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(data)))
    return draw(st.sampled_from([bytes(data), bytes(data[:cut]), bytes(data) + b"\0", bytes(data[:5])]))


def row(values: dict[str, Any], index: int) -> dict[str, Any]:
    return {
        name: column[index].item() if isinstance(column, np.ndarray) else column[index]
        for name, column in values.items()
    }


def in_words(fields: dict[str, Any]) -> str:
    """A NaN is equal to a NaN here, and -0.0 is not 0.0."""
    return repr({name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()})


@given(st.lists(trades, max_size=12))
def test_whole_records_are_read_as_they_were_written(written: list[Trade]) -> None:
    """But for those that are for the other way: numbers beyond eight bytes, and long lists."""
    columns = READER.read([ENCODER.encode(trade) for trade in written])
    for index, trade in enumerate(written):
        short = all(
            -(2**55) <= number < 2**55 for number in (trade.event_time, trade.received_at, trade.sequence)
        )
        assert columns.good[index] == (short and len(trade.conditions) <= LONGEST_LIST)
        if columns.good[index]:
            assert in_words(row(columns.values, index)) == in_words(asdict(trade))


@given(st.lists(st.one_of(damaged(), trades.map(ENCODER.encode)), max_size=12))
def test_what_is_good_is_what_it_is_by_itself(payloads: list[bytes]) -> None:
    """A damaged record is either no good here or one to fastavro too, with the same values, and harms none of
    its neighbours."""
    columns = READER.read(payloads)
    for index, payload in enumerate(payloads):
        if columns.good[index]:
            assert in_words(row(columns.values, index)) == in_words(DECODER.decode_fields(payload))
        else:
            try:
                fields = DECODER.decode_fields(payload)
            except PoisonError:
                continue
            # Sound, but written in a way that our own writers do not use.
            assert payload != ENCODER.encode_fields(fields) or not_for_columns(fields)


def test_a_schema_of_other_fields_is_refused() -> None:
    """Those that may be null, for one."""
    with pytest.raises(ValueError, match="no columns of"):
        ColumnReader(parsed_schema(Candle))


def not_for_columns(fields: dict[str, Any]) -> bool:
    numbers = (fields["event_time"], fields["received_at"], fields["sequence"])
    return len(fields["conditions"]) > LONGEST_LIST or any(not -(2**55) <= each < 2**55 for each in numbers)
