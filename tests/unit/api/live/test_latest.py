"""What is newest of each symbol."""

from api.live.latest import Latest
from schemas.events import Event
from tests.unit.api.live.events import alert, candle, correction, incoming, quote, ticks, trade


def latest(*events: Event) -> Latest:
    known = Latest()
    for each in incoming(*events):
        known.add(each)
    return known


def test_nothing_is_known_at_first() -> None:
    """Unknown is None."""
    known = Latest()
    assert (known.trade("AAPL"), known.quote("AAPL"), known.candle("AAPL", "1m")) == (None, None, None)
    assert not known.knows("AAPL")


def test_the_newest_is_the_newest_by_event_time_not_by_arrival() -> None:
    """Each with the JSON that clients get."""
    known = latest(trade(1), trade(3), trade(2), quote(5), quote(4), trade(9, "MSFT"))
    found, bid_ask = known.trade("AAPL"), known.quote("AAPL")
    assert found is not None
    assert (found.event, found.data) == (trade(3), incoming(trade(3))[0].data)
    assert bid_ask is not None
    assert bid_ask.event == quote(5)


def test_the_last_price_is_set_by_trades_that_may_set_one() -> None:
    """An odd lot may not."""
    known = latest(trade(1), trade(2, updates_open_close=False))
    found = known.trade("AAPL")
    assert found is not None
    assert found.event == trade(1)


def test_of_what_comes_together_the_newest_is_known() -> None:
    """By the same rules, beside what was known before."""
    together, one_by_one = Latest(), Latest()
    for events in (
        [trade(3), trade(5), trade(4), trade(9, updates_open_close=False), trade(1, "MSFT")],
        [trade(4, price=1.0), trade(2, "MSFT"), trade(2, "MSFT", price=2.0), trade(7, "GOOG")],
        [quote(5), quote(4)],
        [quote(3)],
    ):
        together.take(ticks(*events))
        for each in incoming(*events):
            one_by_one.add(each)
    for symbol in ("AAPL", "MSFT", "GOOG"):
        expected = one_by_one.trade(symbol), one_by_one.quote(symbol)
        found = together.trade(symbol), together.quote(symbol)
        assert [each and each.event for each in found] == [each and each.event for each in expected]
    assert together.trade("AAPL").event == trade(5)  # type: ignore[union-attr]


def test_a_corrected_trade_is_no_longer_known() -> None:
    """Until the next one comes; a correction of another trade changes nothing."""
    known = latest(trade(1), correction(2, of="t0"))
    assert known.trade("AAPL") is not None
    known.add(incoming(correction(3, of="t1"))[0])
    assert known.trade("AAPL") is None
    known.add(incoming(trade(4))[0])
    assert known.trade("AAPL") is not None


def test_the_current_bar_is_the_newest_version_of_the_newest_bar() -> None:
    """By interval; a version of an older bar does not take its place."""
    known = latest(candle(2), candle(4, bar=1), candle(7, final=True), candle(9, interval="5m"))
    found, longer = known.candle("AAPL", "1m"), known.candle("AAPL", "5m")
    assert found is not None
    assert found.event == candle(4, bar=1)
    assert longer is not None
    assert longer.event == candle(9, interval="5m")


def test_an_older_version_of_the_current_bar_is_refused() -> None:
    """A job that starts again writes some versions once more."""
    known = Latest()
    added = [known.add(each) for each in incoming(candle(4), candle(2), candle(4), candle(6), alert())]
    assert added == [True, False, False, True, True]


def test_a_symbol_is_known_by_whatever_has_come_of_it() -> None:
    """Trade, quote or bar."""
    known = latest(trade(symbol="A"), quote(symbol="B"), candle(symbol="C"), alert(symbol="D"))
    assert [known.knows(symbol) for symbol in "ABCD"] == [True, True, True, False]
