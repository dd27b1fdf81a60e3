"""The parts around a connection: waits, limits, the queue between two threads, and what a provider needs."""

import asyncio
import threading
from datetime import UTC, datetime

import orjson
import pytest
from structlog.testing import capture_logs

from producer.providers.backoff import Backoff
from producer.providers.catalogue import POLLED, PROVIDERS, make_adapter, make_polled
from producer.providers.contract import Frame
from producer.providers.deliveries import Notice
from producer.providers.feed import shards
from producer.providers.handover import Handover, Taken
from producer.providers.settings import ProviderSettings
from producer.providers.source import ProviderSource
from producer.registry import SOURCES, Making, make_source, member, shares
from producer.settings import ProducerSettings
from producer.startup import Destination
from schemas.errors import ConfigurationError
from schemas.retry_after import MOST_RETRY_AFTER_S, retry_after_s
from tests.support.provider_frames import KEYS, NOW_US, adapter_of, event, polled_of
from tests.unit.producer.fakes import fake_runtime

HTTP_DATE = datetime.fromtimestamp(NOW_US // 1_000_000 + 90, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0), ("0", 0.0), ("-5", 0.0), ("1.5", 1.5), (HTTP_DATE, 90.0), (None, None), ("", None),
        ("soon", None), ("nan", None), ("1e9", MOST_RETRY_AFTER_S), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    ],
)  # fmt: skip
def test_retry_after(header: str | None, seconds: float | None) -> None:
    """Seconds, or a date; an hour at most."""
    assert retry_after_s(header, NOW_US) == seconds


def test_the_whole_of_a_wait_is_drawn() -> None:
    """Full jitter: from nothing to all of it; what the server asks for is the least."""
    assert [Backoff(1, 60, lambda: 0.0).next_s() for _ in range(3)] == [0, 0, 0]
    backoff = Backoff(1, 60, lambda: 0.999)
    assert [round(backoff.next_s()) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.next_s(75.0) == 75.0
    backoff.reset()
    assert round(backoff.next_s()) == 1


def test_symbols_are_spread_over_connections() -> None:
    """As many as a connection may have, and no more connections than a key may have."""
    coinbase = adapter_of("coinbase")
    symbols = [f"S{number}" for number in range(250)]
    assert [len(shard) for shard in shards(coinbase, symbols)] == [100, 100, 50]
    assert [symbol for shard in shards(coinbase, symbols) for symbol in shard] == symbols
    assert [len(shard) for shard in shards(adapter_of("finnhub"), symbols[:50])] == [50]
    with pytest.raises(ConfigurationError, match="finnhub serves at most 50 symbols, and SYMBOLS has 51"):
        shards(adapter_of("finnhub"), symbols[:51])


def test_beside_others_a_provider_is_asked_for_as_many_symbols_as_it_serves() -> None:
    """Whoever of them serves most has to have all: else nobody would have the last ones."""
    symbols = tuple(f"S{number}" for number in range(1500))
    settings = ProducerSettings(symbols=symbols, **KEYS)

    def lengths(*names: str) -> dict[str, int]:
        found = shares(names, settings)
        assert all(symbols[: len(some)] == some for some in found.values())
        return {name: len(some) for name, some in found.items()}

    assert lengths("finnhub", "simulator") == {"finnhub": 50, "simulator": 1500}
    assert lengths("finnhub", "polygon", "finage") == {"finnhub": 50, "polygon": 1500, "finage": 50}
    assert lengths("finnhub") == {"finnhub": 1500}
    assert lengths("fmp", "finnhub", "binance") == {"fmp": 1500, "finnhub": 50, "binance": 1500}
    with pytest.raises(ConfigurationError, match="polygon serves at most 1000 symbols"):
        make_source(("finnhub", "polygon"), Making(settings, Destination({}, {}), fake_runtime()))


def test_what_a_provider_is_not_asked_for_it_refuses() -> None:
    """So failover follows another source there; that is said, with what to do."""
    symbols = tuple(f"S{number}" for number in range(60))
    settings = ProducerSettings(symbols=symbols, symbol_classes=("*=crypto",), **KEYS)
    making = Making(settings, Destination({}, {}), fake_runtime())
    with capture_logs() as entries:
        one = member("finnhub", making, symbols[:50])
    feed = one._feed  # type: ignore[attr-defined]
    assert [worker._symbols for worker in feed._workers] == [symbols[:50]]
    [entry] = entries
    assert (entry["event"], entry["provider"], entry["symbols"]) == ("provider_serves_fewer", "finnhub", 50)
    feed.take = lambda _: Taken([], True, 1)
    (first, _), (second, _) = one.take(0.1), one.take(0.1)
    [notice] = first.items
    assert isinstance(notice, Notice)
    assert (notice.what, notice.provider, tuple(notice.symbols)) == (
        "symbol_refused",
        "finnhub",
        symbols[50:],
    )
    assert second.items == []


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("finnhub", "FINNHUB_API_KEY"),
        ("polygon", "POLYGON_API_KEY"),
        ("finage", "FINAGE_SOCKET_KEY and FINAGE_URL"),
    ],
)
def test_a_missing_key_is_named(name: str, missing: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ConfigurationError, match=f"{name} needs {missing}"):
        make_adapter(name, ProviderSettings(finnhub_api_key="", polygon_api_key="", finage_socket_key=""))


@pytest.mark.parametrize("name", ["alpha_vantage", "fmp"])
def test_a_missing_key_of_a_provider_that_is_asked_is_named(name: str) -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigurationError, match=f"{name} needs {name.upper()}_API_KEY"):
        make_polled(name, ProviderSettings(alpha_vantage_api_key="", fmp_api_key=""))


