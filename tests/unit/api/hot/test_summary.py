"""The market at a glance, from memory and from Cassandra."""

import asyncio
import json
import time
from typing import Any

from api.hot.bars import from_store
from api.hot.summary import (
    KEPT_US,
    KEPT_US_PER_SYMBOL,
    OLDEST,
    OLDEST_KEPT,
    READ_AGAIN_PER_SECOND,
    STALE_SECONDS,
    STORED_SECONDS,
    MarketSummary,
    Part,
)
from api.quote_store import Known
from api.summary_models import MarketSummary as Model
from tests.support.reading import eventually
from tests.unit.api.hot.market import model, run
from tests.unit.api.hot.test_quotes import Hot, day, last_trade
from tests.unit.api.live.events import NOON, candle, quote, trade


class Glance:
    """A live symbol, AAPL, and OLD, of which Cassandra knows."""

    def __init__(self) -> None:
        self.hot = Hot()
        self.loaded: list[str] = []
        self.summary = MarketSummary(
            self.hot.cache, self.load, self.hot.market.metrics, lambda: self.hot.market.micros
        )
        self.hot.market.store(*(candle(3, bar=minute, final=True) for minute in range(-70, 0)), day(-1))
        self.hot.feed(candle(4), day(0), quote(7), trade(5))

    async def load(self, symbol: str) -> Part:
        self.loaded.append(symbol)
        bar = from_store(model(candle(3, symbol, bar=-60, final=True)))
        return Known(None, [bar], [], last_trade(trade(-60 * 60_000_000, symbol))), [bar]

    def answer(self, *symbols: str) -> Any:
        body = run(self.summary.answer(symbols, 12.5))
        Model.model_validate_json(body)
        found = json.loads(body)
        # Python takes true for 1, whoever reads JSON does not.
        assert not any(isinstance(total, bool) for total in found["totals"].values())
        return found


def test_a_line_has_price_change_day_and_the_last_hour() -> None:
    """Numbers as the symbol's quote has them; the sparkline ends with the bar that grows."""
    glance = Glance()
    glance.hot.market.wait(2)
    found = glance.answer("AAPL")
    assert found["symbols"] == [
        {
            "symbol": "AAPL", "price": trade(5).price, "previous_close": 187.25, "change": 5.0,
            "change_percent": 100 * 5.0 / 187.25, "volume": 1200.0, "high": 188.0, "low": 186.5,
            "time": "2026-01-05T12:00:00.000005Z", "age_seconds": 6.999995, "stale": False, "quality": 0.75,
            "sparkline": [187.25] * 60,
        }
    ]  # fmt: skip
    assert found["totals"] == {
        "symbols": 1, "up": 1, "down": 0, "unchanged": 0, "stale": 0, "trades_per_second": 12.5,
    }  # fmt: skip
    assert found["time"] == "2026-01-05T12:00:07Z"


def test_what_is_not_live_is_read_once_in_a_while_and_marked_as_stale() -> None:
    """An hour old; without a day before it there is no change."""
    glance = Glance()
    found = glance.answer("OLD", "AAPL")
    old = found["symbols"][0]
    assert (old["symbol"], old["stale"], old["change"], old["volume"]) == ("OLD", True, None, None)
    assert old["age_seconds"] > STALE_SECONDS
    glance.hot.market.micros += OLDEST_KEPT * KEPT_US
    glance.answer("OLD", "AAPL")
    assert glance.loaded == ["OLD"]
    glance.hot.market.micros += int(STORED_SECONDS * 1e6)
    glance.answer("OLD")
    run(asyncio.sleep(0.01))
    assert glance.loaded == ["OLD", "OLD"]
    glance.hot.market.micros += int(OLDEST * STORED_SECONDS * 1e6)
    glance.answer("OLD")
    assert glance.loaded == ["OLD", "OLD", "OLD"]


