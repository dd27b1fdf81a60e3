"""The columns that the bars job's SQL sums up, and those of which it keeps the latest."""

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pyflink.table import DataTypes
from pyflink.table.types import to_arrow_type

from jobs.domain import coverage, quote_key, trade_log
from jobs.domain.order_key import unpack
from jobs.flink import decode_functions
from jobs.flink.columns import from_arrow, to_arrow
from jobs.flink.decode_functions import (
    PROVIDER_BAR,
    UNKNOWN,
    DecodeFunction,
    DecodeGaps,
    DecodeProviderBars,
    DecodeQuotes,
    DecodeTrades,
)
from jobs.settings import JobSettings
from schemas.events import Correction, ProviderBar, Quote
from schemas.intervals import MINUTE_US
from tests.unit.jobs.builders import START_US, a_cancel, a_correct, a_gap, a_trade
from tests.unit.jobs.payloads import KNOWN, payload

A_QUOTE = Quote("AAPL", START_US + 7, START_US + 9, 99.5, 2.0, 100.25, 3.0, 4, "sim")


def opened(kind: type[DecodeFunction], monkeypatch: pytest.MonkeyPatch) -> DecodeFunction:
    """A second and a half after START by the clock."""
    monkeypatch.setattr(decode_functions, "prepare_worker", lambda: None)
    monkeypatch.setattr(decode_functions.time, "time_ns", lambda: (START_US + 1_500_000) * 1000)
    function = kind(JobSettings(schema_registry_url="http://registry.invalid"), KNOWN)
    function.open(None)  # type: ignore[arg-type]
    return function


@pytest.fixture
def decode(monkeypatch: pytest.MonkeyPatch) -> DecodeFunction:
    return opened(DecodeTrades, monkeypatch)


@pytest.fixture
def decode_quotes(monkeypatch: pytest.MonkeyPatch) -> DecodeFunction:
    return opened(DecodeQuotes, monkeypatch)


