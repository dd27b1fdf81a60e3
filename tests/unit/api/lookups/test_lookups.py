"""Lookups at a provider that a test plays: what is read, remembered, and said when there is no answer."""

import asyncio
import contextlib
import json
import traceback
from collections.abc import Awaitable, Callable
from datetime import date
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from api.errors import ApiError, LookupUnavailable, UnknownCompany, install_error_handlers
from api.lookups.client import MOST_BYTES, Access, LookupClient
from api.lookups.lookups import Lookups, provider_of
from api.lookups.remembered import Remembered
from api.lookups.settings import LookupSettings
from api.metrics import ApiMetrics
from api.middleware import RequestMiddleware
from api.models import Quote
from api.routes import lookups as routes
from api.routes import market
from api.times import to_micros

T = TypeVar("T")
NOW = 1_767_623_400_000_000
"""2026-01-05 14:30 UTC."""
KEY = "SECRET-KEY"
SETTINGS = {
    "finnhub": LookupSettings(lookup_url="https://provider.test/v1/", finnhub_api_key=KEY),
    "fmp": LookupSettings(lookup_url="https://provider.test/v1", fmp_api_key=KEY),
}
PROFILES = {
    "finnhub": {
        "country": "US", "currency": "USD", "exchange": "NASDAQ", "finnhubIndustry": "Technology",
        "ipo": "1980-12-12", "logo": "x", "marketCapitalization": 3_400_000.5, "name": "Apple Inc",
        "shareOutstanding": 15_100.25, "ticker": "AAPL", "weburl": "https://www.apple.com/",
    },
    "fmp": [
        {
            "symbol": "AAPL", "price": 187.4, "marketCap": 3.4000005e12, "companyName": "Apple Inc",
            "currency": "USD", "exchangeFullName": "NASDAQ Global Select", "exchange": "NASDAQ",
            "industry": "Consumer Electronics", "website": "https://www.apple.com/", "sector": "Technology",
            "country": "US", "fullTimeEmployees": "164000", "ipoDate": "1980-12-12", "description": "",
        }
    ],
}  # fmt: skip
QUOTES = {
    "finnhub": {
        "c": 187.5,
        "d": 3.5,
        "dp": 1.9,
        "h": 188,
        "l": 183,
        "o": 184,
        "pc": 184.0,
        "t": 1_767_623_340,
    },
    "fmp": [
        {"symbol": "AAPL", "price": 187.5, "previousClose": 184.0, "timestamp": 1_767_623_340, "open": 1}
    ],
}
HISTORY = {
    "finnhub": {
        "s": "ok", "t": [1_767_225_600, 1_767_312_000], "o": [1, 2], "h": [3, 4], "l": [0.5, 1.5],
        "c": [2, 3], "v": [100, 200],
    },
    "fmp": [
        {"symbol": "AAPL", "date": "2026-01-01", "open": 1, "high": 3, "low": 0.5, "close": 2, "volume": 100},
        {"symbol": "AAPL", "date": "2026-01-02", "open": 2, "high": 4, "low": 1.5, "close": 3, "volume": 200,
         "vwap": 2.8},
    ],
}  # fmt: skip
UNKNOWN = {
    "finnhub": {"profile2": {}, "quote": {"c": 0, "pc": 0, "t": 0}, "candle": {"s": "no_data"}},
    "fmp": {"profile": [], "quote": [], "full": []},
}
NAMES = sorted(SETTINGS)