def test_all_who_ask_at_once_get_one_answer() -> None:
    """For a quarter of a second; another question has another answer."""
    glance = Glance()
    first = glance.answer("AAPL")
    glance.hot.feed(trade(8))
    assert glance.answer("AAPL") == first
    assert glance.answer("AAPL", "OLD")["symbols"][0]["price"] == trade(8).price
    glance.hot.market.micros += KEPT_US
    assert glance.answer("AAPL")["symbols"][0]["price"] == trade(8).price


def test_nobody_waits_for_a_new_answer_unless_the_old_one_is_a_second_old() -> None:
    """It is made while the old one is given."""
    glance = Glance()
    first = glance.answer("AAPL")
    glance.hot.feed(trade(8))
    glance.hot.market.micros += OLDEST_KEPT * KEPT_US - 1
    assert glance.answer("AAPL") == first
    run(asyncio.sleep(0.01))
    assert glance.answer("AAPL")["symbols"][0]["price"] == trade(8).price
    glance.hot.feed(trade(9))
    glance.hot.market.micros += OLDEST_KEPT * KEPT_US
    assert glance.answer("AAPL")["symbols"][0]["price"] == trade(9).price


def test_of_thousands_of_symbols_an_answer_is_kept_for_longer() -> None:
    """Or making them would take all of a processor."""
    glance = Glance()
    names = [f"S{number:04d}" for number in range(2 * KEPT_US // KEPT_US_PER_SYMBOL)]
    first = glance.answer(*names)["time"]
    glance.hot.market.micros += 2 * KEPT_US - 1
    assert glance.answer(*names)["time"] == first
    glance.hot.market.micros += 1

    def is_new() -> bool:
        run(asyncio.sleep(0.01))  # meanwhile it is made
        return bool(glance.answer(*names)["time"] != first)

    assert glance.answer(*names)["time"] == first
    eventually(is_new, 30, "a new answer")


def test_the_more_symbols_are_silent_the_more_seldom_each_is_read_again() -> None:
    """What they cost Cassandra is bounded, however many they are."""
    glance = Glance()
    names = [f"S{number:04d}" for number in range(int(2 * STORED_SECONDS * READ_AGAIN_PER_SECOND))]
    glance.answer(*names)
    for seconds, times in ((STORED_SECONDS, 1), (STORED_SECONDS, 2)):
        glance.hot.market.micros += int(seconds * 1e6)
        glance.answer(*names)
        run(asyncio.sleep(0.01))
        assert len(glance.loaded) == times * len(names)


def test_a_symbol_of_which_nothing_is_known_has_a_line_of_nulls() -> None:
    """Configured, and never traded."""

    async def nothing(_: str) -> Part:
        return Known(None, [], [], None), []

    glance = Glance()
    glance.summary = MarketSummary(glance.hot.cache, nothing, glance.hot.market.metrics, lambda: NOON)
    (line,) = glance.answer("NEW")["symbols"]
    known = {name for name, value in line.items() if value not in (None, [])}
    assert (known, line["stale"]) == ({"symbol", "stale"}, True)


def test_five_hundred_symbols_are_answered_from_memory_alone() -> None:
    """No read of Cassandra, whatever the number."""
    glance = Glance()
    names = [f"S{number:03d}" for number in range(500)]
    for name in names:
        glance.hot.feed(candle(4, name), candle(4, name, "1d"), quote(7, name), trade(5, name))
    glance.answer(*names)
    reads = len(glance.hot.market.reads)
    glance.hot.market.micros += OLDEST_KEPT * KEPT_US
    started = time.process_time()
    found = glance.answer(*names)
    print(f"500 symbols: {1e3 * (time.process_time() - started):.0f} ms of a core")  # noqa: T201 -- shown by -s
    assert [row["price"] for row in found["symbols"]] == [trade(5).price] * 500
    assert (len(glance.hot.market.reads), glance.loaded) == (reads, [])
