"""Bars of providers over real HTTP from a real Cassandra, written as the store job writes them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import httpx
import pytest
from cassandra.cluster import Session

from jobs.sinks.provider_rows import ProviderBarRows
from schemas.cassandra_session import connect
from schemas.events import ProviderBar
from schemas.intervals import INTERVALS, MINUTE_US
from schemas.settings import CassandraSettings
from tests.support.api import Tables, a_candle, get, utc
from tests.support.stored_rows import store
from tests.unit.api.test_provider_bars import bar_json

pytestmark = pytest.mark.servers
NOW = int(datetime.now(UTC).timestamp()) * 1_000_000
DAY = NOW - NOW % INTERVALS["1d"]
STARTS = [DAY - months * 31 * INTERVALS["1d"] + n * MINUTE_US for months in (0, 1, 7) for n in (1, 0)]


def a_bar(symbol: str, start: int, version: int, **changes: object) -> ProviderBar:
    end = start + MINUTE_US
    bar = ProviderBar(
        symbol, "yahoo", "1m", start, end, 5.0, 6.5, 4.5, 6.0, 100.0, None, 7, True, end + 2_500_000,
        end + version, {"sma_20": 5.25},
    )  # fmt: skip
    return replace(bar, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def session(cassandra: CassandraSettings) -> Iterator[Session]:
    session = connect(cassandra)
    yield session
    session.cluster.shutdown()


def write(session: Session, *bars: ProviderBar) -> None:
    """As the store job does."""
    store(session, ProviderBarRows().rows(bars))


def test_a_symbol_that_only_a_provider_has_is_served_with_its_bars(
    api: httpx.Client, session: Session
) -> None:
    """Over months, page by page, with and without a name; nothing of another provider."""
    bars = [a_bar("THEIRS", start, 1) for start in STARTS]
    write(session, *bars, a_bar("THEIRS", STARTS[-1], 1, source="alpha_vantage"))
    for asked in ({}, {"provider": "yahoo"}):
        query: dict[str, str | int] = {"include": "indicators", "limit": 4, **asked}
        first = get(api, "/api/v1/candles/theirs", **query)
        second = get(api, "/api/v1/candles/theirs", **query, cursor=first["next_cursor"])
        assert second["next_cursor"] is None
        shown = first["candles"] + second["candles"]
        assert shown == [bar_json(bar, indicators=True) for bar in bars]
    assert get(api, "/api/v1/candles/THEIRS", provider="none")["candles"] == []


def test_the_greatest_version_of_a_bar_stays_whatever_the_order_of_the_writes(
    api: httpx.Client, session: Session
) -> None:
    """And a newer one without indicators leaves those there are."""
    orders = list(permutations([1, 2, 3]))
    written = []
    for number, order in enumerate(orders):
        start = STARTS[0] - number * MINUTE_US
        versions = {
            1: a_bar("ORDERED", start, 1, close=1.0, indicators={"sma_20": 1.0}),
            2: a_bar("ORDERED", start, 2, close=2.0, indicators={"sma_20": 2.0}),
            3: a_bar("ORDERED", start, 3, close=3.0, indicators={}),
        }
        write(session, *(versions[each] for each in order))
        written.append(replace(versions[3], indicators={"sma_20": 2.0}))
    shown = get(api, "/api/v1/candles/ORDERED", include="indicators")["candles"]
    assert shown == [bar_json(bar, indicators=True) for bar in written]


def test_a_day_of_a_provider_is_compared_with_ours(
    api: httpx.Client, session: Session, tables: Tables
) -> None:
    """As both are stored."""
    tables.symbol("BOTH")
    ours = a_candle("BOTH", "1m", DAY, 2)
    tables.candle(ours)
    tables.candle(a_candle("BOTH", "1m", DAY + MINUTE_US, 3))  # live
    assert ours.close is not None
    prices = {name: getattr(ours, name) for name in ("open", "high", "low")}
    write(session, a_bar("BOTH", DAY, 1, **prices, close=ours.close * 1.0005, volume=ours.volume * 4))
    body = get(api, "/api/v1/providers/yahoo/comparison", symbol="both", day=utc(DAY))
    assert body["bars"] == {"both": 1, "only_ours": 0, "only_theirs": 0}
    assert body["open"] == {
        "max_difference": 0.0, "mean_difference": 0.0, "equal_share": 1.0, "close_share": 1.0
    }  # fmt: skip
    assert body["close"]["max_difference"] == pytest.approx(5e-4)
    assert (body["close"]["equal_share"], body["close"]["close_share"]) == (0.0, 1.0)
    assert body["volume"]["ratio"] == pytest.approx(4.0)
    assert (body["delay"]["newest_bar"], body["delay"]["p50_seconds"]) == (utc(DAY), 2.5)
    assert [bar["start"] for bar in get(api, "/api/v1/candles/BOTH")["candles"]] == [
        utc(DAY + MINUTE_US),
        utc(DAY),
    ]