class FakeProvider:
    """Answers each path's last part as it is told, and remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[httpx.Request] = []
        self.answer: Callable[[str], httpx.Response] = self.good
        self.slow = asyncio.Event()
        self.slow.set()

    def good(self, what: str) -> httpx.Response:
        given: dict[str, Any] = {
            "profile2": PROFILES, "profile": PROFILES, "quote": QUOTES, "candle": HISTORY, "full": HISTORY,
        }  # fmt: skip
        return httpx.Response(200, json=given[what][self.name])

    def unknown(self, what: str) -> httpx.Response:
        return httpx.Response(200, json=UNKNOWN[self.name][what])

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        await self.slow.wait()
        return self.answer(request.url.path.rpartition("/")[2])


def looking_up(
    name: str, use: Callable[[Lookups, FakeProvider], Awaitable[T]], settings: LookupSettings | None = None
) -> T:
    """The result of ``use`` with lookups at a fake provider."""

    async def run() -> T:
        provider = FakeProvider(name)
        settings_used = settings or SETTINGS[name]
        async with httpx.AsyncClient(transport=httpx.MockTransport(provider)) as http:
            asked = provider_of(settings_used, http, lambda: NOW)
            return await use(Lookups(asked, settings_used, ApiMetrics().cache, lambda: NOW), provider)

    return asyncio.run(run())


@pytest.mark.parametrize("name", NAMES)
def test_a_company_is_read_and_asked_for_once(name: str) -> None:
    """Field by field; the key is in a header, and in no address."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        found = await lookups.company("AAPL")
        assert (found.name, found.currency, found.country, found.ipo) == (
            "Apple Inc", "USD", "US", date(1980, 12, 12),
        )  # fmt: skip
        assert (found.market_cap, found.provider, to_micros(found.looked_up_at)) == (3.4000005e12, name, NOW)
        other = {
            "finnhub": (15_100_250_000.0, None, None, "NASDAQ", "Technology"),
            "fmp": (None, 164_000, None, "NASDAQ Global Select", "Consumer Electronics"),
        }
        assert (found.shares, found.employees, found.description, found.exchange, found.industry) == other[
            name
        ]
        assert await lookups.company("AAPL") is found
        [request] = provider.asked
        assert KEY in request.headers.values()
        assert KEY not in str(request.url)
        path = {"finnhub": "stock/profile2", "fmp": "profile"}[name]
        assert str(request.url) == f"https://provider.test/v1/{path}?symbol=AAPL"

    looking_up(name, use)


