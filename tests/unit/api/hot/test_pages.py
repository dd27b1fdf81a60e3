"""Pages from memory, compared with those that are made of what Cassandra has."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import Request, Response

from api.answers import SETTLED, UNSETTLED
from api.bars import BarQuery, BarReader
from api.columns import indicators_of
from api.cursors import candle_place
from api.hot.pages import HotPages
from api.models import Candles, Indicators
from schemas.intervals import MINUTE_US
from schemas.settings import SessionSettings
from schemas.symbol_classes import SymbolClasses
from tests.unit.api.hot.market import Market, model, run
from tests.unit.api.live.events import NOON, candle

BARS = [candle(4), *(candle(3, bar=minute, final=True) for minute in range(-1, -30, -1))]
QUERY = BarQuery("AAPL", "1m", 0, NOON + MINUTE_US, 5, fixed=False)


def request(tag: str = "") -> Request:
    headers = [(b"if-none-match", tag.encode())] if tag else []
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers})


@pytest.fixture
def pages() -> HotPages:
    market = Market()
    market.store(*BARS[1:])
    market.feed(BARS[0])
    return HotPages(market.cache, 0, lambda: market.micros)


def candles(pages: HotPages, query: BarQuery, tag: str = "") -> Response:
    found = run(pages.candles(request(tag), query))
    assert found is not None
    return found


@pytest.mark.parametrize("indicators", [True, False])
@pytest.mark.parametrize("limit", [1, 5, 30, 100])
def test_candles_are_those_of_the_model(pages: HotPages, limit: int, indicators: bool) -> None:
    """Every field, and a cursor where more follow."""
    body = json.loads(candles(pages, replace(QUERY, limit=limit, indicators=indicators)).body)
    more = body.pop("next_cursor")
    shown = [model(bar) for bar in BARS[:limit]]
    if not indicators:
        shown = [type(bar)(**bar.model_dump(exclude={"indicators"}, exclude_unset=True)) for bar in shown]
    expected = Candles(symbol="AAPL", interval="1m", candles=shown, next_cursor=None)
    written = json.loads(expected.model_dump_json(exclude_unset=True))
    del written["next_cursor"]
    assert body == written
    assert (more is None) == (limit >= len(BARS))
    assert more is None or candle_place(more) == BARS[limit - 1].start


@pytest.mark.parametrize("names", [(), ("rsi_14",), ("none",)])
def test_indicators_are_those_of_the_model(pages: HotPages, names: tuple[str, ...]) -> None:
    """All, or those asked for."""
    found = run(pages.indicators(request(), replace(QUERY, limit=30), frozenset(names)))
    assert found is not None
    rows = [indicators_of(model(bar), frozenset(names)) for bar in BARS]
    expected = Indicators(symbol="AAPL", interval="1m", indicators=rows, next_cursor=None)
    assert json.loads(found.body) == json.loads(expected.model_dump_json(exclude_unset=True))


def test_what_was_known_at_a_time_filled_bars_and_those_of_providers_are_left_to_cassandra(
    pages: HotPages,
) -> None:
    """Memory has the newest versions of ours only."""
    assert run(pages.candles(request(), replace(QUERY, provider="yahoo"))) is None
    assert run(pages.candles(request(), replace(QUERY, as_of=NOON))) is None
    assert run(pages.candles(request(), replace(QUERY, fill=True))) is None


def test_a_page_that_stays_may_be_kept(pages: HotPages) -> None:
    """All final, its end named, and the market beyond it; and it need not be sent twice."""
    closed = replace(QUERY, end=NOON - 3 * MINUTE_US, fixed=True)
    answer = candles(pages, closed)
    assert answer.headers["cache-control"] == SETTLED
    assert candles(pages, closed, answer.headers["etag"]).status_code == 304
    for open_end in (QUERY, replace(closed, fixed=False), replace(QUERY, fixed=True)):
        assert candles(pages, open_end).headers["cache-control"] == UNSETTLED


@pytest.mark.parametrize("indicators", [True, False])
def test_bars_without_holes_are_made_of_those_in_memory(indicators: bool) -> None:
    """So that a live bar is never older there than on a page with holes."""
    market = Market()
    market.store(*(candle(3, bar=minute, final=True) for minute in (-400, -30, -3, -2)), candle(2))
    market.feed(candle(4))
    store = SimpleNamespace(latest=lambda: NOON + MINUTE_US)  # it has no bars to ask for
    calendars = SymbolClasses(SessionSettings())
    parts: Any = (store, None, None, calendars, 0, lambda: market.micros, market.cache.page)
    query = replace(QUERY, limit=4, fill=True, indicators=indicators)
    page = run(BarReader(*parts).page(query))
    assert [(bar.version, bar.filled) for bar in page.bars] == [(4, False), (0, True), (3, False), (3, False)]
    assert [bar.model_fields_set >= {"indicators"} for bar in page.bars if not bar.filled] == [indicators] * 3
    long_ago = replace(query, end=NOON - 390 * MINUTE_US)
    assert [bar.version for bar in run(BarReader(*parts).page(long_ago)).bars] == [0, 0, 0, 0]
