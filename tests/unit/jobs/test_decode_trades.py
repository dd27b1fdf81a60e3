"""The columns that the bars job's SQL sums up."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jobs.domain.order_key import unpack
from jobs.flink.decode_trades import RESULT, DecodeTrades, milliseconds
from tests.unit.jobs.builders import START_US, a_trade
from tests.unit.jobs.payloads import KNOWN, payload


@pytest.fixture
def decode() -> DecodeTrades:
    function = DecodeTrades("http://registry.invalid", KNOWN)
    function.open(None)  # type: ignore[arg-type]
    return function


def decoded(decode: DecodeTrades, *payloads: bytes | None) -> list[dict[str, Any]]:
    """Rows by column, of records dated START."""
    times = pd.Series(pd.to_datetime([START_US] * len(payloads), unit="us"))
    frame = decode.eval(pd.Series(payloads, dtype=object), times)
    assert list(frame.columns) == list(RESULT)
    assert len(frame) == len(payloads)
    return frame.to_dict("records")  # type: ignore[return-value]


def test_a_trade_as_columns(decode: DecodeTrades) -> None:
    """Identity, order, price, and the two exact amounts."""
    [row] = decoded(decode, payload(a_trade(7, price=60_000.5, size=1.25, sequence=9)))
    assert unpack(row.pop("order_key")) == (START_US + 7, 9, 60_000.5)
    assert row == {
        "symbol": "AAPL", "source": "sim", "trade_id": "t", "event_time": START_US + 7, "on_time": True,
        "price": 60_000.5, "volume_units": 1, "volume_billionths": 250_000_000, "notional_units": 75_000,
        "notional_billionths": 625_000_000, "counts": 1,
    }  # fmt: skip


def test_what_a_trade_does_not_update_is_null_or_zero(decode: DecodeTrades) -> None:
    """No price to order or compare, no volume to add; it counts where it does either."""
    trade = a_trade(price=2.0, size=3.0)
    rows = decoded(
        decode,
        payload(replace(trade, updates_open_close=False, updates_high_low=False)),
        payload(replace(trade, updates_volume=False)),
        payload(replace(trade, updates_open_close=False, updates_high_low=False, updates_volume=False)),
    )
    assert [row["order_key"] is None for row in rows] == [True, False, True]
    assert [np.isnan(row["price"]) for row in rows] == [True, False, True]
    assert [(row["volume_units"], row["notional_units"]) for row in rows] == [(3, 6), (0, 0), (0, 0)]
    assert [row["counts"] for row in rows] == [1, 1, 0]


def test_heartbeats_and_poison_have_no_symbol(decode: DecodeTrades) -> None:
    """SQL drops them; the trades around them keep their places."""
    good = payload(a_trade(price=2.0))
    rows = decoded(decode, None, good, b"no Avro", payload(a_trade(price=-1.0)), good)
    assert [row["symbol"] for row in rows] == [None, "AAPL", None, None, "AAPL"]
    assert [row["trade_id"] for row in rows] == [None, "t", None, None, "t"]
    assert [row["price"] for row in rows if row["symbol"]] == [2.0, 2.0]
    assert [row["symbol"] for row in decoded(decode, None, None)] == [None, None]


def test_a_trade_dated_otherwise_is_not_on_time(decode: DecodeTrades) -> None:
    """It goes round the windows, which know only the record's time."""
    rows = decoded(decode, payload(a_trade(999)), payload(a_trade(1_000)), payload(a_trade(-1)))
    assert [bool(row["on_time"]) for row in rows] == [True, False, False]


def test_record_times_are_milliseconds_whatever_their_unit() -> None:
    """Arrow's timestamps come as pandas makes them."""
    for unit in ("ms", "us", "ns"):
        series = pd.Series(pd.to_datetime([START_US], unit="us").astype(f"datetime64[{unit}]"))
        assert milliseconds(series).tolist() == [START_US // 1000]