def test_a_class_of_shares_has_the_providers_spelling() -> None:
    """And ours in the answer."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        assert (await lookups.company("BRK.B")).symbol == "BRK.B"
        assert provider.asked[0].url.params["symbol"] == "BRK-B"

    looking_up("fmp", use)


@pytest.mark.parametrize("name", NAMES)
def test_a_quote_says_that_it_was_looked_up(name: str) -> None:
    """Its price and change, when it was, and who said so."""

    async def use(lookups: Lookups, _: FakeProvider) -> None:
        quote = await lookups.quote("AAPL")
        assert quote is not None
        assert (quote.last_price, quote.previous_close, quote.change) == (187.5, 184.0, 3.5)
        assert (quote.source, quote.looked_up, quote.delayed, quote.age_seconds) == (name, True, False, 60.0)
        assert (quote.bid, quote.day, quote.last_size) == (None, None, None)

    looking_up(name, use)


@pytest.mark.parametrize("name", NAMES)
def test_daily_history_is_newest_first_and_marked(name: str) -> None:
    """As the provider has it."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        found = await lookups.history("AAPL")
        assert found.provider_bar is True
        assert [
            (bar.date.isoformat(), bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in found.bars
        ] == [
            ("2026-01-02", 2, 4, 1.5, 3, 200),
            ("2026-01-01", 1, 3, 0.5, 2, 100),
        ]
        asked = provider.asked[0].url.params
        expected = {"finnhub": ("1736035200", "1767571200"), "fmp": ("2025-01-04", "2026-01-05")}
        if name == "finnhub":
            assert int(asked["to"]) - int(asked["from"]) == 366 * 86_400
        else:
            assert (asked["from"], asked["to"]) == expected[name]

    looking_up(name, use)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_provider_does_not_know_is_remembered_too(name: str) -> None:
    """Briefly; a quote of it is no quote."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        provider.answer = provider.unknown
        for _ in range(2):
            for lookup in (lookups.company, lookups.history):
                with pytest.raises(ApiError) as error:
                    await lookup("NOPE")
                assert (error.value.status, error.value.code) == (404, "unknown_company")
            assert await lookups.quote("NOPE") is None
        assert len(provider.asked) == 3

    looking_up(name, use)


@pytest.mark.parametrize("name", NAMES)
def test_all_who_ask_at_the_same_time_wait_for_one_request(name: str) -> None:
    """One that goes away does not take the answer from the others."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        provider.slow.clear()
        tasks = [asyncio.create_task(lookups.company("AAPL")) for _ in range(50)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        await asyncio.sleep(0)
        provider.slow.set()
        found = await asyncio.gather(*tasks[1:])
        assert {company.name for company in found} == {"Apple Inc"}
        assert len(provider.asked) == 1

    looking_up(name, use)


ANSWERS: dict[str, Callable[[str], httpx.Response]] = {
    "asks us to wait": lambda _: httpx.Response(429, headers={"Retry-After": "120"}),
    "refuses this with our key": lambda _: httpx.Response(403, json={"error": f"bad key {KEY}"}),
    "answers with HTTP 500": lambda _: httpx.Response(500, text=KEY),
    "answers with HTTP 302": lambda _: httpx.Response(302, headers={"Location": "https://evil.test"}),
    "something else than it documents": lambda _: httpx.Response(200, text=f"<html>{KEY}"),
    "with something else than": lambda _: httpx.Response(200, json={"c": KEY, "marketCapitalization": KEY}),
    "answers with too much": lambda _: httpx.Response(200, content=b" " * (MOST_BYTES + 1)),
}  # fmt: skip


@pytest.mark.parametrize("says", sorted(ANSWERS))
@pytest.mark.parametrize("name", NAMES)
def test_no_answer_is_said_without_the_key_and_remembered(name: str, says: str) -> None:
    """503 with Retry-After, for a moment without asking again; a snapshot then has nothing of it."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        provider.answer = ANSWERS[says]
        for _ in range(2):
            with pytest.raises(LookupUnavailable) as error:
                await lookups.company("AAPL")
            shown = "".join(traceback.format_exception(error.value))
            assert says in shown
            assert KEY not in shown
            assert (error.value.status, error.value.code) == (503, "lookup_unavailable")
            assert int(error.value.headers["Retry-After"]) == (120 if says == "asks us to wait" else 2)
        assert len(provider.asked) == 1
        assert await lookups.quote("AAPL") is None

    looking_up(name, use)


def test_a_provider_that_asks_for_a_pause_gets_it() -> None:
    """Nothing is asked before it is over, whatever it is about."""

    async def run() -> None:
        clock = [0.0]
        statuses = [429, 200]
        asked: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            return httpx.Response(statuses.pop(0), json=[1], headers={"Retry-After": "30"})

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            access = Access("fmp", "http://provider.test", {}, "FMP_API_KEY", 30, 5.0)
            client = LookupClient(http, access, lambda: clock[0])
            for path, waited in (("a", 0.0), ("b", 10.0), ("c", 29.9)):
                clock[0] = waited
                with pytest.raises(LookupUnavailable) as error:
                    await client.get(path)
                assert error.value.retry_after_s == pytest.approx(30 - waited)
            clock[0] = 30.0
            assert await client.get("d") == [1]
        assert asked == ["/a", "/d"]

    asyncio.run(run())


def test_it_is_not_asked_more_often_than_it_may_and_not_for_long() -> None:
    """The rest of the minute has no lookups; an answer that does not come is none."""

    async def many(lookups: Lookups, provider: FakeProvider) -> int:
        for number in range(5):
            if number < 3:
                await lookups.company(f"A{number}")
                continue
            with pytest.raises(LookupUnavailable, match="LOOKUP_REQUESTS_PER_MINUTE"):
                await lookups.company(f"A{number}")
        return len(provider.asked)

    changed = SETTINGS["fmp"].model_copy(update={"lookup_requests_per_minute": 3})
    assert looking_up("fmp", many, changed) == 3

    async def slow(lookups: Lookups, provider: FakeProvider) -> None:
        provider.slow.clear()
        with pytest.raises(LookupUnavailable, match="TimeoutError"):
            await lookups.company("AAPL")

    looking_up("fmp", slow, SETTINGS["fmp"].model_copy(update={"lookup_timeout_seconds": 0.05}))


def test_the_first_lookups_are_made_at_the_start_and_end_with_the_first_failure() -> None:
    """Nobody waits for them, and a provider that fails is left alone."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        await lookups.warm(["AAPL", "MSFT"])
        assert [request.url.params["symbol"] for request in provider.asked] == ["AAPL", "MSFT"]
        assert lookups.uses["companies"][0] == 2
        provider.answer = ANSWERS["answers with HTTP 500"]
        await lookups.warm(["V", "JNJ"])
        assert len(provider.asked) == 3

    looking_up("finnhub", use)


def test_an_answer_is_good_for_its_time_and_counted() -> None:
    """Then it is asked for again; hits and fills make the hit ratio."""

    async def run() -> None:
        clock, asked = [0.0], []
        metrics = ApiMetrics().cache

        async def ask(key: str) -> str | None:
            asked.append(key)
            return None if key == "none" else key

        cache: Remembered[str] = Remembered("companies", ask, 60, 5, metrics, lambda: clock[0])
        for at in (0, 59, 61, 62):
            clock[0] = at
            assert await cache.get("AAPL") == "AAPL"
        for at in (62, 66, 68):
            clock[0] = at
            assert await cache.get("none") is None
        assert asked == ["AAPL", "AAPL", "none", "none"]
        assert metrics.counts == {("companies", "fill"): 4, ("companies", "hit"): 3}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("changes", "provider"),
    [
        ({}, None),
        ({"finnhub_api_key": "a", "fmp_api_key": "b"}, "finnhub"),
        ({"fmp_api_key": "b"}, "fmp"),
        ({"finnhub_api_key": "a", "fmp_api_key": "b", "lookup_provider": "fmp"}, "fmp"),
        ({"finnhub_api_key": "a", "lookup_provider": "fmp"}, None),
    ],
)
def test_the_provider_follows_from_the_keys(changes: dict[str, Any], provider: str | None) -> None:
    """And no key is shown with the settings."""
    settings = LookupSettings(**changes)
    assert (settings.lookups_from or (None,))[0] == provider
    assert "api_key" not in repr(settings)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["c", "t", "s", "name", "price", "date", "timestamp"]), inner)
        ),
        max_leaves=8,
    ).map(lambda found: json.dumps(found).encode())
    | st.binary(max_size=30)
)
def test_whatever_is_answered_is_an_answer_or_an_error_of_ours(body: bytes) -> None:
    """Nothing of a provider's nonsense becomes a fault."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        provider.answer = lambda _: httpx.Response(200, content=body)
        for lookup in (lookups.company, lookups.history):
            with contextlib.suppress(LookupUnavailable, UnknownCompany):
                await lookup("AAPL")
        await lookups.quote("AAPL")

    for name in NAMES:
        looking_up(name, use)


EMPTY = Quote.model_validate(dict.fromkeys(Quote.model_fields) | {"symbol": "AAPL", "looked_up": False})


def ask_route(path: str, lookups: Lookups, streamed: Quote = EMPTY) -> Awaitable[httpx.Response]:
    """One GET of the routes, over a symbol of which ``streamed`` is known."""
    app = FastAPI()
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=ApiMetrics())
    app.include_router(routes.router)
    app.include_router(market.router)

    async def known(_: str) -> bool:
        return True

    async def quote(_: str) -> Quote:
        return streamed

    async def quotes(_: list[str]) -> list[Quote]:
        return [streamed]

    app.state.services = SimpleNamespace(
        lookups=lookups,
        store=SimpleNamespace(is_known=known),
        quotes=SimpleNamespace(quote=quote, quotes=quotes),
    )

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
            return await client.get(path)

    return run()


def test_the_routes_answer_with_what_was_looked_up() -> None:
    """Companies in any spelling, days of a range, and a streamed quote always before one that is not."""

    async def use(lookups: Lookups, provider: FakeProvider) -> None:
        answer = await ask_route("/api/v1/companies/brk-b", lookups)
        assert (answer.status_code, answer.json()["symbol"]) == (200, "BRK.B")
        days = (await ask_route("/api/v1/history/AAPL?from=2026-01-01&to=2026-01-02", lookups)).json()
        assert [bar["date"] for bar in days["bars"]] == ["2026-01-01"]
        assert (days["provider"], days["provider_bar"]) == ("fmp", True)
        assert len((await ask_route("/api/v1/history/AAPL?limit=1", lookups)).json()["bars"]) == 1
        quote = (await ask_route("/api/v1/quotes/AAPL", lookups)).json()
        assert (quote["last_price"], quote["source"], quote["looked_up"]) == (187.5, "fmp", True)
        [listed] = (await ask_route("/api/v1/quotes?symbols=AAPL", lookups)).json()["quotes"]
        assert listed == quote
        for streamed in ({"last_price": 1.0}, {"bid": 2.0}):
            known = EMPTY.model_copy(update=streamed)
            found = (await ask_route("/api/v1/quotes/AAPL", lookups, known)).json()
            assert found == known.model_dump(mode="json")
        assert len(provider.asked) == 3
        wrong = await ask_route("/api/v1/companies/no%20symbol", lookups)
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (404, "unknown_symbol")

    looking_up("fmp", use)


def test_without_a_key_the_answer_names_the_setting() -> None:
    """503, and quotes are as they are without lookups."""
    lookups = Lookups(None, LookupSettings(), ApiMetrics().cache, lambda: NOW)
    for path in ("/api/v1/companies/AAPL", "/api/v1/history/AAPL"):
        answer = asyncio.run(ask_route(path, lookups))  # type: ignore[arg-type]
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (503, "lookup_not_configured")
        assert "FINNHUB_API_KEY or FMP_API_KEY" in error["message"]
    answer = asyncio.run(ask_route("/api/v1/quotes/AAPL", lookups))  # type: ignore[arg-type]
    assert answer.json() == EMPTY.model_dump(mode="json")
    assert not lookups.configured