def test_every_provider_is_a_source() -> None:
    """What the catalogue has, SOURCE takes; each adapter says the name under which it is found."""
    assert set(PROVIDERS) <= set(SOURCES)
    for name in PROVIDERS:
        adapter = polled_of(name) if name in POLLED else adapter_of(name)
        assert adapter.name == name
        assert PROVIDERS[name].quotes_only == (adapter.kind == "quotes")
        assert PROVIDERS[name].limits(ProviderSettings()) == adapter.limits


@pytest.mark.parametrize("name", ["finage", *POLLED])
def test_a_provider_without_trades_may_be_alone(name: str) -> None:
    """Its quotes are served; that there will be no bars is no reason to refuse it."""
    settings = ProducerSettings(symbols=("AAPL",), symbol_classes=("*=crypto",), **KEYS)
    making = Making(settings, Destination({}, {}), fake_runtime())
    assert isinstance(make_source((name,), making), ProviderSource)


@pytest.mark.parametrize(("classes", "said"), [((), ["finage"]), (("*=crypto",), [])])
def test_stocks_of_no_class_are_said_to_have_no_hours(classes: tuple[str, ...], said: list[str]) -> None:
    """A user learns which setting is missing, not that the feed is silent every night."""
    settings = ProducerSettings(symbols=("AAPL",), symbol_classes=classes, **KEYS)
    with capture_logs() as entries:
        make_source(("finage",), Making(settings, Destination({}, {}), fake_runtime()))
    warned = [entry["provider"] for entry in entries if entry["event"] == "stocks_without_hours"]
    assert warned == said


def test_a_delayed_feed_is_behind() -> None:
    """Heartbeats must wait for it, or every trade of it came late."""
    assert adapter_of("polygon").delay_ms == 0
    assert adapter_of("polygon", polygon_url="wss://delayed.massive.com/stocks").delay_ms == 900_000


def test_a_size_with_fractions_wins() -> None:
    """Polygon's ``ds`` is the exact one."""

    frame = Frame(orjson.dumps(event("polygon", "AAPL", 7)), NOW_US)
    (trade,) = adapter_of("polygon").parse(frame).trades
    assert trade.size == 0.25


@pytest.mark.parametrize(
    ("at", "day"),
    [("2025-01-04T01:00:00+00:00", "20250103"), ("2025-01-04T05:00:00+00:00", "20250104"),
     ("2025-07-04T04:00:00+00:00", "20250704"), ("2025-07-04T03:59:59+00:00", "20250703")],
)  # fmt: skip
def test_the_day_of_a_polygon_trade_is_that_of_new_york(at: str, day: str) -> None:
    """Ids begin anew there, at midnight, across daylight saving."""

    at_us = round(datetime.fromisoformat(at).timestamp() * 1e6)
    (trade,) = (
        adapter_of("polygon").parse(Frame(orjson.dumps(event("polygon", "AAPL", 7, at_us)), at_us)).trades
    )
    assert trade.trade_id == f"{day}:4:0:7"


def test_a_price_without_a_report_has_no_volume() -> None:
    """Finnhub's v=0."""
    payload = b'{"type":"trade","data":[{"s":"AAPL","p":100,"t":1735914600000,"v":0,"c":null}]}'
    (trade,) = adapter_of("finnhub").parse(Frame(payload, NOW_US)).trades
    assert (trade.size, trade.updates_volume, trade.updates_open_close, trade.conditions) == (
        0,
        False,
        True,
        (),
    )


@pytest.mark.parametrize(
    "t", [1_735_914_600, 1_735_914_600_000, 1_735_914_600_000_000, 1_735_914_600_000_000_000]
)
def test_finage_times_are_known_by_their_magnitude(t: int) -> None:
    """Seconds to nanoseconds: the same moment."""
    payload = f'{{"s":"AAPL","ap":101,"bp":100,"as":1,"bs":2,"t":{t}}}'.encode()
    (quote,) = adapter_of("finage").parse(Frame(payload, 0)).quotes
    assert (quote.event_time, quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (
        NOW_US,
        100,
        2,
        101,
        1,
    )


def test_a_queue_keeps_order_and_bound() -> None:
    """Two writers and a slow reader: each writer's items stay in order, and no more than fit are waiting."""
    waits: list[int] = []
    handover = Handover[tuple[str, int]](10, lambda: 5, lambda: waits.append(1))
    taken: list[tuple[str, int]] = []
    most: list[int] = []

    async def write(name: str) -> None:
        for number in range(200):
            await handover.put((name, number), 3)
            most.append(handover.weight)

    async def main() -> None:
        await asyncio.gather(write("a"), write("b"))

    writer = threading.Thread(target=lambda: asyncio.run(main()))
    writer.start()
    while len(taken) < 400:
        taken += handover.take(1.0, 7).items
    writer.join()
    assert max(most) <= 10
    assert waits
    for name in "ab":
        assert [number for who, number in taken if who == name] == list(range(200))


def test_a_queue_says_whether_there_is_more() -> None:
    """Only then may the clock go on to now."""
    handover = Handover[str](10, lambda: 5, lambda: None)

    async def main() -> None:
        for item in "abc":
            await handover.put(item, 2)

    asyncio.run(main())
    first = handover.take(0, 4)
    assert (first.items, first.all) == (["a", "b"], False)
    second = handover.take(0, 4)
    assert (second.items, second.all, second.at_us) == (["c"], True, 5)
    assert handover.take(0, 4).items == []


def test_an_item_that_is_heavier_than_the_queue_goes_in_alone() -> None:
    """A frame of a megabyte must not stop everything."""
    handover = Handover[str](10, lambda: 5, lambda: None)
    asyncio.run(handover.put("heavy", 1000))
    assert handover.take(0, 4).items == ["heavy"]
