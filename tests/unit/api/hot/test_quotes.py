"""What is known of a live symbol from memory, compared with what Cassandra would say."""

import pytest

from api.hot.bars import from_store
from api.hot.candles import SETTLE_SECONDS
from api.hot.quotes import QuoteCache
from api.live.latest import Latest
from api.live.messages import from_event
from api.quote_store import BidAsk, Known, LastTrade, snapshot, to_quote
from schemas.events import Candle, Event, Quote, Trade
from tests.unit.api.hot.market import Market, model, run
from tests.unit.api.live.events import NOON, candle, correction, quote, ticks, trade


def last_trade(event: Trade) -> LastTrade:
    return LastTrade(event.event_time, event.received_at, event.price, event.size, event.source)


def row(event: Quote) -> BidAsk:
    """As the store job writes it."""
    return BidAsk(
        event.bid, event.bid_size, event.ask, event.ask_size, (event.bid + event.ask) / 2,
        event.ask - event.bid, event.event_time, event.received_at, event.source,
    )  # fmt: skip


class Hot:
    """A market with a cache of quotes."""

    def __init__(self) -> None:
        self.market = Market()
        self.latest = Latest()
        self.asked: list[str] = []
        self.stored_quote: BidAsk | None = None
        self.cache = QuoteCache(
            self.latest, self.market.cache, self.look_up, self.market.continuity, self.market.metrics
        )

    async def look_up(self, symbol: str) -> BidAsk | None:
        self.asked.append(symbol)
        return self.stored_quote

    def feed(self, *events: Event) -> None:
        for event in events:
            incoming = from_event(event)
            self.market.cache.add(incoming)
            self.cache.add(incoming)
            self.latest.add(incoming)

    def feed_together(self, *events: Trade | Quote) -> None:
        self.cache.take(ticks(*events))
        self.latest.take(ticks(*events))

    def known(self) -> Known | None:
        return run(self.cache.known("AAPL"))

    def results(self) -> dict[str, int]:
        counts = self.market.metrics.counts
        return {result: count for (cache, result), count in counts.items() if cache == "quotes"}


def day(number: int, version: int = 3) -> Candle:
    return candle(version, interval="1d", bar=number, final=number < 0)


@pytest.fixture
def hot() -> Hot:
    made = Hot()
    made.market.store(*(candle(3, bar=minute, final=True) for minute in range(-30, 0)), day(-1))
    made.feed(candle(4), day(0), quote(7), trade(5))
    return made


def test_the_same_snapshot_follows_from_memory_and_from_cassandra(hot: Hot) -> None:
    """Every field, whatever came first."""
    minutes = [candle(4), *(candle(3, bar=minute, final=True) for minute in range(-1, -20, -1))]
    stored = Known(
        row(quote(7)),
        [from_store(model(bar)) for bar in minutes],
        [from_store(model(bar)) for bar in (day(0), day(-1))],
        last_trade(trade(5)),
    )
    known = hot.known()
    assert known is not None
    now = NOON + 3_000_000
    assert to_quote("AAPL", snapshot(known), now) == to_quote("AAPL", snapshot(stored), now)
    assert len(known.bars) == 20
    assert snapshot(known).previous_close == day(-1).close


def test_after_the_first_question_nothing_is_read(hot: Hot) -> None:
    """And each new trade shows at once."""
    hot.known()
    reads = len(hot.market.reads)
    hot.feed(trade(6), quote(8))
    known = hot.known()
    assert known is not None
    assert (known.trade, known.bid_ask) == (last_trade(trade(6)), row(quote(8)))
    assert (len(hot.market.reads), hot.asked, hot.results()) == (reads, [], {"fill": 1, "hit": 1})


def test_what_comes_together_is_known_likewise(hot: Hot) -> None:
    """Trades, and quotes."""
    hot.market.continuity.interrupt()
    hot.market.wait(SETTLE_SECONDS)
    hot.feed(candle(6), day(0, 5))
    assert hot.known() is None
    hot.feed_together(trade(11), trade(12))
    hot.feed_together(quote(11), quote(13))
    known = hot.known()
    assert known is not None
    assert (known.trade, known.bid_ask) == (last_trade(trade(12)), row(quote(13)))
    assert hot.asked == []


def test_a_cancelled_trade_is_cassandras_until_the_next_one_comes(hot: Hot) -> None:
    """What the price was before it, only the bars know."""
    hot.known()
    hot.feed(correction(9, of="t5"))
    assert hot.known() is None
    hot.feed(trade(10))
    known = hot.known()
    assert known is not None
    assert known.trade == last_trade(trade(10))


def test_an_interruption_forgets_trades_and_quotes(hot: Hot) -> None:
    """Newer ones may have been missed: only what comes afterwards counts."""
    hot.known()
    hot.market.continuity.interrupt()
    hot.market.wait(10)
    hot.feed(candle(6), day(0, 5))
    assert hot.known() is None
    hot.feed(trade(11))
    hot.stored_quote = row(quote(10))
    known = hot.known()
    assert known is not None
    assert (known.trade, known.bid_ask) == (last_trade(trade(11)), row(quote(10)))


def test_a_symbol_without_quotes_is_looked_up_once(hot: Hot) -> None:
    """Until the feed brings one."""
    hot.market.continuity.interrupt()
    hot.market.wait(10)
    hot.feed(candle(6), day(0, 5), trade(11))
    for _ in range(3):
        known = hot.known()
        assert known is not None
        assert known.bid_ask is None
    assert hot.asked == ["AAPL"]
    hot.feed(quote(12))
    assert (known := hot.known()) is not None
    assert known.bid_ask == row(quote(12))
