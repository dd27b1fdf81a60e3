"""Trades and corrections as text for SQL, and as bytes for the store."""

import random
import re
from dataclasses import asdict

import numpy as np
import pytest

from jobs.domain import amounts, order_key, trade_log, trade_store
from jobs.domain.totals import NOTHING, of_slice
from jobs.domain.trade_log import HIGH_LOW, OPEN_CLOSE, SKEWED, VOLUME, LoggedTrade, WaitingCorrection
from schemas.events import Trade
from tests.unit.jobs.builders import START_US, a_cancel, a_correct, a_trade, slice_of

IDS = ["1", "a,b\n;\"'[{\\", "é\u20ac\U0001f600", "x" * 256, "\U0001f600" * 256, "\x00\t"]


def packed(trades: list[LoggedTrade]) -> list[str]:
    flags = np.array([trade.flags for trade in trades], dtype=np.int64)
    return trade_log.pack(
        np.array([trade.event_time for trade in trades], dtype=np.int64),
        np.array([trade.sequence for trade in trades], dtype=np.int64),
        np.array([trade.price for trade in trades]),
        np.array([trade.size for trade in trades]),
        flags & OPEN_CLOSE > 0,
        flags & HIGH_LOW > 0,
        flags & VOLUME > 0,
        [trade.trade_id for trade in trades],
        flags & SKEWED > 0,
    )


def some_trades() -> list[LoggedTrade]:
    rng = random.Random(5)
    return [
        LoggedTrade(START_US + rng.randrange(2**40), rng.randrange(2**62), rng.random() * 1e5, flags,
                    rng.choice([0.0, 1e-9, 1e13, rng.random()]), IDS[flags % len(IDS)])
        for flags in range(16)
    ]  # fmt: skip


def test_trades_come_back_to_the_bit() -> None:
    """Joined by line feeds as SQL does; every flag, and ids of any characters."""
    trades = some_trades()
    text = "\n".join(packed(trades))
    assert list(trade_log.unpack(trade_log.to_bytes(text))) == trades
    assert re.fullmatch("[0-9a-f\n]+", text)


def test_the_text_begins_with_the_order_key() -> None:
    """So the texts of a slice sort as its trades do."""
    trades = some_trades()
    keys = [order_key.of(trade.event_time, trade.sequence, trade.price) for trade in trades]
    assert [text[:48] for text in packed(trades)] == keys


def test_no_trades_no_texts() -> None:
    """A batch may hold none that can be corrected."""
    assert packed([]) == []


@pytest.mark.parametrize("trade_time", [None, START_US])
@pytest.mark.parametrize("trade_id", IDS)
def test_a_correction_comes_back(trade_id: str, trade_time: int | None) -> None:
    """A new price and size, and where its record lies; its text is not that of trades."""
    correction = a_correct(
        trade_id, 5, 0.1 + 0.2, 1e-9, sequence=2**62, trade_time=trade_time, updates_open_close=False,
        updates_high_low=False,
    )  # fmt: skip
    text = trade_log.pack_correction(asdict(correction), 3, 2**62)
    assert trade_log.is_correction(text)
    assert not any(map(trade_log.is_correction, packed(some_trades())))
    unpacked = trade_log.unpack_correction(text)
    assert unpacked == WaitingCorrection(
        "sim", "c", trade_id, START_US + 5, 2**62, trade_time, 0.1 + 0.2, 1e-9, VOLUME, 3, 2**62
    )
    data = trade_log.corrections_to_bytes([unpacked, unpacked])
    assert trade_log.corrections_from_bytes(data) == [unpacked, unpacked]


def test_a_cancel_has_no_price_and_an_open_no_more_than_a_high() -> None:
    """A correction that may set the open sets the high, as a trade does."""
    cancel = trade_log.unpack_correction(trade_log.pack_correction(asdict(a_cancel("t")), 0, 0))
    assert (cancel.price, cancel.size) == (None, 0.0)
    correct = a_correct("t", updates_high_low=False, updates_volume=False)
    flags = trade_log.unpack_correction(trade_log.pack_correction(asdict(correct), 0, 0)).flags
    assert flags == OPEN_CLOSE | HIGH_LOW


def test_one_amount_is_rounded_as_those_of_a_batch() -> None:
    """Halves, great and small ones: what is summed again must not differ by a billionth."""
    rng = random.Random(6)
    sizes = [0.0, 5e-10, 15e-10, 0.9999999999, 1e13, 123_456_789.123456]
    sizes += [rng.random() * 10 ** rng.randrange(-10, 13) for _ in range(5_000)]
    units, billionths = amounts.split(np.array(sizes))
    expected = [amounts.join(int(u), int(b)) for u, b in zip(units, billionths, strict=True)]
    assert [amounts.exact(size) for size in sizes] == expected


def test_logged_trades_add_up_to_what_their_slices_do() -> None:
    """Two sources, every combination of flags, clocks that are off, sizes that need rounding."""
    rng = random.Random(7)
    store: dict[str, bytes] = {}
    expected = NOTHING
    for number in range(40):
        flags = [rng.random() < 0.7 for _ in range(3)]
        trades: list[Trade] = [
            a_trade(
                rng.randrange(60_000_000), rng.random() * 1e5, rng.random() * 10 ** rng.randrange(-9, 6),
                trade_id=f"{number}-{place}", source=f"sim{number % 2}", correctable=True,
                updates_open_close=flags[0], updates_high_low=flags[1], updates_volume=flags[2],
            )
            for place in range(rng.randrange(1, 9))
        ]  # fmt: skip
        part = slice_of(*trades, skewed=[rng.random() < 0.2 for _ in trades])
        assert part.log is not None
        trade_store.write_trades(store, START_US, number, part.source, part.log)
        expected = expected.merge(of_slice(part))
    assert trade_store.totals(store, START_US, 40) == expected
    trade_store.delete(store, START_US, 40)
    assert store == {}
