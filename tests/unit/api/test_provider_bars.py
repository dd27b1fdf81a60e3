"""Bars of providers over a market in memory: asked for by name, or where there are none of ours."""

import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from schemas.events import ProviderBar
from schemas.intervals import INTERVALS, MINUTE_US
from tests.support.api import utc
from tests.unit.api.fake_market import NOW, SYMBOL, Market, a_provider_bar, at, final_bars, get

BASE = at(2026, 3, 17, 12)
MONTHS = (at(2026, 3, 17, 12), at(2026, 2, 3, 4), at(2024, 8, 9))
BARS = [a_provider_bar(start + n * MINUTE_US, 5.0 + n) for start in MONTHS for n in (2, 1, 0)]
"""Of three months, newest first."""


def bar_json(bar: ProviderBar, *, indicators: bool = False) -> dict[str, Any]:
    """The bar as the API must write it."""
    names = (
        "symbol",
        "interval",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "vwap",
        "trades",
        "final",
        "version",
    )
    return {name: getattr(bar, name) for name in names} | {
        "start": utc(bar.start), "end": utc(bar.end), "notional": None, "sources": [bar.source],
        "late_trades": None, "updated_at": utc(bar.received_at), "quality": None, "observed": None,
        "provider_bar": bar.source,
        **({"indicators": bar.indicators} if indicators else {}),
    }  # fmt: skip


def page(market: Market, query: str) -> dict[str, Any]:
    response = get(market, f"/candles/{SYMBOL}?{query}")
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def pages(market: Market, query: str) -> list[Any]:
    """All pages, joined."""
    found, cursor = [], ""
    while True:
        body = page(market, query + cursor)
        found += body["candles"]
        if body["next_cursor"] is None:
            return found
        cursor = f"&cursor={body['next_cursor']}"


@pytest.mark.parametrize("limit", [1, 2, 4, 100])
def test_the_bars_of_a_provider_are_asked_for_by_its_name(limit: int) -> None:
    """Every field, each marked; across months, page by page, whatever bars of ours there are."""
    others = [replace(BARS[0], source="alphavantage"), replace(BARS[0], interval="5m")]
    market = Market(final_bars(BASE, BASE + MINUTE_US), provider_bars=[*BARS, *others])
    assert pages(market, f"provider=yahoo&limit={limit}") == [bar_json(bar) for bar in BARS]
    with_indicators = pages(market, f"provider=yahoo&limit={limit}&include=indicators")
    assert with_indicators == [bar_json(bar, indicators=True) for bar in BARS]


def test_a_range_holds_its_start_and_not_its_end() -> None:
    """In one month, or over several."""
    market = Market(provider_bars=BARS)
    for first, last in ((1, 1), (2, 5), (0, 8)):
        query = f"provider=yahoo&from={utc(BARS[last].start)}&to={utc(BARS[first].start + 1)}"
        assert page(market, query)["candles"] == [bar_json(bar) for bar in BARS[first : last + 1]]
    assert page(market, f"provider=yahoo&to={utc(BARS[8].start)}")["candles"] == []


def test_ours_are_never_mixed_with_theirs() -> None:
    """Without a name the answer is ours, where there is any bar of ours, even outside of the range."""
    market = Market(final_bars(BASE), provider_bars=BARS)
    ours = page(market, "")["candles"]
    assert [(bar["start"], "provider_bar" in bar) for bar in ours] == [(utc(BASE), False)]
    assert page(market, f"to={utc(BASE)}")["candles"] == []
    assert page(market, f"provider=finnhub&to={utc(NOW)}")["candles"] == []


def test_a_symbol_without_bars_of_ours_is_answered_with_those_of_a_provider() -> None:
    """Those of the newest month, of several the first by name; not of another interval, not where only ours
    are asked for, nor as of a time."""
    market = Market(
        provider_bars=[replace(BARS[8], source="alphavantage"), *BARS, replace(BARS[0], source="z")]
    )
    assert page(market, "limit=2")["candles"] == [bar_json(bar) for bar in BARS[:2]]
    assert pages(market, "limit=4") == [bar_json(bar) for bar in BARS]
    for query in ("provider=none", "interval=1h", f"as_of={utc(NOW)}"):
        assert page(market, query)["candles"] == []


