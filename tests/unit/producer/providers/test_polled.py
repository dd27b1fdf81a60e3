"""What only one of the providers that are asked has: its times, its rows, its words."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from producer.providers.contract import (
    Complaint,
    Frame,
    KeyRefused,
    Parsed,
    PlanRefused,
    RateLimited,
    SymbolRefused,
)
from producer.providers.provider_bars import SETTLED_US
from tests.support.provider_answers import MINUTE_US, bars_answer, quote_answer, yahoo_answer
from tests.support.provider_frames import NOW_US, SYMBOLS, polled_of

S = 1_000_000


def parse(name: str, document: Any, received_us: int = NOW_US, **changes: Any) -> Parsed:
    return polled_of(name, **changes).parse(Frame(json.dumps(document).encode(), received_us, NOW_US))


def us(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * S


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2025-01-03 09:30:00", "2025-01-03T14:30:00+00:00"),
        ("2025-03-07 09:30:00", "2025-03-07T14:30:00+00:00"),
        ("2025-03-10 09:30:00", "2025-03-10T13:30:00+00:00"),
        ("2025-11-03 19:59:00", "2025-11-04T00:59:00+00:00"),
    ],
)
def test_bars_of_alpha_vantage_are_in_the_time_of_new_york(local: str, utc: str) -> None:
    """Across daylight saving."""
    document = bars_answer("alpha_vantage", "AAPL", bars=1)
    series = document["Time Series (1min)"]
    document["Time Series (1min)"] = {local: next(iter(series.values()))}
    (bar,) = parse("alpha_vantage", document, us(utc)).bars
    assert (bar.start, bar.end) == (us(utc), us(utc) + MINUTE_US)


def test_a_time_zone_that_we_do_not_know_is_no_time() -> None:
    """Not taken for any other."""
    document = bars_answer("alpha_vantage", "AAPL", bars=2)
    document["Meta Data"]["6. Time Zone"] = "Mars/Olympus"
    assert [letter.reason for letter in parse("alpha_vantage", document).rejected] == ["implausible_time"] * 2


@pytest.mark.parametrize(
    ("received", "at"),
    [
        ("2025-01-03T18:00:00+00:00", "2025-01-03T18:00:00+00:00"),
        ("2025-01-04T03:00:00+00:00", "2025-01-03T21:00:00+00:00"),
        ("2025-01-05T12:00:00+00:00", "2025-01-03T21:00:00+00:00"),
    ],
)
def test_a_price_of_alpha_vantage_is_of_now_or_of_the_last_close(received: str, at: str) -> None:
    """It has a day and no time: on a Sunday it is not of that Sunday."""
    document = quote_answer("alpha_vantage", "AAPL", us("2025-01-03T15:00:00+00:00"))
    (quote,) = parse("alpha_vantage", document, us(received)).quotes
    assert (quote.event_time, quote.received_at) == (us(at), us(received))


def test_a_delayed_price_of_alpha_vantage_is_one() -> None:
    """Keys of some plans have another name for it."""
    quote = quote_answer("alpha_vantage", "AAPL")["Global Quote"]
    parsed = parse("alpha_vantage", {"Global Quote - DATA DELAYED BY 15 MINUTES": quote})
    assert [quote.bid for quote in parsed.quotes] == [100.5]


@pytest.mark.parametrize("name", ["alpha_vantage", "yahoo"])
@pytest.mark.parametrize(("after_us", "over"), [(0, False), (SETTLED_US - 1, False), (SETTLED_US, True)])
def test_the_newest_bar_is_over_when_even_a_delayed_feed_has_all_of_it(
    name: str, after_us: int, over: bool
) -> None:
    """The one before it is over at once."""
    document = bars_answer(name, "AAPL", NOW_US, bars=2)
    bars = parse(name, document, NOW_US - NOW_US % MINUTE_US + MINUTE_US + after_us).bars
    assert {(bar.start - NOW_US) // MINUTE_US: bar.final for bar in bars} == {-1: True, 0: over}


def row(document: Any, start_us: int, prices: list[float | None], volume: float | None) -> Any:
    """The chart with one more row."""
    result = document["chart"]["result"][0]
    result["timestamp"].append(start_us // S)
    columns = result["indicators"]["quote"][0]
    for name, value in zip(("open", "high", "low", "close", "volume"), [*prices, volume], strict=True):
        columns[name].append(value)
    return document


CLOSE_US = us("2025-01-03T21:00:00+00:00")


@pytest.mark.parametrize(
    ("start_us", "prices", "volume", "bars"),
    [
        (NOW_US + 59 * S, [100.0, 101.0, 99.0, 100.0], 5, 2),
        (CLOSE_US, [100.0] * 4, 0, 2),
        (CLOSE_US, [100.0] * 4, 20, 3),
        (NOW_US + MINUTE_US, [None] * 4, None, 2),
        (NOW_US + MINUTE_US, [100.0] * 4, 0, 3),
    ],
    ids=["off the grid", "at the close", "traded after the close", "not traded", "without volume"],
)
def test_a_row_of_yahoo_that_is_no_bar_is_none(
    start_us: int, prices: list[float | None], volume: float | None, bars: int
) -> None:
    """The latest price at the end of the list is not taken for a bar."""
    document = row(yahoo_answer("AAPL", bars=2), start_us, prices, volume)
    parsed = parse("yahoo", document, start_us + S)
    assert (len(parsed.bars), parsed.rejected) == (bars, [])
    assert parsed.items == parsed.events + parsed.control


def test_a_row_of_yahoo_with_a_hole_in_it_is_a_dead_letter() -> None:
    """The others count."""
    document = row(yahoo_answer("AAPL", bars=2), NOW_US + MINUTE_US, [100.0, None, 99.0, 100.0], 5)
    parsed = parse("yahoo", document)
    assert [letter.reason for letter in parsed.rejected] == ["invalid_price"]
    assert b'"high":null' in parsed.rejected[0].payload
    assert len(parsed.bars) == 2


def test_hours_of_yahoo_begin_where_trading_begins() -> None:
    """At half past nine in New York."""
    document = yahoo_answer("AAPL", NOW_US, bars=1)
    document["chart"]["result"][0]["meta"]["dataGranularity"] = "1h"
    (bar,) = parse("yahoo", document, provider_bars="1h").bars
    assert (bar.interval, bar.start, bar.end) == ("1h", NOW_US, NOW_US + 60 * MINUTE_US)


def test_yahoo_is_asked_for_days_at_first_and_then_for_hours() -> None:
    """Indicators need bars of before; later only the last of them may still change."""
    yahoo = polled_of("yahoo")
    known = {"BRK.B": NOW_US - 30 * S}
    first, later = (poll.request for poll in yahoo.polls(SYMBOLS["yahoo"], NOW_US, known))
    assert [request.url.rpartition("/")[2] for request in (first, later)] == ["AAPL", "BRK-B"]
    begins = [NOW_US // S - int(request.query["period1"]) for request in (first, later)]
    assert begins == [3 * 86_400, 7200 + 30]
    assert later.query["interval"] == "1m"
    slow = yahoo.polls(("AAPL",), NOW_US, {"AAPL": NOW_US - 30 * 86_400 * S})[0].request
    assert NOW_US // S - int(slow.query["period1"]) == 3 * 86_400


@pytest.mark.parametrize(("bars", "theirs"), [("1m", "1min"), ("1h", "60min")])
def test_alpha_vantage_is_asked_for_prices_and_bars(bars: str, theirs: str) -> None:
    """A request for each."""
    adapter = polled_of("alpha_vantage", provider_bars=bars)
    asked = [(poll.what, dict(poll.request.query)) for poll in adapter.polls(("BRK.B",), NOW_US, {})]
    assert asked == [
        ("quotes", {"function": "GLOBAL_QUOTE", "symbol": "BRK-B"}),
        ("bars", {"function": "TIME_SERIES_INTRADAY", "symbol": "BRK-B", "interval": theirs,
                  "outputsize": "compact"}),
    ]  # fmt: skip


FREE = "We have detected your API key as X and our standard API rate limit is 25 requests per day."


@pytest.mark.parametrize(
    ("name", "document", "signal"),
    [
        (
            "alpha_vantage",
            {"Note": "call frequency is 5 calls per minute, 500 calls per day"},
            RateLimited,
        ),
        ("alpha_vantage", {"Information": FREE}, RateLimited),
        ("alpha_vantage", {"Information": "This is a premium endpoint."}, PlanRefused),
        ("alpha_vantage", {"Information": "The **demo** API key is for demo purposes only."}, KeyRefused),
        ("alpha_vantage", {"Error Message": "the parameter apikey is invalid or missing."}, KeyRefused),
        ("alpha_vantage", {"Error Message": "Invalid API call."}, SymbolRefused),
        ("alpha_vantage", {"Information": ["what?"]}, Complaint),
        ("fmp", {"Error Message": "Limit Reach . Please upgrade your plan"}, RateLimited),
        ("fmp", {"Error Message": "Invalid API KEY. Please retry"}, KeyRefused),
        ("fmp", {"Error Message": "Legacy Endpoint : no longer supported"}, PlanRefused),
        ("fmp", {"Error Message": "Special Endpoint : 'symbol' is not in your subscription"}, SymbolRefused),
        ("fmp", {"Error Message": None}, Complaint),
        ("yahoo", {"chart": {"result": None, "error": {"code": "Not Found"}}}, SymbolRefused),
        ("yahoo", {"chart": {"result": None, "error": {"code": "Too Many Requests"}}}, RateLimited),
        ("yahoo", {"finance": {"result": None, "error": {"code": "Unauthorized"}}}, Complaint),
        ("yahoo", {"chart": {"result": None, "error": "down"}}, Complaint),
    ],
)
def test_what_a_provider_says_is_understood(name: str, document: Any, signal: type) -> None:
    """Each word has one meaning, and is neither an event nor a dead letter."""
    parsed = parse(name, document)
    assert [type(said) for said in parsed.signals] == [signal]
    assert (parsed.items, parsed.control, parsed.events, parsed.rejected) == (1, 1, 0, [])


def test_prices_of_fmp_have_their_own_time() -> None:
    """In seconds."""
    (quote,) = parse("fmp", quote_answer("fmp", "BRK-B", NOW_US - 7 * S), NOW_US).quotes
    at = datetime.fromtimestamp(quote.event_time / S, UTC)
    assert (quote.symbol, at.isoformat()) == ("BRK.B", "2025-01-03T14:29:53+00:00")


@pytest.mark.parametrize(
    ("name", "place"), [("fmp", "/stable/quote"), ("yahoo", "/stable/AAPL"), ("alpha_vantage", "/stable/")]
)
def test_an_address_may_end_with_a_slash(name: str, place: str) -> None:
    """Of those that have something behind it."""
    adapter = polled_of(name, **{f"{name}_url": "https://example.com/stable/"})
    assert adapter.polls(("AAPL",), NOW_US, {})[0].request.url == f"https://example.com{place}"