def decoded(decode: DecodeFunction, *payloads: bytes | None) -> list[dict[str, Any]]:
    """Rows by column, of records dated START, at offsets 40, 41, .. of partition 3."""
    count = len(payloads)
    given = [
        pa.array(payloads, pa.binary()),
        pa.array([START_US // 1000] * count, pa.timestamp("ms")),
        pa.array([3] * count, pa.int32()),
        pa.array(range(40, 40 + count), pa.int64()),
    ]
    columns = from_arrow(None, None, [pa.record_batch(given, list("abcd"))])
    result = DataTypes.ROW([DataTypes.FIELD(name, kind) for name, kind in decode.RESULT.items()])
    schema = pa.schema([("decoded", to_arrow_type(result))])
    decoded = decode.eval(*columns)  # type: ignore[arg-type]
    assert list(decoded) == list(decode.RESULT)
    [rows] = to_arrow(schema, None, None, [decoded]).columns
    assert len(rows) == count
    return rows.to_pylist()  # type: ignore[no-any-return]


def test_a_trade_as_columns(decode: DecodeFunction) -> None:
    """Identity, order, price, and the two exact amounts; by itself only where it may be corrected."""
    [row] = decoded(decode, payload(a_trade(7, price=60_000.5, size=1.25, sequence=9)))
    assert unpack(row.pop("order_key")) == (START_US + 7, 9, 60_000.5)
    assert row == {
        "symbol": "AAPL", "source": "sim", "trade_id": "t", "event_time": START_US + 7, "on_time": True,
        "price": 60_000.5, "volume_units": 1, "volume_billionths": 250_000_000, "notional_units": 75_000,
        "notional_billionths": 625_000_000, "counts": 1, "skewed": 0, "delay": 1_499_993,
        "correctable": False, "log": None,
    }  # fmt: skip


def test_a_correctable_trade_comes_packed_as_well(decode: DecodeFunction) -> None:
    """With the flags by which it was summed: what sets open and close sets high and low."""
    volume, high_low, open_close = trade_log.VOLUME, trade_log.HIGH_LOW, trade_log.OPEN_CLOSE
    everything = volume | high_low | open_close
    flags = {
        "all": ({}, everything),
        "no volume": ({"updates_volume": False}, open_close | high_low),
        "no high": ({"updates_high_low": False}, everything),
        "no open": ({"updates_open_close": False}, high_low | volume),
        "volume": ({"updates_open_close": False, "updates_high_low": False}, volume),
        "skewed": ({"received_at": START_US - 500_100}, everything | trade_log.SKEWED),
    }
    trades = [
        a_trade(
            at,
            price=2.0 + at,
            size=0.1 + at,
            sequence=5 + at,
            trade_id=f"ü {name}",
            correctable=True,
            **changes,
        )
        for at, (name, (changes, _)) in enumerate(flags.items())
    ]
    plain = payload(a_trade())
    rows = decoded(decode, plain, *map(payload, trades[:3]), None, *map(payload, trades[3:]), plain)
    assert [row["log"] for row in rows if not row["correctable"]] == [None] * 3
    packed = [row["log"] for row in rows if row["correctable"]]
    found = list(trade_log.unpack(trade_log.to_bytes("\n".join(packed))))
    assert found == [
        (trade.event_time, trade.sequence, trade.price, bits, trade.size, trade.trade_id)
        for trade, (_, bits) in zip(trades, flags.values(), strict=True)
    ]


def test_corrections_come_in_their_places(decode: DecodeFunction) -> None:
    """Under their own ids, past the windows, with nothing to sum; refused ones have no symbol."""
    cancel = a_cancel("t1", 5, correction_id="c1", source="feed", sequence=2)
    correct = a_correct("t2", price=1.5, size=2.5, correction_id="c2", trade_time=START_US - 3)
    trade = payload(a_trade(price=2.0, correctable=True))
    bad = payload(a_cancel("t", kind="bust"))
    rows = decoded(decode, payload(cancel), trade, None, bad, payload(correct), trade)
    assert [row["symbol"] for row in rows] == ["AAPL", "AAPL", None, None, "AAPL", "AAPL"]
    assert [row["price"] for row in rows if row["trade_id"] == "t"] == [2.0, 2.0]
    for row, correction, offset in ((rows[0], cancel, 40), (rows[4], correct, 44)):
        assert row["log"] == trade_log.pack_correction(fields(correction), 3, offset)
        assert trade_log.is_correction(row["log"])
        assert (row["source"], row["trade_id"]) == (correction.source, correction.correction_id)
        assert row["event_time"] == correction.event_time
        assert (row["on_time"], row["correctable"]) == (False, True)
        assert row["order_key"] is None
        assert row["price"] is None
        sums = ("volume_units", "volume_billionths", "notional_units", "notional_billionths", "counts",
                "skewed", "delay")  # fmt: skip
        assert [row[name] for name in sums] == [0] * 7


def fields(correction: Correction) -> dict[str, Any]:
    return {name: getattr(correction, name) for name in Correction.__dataclass_fields__}


def test_a_batch_of_corrections_only(decode: DecodeFunction) -> None:
    """No trade gives the columns their types."""
    rows = decoded(decode, payload(a_cancel("a")), payload(a_cancel("b", correction_id="d")))
    assert [(row["trade_id"], row["on_time"], json.loads(row["log"])[2]) for row in rows] == [
        ("c", False, "a"),
        ("d", False, "b"),
    ]


@pytest.mark.parametrize(("ahead_ms", "skewed"), [(499, 0), (500, 0), (501, 1), (-(10**6), 0)])
def test_a_trade_dated_ahead_of_its_receipt_is_skewed(
    decode: DecodeFunction, ahead_ms: int, skewed: int
) -> None:
    """Beyond the tolerance of the settings."""
    [row] = decoded(decode, payload(a_trade(received_at=START_US - ahead_ms * 1000)))
    assert row["skewed"] == skewed


def test_what_a_trade_does_not_update_is_null_or_zero(decode: DecodeFunction) -> None:
    """No price to order or compare, no volume to add; it counts where it does either."""
    trade = a_trade(price=2.0, size=3.0)
    rows = decoded(
        decode,
        payload(replace(trade, updates_open_close=False, updates_high_low=False)),
        payload(replace(trade, updates_volume=False)),
        payload(replace(trade, updates_open_close=False, updates_high_low=False, updates_volume=False)),
        payload(replace(trade, updates_open_close=False)),
        payload(replace(trade, updates_high_low=False)),
    )
    assert [row["order_key"] is None for row in rows] == [True, False, True, True, False]
    assert [row["price"] is None for row in rows] == [True, False, True, False, False]
    assert [(row["volume_units"], row["notional_units"]) for row in rows] == [
        (3, 6),
        (0, 0),
        (0, 0),
        (3, 6),
        (3, 6),
    ]
    assert [row["counts"] for row in rows] == [1, 1, 0, 1, 1]


def test_heartbeats_and_poison_have_no_symbol(decode: DecodeFunction) -> None:
    """SQL drops them; the trades around them keep their places."""
    good = payload(a_trade(price=2.0))
    rows = decoded(decode, None, good, b"no Avro", payload(a_trade(price=-1.0)), good)
    assert [row["symbol"] for row in rows] == [None, "AAPL", None, None, "AAPL"]
    assert [row["trade_id"] for row in rows] == [None, "t", None, None, "t"]
    assert [row["price"] for row in rows if row["symbol"]] == [2.0, 2.0]
    assert [row["symbol"] for row in decoded(decode, None, None)] == [None, None]


def test_a_trade_dated_otherwise_is_not_on_time(decode: DecodeFunction) -> None:
    """It goes round the windows, which know only the record's time."""
    rows = decoded(decode, payload(a_trade(999)), payload(a_trade(1_000)), payload(a_trade(-1)))
    assert [bool(row["on_time"]) for row in rows] == [True, False, False]


def test_a_quote_as_columns(decode_quotes: DecodeFunction) -> None:
    """All of it in the key, but for its exchange."""
    [row] = decoded(decode_quotes, payload(A_QUOTE))
    assert quote_key.unpack("AAPL", row.pop("quote_key")) == A_QUOTE
    assert row == {"symbol": "AAPL", "event_time": START_US + 7, "on_time": True, "crossed": 0}


def test_a_quote_is_crossed_when_its_bid_is_above_its_ask(decode_quotes: DecodeFunction) -> None:
    """Not yet when they are the same."""
    rows = decoded(decode_quotes, *(payload(replace(A_QUOTE, bid=bid)) for bid in (100.2, 100.25, 100.26)))
    assert [row["crossed"] for row in rows] == [0, 0, 1]


def test_heartbeats_and_poison_among_quotes_have_no_symbol(decode_quotes: DecodeFunction) -> None:
    """SQL drops them; the quotes around them keep their places."""
    quotes = [replace(A_QUOTE, sequence=at, bid=1.0 + at) for at in range(2)]
    bad = payload(replace(A_QUOTE, ask_size=-1.0))
    rows = decoded(decode_quotes, None, payload(quotes[0]), b"", bad, payload(a_trade()), payload(quotes[1]))
    assert [row["symbol"] for row in rows] == [None, "AAPL", None, None, None, "AAPL"]
    keys = [row["quote_key"] for row in rows]
    assert [key and quote_key.unpack("AAPL", key) for key in keys] == [
        None,
        quotes[0],
        *[None] * 3,
        quotes[1],
    ]
    assert [row["symbol"] for row in decoded(decode_quotes, None, b"")] == [None, None]


def test_a_quote_dated_otherwise_is_not_on_time(decode_quotes: DecodeFunction) -> None:
    """It goes round the windows, which know only the record's time."""
    quotes = [replace(A_QUOTE, event_time=START_US + at) for at in (999, 1_000, -1)]
    assert [bool(row["on_time"]) for row in decoded(decode_quotes, *map(payload, quotes))] == [
        True,
        False,
        False,
    ]


def test_a_gap_comes_by_itself_and_poison_has_no_symbol(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats, records of another type, and gaps that no reader would find are dropped by SQL."""
    gap = a_gap(7, 9_000, filled=True)
    bad = [payload(replace(gap, end=gap.start - 1)), payload(A_QUOTE), b"", None]
    rows = decoded(opened(DecodeGaps, monkeypatch), payload(gap), *bad)
    assert [row["symbol"] for row in rows] == ["AAPL", *[None] * 4]
    assert (rows[0]["source"], rows[0]["event_time"]) == ("sim", gap.end)
    assert coverage.is_gap(rows[0]["log"])
    assert not trade_log.is_correction(rows[0]["log"])
    assert coverage.unpack(rows[0]["log"]) == (
        gap.gap_id, gap.start, gap.end, True, True, "disconnect",
    )  # fmt: skip


@pytest.mark.parametrize(("late_us", "told"), [(299_999_999, True), (300_000_000, False)])
def test_what_a_replay_has_filled_is_no_matter_of_these_bars(
    monkeypatch: pytest.MonkeyPatch, late_us: int, told: bool
) -> None:
    """Beyond the horizon its trades cannot have come here: bars that lack them must go on saying so."""
    gap = a_gap(7, 9_000, filled=True)
    record = payload(replace(gap, updated_at=gap.start + late_us))
    [row] = decoded(opened(DecodeGaps, monkeypatch), record)
    assert row["symbol"] == ("AAPL" if told else None)


def test_a_provider_bar_as_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fields and its series; unknown trades and VWAP; poison with its reason, and nothing for a
    heartbeat. All columns go through Arrow, also those of a batch without any bar."""
    decode = opened(DecodeProviderBars, monkeypatch)
    bar = ProviderBar("AAPL", "yahoo", "1m", START_US, START_US + MINUTE_US, 1.0, 2.0, 0.5, 1.5, 10.0, None,
                      None, True, START_US + 70_000_000)  # fmt: skip
    known, bad = replace(bar, vwap=1.25, trades=7), replace(bar, high=0.25)
    rows = decoded(decode, payload(bar), payload(known), None, payload(bad), b"no Avro")
    fields = {name: getattr(bar, name) for name in PROVIDER_BAR if hasattr(bar, name)}
    fields |= {"series": "AAPL yahoo", "trades": UNKNOWN, "reason": None, "detail": None}
    assert rows[0] == fields
    assert rows[1] == fields | {"vwap": 1.25, "trades": 7}
    assert [(row["series"], row["symbol"], row["reason"]) for row in rows[2:]] == [
        (None, None, None),
        ("", None, "invalid_price"),
        ("", None, "not_avro"),
    ]
    assert rows[3]["detail"] == "low 0.5 is above high 0.25"
    assert [row["series"] for row in decoded(decode, None)] == [None]