def test_a_cursor_goes_on_with_the_bars_of_its_provider() -> None:
    """Although bars of ours, or of a provider with newer ones, have come between two pages."""
    first = page(Market(provider_bars=BARS), "limit=3")
    newer = [*BARS, a_provider_bar(at(2026, 4, 1), source="alphavantage")]
    market = Market(final_bars(BASE), provider_bars=newer)
    second = page(market, f"limit=3&cursor={first['next_cursor']}")
    assert second["candles"] == [bar_json(bar) for bar in BARS[3:6]]
    ours = page(market, f"limit=3&provider=none&cursor={first['next_cursor']}")
    assert [bar["start"] for bar in ours["candles"]] == []


def test_indicators_of_a_provider_are_marked() -> None:
    """By name, and where there are no bars of ours; only the values asked for."""
    market = Market(provider_bars=[replace(BARS[0], indicators={"sma_20": 1.0, "rsi_14": 2.0})])
    for query in ("?provider=yahoo&names=sma_20", "?names=sma_20"):
        assert get(market, f"/indicators/{SYMBOL}{query}").json()["indicators"] == [
            {
                "start": utc(BARS[0].start), "end": utc(BARS[0].end), "final": True,
                "version": BARS[0].version, "values": {"sma_20": 1.0}, "provider_bar": "yahoo",
            }
        ]  # fmt: skip


def test_holes_are_filled_with_marked_bars() -> None:
    """From the provider's own closes."""
    market = Market(final_bars(BASE), provider_bars=[BARS[0], BARS[2]])
    body = page(market, f"provider=yahoo&fill=forward&from={utc(BASE)}")["candles"]
    assert [(bar["close"], bar["filled"], bar["provider_bar"]) for bar in body] == [
        (7.0, False, "yahoo"),
        (5.0, True, "yahoo"),
        (5.0, False, "yahoo"),
    ]


def test_a_file_has_a_column_that_names_the_provider() -> None:
    """Only where the bars are a provider's; and so has its name."""
    for market, query, marks in (
        (Market(provider_bars=BARS), "", ["yahoo"] * 9),
        (Market(final_bars(BASE), provider_bars=BARS), "provider=yahoo&", ["yahoo"] * 9),
        (Market(final_bars(BASE), provider_bars=BARS), "", [None]),
    ):
        for path in ("candles", "indicators"):
            response = get(market, f"/{path}/{SYMBOL}?{query}format=csv")
            rows = list(csv.DictReader(io.StringIO(response.text, newline="")))
            assert [row.get("provider_bar") for row in rows] == marks
            assert ("yahoo" in response.headers["content-disposition"]) == (marks != [None])


def test_a_page_of_a_provider_is_never_settled() -> None:
    """It may say something else tomorrow."""
    newest = at(2026, 3, 17, 12, 30)
    market = Market(final_bars(newest), provider_bars=BARS)
    old = f"/candles/{SYMBOL}?to={utc(MONTHS[2] + INTERVALS['1d'])}"
    assert get(market, f"{old}&provider=yahoo").headers["cache-control"] == "private, no-cache"


def test_a_comparison_over_the_routes() -> None:
    """One UTC day of final bars on both sides; the numbers themselves are tested with the arithmetic."""
    day = at(2026, 3, 17)
    ours = final_bars(BASE, BASE + MINUTE_US)
    before = a_provider_bar(day - MINUTE_US)
    market = Market(ours, provider_bars=[*BARS, before])
    for query in ("", "&day=2026-03-17", f"&day={utc(NOW)}&interval=1min"):
        response = get(market, f"/providers/yahoo/comparison?symbol=a{query}")
        assert response.status_code == 200, response.text
        body = response.json()
        assert (body["provider"], body["symbol"], body["day"]) == ("yahoo", "A", "2026-03-17")
        assert body["bars"] == {"both": 2, "only_ours": 0, "only_theirs": 1}
        assert body["volume"] == {"ours": 4.0, "theirs": 8.0, "ratio": 2.0}
        assert body["delay"] == {
            "newest_bar": utc(BARS[0].start), "newest_bar_age_seconds": (NOW - BARS[0].end) / 1e6,
            "p50_seconds": 3.0, "max_seconds": 3.0,
        }  # fmt: skip
    nobody = get(market, "/providers/nobody/comparison?symbol=A").json()
    assert nobody["bars"] == {"both": 0, "only_ours": 2, "only_theirs": 0}
    assert (nobody["close"], nobody["volume"]["ratio"], nobody["delay"]["p50_seconds"]) == (None, None, None)
